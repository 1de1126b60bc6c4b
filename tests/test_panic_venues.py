"""What `panic` does at each venue, step by step: when it believes that nothing rests, and when it gives up."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from canceld import panic_venues
from canceld.contract.evidence import Fault, OrderState, RestAnswer, RestFailed, RestOrders, RestToken, RestUnreadable
from canceld.credentials import Keys, Secret
from canceld.panic_venues import (
    NONCE_JUMPS,
    PAUSE_LIMIT_S,
    REFUSALS,
    Failed,
    FirstThatWorks,
    PrimeRoute,
    Report,
    RestDoor,
    UnifiedRoute,
    sweep,
)
from canceld.settings import Address
from canceld.transport.plain.line import Dialler, LineLost
from canceld.venues.spot_rest import Request

ORDER = OrderState("O-1", "open")
WHERE = Address(True, "venue.test", 443, "/ws/v1")
KEYS = Keys(Secret("key"), Secret(b"secret"))
DIALLER = Dialler(None)


class Clock:
    """Time that only pauses move."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def now_s(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


class Scripted:
    """A route whose looks are given in sequence, the last one for ever; a Failed is raised."""

    def __init__(self, *looks: Sequence[OrderState] | Failed, cancel: Failed | None = None) -> None:
        self.looks = deque(looks)
        self.canceled: list[list[str]] = []
        self.asked_by_s: list[float] = []
        self._cancel = cancel

    def cancel(self, resting: Sequence[OrderState], by_s: float) -> None:
        self.canceled.append([order.order_id for order in resting])
        if self._cancel is not None:
            raise self._cancel

    def look(self, by_s: float) -> Sequence[OrderState]:
        self.asked_by_s.append(by_s)
        seen = self.looks.popleft() if len(self.looks) > 1 else self.looks[0]
        if isinstance(seen, Failed):
            raise seen
        return seen


def swept(route: Scripted, within_s: float = 30.0) -> tuple[Report, Clock]:
    report, clock = Report(), Clock()
    sweep(route, report, clock.now + within_s, now_s=clock.now_s, pause=clock.pause)
    return report, clock


# -------------------------------------------------------------------- the sweep


def test_two_empty_looks_in_a_row_are_the_proof() -> None:
    route = Scripted([])
    report, clock = swept(route)
    assert (report.state, report.residual, report.why) == ("flat", (), None)
    assert (len(route.canceled), len(route.asked_by_s)) == (1, 2)
    assert report.took_s == sum(clock.pauses)


def test_an_order_in_the_second_look_is_canceled_and_two_more_looks_are_needed() -> None:
    route = Scripted([], [ORDER], [], [])
    assert swept(route)[0].state == "flat"
    assert route.canceled == [[], ["O-1"]]


def test_an_empty_look_beside_a_failed_one_proves_nothing() -> None:
    route = Scripted([], Failed("HTTP 502"), [], Failed("HTTP 503"))
    report, _ = swept(route)
    assert (report.state, report.residual, report.why) == ("unreachable", (), "HTTP 503")


def test_what_rests_is_canceled_again_at_least_once_a_second_until_the_time_is_up() -> None:
    route = Scripted([ORDER])
    report, clock = swept(route, within_s=10.0)
    assert (report.state, report.residual) == ("residual", ("O-1",))
    assert clock.pauses[0] < clock.pauses[1] < clock.pauses[-1] == PAUSE_LIMIT_S == max(clock.pauses)
    assert 8.0 < sum(clock.pauses) < 10.0
    assert len(route.canceled) == len(clock.pauses) + 1
    assert max(route.asked_by_s) <= 1010.0


def test_what_was_seen_to_rest_stays_known_when_the_venue_goes_silent() -> None:
    report, _ = swept(Scripted([ORDER], Failed("silence")), within_s=5.0)
    assert (report.state, report.residual, report.why) == ("residual", ("O-1",), "silence")


def test_a_cancel_that_fails_is_followed_by_a_look_all_the_same() -> None:
    route = Scripted([ORDER], [], [], cancel=Failed("EService:Busy"))
    assert swept(route)[0].state == "flat"
    assert len(route.canceled) == 2


def test_a_refused_key_is_used_a_few_times_only() -> None:
    route = Scripted(Failed("EAPI:Invalid key", hopeless=True))
    report, _ = swept(route)
    assert (report.state, report.why) == ("unreachable", "EAPI:Invalid key")
    assert len(route.asked_by_s) == REFUSALS


# -------------------------------------------------------------------- several routes


def test_the_next_route_takes_the_place_of_one_that_failed() -> None:
    dead, alive = Scripted(Failed("dead"), cancel=Failed("dead")), Scripted([ORDER])
    route = FirstThatWorks([dead, alive])
    by_s = time.monotonic() + 5
    route.cancel([], by_s)
    assert list(route.look(by_s)) == [ORDER]
    assert (len(dead.canceled), len(dead.asked_by_s)) == (1, 0)


