"""Hostile neighbours on the commands socket, one at a time.

The good client's cancels end well, memory stays bounded, and nothing is dropped without a count. What each neighbour
costs in time is printed and not judged: `python -m tests.hostile` measures it longer.
"""

import json
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, until

from .neighbours import CROWD, NONSENSE
from .trial import Neighbour, Trial, cancel_each, descriptors, p99, rss_mib, trial

Shared = tuple[Exchange, Service]
Tried = Callable[..., Trial]

ROUNDS = 2
CANCELS = 60
GROWTH_MIB = 64.0
CROWD_MIB = 256.0
"""Ten thousand connections at once take libzmq some 10 KiB each, which malloc keeps afterwards."""

WITHIN_S = 20.0
MALFORMED = 500
USUAL_LIMIT = 1_024
"""The soft limit of descriptors that a process is given nearly everywhere."""


@pytest.fixture
def tried(tell: Callable[[str], None]) -> Tried:
    """Tries one neighbour, with what holds for all of them."""

    def try_it(kind: str, shared: Shared, *, rounds: int = ROUNDS, growth_mib: float = GROWTH_MIB) -> Trial:
        exchange, service = shared
        before_mib = rss_mib(service)
        done = trial(kind, exchange, service, rounds, CANCELS)
        tell(f"{kind}: another's p99 {p99(done.beside_us):.0f} µs, in quiet {p99(done.quiet_us):.0f} µs")
        assert len(done.beside_us) == rounds * CANCELS
        assert service.program.process.poll() is None
        assert service.sessions() == {"spot-0": "live", "spot-1": "live"}
        assert service.status()["in_flight"] == 0
        # libzmq's own thread frees what a connection leaves behind.
        until(lambda: rss_mib(service) - before_mib < growth_mib, WITHIN_S, "its memory is given back")
        assert "Traceback" not in service.program.err
        return done

    return try_it


def test_a_flood_of_pings_is_answered_to_the_last(shared: Shared, tried: Tried) -> None:
    done = tried("flood", shared)
    assert done.told["sent"] == done.told["heard"]
    assert (done.refused, done.undelivered) == (0, 0)


def test_nonsense_is_refused_one_by_one(shared: Shared, tried: Tried) -> None:
    done = tried("nonsense", shared, rounds=1)
    assert done.told["sent"] == done.told["heard"]
    # A rearm at this door is well-formed, and refused without being counted as nonsense.
    well_formed = done.told["sent"] // len(NONSENSE) + 1
    assert done.told["sent"] - well_formed <= done.refused <= done.told["sent"]
    assert done.undelivered == 0


def test_monsters_are_refused_or_cut_off(shared: Shared, tried: Tried) -> None:
    done = tried("monster", shared, rounds=1)
    assert done.told["sent"] == done.refused
    assert done.told["heard"] + done.undelivered >= done.told["sent"], "an answer was lost without a count"


def test_beside_a_message_that_never_ends_the_service_stays_up_and_its_memory_is_used_again(
    shared: Shared, tried: Tried
) -> None:
    """What bounds it is the life of its connection, and nothing else.

    libzmq hands a message on when it is whole; MAXMSGSIZE is for each frame, and the limit of messages kept for a peer
    (RCVHWM) counts those that are whole. Measured: 1 byte for each byte sent in large frames, 32 in empty ones. Once
    the connection ends libzmq frees all of it, and malloc keeps some for the next.
    """
    _, service = shared
    before_mib = rss_mib(service)
    neighbour = Neighbour("endless", service)
    try:
        held_mib = rss_mib(service) - before_mib
        with Dealer(service.commands) as good:
            good.fence()
        sent_mib = neighbour.end()["sent_mib"]
    finally:
        neighbour.kill()
    assert 0.5 * sent_mib < held_mib < 2 * sent_mib
    # Two more cost no more than the first.
    tried("endless", shared)
    assert rss_mib(service) - before_mib < 2 * sent_mib


def test_one_who_takes_anothers_name_gets_nothing_of_its_replies(shared: Shared, tried: Tried) -> None:
    done = tried("impostor", shared)
    assert done.told["tries"] >= 5
    assert done.told["stolen"] == []


def test_one_who_never_reads_costs_bounded_memory_and_every_reply_is_counted(shared: Shared, tried: Tried) -> None:
    _, service = shared
    done = tried("deaf", shared, rounds=1)

    def lost() -> int:
        return int(service.status(detail=True)["detail"]["undelivered_replies"])

    # What libzmq had taken for it, and lost with the connection, is all that is not told of.
    in_queues = 4_000
    until(lambda: lost() >= done.told["sent"] - in_queues, WITHIN_S, "what it did not read is counted")
    assert "a client does not read its replies" in [alert["what"] for alert in service.status()["alerts"]]


def test_each_of_500_malformed_commands_gets_one_refusal_that_says_why(shared: Shared) -> None:
    _, service = shared
    with Dealer(service.commands) as bad:
        kinds = list(NONSENSE)
        sent = [kinds[n % len(kinds)] for n in range(MALFORMED)]
        for kind in sent:
            bad.socket.send(NONSENSE[kind])
        for kind in sent:
            [reply] = bad.receive(WITHIN_S)
            is_json = reply[:1] == b"{"
            told = json.loads(reply) if is_json else msgspec.msgpack.decode(reply)
            assert (told["type"], told["outcome"]) == ("refused", "refused"), kind
            expected = "too_large" if kind.startswith("oversize") else "invalid"
            assert told["reason"] == expected, (kind, told)
            assert told["detail"], kind
            assert told["id"] in ("x", None), kind
        bad.fence()
        assert set(bad.replies) == {"c1"}, "an answer that nobody asked for"


@pytest.fixture
def cramped(home: Path, exchange: Exchange) -> Iterator[Shared]:
    """A daemon that was given no more descriptors than is usual, and may give itself enough."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < CROWD + USUAL_LIMIT:
        pytest.skip(f"this user may not have {CROWD} open files")
    service = Service(home, exchange.told)
    try:
        yield exchange, service.start(through=("prlimit", f"--nofile={USUAL_LIMIT}:{CROWD + USUAL_LIMIT}"))
    finally:
        service.end()
        print(service.program.err[-3000:])


def test_ten_thousand_connections_end_neither_the_daemon_nor_its_descriptors(cramped: Shared, tried: Tried) -> None:
    """libzmq aborts the process that holds it when accept finds no descriptor left."""
    _, service = cramped
    before = descriptors(service)
    done = tried("crowd", cramped, growth_mib=CROWD_MIB)
    assert done.told["opened"] >= CROWD
    until(lambda: descriptors(service) <= before + 5, WITHIN_S, "every descriptor is given back")


def test_a_newcomer_gets_in_through_the_crowd(cramped: Shared) -> None:
    exchange, service = cramped
    neighbour = Neighbour("crowd", service)
    try:
        # How many of the crowd are held at once is the machine's affair: each is shown out after a second.
        until(lambda: service.status()["process"]["descriptors"] > 100, WITHIN_S, "the crowd shows in the status")
        assert service.status()["process"]["descriptors_limit"] == CROWD + USUAL_LIMIT
        with Dealer(service.commands) as late:
            late.fence(WITHIN_S)
            assert cancel_each(late, exchange, 1)
        assert neighbour.end()["opened"] >= CROWD
    finally:
        neighbour.kill()
