"""A long list of open orders read piece by piece says what it says read at once, and a damaged one is none."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from canceld.contract.evidence import Evidence, Orders, Unreadable
from canceld.venues import futures_feed, spot_ws, spot_ws_v2
from canceld.venues.pieces import PIECE

COUNT = 3 * PIECE + 7

Pieces = Callable[[str | bytes], Iterator[Evidence] | None]
Decode = Callable[[str | bytes], Evidence]


def v1(ids: list[Any]) -> Any:
    terms = {"pair": "XBT/USD", "type": "buy", "ordertype": "limit", "price": "1.0"}
    return [
        [{id: {"status": "open", "descr": terms, "vol": "2.0", "userref": 7}} for id in ids],
        "openOrders",
        {"sequence": 1},
    ]


def v2(ids: list[Any]) -> Any:
    rows = [{"order_id": id, "order_status": "new", "exec_type": "pending_new", "symbol": "BTC/USD"} for id in ids]
    return {"channel": "executions", "type": "snapshot", "data": rows, "sequence": 1}


def feed(ids: list[Any]) -> Any:
    rows = [{"order_id": id, "instrument": "PI_XBTUSD", "qty": 2, "filled": 0, "time": 1_700_000_000_000} for id in ids]
    return {"feed": "open_orders_verbose_snapshot", "account": "a", "orders": rows}


DIALECTS: dict[str, tuple[Callable[[list[Any]], Any], str, Decode, Pieces]] = {
    "Spot v1": (v1, "OAAAAA-AAAAA-A{:05d}", spot_ws.decode, spot_ws.pieces),
    "Spot v2": (v2, "OAAAAA-AAAAA-A{:05d}", spot_ws_v2.SPOT.decode, spot_ws_v2.SPOT.pieces),
    "Unified": (v2, "00000000-0000-4000-8000-0000000{:05d}", spot_ws_v2.UNIFIED.decode, spot_ws_v2.UNIFIED.pieces),
    "Futures feed": (feed, "00000000-0000-4000-8000-0000000{:05d}", futures_feed.decode, futures_feed.pieces),
}


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> tuple[Callable[[list[Any]], Any], list[str], Decode, Pieces]:
    message, ids, decode, pieces = DIALECTS[request.param]
    return message, [ids.format(number) for number in range(COUNT)], decode, pieces


def test_the_pieces_are_the_whole(dialect: Any) -> None:
    message, ids, decode, pieces = dialect
    frame = msgspec.json.encode(message(ids))
    whole = decode(frame)
    assert isinstance(whole, Orders)
    assert [state.order_id for state in whole.orders] == ids
    *parts, last = pieces(frame)
    assert last == whole
    assert all(isinstance(part, Orders) and not part.snapshot and len(part.orders) <= PIECE for part in parts)
    assert [state for part in parts for state in part.orders] == list(whole.orders)


def test_a_row_that_cannot_be_read_makes_no_list_that_lacks_it(dialect: Any) -> None:
    message, ids, _, pieces = dialect
    *parts, last = pieces(msgspec.json.encode(message([*ids[:-1], 7 if message is not v1 else ""])))
    assert isinstance(last, Unreadable)
    assert not any(part.snapshot for part in parts)


def test_only_lists_come_in_pieces(dialect: Any) -> None:
    message, ids, _, pieces = dialect
    change = message(ids)
    if message is v1:
        change[2]["sequence"] = 2
    elif message is v2:
        change["type"] = "update"
    else:
        change["feed"] = "open_orders_verbose"
    for other in (change, {"event": "pong"}, {"method": "pong"}, [], 7):
        assert pieces(msgspec.json.encode(other)) is None
    assert pieces(b"{") is None
