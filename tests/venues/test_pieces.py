"""A long list of open orders read piece by piece says what it says read at once, and a damaged one is none."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from canceld.contract.evidence import Evidence, Orders, RestFailed, RestOrders, RestPart, RestUnreadable, Unreadable
from canceld.venues import futures_feed, futures_rest, pieces, spot_rest, spot_ws, spot_ws_v2
from canceld.venues.pieces import DEPTH, PIECE, ROW_CHARS
from canceld.venues.prime_ws import Prime

COUNT = 3 * PIECE + 7
PRIME = Prime("0123456789abcde")


def v1(ids: list[Any]) -> Any:
    terms = {"pair": "XBT/USD", "type": "buy", "ordertype": "limit", "price": "1.0"}
    order = {"status": "open", "descr": terms, "vol": "2.0", "userref": 7, "trades": ["}]", {"a": []}]}
    return [[{id: order} for id in ids], "openOrders", {"sequence": 1}]


def v2(ids: list[Any]) -> Any:
    rows = [
        {"order_id": id, "order_status": "new", "exec_type": "pending_new", "symbol": "BTC/USD", "text": 'é},{"\\"]'}
        for id in ids
    ]
    return {"channel": "executions", "note": [{"data": []}], "type": "snapshot", "data": rows, "sequence": 1}


def feed(ids: list[Any]) -> Any:
    rows = [{"order_id": id, "instrument": "PI_XBTUSD", "qty": 2, "filled": 0, "time": 1_700_000_000_000} for id in ids]
    return {"feed": "open_orders_verbose_snapshot", "account": "a", "orders": rows}


def prime(ids: list[Any]) -> Any:
    rows = [{"OrderID": id, "ClOrdID": f"c{id}", "OrdStatus": "New", "Symbol": "BTC-USD"} for id in ids]
    return {"type": "Order", "reqid": 9, "initial": True, "total_count": len(ids), "data": rows}


def spot(ids: list[Any]) -> Any:
    terms = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "1.0"}
    rows = {id: {"status": "open", "descr": terms, "vol": "2.0", "trades": ["},{", "]"]} for id in ids}
    return {"error": [], "result": {"count": {"open": 1}, "open": rows, "more": None}}


def futures(ids: list[Any]) -> Any:
    rows = [{"order_id": id, "cliOrdId": 'a"}', "symbol": "PI_XBTUSD", "unfilledSize": 2} for id in ids]
    return {"result": "success", "openOrders": rows, "serverTime": "2020-08-27T17:03:33.196Z"}


SPOT_ID, UUID = "OAAAAA-AAAAA-A{:05d}", "00000000-0000-4000-8000-0000000{:05d}"

Message = Callable[[list[Any]], Any]
STREAMS: dict[str, tuple[Message, str, Callable[..., Evidence], Callable[..., Iterator[Evidence | None] | None]]] = {
    "Spot v1": (v1, SPOT_ID, spot_ws.decode, spot_ws.pieces),
    "Spot v2": (v2, SPOT_ID, spot_ws_v2.SPOT.decode, spot_ws_v2.SPOT.pieces),
    "Unified": (v2, UUID, spot_ws_v2.UNIFIED.decode, spot_ws_v2.UNIFIED.pieces),
    "Futures feed": (feed, UUID, futures_feed.decode, futures_feed.pieces),
}
ANSWERS: dict[str, tuple[Message, str, Callable[..., Any], Callable[..., Any]]] = {
    "Spot REST": (spot, SPOT_ID, spot_rest.decode_orders, spot_rest.decode_list),
    "Futures REST": (futures, UUID, futures_rest.decode_open_orders, futures_rest.decode_list),
}
WRITTEN = {
    "tight": lambda told: json.dumps(told, separators=(",", ":"), ensure_ascii=False),
    "wide": lambda told: json.dumps(told, indent=1),
}


@pytest.fixture(autouse=True)
def _long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LONG_CHARS", 100)


@pytest.fixture(params=STREAMS)
def stream(request: pytest.FixtureRequest) -> Any:
    message, ids, decode, in_pieces = STREAMS[request.param]
    return message, [ids.format(number) for number in range(COUNT)], decode, in_pieces


@pytest.fixture(params=ANSWERS)
def answer(request: pytest.FixtureRequest) -> Any:
    message, ids, decode, in_pieces = ANSWERS[request.param]
    return message, [ids.format(number) for number in range(COUNT)], decode, in_pieces


def read(told: Iterator[Any] | None) -> list[Any]:
    """What is told, and that it comes only once all of the text was looked through, in about one step a piece."""
    assert told is not None
    steps = list(told)
    heard = [one for one in steps if one is not None]
    looking = steps[: len(steps) - len(heard)]
    assert looking == [None] * len(looking)
    return heard


@pytest.mark.parametrize("written", WRITTEN)
def test_the_pieces_of_a_stream_are_the_whole(stream: Any, written: str) -> None:
    message, ids, decode, in_pieces = stream
    frame = WRITTEN[written](message(ids))
    whole = decode(frame)
    assert isinstance(whole, Orders)
    assert [state.order_id for state in whole.orders] == ids
    for form in (frame, frame.encode()):
        *parts, last = read(in_pieces(form))
        assert replace(last, taken=None) == whole
        assert last.taken == set(ids)
        assert all(isinstance(part, Orders) and not part.snapshot and len(part.orders) <= PIECE for part in parts)
        assert [state for part in parts for state in part.orders] == list(whole.orders)


@pytest.mark.parametrize("written", WRITTEN)
def test_the_pieces_of_an_answer_are_the_whole(answer: Any, written: str) -> None:
    message, ids, decode, in_pieces = answer
    body = WRITTEN[written](message(ids)).encode()
    whole = decode(200, body)
    assert isinstance(whole, RestOrders)
    assert [state.order_id for state in whole.orders] == ids
    *parts, last = read(in_pieces(200, body))
    assert (last.orders, last.taken) == (whole.orders, set(ids))
    assert all(isinstance(part, RestPart) and len(part.orders) <= PIECE for part in parts)
    assert [state for part in parts for state in part.orders] == list(whole.orders)


@pytest.mark.parametrize("written", WRITTEN)
def test_the_pieces_of_a_message_of_prime_are_messages(written: str) -> None:
    ids = [UUID.format(number) for number in range(COUNT)]
    frame = WRITTEN[written](prime(ids))
    (whole,) = PRIME.decode(frame)
    _, *parts = read(PRIME.pieces(frame))
    assert isinstance(whole, Orders)
    assert [state for part in parts for state in part.orders] == list(whole.orders)
    assert {(part.initial, part.total, part.reqid) for part in parts} == {(True, COUNT, 9)}
    *_, last = read(PRIME.pieces(WRITTEN[written](prime([*ids, 7]))))
    assert isinstance(last, Unreadable)
    user = WRITTEN[written]({"type": "User", "data": [{"Permissions": ["write::orders"]}]})
    assert tuple(read(PRIME.pieces(user))) == PRIME.decode(user)


def test_an_empty_list_is_one(stream: Any) -> None:
    message, _, decode, in_pieces = stream
    frame = json.dumps(message([]))
    assert read(in_pieces(frame)) == [replace(decode(frame), taken=frozenset())]


@pytest.mark.parametrize("damaged", ["last", "first"])
def test_a_row_that_cannot_be_read_makes_no_list_that_lacks_it(stream: Any, damaged: str) -> None:
    message, ids, _, in_pieces = stream
    odd = 7 if message is not v1 else ""
    *parts, last = read(in_pieces(json.dumps(message([*ids, odd] if damaged == "last" else [odd, *ids]))))
    assert isinstance(last, Unreadable)
    assert not any(part.snapshot for part in parts)


def test_an_answer_with_a_row_that_cannot_be_read_is_none(answer: Any) -> None:
    message, ids, _, in_pieces = answer
    *parts, last = read(in_pieces(200, json.dumps(message([*ids, "?"])).encode()))
    assert isinstance(last, RestUnreadable)
    assert all(isinstance(part, RestPart) for part in parts)


def test_what_is_cut_off_or_goes_on_is_no_list(stream: Any) -> None:
    message, ids, decode, in_pieces = stream
    frame = json.dumps(message(ids))
    end = frame.rindex("}") if message is v1 else frame.rindex("}]")
    odd = [frame[:at] for at in (len(frame) // 2, end, len(frame) - 1)]
    odd += [frame + "}", frame.replace("}, {", "} {", 1), frame.replace("}, {", "},, {", 1)]
    odd += [frame.replace("}], ", "},], ", 1) if "}], " in frame else frame[:-2] + ",]}"]
    for damaged in odd:
        assert isinstance(decode(damaged), Unreadable), damaged[-60:]
        *parts, last = read(in_pieces(damaged))
        assert isinstance(last, Unreadable)
        assert not any(part.snapshot for part in parts)


def test_nothing_is_taken_in_of_an_answer_that_is_none(answer: Any) -> None:
    """What refuses may stand behind the list, and so may an end that does not come."""
    message, ids, _, in_pieces = answer
    told = message(ids)
    body = json.dumps(told)
    for damaged in (body[:-1], body + "]", body[: len(body) // 2]):
        (only,) = read(in_pieces(200, damaged.encode()))
        assert isinstance(only, RestUnreadable)
    for status in (302, 502):
        (only,) = read(in_pieces(status, body.encode()))
        assert isinstance(only, RestFailed | RestUnreadable)
    key = "error" if message is spot else "errors"
    refused = {**{name: value for name, value in told.items() if name != key}, key: ["EGeneral:Internal error"]}
    (only,) = read(in_pieces(200, json.dumps(refused).encode()))
    assert only == RestUnreadable("an error beside a result")


def test_two_lists_in_one_are_none() -> None:
    another = f'[{{"order_id": "{UUID.format(2)}"}}]}}'
    told = json.dumps(v2([UUID.format(1)]))
    (only,) = read(spot_ws_v2.UNIFIED.pieces(f'{told[:-1]}, "data": {another}'))
    assert isinstance(only, Unreadable)
    told = json.dumps(futures([UUID.format(1)]))
    (only,) = read(futures_rest.decode_list(200, f'{told[:-1]}, "openOrders": {another}'.encode()))
    assert isinstance(only, RestUnreadable)


def test_only_lists_come_in_pieces(stream: Any) -> None:
    message, ids, decode, in_pieces = stream
    change = message(ids)
    if message is v1:
        change[2]["sequence"] = 2
    elif message is v2:
        change["type"] = "update"
    else:
        change["feed"] = "open_orders_verbose"
    frame = json.dumps(change)
    assert read(in_pieces(frame)) == [decode(frame)]
    for other in ({"event": "pong"}, {"method": "pong"}, [], 7):
        assert in_pieces(json.dumps(other)) is None
    assert in_pieces("{") is None


def test_a_short_answer_is_read_at_once(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    message, ids, decode, in_pieces = answer
    monkeypatch.setattr(pieces, "LONG_CHARS", 1 << 20)
    body = json.dumps(message(ids)).encode()
    assert in_pieces(200, body) == decode(200, body)


def test_a_step_ends_whatever_the_text_is(stream: Any) -> None:
    """Orders that are huge or nested without end are refused in one short step, and so is what stands around a list."""
    message, ids, _, in_pieces = stream
    frame = json.dumps(message(ids))
    first = frame.index("{", frame.index("[{" if message is v1 else '"note"' if message is v2 else "orders") + 20)
    deep = '{"a": ' + "[" * (DEPTH + 1) + "]" * (DEPTH + 1) + ", "
    for odd in ('{"a": "' + "x" * ROW_CHARS + '", ', deep, '{"a": "' + '\\"' * ROW_CHARS + '", '):
        damaged = frame[:first] + frame[first:].replace("{", odd, 1)
        told = in_pieces(damaged)
        if told is not None:
            assert isinstance(read(told)[-1], Unreadable)
    (only,) = read(in_pieces(frame + " " * (ROW_CHARS + 1)))
    assert isinstance(only, Unreadable)
