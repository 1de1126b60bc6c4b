"""Leases: who stops renewing is noticed one ttl later, who renews never is."""

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canceld.contract.commands import LeaseScope
from canceld.engine.instants import FAR_NS, MS
from canceld.engine.leases import (
    LATE_NS,
    LEASES_LIMIT,
    SCOPE_LIMIT,
    TTL_MIN_MS,
    Leases,
    Terms,
    format_leases,
    parse_leases,
)

START_NS = 1_000_000 * MS
SPOT = (LeaseScope("spot"),)
ORDER = (LeaseScope("spot", order_id="OAAAAA-BBBBB-CCCCCC"),)
FAMILY = (LeaseScope("spot", userref=7), LeaseScope("futures", cl_ord_id="mine"))


def test_lease_that_is_not_renewed_expires_one_ttl_later() -> None:
    leases = Leases()
    assert leases.wake_ns == FAR_NS
    assert leases.renew("momentum", 1000, "cancel", FAMILY, START_NS) is None
    assert leases.wake_ns == START_NS + 1000 * MS
    assert leases.on_time(START_NS + 1000 * MS - 1) == []
    assert leases.on_time(START_NS + 1000 * MS) == [Terms("momentum", 1000, "cancel", FAMILY)]
    assert leases.on_time(START_NS + 2000 * MS) == []
    assert (len(leases), leases.wake_ns) == (0, FAR_NS)


def test_lease_that_is_renewed_lives_on() -> None:
    leases = Leases()
    for step in range(100):
        now_ns = START_NS + step * 900 * MS
        assert leases.on_time(now_ns) == []
        assert leases.renew("momentum", 1000, "kill", (), now_ns) is None
        if leases.wake_ns <= now_ns:
            assert leases.on_time(leases.wake_ns) == []
    assert len(leases) == 1


def test_renewal_on_the_same_terms_changes_nothing_on_disk() -> None:
    leases = Leases()
    leases.renew("momentum", 1000, "cancel", FAMILY, START_NS)
    taken = leases.revision
    for step in range(10):
        leases.renew("momentum", 1000, "cancel", tuple(FAMILY), START_NS + step)
    assert leases.revision == taken
    leases.renew("momentum", 1000, "cancel", FAMILY[:1], START_NS)
    leases.renew("momentum", 1000, "kill", FAMILY[:1], START_NS)
    leases.renew("momentum", 2000, "kill", FAMILY[:1], START_NS)
    assert leases.revision == taken + 3
    assert leases.terms == (Terms("momentum", 2000, "kill", FAMILY[:1]),)


def test_lease_that_was_given_back_does_not_expire() -> None:
    leases = Leases()
    leases.renew("momentum", 1000, "kill", SPOT, START_NS)
    leases.renew("makers", 1000, "kill", SPOT, START_NS)
    before = leases.revision
    assert leases.renew("momentum", 0, "kill", SPOT, START_NS) is None
    assert leases.renew("momentum", 0, "kill", SPOT, START_NS) is None
    assert leases.revision == before + 1
    assert [terms.strategy for terms in leases.on_time(START_NS + 1000 * MS)] == ["makers"]


def test_shorter_ttl_counts_from_its_renewal() -> None:
    leases = Leases()
    leases.renew("momentum", 60_000, "cancel", SPOT, START_NS)
    leases.renew("momentum", 500, "cancel", SPOT, START_NS + MS)
    assert leases.wake_ns == START_NS + 501 * MS
    assert len(leases.on_time(leases.wake_ns)) == 1


def test_expired_leases_come_longest_ago_first() -> None:
    leases = Leases()
    leases.renew("slow", 1200, "cancel", SPOT, START_NS)
    leases.renew("quick", 1000, "kill", (), START_NS)
    assert leases.on_time(START_NS + 1100 * MS) == [Terms("quick", 1000, "kill", ())]
    leases.renew("quick", 550, "kill", (), START_NS + 600 * MS)
    assert [terms.strategy for terms in leases.on_time(START_NS + 1210 * MS)] == ["quick", "slow"]


