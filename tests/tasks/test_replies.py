"""A crowd's replies go first, and what is told of them follows; nobody can see that from what he is told."""

from typing import Any

import msgspec
import pytest
import trio

from canceld.contract.ids import Target
from canceld.contract.outcomes import Acked, Settlement, Unknown
from canceld.tasks.replies import CROWD_OVER_S, TELL_SLICE
from canceld.tasks.tickets import Asked
from canceld.transport.memory.zeromq import MemorySubscriber

from .door import CANCEL, EVENTS, ORDER_ID, Door

COUNT = TELL_SLICE + 5


pytestmark = pytest.mark.usefixtures("autojump_clock")


async def _answered_ahead(door: Door) -> list[Asked]:
    """That many commands whose replies were foreseen and have been given."""
    for id in range(COUNT):
        door.client.send_nowait([msgspec.msgpack.encode({**CANCEL, "id": id})])
    await trio.sleep(0.001)
    asked = []
    for owner, target, _, _ in door.venue.asked:
        assert isinstance(owner, Asked)
        settlement = Settlement(venue="spot", target=target, outcome=Unknown(("ws",)), route="none", attempts=1)
        owner.foresee(settlement)
        owner.answered(settlement)
        asked.append(owner)
    return asked


def _heard(subscriber: MemorySubscriber) -> list[dict[str, Any]]:
    """Every event since this was last asked."""
    heard = []
    while (event := subscriber.receive_nowait()) is not None:
        heard.append(msgspec.json.decode(event[1]))
    return heard


async def test_replies_go_first_and_are_told_of_once_no_more_follow(door: Door) -> None:
    told = door.bus.subscribe(EVENTS, b"outcome.")
    await _answered_ahead(door)
    assert [reply["id"] for reply in door.told()] == list(range(COUNT))
    assert door.gateway.in_flight == 0
    assert _heard(told) == []
    await trio.sleep(CROWD_OVER_S * 3)
    outcomes = _heard(told)
    assert [outcome["id"] for outcome in outcomes] == list(range(COUNT))
    assert {outcome["outcome"] for outcome in outcomes} == {"unknown"}
    assert door.gateway.replies.answer_times.count == COUNT


async def test_the_same_id_before_it_is_told_of_has_the_same_reply(door: Door) -> None:
    await _answered_ahead(door)
    [reply] = [reply for reply in door.told() if reply["id"] == 3]
    await door.ask({**CANCEL, "id": 3})
    assert door.told() == [{**reply, "replayed": True}]


async def test_it_stands_as_in_flight_until_it_is_told_of(door: Door) -> None:
    """A process that dies between the two leaves no other word of it."""
    intents = door.gateway.replies._intents
    free = len(intents._free)
    await _answered_ahead(door)
    assert len(intents._free) == free - COUNT
    await trio.sleep(CROWD_OVER_S * 3)
    assert len(intents._free) == free


async def test_the_daemon_does_not_end_before_all_is_told(door: Door) -> None:
    await _answered_ahead(door)
    await door.gateway.drained()
    assert door.gateway.replies.answer_times.count == COUNT


async def test_late_news_follows_the_outcome_that_it_corrects(door: Door) -> None:
    told = door.bus.subscribe(EVENTS)
    asked = (await _answered_ahead(door))[2]
    asked.late(Settlement(venue="spot", target=Target("order_id", ORDER_ID), outcome=Acked(), route="ws"))
    await trio.sleep(CROWD_OVER_S * 3)
    assert [event["type"] for event in _heard(told) if event.get("id") == 2] == ["outcome", "late"]
