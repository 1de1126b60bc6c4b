"""Prime's route: every order by itself, and when its list of orders is believed to be complete."""

import time
from typing import Any

import pytest

from canceld.panic import prime as prime_module
from canceld.panic.prime import PrimeRoute
from canceld.panic.report import Failed, Report
from canceld.panic.session import BURST
from canceld.transport.plain.line import LineLost

from .scripts import DIALLER, KEYS, WHERE, Frame, Venue

IDS = [f"b35b1c3b-a304-4224-919f-00000000000{number}" for number in range(3)]


def row(order_id: str, status: str = "New", at: str = "2026-11-03T09:13:02.000000Z") -> Frame:
    return {
        "OrderID": order_id, "Symbol": "BTC-USD", "ClOrdID": "mine", "OrdStatus": status, "ExecType": status,
        "Timestamp": at, "CumQty": "0",
    }  # fmt: skip


class PrimeVenue(Venue):
    """Prime with a book of open orders; `extra` goes into each message that tells of it."""

    def __init__(self, *open_ids: str, **extra: Any) -> None:
        super().__init__(self._answer, [{"type": "hello", "session_id": "1"}])
        self.book = dict.fromkeys(open_ids, "New")
        self.extra = extra
        self.stream = 0
        self.refuses_filter = False

    def _answer(self, frame: Frame) -> list[Frame]:
        match frame["type"]:
            case "subscribe":
                self.stream = frame["reqid"]
                if self.refuses_filter and "StartDate" in frame["streams"][0]:
                    return [{"reqid": self.stream, "type": "error", "error": {"code": 1, "msg": "StartDate: no"}}]
                rows = [row(order_id, status) for order_id, status in self.book.items()]
                head = {"reqid": self.stream, "type": "Order", "initial": True, "data": rows}
                return [head | self.extra] if rows else []
            case "Ping":
                return [{"reqid": frame["reqid"], "type": "Pong", "data": [{}]}]
            case "OrderCancelRequest":
                order_id = frame["data"][0]["OrderID"]
                self.book[order_id] = "Canceled"
                ended = {"reqid": self.stream, "type": "Order", "initial": False, "action": "Update"}
                return [ended | {"data": [row(order_id, "Canceled")]}]
            case _:
                return []


def prime(monkeypatch: pytest.MonkeyPatch, venue: Venue) -> tuple[PrimeRoute, Report]:
    monkeypatch.setattr(prime_module, "opened", venue.open)
    report = Report()
    return PrimeRoute(DIALLER, WHERE, KEYS, "0123456789abcde", report), report


def soon() -> float:
    return time.monotonic() + 5


def test_prime_cancels_each_order_under_an_id_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    venue = PrimeVenue(*IDS)
    route, report = prime(monkeypatch, venue)
    resting = route.look(soon())
    assert [order.order_id for order in resting] == IDS
    route.cancel(resting, soon())
    asked = [frame["data"][0] for frame in venue.of_type("OrderCancelRequest")]
    assert [one["OrderID"] for one in asked] == IDS
    assert len({one["ClOrdID"] for one in asked}) == len(IDS)
    assert report.canceled == len(IDS)
    assert route.look(soon()) == []
    first, second = venue.of_type("subscribe")
    assert first["reqid"] != second["reqid"]
    assert venue.of_type("cancel") == [{"reqid": first["reqid"], "type": "cancel"}]


def test_prime_gets_so_many_cancels_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way: list[int] = []

    class Counting(PrimeVenue):
        def send(self, text: bytes, by_s: float) -> None:
            under_way.append(len(self.waiting))
            super().send(text, by_s)

    venue = Counting(*(f"b35b1c3b-a304-4224-919f-{number:012}" for number in range(3 * BURST)))
    route, report = prime(monkeypatch, venue)
    route.cancel(route.look(soon()), soon())
    assert report.canceled == 3 * BURST
    assert max(under_way) == BURST - 1


def test_prime_that_refuses_a_cancel_is_heard_and_the_others_are_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(PrimeVenue):
        def _answer(self, frame: Frame) -> list[Frame]:
            if frame["type"] == "OrderCancelRequest" and frame["data"][0]["OrderID"] == IDS[0]:
                return [{"reqid": frame["reqid"], "type": "error", "error": {"code": 7, "msg": "market closed"}}]
            return super()._answer(frame)

    route, report = prime(monkeypatch, Refusing(*IDS))
    resting = route.look(soon())
    with pytest.raises(Failed, match="market closed"):
        route.cancel(resting, soon())
    assert report.canceled == len(IDS) - 1


def test_prime_tells_everything_only_when_it_does_not_say_that_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    venue = PrimeVenue(*IDS, next="page-2")
    route, _ = prime(monkeypatch, venue)
    resting = route.look(soon())
    assert len(resting) == len(IDS)
    route.cancel(resting, soon())
    with pytest.raises(Failed, match="not complete"):
        route.look(soon())


def test_prime_without_its_filter_proves_nothing_but_cancels(monkeypatch: pytest.MonkeyPatch) -> None:
    venue = PrimeVenue(IDS[0])
    venue.refuses_filter = True
    route, _ = prime(monkeypatch, venue)
    with pytest.raises(Failed, match="StartDate: no"):
        route.look(soon())
    resting = route.look(soon())
    assert [order.order_id for order in resting] == [IDS[0]]
    route.cancel(resting, soon())
    with pytest.raises(Failed, match="not complete"):
        route.look(soon())


def test_prime_rows_that_come_late_do_not_reopen_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = row(IDS[0], "Canceled", "2026-11-03T09:13:03.000000Z")

    def answer(frame: Frame) -> list[Frame]:
        if frame["type"] == "subscribe":
            rows = [ended, row(IDS[0])]
            return [{"reqid": frame["reqid"], "type": "Order", "initial": True, "data": rows}]
        return [{"reqid": frame["reqid"], "type": "Pong", "data": [{}]}]

    route, _ = prime(monkeypatch, Venue(answer, [{"type": "hello"}]))
    assert route.look(soon()) == []


@pytest.mark.parametrize("bad", [{"type": "Order", "data": [{"OrderID": 7, "OrdStatus": "New"}]}, {"kind": "?"}])
def test_prime_is_not_empty_when_something_could_not_be_read(monkeypatch: pytest.MonkeyPatch, bad: Frame) -> None:
    venue = Venue(
        lambda frame: [bad] if frame["type"] == "subscribe" else [{"reqid": frame["reqid"], "type": "Pong"}],
        [{"type": "hello"}],
    )
    route, _ = prime(monkeypatch, venue)
    with pytest.raises(Failed):
        route.look(soon())
    assert venue.opened == 1
    with pytest.raises(Failed):
        route.look(soon())
    assert venue.opened == 2  # a session in doubt is not used again


def test_prime_that_says_nothing_is_not_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    route, _ = prime(monkeypatch, Venue(lambda _: [], [{"type": "hello"}]))
    with pytest.raises(Failed, match="no complete list of orders in time"):
        route.look(soon())


def test_a_refused_upgrade_is_a_refused_key(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused(LineLost):
        status = 401

    def refuse(*_: object) -> Venue:
        raise Refused("handshake refused (HTTP 401)")

    route, _ = prime(monkeypatch, Venue(lambda _: []))
    monkeypatch.setattr(prime_module, "opened", refuse)
    with pytest.raises(Failed, match="Prime WebSocket: handshake refused") as failed:
        route.look(soon())
    assert failed.value.hopeless
