"""The event socket: what each topic carries, and alerts that a person can bear."""

from typing import Any

import msgspec
import pytest
import trio

from canceld.contract.frames import outcome_map
from canceld.contract.ids import Target
from canceld.contract.outcomes import Acked, Canceled, Settlement
from canceld.engine.resting import Row
from canceld.tasks.events import ALERTS_KEPT, Events
from canceld.transport.clock import VirtualClock
from canceld.transport.memory.zeromq import MemoryBus, MemorySubscriber

ENDPOINT = "ipc:///run/canceld/events.sock"


class Desk:
    """Events on a memory bus, and somebody who listens to all of them."""

    def __init__(self, event_limit: int = 10_000) -> None:
        bus = MemoryBus(event_limit=event_limit)
        self.events = Events(bus.publisher(ENDPOINT, mode=0o660), VirtualClock())
        self._subscriber: MemorySubscriber = bus.subscribe(ENDPOINT)

    @property
    def heard(self) -> list[tuple[str, dict[str, Any]]]:
        """What was published since this was last asked."""
        heard = []
        while (event := self._subscriber.receive_nowait()) is not None:
            heard.append((event[0].decode(), msgspec.json.decode(event[1])))
        return heard


@pytest.fixture
async def desk() -> Desk:
    return Desk()


def _settlement(**fields: Any) -> Settlement:
    return Settlement(venue="spot", target=Target("order_id", "OAAAAA-BBBBB-CCCCCC"), **fields)


async def test_every_event_carries_both_clocks(autojump_clock: object, desk: Desk) -> None:
    await trio.sleep(1.5)
    desk.events.session("spot", "spot-0", "live")
    [(topic, event)] = desk.heard
    assert topic == "session.spot"
    assert event == {
        "type": "session",
        "venue": "spot",
        "name": "spot-0",
        "state": "live",
        "ts": "2027-01-15T08:00:01.500000Z",
        "monotonic_ns": 1_001_500_000_000,
        "seq": 1,
        "started_ns": 1_000_000_000_000,
    }


async def test_each_topic_is_numbered_by_itself_and_what_nobody_took_leaves_a_gap(autojump_clock: object) -> None:
    desk = Desk(event_limit=2)
    for state in ("dialling", "live", "down"):
        desk.events.session("spot", "spot-0", state)
    desk.events.session("prime", "prime-0", "live")
    assert [(topic, event["seq"]) for topic, event in desk.heard] == [("session.spot", 1), ("session.spot", 2)]
    desk.events.session("spot", "spot-0", "live")
    desk.events.session("prime", "prime-0", "down")
    told = dict(desk.heard)
    assert {topic: event["seq"] for topic, event in told.items()} == {"session.spot": 4, "session.prime": 2}
    assert {event["started_ns"] for event in told.values()} == {1_000_000_000_000}


async def test_what_nobody_listened_to_is_a_gap_too(autojump_clock: object) -> None:
    """A subscriber that comes back after a while away is to see that it missed something."""
    bus = MemoryBus()
    events = Events(bus.publisher(ENDPOINT, mode=0o660), VirtualClock())
    events.session("spot", "spot-0", "live")
    subscriber = bus.subscribe(ENDPOINT, b"session")
    events.session("spot", "spot-0", "down")
    told = subscriber.receive_nowait()
    assert told is not None
    assert msgspec.json.decode(told[1])["seq"] == 2


async def test_no_event_is_made_for_nobody(autojump_clock: object, monkeypatch: pytest.MonkeyPatch) -> None:
    bus = MemoryBus()
    events = Events(bus.publisher(ENDPOINT, mode=0o660), VirtualClock())
    bus.subscribe(ENDPOINT, b"alert")
    made: list[object] = []
    monkeypatch.setattr("canceld.tasks.events._encode", lambda body: made.append(body) or b"")
    events.outcome(outcome_map(7, 1, _settlement(outcome=Acked(), route="ws")))
    assert not made
    events.alert("warning", "the line is cut", "mend it")
    assert len(made) == 1


async def test_outcomes_and_late_answers_go_to_their_own_topics(autojump_clock: object, desk: Desk) -> None:
    desk.events.outcome(outcome_map(7, 1, _settlement(outcome=Acked(), route="ws")))
    desk.events.late("x", 1, _settlement(outcome=Canceled("0.5"), route="stream"))
    (first, outcome), (second, late) = desk.heard
    assert (first, outcome["type"], outcome["id"], outcome["outcome"]) == ("outcome.spot", "outcome", 7, "acked")
    assert (second, late["type"], late["id"], late["outcome"]) == ("late.spot", "late", "x", "canceled")
    assert late["filled_qty"] == "0.5"


async def test_an_ended_order_is_told_with_what_is_known_of_it(autojump_clock: object, desk: Desk) -> None:
    row = Row("OAAAAA-BBBBB-CCCCCC", 0)
    row.status, row.symbol, row.filled_qty = "filled", "XBT/USD", "1.0"
    desk.events.order("spot", row)
    [(topic, event)] = desk.heard
    assert topic == "order.spot"
    assert {key: event[key] for key in event if key not in ("ts", "monotonic_ns", "seq", "started_ns")} == {
        "type": "order",
        "venue": "spot",
        "order_id": "OAAAAA-BBBBB-CCCCCC",
        "state": "filled",
        "symbol": "XBT/USD",
        "filled_qty": "1.0",
    }


async def test_one_condition_alerts_at_most_once_a_minute(autojump_clock: object, desk: Desk) -> None:
    for _ in range(200):
        desk.events.alert("warning", "the line is cut", "mend it")
        desk.events.alert("critical", "the key is refused", "check it")
        await trio.sleep(1.0)
    told = desk.heard
    assert [event["what"] for _, event in told].count("the line is cut") == 4
    assert [event["what"] for _, event in told].count("the key is refused") == 4
    assert {topic for topic, _ in told} == {"alert"}
    assert {(event["severity"], event["do"]) for _, event in told} == {("warning", "mend it"), ("critical", "check it")}


async def test_status_shows_the_latest_alert_of_each_condition_until_it_is_over(
    autojump_clock: object, desk: Desk
) -> None:
    desk.events.alert("warning", "the line is cut", "mend it")
    desk.events.alert("critical", "the key is refused", "check it")
    await trio.sleep(10.0)
    desk.events.alert("warning", "the line is cut", "mend it")
    shown = desk.events.alerts
    assert [alert["what"] for alert in shown] == ["the key is refused", "the line is cut"]
    assert shown[1]["ts"] == "2027-01-15T08:00:10.000000Z"
    desk.events.clear("the line is cut")
    desk.events.clear("what never was")
    assert [alert["what"] for alert in desk.events.alerts] == ["the key is refused"]


async def test_conditions_without_end_are_bounded(autojump_clock: object, desk: Desk) -> None:
    for number in range(10 * ALERTS_KEPT):
        desk.events.alert("warning", f"condition {number}", "mend it")
    assert len(desk.events.alerts) == ALERTS_KEPT
    assert desk.events.alerts[-1]["what"] == f"condition {10 * ALERTS_KEPT - 1}"


async def test_a_listener_that_does_not_read_loses_events_and_is_counted(autojump_clock: object) -> None:
    desk = Desk(event_limit=10)
    for _ in range(15):
        desk.events.session("spot", "spot-0", "live")
    assert len(desk.heard) == 10
    assert desk.events.dropped == 5