def test_stall_of_our_own_leaves_time_to_read_the_renewals_that_waited() -> None:
    leases = Leases()
    leases.renew("alive", 1000, "kill", (), START_NS)
    leases.renew("dead", 1000, "kill", (), START_NS)
    woken_ns = START_NS + 30_000 * MS
    assert leases.on_time(woken_ns) == []
    leases.renew("alive", 1000, "kill", (), woken_ns)
    assert leases.wake_ns <= woken_ns + LATE_NS
    # Put off once, and not again, however late we are.
    assert [terms.strategy for terms in leases.on_time(woken_ns + 900 * MS)] == ["dead"]
    # The next stall is another one.
    assert leases.on_time(woken_ns + 5000 * MS) == []


@pytest.mark.parametrize(
    ("ttl_ms", "scope", "why"),
    [
        (TTL_MIN_MS - 1, SPOT, "ttl_ms"),
        (1000, (*SPOT, LeaseScope()), r"scope\[1\]: empty"),
        (1000, (*SPOT, LeaseScope(strategy="mm-9")), r"scope\[1\]\.strategy: 'mm-9' is not configured"),
        (1000, (LeaseScope("spot", userref=0),), r"scope\[0\]\.userref"),
        (1000, (LeaseScope("prime", userref=7),), r"scope\[0\]\.userref: prime orders have none"),
        (1000, (LeaseScope("spot", order_id="12345"),), r"scope\[0\]\.order_id"),
        (1000, SPOT * (SCOPE_LIMIT + 1), "scope: more than"),
    ],
)
def test_bad_terms_are_refused_by_name_and_leave_the_lease_as_it_was(
    ttl_ms: int, scope: tuple[LeaseScope, ...], why: str
) -> None:
    leases = Leases()
    leases.renew("momentum", 1000, "cancel", ORDER, START_NS)
    refused = leases.renew("momentum", ttl_ms, "cancel", scope, START_NS + 500 * MS)
    assert refused is not None
    assert re.match(why, refused), refused
    assert leases.on_time(START_NS + 1000 * MS) == [Terms("momentum", 1000, "cancel", ORDER)]


def test_tables_are_bounded_and_free_what_is_given_back() -> None:
    leases = Leases()
    for number in range(LEASES_LIMIT):
        assert leases.renew(f"S{number}", 1000, "cancel", SPOT, START_NS) is None
    assert str(leases.renew("one more", 1000, "cancel", (), START_NS)).startswith("strategy:")
    room = SPOT * (SCOPE_LIMIT - LEASES_LIMIT + 1)
    assert str(leases.renew("S0", 1000, "cancel", (*room, *SPOT), START_NS)).startswith("scope:")
    assert leases.renew("S0", 1000, "cancel", room, START_NS) is None
    assert str(leases.renew("S1", 1000, "cancel", SPOT * 2, START_NS)).startswith("scope:")
    leases.renew("S0", 0, "cancel", (), START_NS)
    assert leases.renew("one more", 1000, "cancel", room, START_NS) is None


def test_status_lists_them() -> None:
    leases = Leases()
    leases.restore([Terms("old", 800, "kill", ())], START_NS)
    leases.renew("momentum", 1000, "cancel", FAMILY, START_NS)
    assert leases.status(START_NS + 300 * MS) == [
        {"strategy": "old", "ttl_ms": 800, "expires_in_ms": 500, "on_expiry": "kill", "scope": 0, "restored": True},
        {
            "strategy": "momentum", "ttl_ms": 1000, "expires_in_ms": 700, "on_expiry": "cancel", "scope": 2,
            "restored": False,
        },
    ]  # fmt: skip


# ---------------------------------------------------------------- restart


