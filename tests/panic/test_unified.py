"""The Unified WebSocket's route: its snapshot, and tokens that die."""

import time
from collections.abc import Callable

import pytest

from canceld.contract.evidence import RestToken
from canceld.panic import unified as unified_module
from canceld.panic.door import RestDoor
from canceld.panic.report import Failed, Report
from canceld.panic.unified import UnifiedRoute

from .scripts import DIALLER, KEYS, WHERE, Frame, Venue

IDS = [f"b35b1c3b-a304-4224-919f-00000000000{number}" for number in range(3)]


def soon() -> float:
    return time.monotonic() + 5


class Door(RestDoor):
    """Hands out tokens t1, t2, …"""

    def __init__(self) -> None:
        self.tokens = 0

    def call(self, *_: object) -> RestToken:
        self.tokens += 1
        return RestToken(f"t{self.tokens}", 900.0)


def unified(monkeypatch: pytest.MonkeyPatch, answer: Callable[[Frame], list[Frame]]) -> tuple[UnifiedRoute, Report]:
    monkeypatch.setattr(unified_module, "opened", Venue(answer).open)
    report = Report()
    return UnifiedRoute(DIALLER, WHERE, Door(), KEYS, report), report


def test_the_unified_websocket_shows_what_rests_in_its_snapshot_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(frame: Frame) -> list[Frame]:
        if frame["method"] == "cancel_all":
            return [{"method": "cancel_all", "req_id": frame["req_id"], "success": True, "result": {"count": 2}}]
        rows = [{"order_id": IDS[0], "order_status": "new"}, {"order_id": IDS[1], "order_status": "filled"}]
        return [
            {"channel": "heartbeat"},
            {"method": "subscribe", "req_id": frame["req_id"], "success": True, "result": {"channel": "executions"}},
            {"channel": "executions", "type": "snapshot", "data": rows, "sequence": 1},
        ]

    route, report = unified(monkeypatch, answer)
    assert [order.order_id for order in route.look(soon())] == [IDS[0]]
    route.cancel([], soon())
    assert report.canceled == 2
    with pytest.raises(Failed, match="Unified WebSocket: no answer in time"):
        unified(monkeypatch, lambda _: [])[0].look(soon())


def test_a_dead_token_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []

    def answer(frame: Frame) -> list[Frame]:
        used.append(frame["params"]["token"])
        error = {"method": "subscribe", "req_id": frame["req_id"], "success": False}
        return [error | {"error": "ESession:Invalid session"}]

    route, _ = unified(monkeypatch, answer)
    for _ in range(2):
        with pytest.raises(Failed, match="ESession:Invalid session") as failed:
            route.look(soon())
        assert not failed.value.hopeless
    assert used == ["t1", "t2"]


def test_what_is_said_to_others_does_not_end_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is over its rate, which the venue says on every connection: the list still comes."""

    def answer(frame: Frame) -> list[Frame]:
        foreign = {"method": "subscribe", "req_id": frame["req_id"] + 7, "success": False, "error": "EGeneral:Denied"}
        rows = [{"order_id": IDS[0], "order_status": "new"}]
        return [
            {"Error": "Exceeded msg rate"},
            foreign,
            {"channel": "executions", "type": "snapshot", "data": rows, "sequence": 1},
        ]

    route, _ = unified(monkeypatch, answer)
    assert [order.order_id for order in route.look(soon())] == [IDS[0]]


@pytest.mark.parametrize("named", [True, False], ids=["by number", "unnamed"])
def test_a_refusal_of_its_own_ends_a_look(monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    def answer(frame: Frame) -> list[Frame]:
        error = {"method": "subscribe", "success": False, "error": "EGeneral:Permission denied"}
        return [error | ({"req_id": frame["req_id"]} if named else {})]

    route, _ = unified(monkeypatch, answer)
    with pytest.raises(Failed, match="EGeneral:Permission denied"):
        route.look(soon())