def test_a_silent_route_leaves_the_next_one_its_share_of_the_time() -> None:
    dead, alive = Scripted(Failed("silence")), Scripted([])
    by_s = time.monotonic() + 5
    FirstThatWorks([dead, alive]).look(by_s)
    assert dead.asked_by_s[0] < by_s - 2
    assert alive.asked_by_s[0] == pytest.approx(by_s, abs=1e-3)


def test_when_every_route_fails_each_is_named() -> None:
    routes = [Scripted(Failed("no key", hopeless=True)), Scripted(Failed("no route"))]
    with pytest.raises(Failed, match="no key; no route") as failed:
        FirstThatWorks(routes).look(time.monotonic() + 5)
    assert not failed.value.hopeless


# -------------------------------------------------------------------- REST


class Nonces:
    def __init__(self) -> None:
        self.last = 0
        self.jumps = 0

    def draw(self) -> int:
        self.last += 1
        return self.last

    def overtaken(self) -> None:
        self.jumps += 1
        self.last += 100


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked over HTTP; nothing is really sent, the decoder given to each call makes the answer."""
    asked: list[str] = []

    class Http:
        def __init__(self, *_: object) -> None: ...

        def make_ready(self, by_s: float) -> None: ...

        def exchange(self, method: str, path: str, headers: object, body: bytes, by_s: float) -> tuple[int, bytes]:
            asked.append(body.decode())
            return 200, body

    monkeypatch.setattr(panic_venues, "Http", Http)
    return asked


def numbered(nonce: int) -> Request:
    return Request("POST", "/", str(nonce).encode(), ())


def test_a_refused_nonce_is_answered_by_a_jump_and_another_try(http: list[str]) -> None:
    nonces = Nonces()
    stale = RestFailed(Fault.STALE_NONCE, "EAPI:Invalid nonce")
    answers: Iterator[RestAnswer] = iter([stale, RestOrders(())])
    assert RestDoor(DIALLER, WHERE, nonces).call(
        numbered, lambda *_: next(answers), time.monotonic() + 5
    ) == RestOrders(())
    assert (http, nonces.jumps) == (["1", "102"], 1)
    with pytest.raises(Failed, match="EAPI:Invalid nonce") as failed:
        RestDoor(DIALLER, WHERE, nonces).call(numbered, lambda *_: stale, time.monotonic() + 5)
    assert (len(http), failed.value.hopeless) == (2 + 1 + NONCE_JUMPS, True)


@pytest.mark.parametrize(
    ("answer", "hopeless"),
    [
        (RestFailed(Fault.UNAVAILABLE, "redirect (HTTP 302)"), False),
        (RestFailed(Fault.PERMISSION, "EGeneral:Permission denied"), True),
        (RestUnreadable("HTTP 502"), False),
    ],
)
def test_an_answer_that_is_no_verdict_is_a_failed_step(
    http: list[str], answer: RestFailed | RestUnreadable, hopeless: bool
) -> None:
    with pytest.raises(Failed, match=r"^REST: ") as failed:
        RestDoor(DIALLER, WHERE, None).call(numbered, lambda *_: answer, time.monotonic() + 5)
    assert (http, failed.value.hopeless) == (["0"], hopeless)


# -------------------------------------------------------------------- WebSocket routes

Frame = dict[str, Any]


class Venue:
    """Stands in for every session that is opened: `answer` gives the frames for each one sent."""

    def __init__(self, answer: Callable[[Frame], list[Frame]], greeting: Sequence[Frame] = ()) -> None:
        self.answer = answer
        self.greeting = greeting
        self.sent: list[Frame] = []
        self.opened = 0
        self.waiting: deque[str] = deque()

    def open(self, *_: object) -> "Venue":
        self.opened += 1
        self.waiting = deque(map(json.dumps, self.greeting))
        return self

    def send(self, text: bytes, by_s: float) -> None:
        frame = json.loads(text)
        self.sent.append(frame)
        self.waiting.extend(map(json.dumps, self.answer(frame)))

    def receive(self, by_s: float) -> str | None:
        return self.waiting.popleft() if self.waiting else None

    def close(self) -> None: ...

    def of_type(self, kind: str) -> list[Frame]:
        return [frame for frame in self.sent if kind in (frame.get("type"), frame.get("method"))]


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
    monkeypatch.setattr(panic_venues, "_opened", venue.open)
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
    monkeypatch.setattr(panic_venues, "_opened", refuse)
    with pytest.raises(Failed, match="Prime WebSocket: handshake refused") as failed:
        route.look(soon())
    assert failed.value.hopeless


class Door(RestDoor):
    """Hands out tokens t1, t2, …"""

    def __init__(self) -> None:
        self.tokens = 0

    def call(self, *_: object) -> RestToken:
        self.tokens += 1
        return RestToken(f"t{self.tokens}", 900.0)


def unified(monkeypatch: pytest.MonkeyPatch, answer: Callable[[Frame], list[Frame]]) -> tuple[UnifiedRoute, Report]:
    monkeypatch.setattr(panic_venues, "_opened", Venue(answer).open)
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
