"""Who keeps us busy waits; whoever asks now and then never does, and what is over is forgotten."""

from canceld.tasks.fair_use import BURST_NS, PEERS_LIMIT, SHARE, FairUse

A = b"a"
B = b"b"


def test_a_peer_waits_for_what_it_took_beyond_a_burst_and_for_nothing_of_anybody_else() -> None:
    fair_use = FairUse()
    assert fair_use.charge(A, BURST_NS, 0) == 0
    assert fair_use.charge(A, 1_000, 0) == 1_000 * SHARE
    assert fair_use.charge(B, 1_000, 0) == 0


def test_after_its_wait_it_may_take_as_much_again() -> None:
    fair_use = FairUse()
    fair_use.charge(A, BURST_NS, 0)
    now_ns = 0
    for _ in range(1_000):
        now_ns += fair_use.charge(A, 50_000, now_ns)
    assert now_ns == 1_000 * 50_000 * SHARE


def test_one_part_in_share_of_the_time_is_never_too_much() -> None:
    fair_use = FairUse()
    assert all(fair_use.charge(A, 10_000, turn * 10_000 * SHARE) == 0 for turn in range(10_000))


def test_a_pause_forgives_everything_and_no_more() -> None:
    fair_use = FairUse()
    fair_use.charge(A, 10 * BURST_NS, 0)
    later_ns = 100 * BURST_NS * SHARE
    assert fair_use.charge(A, BURST_NS, later_ns) == 0
    assert fair_use.charge(A, 1, later_ns) == SHARE


def test_the_peers_that_are_known_are_bounded() -> None:
    fair_use = FairUse()
    fair_use.charge(A, BURST_NS, 0)
    for number in range(PEERS_LIMIT):
        fair_use.charge(number.to_bytes(2), 1, 0)
    # It was the first to be heard of, and has a burst again.
    assert fair_use.charge(A, BURST_NS, 0) == 0
    assert len(fair_use._used) == PEERS_LIMIT
