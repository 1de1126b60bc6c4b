"""Events as a strategy gets them: typed, and with what it missed. The three flavours hear them over real ipc."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import zmq
from hypothesis import given
from hypothesis import strategies as st

from canceld.client import (
    Alert,
    Client,
    Event,
    KillEvent,
    Late,
    OrderEnded,
    Settled,
    connect,
    open_client,
)
from canceld.client.events import EventReader, check_topics
from canceld.contract.ids import Target
from canceld.contract.outcomes import Canceled

STARTED_NS = 1_000
LATE = {"type": "late", "venue": "spot", "id": "a", "outcome": "canceled", "filled_qty": "0.5", "order_id": "A-B"}
KILL = {"type": "kill", "state": "pulled", "reason": "enough"}
ALERT = {"type": "alert", "severity": "critical", "what": "it hangs", "do": "look"}
WITHIN_S = 10.0


def body(event: dict[str, Any], seq: int, started_ns: int = STARTED_NS) -> bytes:
    told = {**event, "ts": "2027-01-15T08:00:00.000000Z", "monotonic_ns": 7, "seq": seq, "started_ns": started_ns}
    return msgspec.json.encode(told)


def read(*told: tuple[str, bytes]) -> list[Event]:
    reader = EventReader()
    events = [reader.read([topic.encode(), content]) for topic, content in told]
    assert reader.unreadable == 0
    return [event for event in events if event is not None]


def test_each_topic_has_its_type() -> None:
    order = {"type": "order", "venue": "spot", "order_id": "A-B", "state": "filled", "filled_qty": "1"}
    late, ended, kill, alert, other = read(
        ("late.spot", body(LATE, 1)),
        ("order.spot", body(order, 1)),
        ("kill", body(KILL, 1)),
        ("alert", body(ALERT, 1)),
        ("novelty", body({"type": "novelty"}, 1)),
    )
    assert isinstance(late, Late)
    assert (late.venue, late.id, late.outcome, late.target) == ("spot", "a", Canceled("0.5"), Target("order_id", "A-B"))
    assert isinstance(ended, OrderEnded)
    assert (ended.order_id, ended.state, ended.filled_qty, ended.symbol) == ("A-B", "filled", "1", None)
    assert isinstance(kill, KillEvent)
    assert (kill.state, kill.body["reason"]) == ("pulled", "enough")
    assert isinstance(alert, Alert)
    assert (alert.severity, alert.what, alert.do) == ("critical", "it hangs", "look")
    assert type(other) is Event


def test_a_gap_is_told_with_its_size_and_a_restart_as_not_to_be_told() -> None:
    events = read(
        ("kill", body(KILL, 7)),
        ("kill", body(KILL, 8)),
        ("alert", body(ALERT, 30)),
        ("kill", body(KILL, 12)),
        ("kill", body(KILL, 13, started_ns=STARTED_NS + 1)),
        ("kill", body(KILL, 14, started_ns=STARTED_NS + 1)),
    )
    assert [event.missed for event in events] == [0, 0, 0, 3, None, 0]


@given(frames=st.lists(st.binary(max_size=60) | st.just(b"late.spot") | st.just(body(LATE, 1)), max_size=3))
def test_no_bytes_raise(frames: list[bytes]) -> None:
    EventReader().read(frames)


@given(
    topic=st.sampled_from(["outcome.spot", "late.x", "order.spot", "kill", "alert"]),
    event=st.dictionaries(
        st.sampled_from(["outcome", "venue", "tried", "class", "seq", "started_ns", "ts", "monotonic_ns", "state"]),
        st.none() | st.integers(-5, 5) | st.sampled_from(["unknown", "rejected"]) | st.lists(st.integers(), max_size=1),
    ),
)
def test_no_map_raises(topic: str, event: dict[str, Any]) -> None:
    EventReader().read([topic.encode(), msgspec.json.encode({"ts": "now", "monotonic_ns": 1, **event})])


def test_a_misspelt_topic_is_refused_with_the_nearest() -> None:
    assert check_topics([]) == ("",)
    assert check_topics(["late", "late.spot", "kill"]) == ("late", "late.spot", "kill")
    with pytest.raises(ValueError, match=r"no topic 'late\.sport', did you mean 'late\.spot'\?"):
        check_topics(["late.sport"])


@contextmanager
def publishing(path: Path, told: list[tuple[str, bytes]]) -> Iterator[None]:
    """A daemon's event socket: what it tells begins once somebody has subscribed to every topic of it."""
    context = zmq.Context()
    publisher = context.socket(zmq.XPUB)
    publisher.linger = 0
    publisher.bind(f"ipc://{path}")
    wanted = {topic for topic, _ in told}

    def publish() -> None:
        subscribed: set[str] = set()
        while not wanted <= subscribed and publisher.poll(WITHIN_S * 1000):
            subscribed.add(publisher.recv()[1:].decode())
        publisher.send_multipart([b"order.spot", body(ALERT, 1)])
        for topic, content in told:
            publisher.send_multipart([topic.encode(), content])

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        publisher.close()
        context.term()


TOLD = [("late.spot", body(LATE, 1)), ("alert", body(ALERT, 4)), ("kill", body(KILL, 2)), ("late.spot", body(LATE, 3))]
TOPICS = ("late.spot", "alert", "kill")


def heard_by_blocking(endpoint: str) -> list[Event]:
    with Client(endpoint) as client, client.events(TOPICS) as events:
        heard = [event for event in (events.next(int(WITHIN_S * 1000)) for _ in TOLD) if event is not None]
        assert events.next(1) is None
    return heard


async def first(events: AsyncIterator[Event]) -> list[Event]:
    return [await anext(events) for _ in TOLD]


def heard_by_trio(endpoint: str) -> list[Event]:
    async def listen() -> list[Event]:
        async with open_client(endpoint) as client, client.events(TOPICS) as events:
            with trio.fail_after(WITHIN_S):
                return await first(events)

    return trio.run(listen)


def heard_by_asyncio(endpoint: str) -> list[Event]:
    async def listen() -> list[Event]:
        async with connect(endpoint) as client, client.events(TOPICS) as events:
            return await asyncio.wait_for(first(events), WITHIN_S)

    return asyncio.run(listen(), debug=True)


@pytest.mark.parametrize("hear", [heard_by_blocking, heard_by_trio, heard_by_asyncio])
def test_every_flavour_hears_what_it_asked_for_in_sequence(hear: Callable[[str], list[Event]], tmp_path: Path) -> None:
    with publishing(tmp_path / "events.sock", TOLD):
        heard = hear(f"ipc://{tmp_path}/commands.sock")
    assert [(type(event), event.missed) for event in heard] == [(Late, 0), (Alert, 0), (KillEvent, 0), (Late, 1)]
    assert not any(type(event) is Settled for event in heard)


def test_an_event_is_not_lost_to_a_caller_that_is_cancelled(tmp_path: Path) -> None:
    """A strategy looks for an event for a moment at a time. Whatever comes is heard, in sequence, none twice."""

    async def listen() -> list[int]:
        heard: list[int] = []
        async with open_client(f"ipc://{tmp_path}/commands.sock") as client, client.events(["alert"]) as events:
            with trio.fail_after(WITHIN_S):
                while len(heard) < 200:
                    with trio.move_on_after(0.0005):
                        async for event in events:
                            heard.append(event.body["seq"])  # noqa: PERF401  # a list of what came, also when cancelled
        return heard

    with publishing(tmp_path / "events.sock", [("alert", body(ALERT, seq)) for seq in range(200)]):
        assert trio.run(listen) == list(range(200))