def test_leases_live_at_a_crash_are_waited_for_one_ttl_after_the_restart() -> None:
    before = Leases()
    before.renew("dead", 1000, "cancel", FAMILY, START_NS)
    before.renew("alive", 1000, "kill", (), START_NS)
    content = format_leases(before.terms)
    after, restart_ns = Leases(), START_NS + 3_600_000 * MS
    stored = parse_leases(content)
    assert stored.why is None
    after.renew("early", 2000, "cancel", (), restart_ns)
    after.restore(stored.terms, restart_ns)
    after.renew("alive", 1000, "kill", (), restart_ns + 900 * MS)
    assert not after.status(restart_ns)[-1]["restored"]
    assert after.on_time(restart_ns + 999 * MS) == []
    assert after.on_time(restart_ns + 1000 * MS) == [Terms("dead", 1000, "cancel", FAMILY)]
    assert len(after) == 2


def test_restoring_does_not_replace_what_was_renewed_since_the_start() -> None:
    leases = Leases()
    leases.renew("momentum", 5000, "cancel", ORDER, START_NS)
    leases.restore([Terms("momentum", 500, "kill", ())], START_NS)
    assert leases.terms == (Terms("momentum", 5000, "cancel", ORDER),)


def test_restoring_keeps_the_limits() -> None:
    leases = Leases()
    leases.restore([Terms("big", 500, "cancel", SPOT * (SCOPE_LIMIT + 1))], START_NS)
    leases.restore([Terms(f"S{number}", 500, "cancel", ()) for number in range(LEASES_LIMIT + 5)], START_NS)
    assert len(leases) == LEASES_LIMIT


@given(st.binary(max_size=300))
def test_garbage_restores_nothing_and_says_so(content: bytes) -> None:
    stored = parse_leases(content)
    assert stored.terms == ()
    assert stored.why is not None
    assert stored.why.startswith("the file of leases ")


def test_missing_file_restores_nothing_and_is_no_fault() -> None:
    assert parse_leases(None) == ((), (), None)
    assert parse_leases(format_leases(())) == ((), (), None)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_leases_expire_exactly_when_their_strategies_stop(seed: int) -> None:
    chance = Random(seed)
    leases, now_ns = Leases(), START_NS
    ends_ns: dict[str, int] = {}
    for _ in range(200):
        name = f"S{chance.randrange(6)}"
        if chance.random() < 0.6:
            ttl_ms = chance.randrange(500, 3000)
            assert leases.renew(name, ttl_ms, "cancel", SPOT, now_ns) is None
            ends_ns[name] = now_ns + ttl_ms * MS
        elif chance.random() < 0.2:
            leases.renew(name, 0, "cancel", (), now_ns)
            ends_ns.pop(name, None)
        until_ns = now_ns + chance.randrange(0, 700) * MS
        # The caller wakes when it was asked to, a little late.
        while leases.wake_ns <= until_ns:
            now_ns = max(now_ns, leases.wake_ns + chance.randrange(0, 50) * MS)
            over = {terms.strategy for terms in leases.on_time(now_ns)}
            assert over == {name for name, end_ns in ends_ns.items() if end_ns <= now_ns}
            for name in over:
                del ends_ns[name]
        now_ns = max(now_ns, until_ns)
        assert len(leases) == len(ends_ns)


def test_what_an_expired_lease_left_survives_a_restart_beside_the_live_ones() -> None:
    live, dead = Terms("alive", 1000, "kill", ()), Terms("dead", 1000, "cancel", FAMILY)
    assert parse_leases(format_leases([live], [dead])) == ((live,), (dead,), None)


def test_scope_at_a_venue_that_is_not_served_is_refused() -> None:
    leases = Leases(("spot",))
    assert leases.renew("momentum", 1000, "cancel", SPOT, START_NS) is None
    why = leases.renew("momentum", 1000, "cancel", FAMILY, START_NS)
    assert why == "scope[1].venue: futures is not enabled in this daemon's configuration"
    assert leases.terms == (Terms("momentum", 1000, "cancel", SPOT),)
    assert "momentum" in leases
    assert "dead" not in leases
