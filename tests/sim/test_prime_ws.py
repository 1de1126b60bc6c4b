"""The Prime WebSocket as a caller sees it."""

from __future__ import annotations

import itertools
import uuid
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from canceld.sim.keys import PRIME_READ, Keyring
from canceld.sim.prime_ws import admit
from canceld.sim.server import SimulatedKraken
from tests.sim.callers import PRIME_HOST, START_S, Gone, Http, WebSocket, kraken, micros, prime_headers

NOBODY = "16a55364-4248-4575-aa0b-dddd3f694ca3"
VECTOR_TIME = "2019-02-13T05:17:32.000000Z"
VECTOR_TIME_S = 1550035052.0
# Kraken publishes inputs only; the results are computed from its rule.
VECTORS = [
    ("test-secret-0001", "wss.prime.kraken.com", "44nvMNe6i3jnbg8G3xHSUzCOkAITPn9m4yv7_8D26jk="),
    ("test-secret-0001", "wss.sandbox.prime.kraken.com", "DDH1SX3j7rK8Xsb5AjsBZTboOrJP_sl344anBKdmp7I="),
    ("test-secret-0018", "wss.prime.kraken.com", "IEiMdT8TgfV_sFEWYpVlhTEn-cYY7BajjJeKXqWSIOI="),
]


class Desk:
    """One venue and one Prime connection; ClOrdIDs of requests count up."""

    def __init__(self, venue: SimulatedKraken, ws: WebSocket) -> None:
        self.venue = venue
        self.ws = ws
        self.reqids = itertools.count(1)
        self.requests = itertools.count(1)

    async def subscribe(self, *streams: dict[str, Any], **more: Any) -> int:
        reqid = next(self.reqids)
        await self.ws.put({"reqid": reqid, "type": "subscribe", "streams": list(streams)} | more)
        return reqid

    async def both_streams(self) -> None:
        for name in ("Order", "ExecutionReport"):
            await self.subscribe({"name": name})
        await self.ping()

    async def both_streams_after_snapshot(self) -> None:
        """As `both_streams`, for an account that has orders."""
        await self.subscribe({"name": "Order"})
        assert (await self.ws.get())["initial"] is True
        await self.subscribe({"name": "ExecutionReport"})
        await self.ping()

    async def ping(self) -> None:
        """Everything sent before has been heard once the answer is here."""
        assert (await self.ask("Ping", [{}], ts="2026-11-03T09:12:50.000000Z"))["type"] == "Pong"

    async def ask(self, kind: str, data: Any = None, **more: Any) -> Any:
        await self.put(kind, data, **more)
        return await self.ws.get()

    async def put(self, kind: str, data: Any = None, **more: Any) -> int:
        reqid = next(self.reqids)
        await self.ws.put({"reqid": reqid, "type": kind} | ({} if data is None else {"data": data}) | more)
        return reqid

    async def cancel(self, order_id: str | None = None, *, symbol: str = "BTC-USD", **more: Any) -> str:
        cl_ord_id = str(uuid.UUID(int=next(self.requests), version=4))
        named = {} if order_id is None else {"OrderID": order_id}
        asked = {"Symbol": symbol, "ClOrdID": cl_ord_id, "TransactTime": VECTOR_TIME} | named | more
        await self.put("OrderCancelRequest", [asked])
        return cl_ord_id

    async def rows(self, count: int) -> list[dict[str, Any]]:
        """So many reports, each heard on both streams."""
        rows = []
        for _ in range(count):
            told = {message["type"]: message["data"][0] for message in [await self.ws.get(), await self.ws.get()]}
            assert told["Order"] == told["ExecutionReport"]
            rows.append(told["Order"])
        return rows


async def dial(venue: SimulatedKraken, nursery: trio.Nursery, **rights: Any) -> WebSocket:
    pair = venue.credentials["prime"]
    if rights:
        key = venue.keys.issue("prime", "default", **rights)
        pair = {"key": key.key, "secret": key.secret}
    ours, theirs = trio.testing.memory_stream_pair()
    nursery.start_soon(venue.serve_stream, theirs)
    ws = WebSocket(ours)
    headers = prime_headers(pair["key"], pair["secret"], micros(venue.now()), PRIME_HOST)
    await ws.open("/ws/v1", headers=headers, host=f"{PRIME_HOST}:8443")
    hello = await ws.get()
    assert (hello["type"], set(hello)) == ("hello", {"type", "ts", "session_id"})
    return ws


@pytest.fixture
async def desk(nursery: trio.Nursery) -> Desk:
    venue = kraken()
    return Desk(venue, await dial(venue, nursery))


def told(row: dict[str, Any], *members: str) -> tuple[Any, ...]:
    return tuple(row.get(member) for member in members)


# --- the upgrade request --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("secret", "host", "signature"), VECTORS)
def test_known_signatures_are_accepted(secret: str, host: str, signature: str) -> None:
    keys = Keyring(now=lambda: VECTOR_TIME_S, rng=None)  # type: ignore[arg-type]
    key = keys.enrol("prime", "default", key="sample", secret=secret)
    headers = {"apikey": "sample", "apisign": signature, "apitimestamp": VECTOR_TIME, "host": host}
    assert admit(headers, "/ws/v1", keys=keys, now_s=VECTOR_TIME_S + 59) is key
    assert admit(headers, "/ws/v1", keys=keys, now_s=VECTOR_TIME_S + 61) is None
    assert admit(headers, "/ws/v2", keys=keys, now_s=VECTOR_TIME_S) is None
    assert admit(headers | {"apisign": signature.swapcase()}, "/ws/v1", keys=keys, now_s=VECTOR_TIME_S) is None
    assert prime_headers("sample", secret, VECTOR_TIME, host)["ApiSign"] == signature


@pytest.mark.parametrize("spoiled", [{"ApiKey": "nobody"}, {"ApiSign": "AAAA"}, {"ApiTimestamp": "now"}])
async def test_a_wrong_signature_is_refused_at_the_upgrade(nursery: trio.Nursery, spoiled: dict[str, str]) -> None:
    venue = kraken()
    pair = venue.credentials["prime"]
    headers = prime_headers(pair["key"], pair["secret"], micros(venue.now()), "ws-auth.kraken.com") | spoiled
    with pytest.raises(Gone) as gone:
        await WebSocket.dial(venue, nursery, "/ws/v1", headers=headers)
    assert gone.value.code == 401


@pytest.mark.parametrize("status", [401, 403, 429, 302])
async def test_an_upgrade_can_be_refused_by_a_fault(nursery: trio.Nursery, status: int) -> None:
    venue = kraken()
    venue.faults.inject({"kind": "refuse_upgrade", "status": status, "route": "prime_ws", "times": 1})
    with pytest.raises(Gone) as gone:
        await dial(venue, nursery)
    assert gone.value.code == status
    await dial(venue, nursery)


# --- envelope -------------------------------------------------------------------------------------------------------


async def test_ping_needs_data(desk: Desk) -> None:
    pong = await desk.ask("Ping", [{}], ts="2026-11-03T09:12:50.000000Z")
    assert told(pong, "reqid", "type", "seqNum", "data") == (1, "Pong", 0, [{}])
    for wrong in ({"data": []}, {}):
        error = await desk.ask("Ping", ts="2026-11-03T09:12:50.000000Z", **wrong)
        assert (error["type"], error["error"]["msg"]) == ("error", "missing Ping data")
    assert error["reqid"] == 3
    assert error["seq"] == 1


@pytest.mark.parametrize(
    ("message", "reqid"),
    [
        ("{", None),
        ([], None),
        ({"type": "Ping"}, None),
        ({"reqid": "1", "type": "Ping"}, None),
        ({"reqid": 0, "type": "Ping", "ts": "now", "data": [{}]}, 0),
        ({"reqid": 5, "type": "ping"}, 5),
        ({"reqid": 5, "type": "cancel"}, 5),
        ({"reqid": 5, "type": "subscribe"}, 5),
        ({"reqid": 5, "type": "subscribe", "streams": [{"name": "Orders"}]}, 5),
        ({"reqid": 5, "type": "subscribe", "streams": [{"name": "Order", "Side": "Buy"}]}, 5),
        ({"reqid": 5, "type": "subscribe", "streams": [{"name": "Order", "StartDate": "2026-10-01T00:00:00"}]}, 5),
    ],
)
async def test_what_cannot_be_read_is_an_error(desk: Desk, message: Any, reqid: int | None) -> None:
    error = await desk.ws.ask(message)
    assert (error["type"], error.get("reqid")) == ("error", reqid)


async def test_a_connection_that_says_nothing_stays_up(desk: Desk, autojump_clock: MockClock) -> None:
    await trio.sleep(300)
    await desk.ping()


# --- streams --------------------------------------------------------------------------------------------------------


async def test_user_names_the_permissions(desk: Desk, nursery: trio.Nursery) -> None:
    reqid = await desk.subscribe({"name": "User"}, tag="mine")
    message = await desk.ws.get()
    assert told(message, "reqid", "type", "initial", "seqNum", "tag") == (reqid, "User", True, 1, "mine")
    assert message["data"][0]["Permissions"] == ["read::orders", "write::orders"]
    viewer = Desk(desk.venue, await dial(desk.venue, nursery, rights={PRIME_READ}))
    await viewer.subscribe({"name": "User"})
    assert (await viewer.ws.get())["data"][0]["Permissions"] == ["read::orders"]


async def test_the_order_stream_begins_with_a_snapshot(desk: Desk) -> None:
    first, second = desk.venue.place("prime", cl_ord_id="mine"), desk.venue.place("prime")
    await desk.subscribe({"name": "Order"})
    message = await desk.ws.get()
    assert told(message, "type", "initial", "seqNum", "action", "total_count") == ("Order", True, 1, "Update", 2)
    assert [row["OrderID"] for row in message["data"]] == [first, second]
    row = message["data"][0]
    assert told(row, "ClOrdID", "OrigClOrdID", "ExecType", "OrdStatus") == ("mine", None, "New", "New")
    assert told(row, "Symbol", "Side", "OrderQty", "CumQty", "LeavesQty") == (
        "BTC-USD",
        "Buy",
        "1.00000000",
        "0.00000000",
        "1.00000000",
    )


async def test_a_stream_without_rows_begins_with_silence_unless_told_otherwise(desk: Desk) -> None:
    await desk.subscribe({"name": "Order"})
    await desk.ping()
    desk.venue.faults.inject({"kind": "empty_initial"})
    await desk.subscribe({"name": "Order"})
    message = await desk.ws.get()
    assert (message["initial"], message["data"]) == (True, [])


async def test_a_snapshot_may_come_in_several_messages(desk: Desk) -> None:
    order_ids = [desk.venue.place("prime") for _ in range(5)]
    desk.venue.faults.inject({"kind": "split_snapshot", "rows": 2, "next": "page2", "times": 1})
    await desk.subscribe({"name": "Order"})
    messages = [await desk.ws.get() for _ in range(3)]
    assert [row["OrderID"] for message in messages for row in message["data"]] == order_ids
    assert [message["initial"] for message in messages] == [True] * 3
    assert [message["seqNum"] for message in messages] == [1, 2, 3]
    assert [message.get("next") for message in messages] == [None, None, "page2"]


async def test_an_old_order_needs_an_old_start_date(desk: Desk, autojump_clock: MockClock) -> None:
    order_id = desk.venue.place("prime")
    for _ in range(2):
        await trio.sleep(50_000)
    await desk.subscribe({"name": "Order"})
    await desk.ping()
    await desk.subscribe({"name": "Order", "StartDate": micros(START_S)})
    assert [row["OrderID"] for row in (await desk.ws.get())["data"]] == [order_id]


async def test_reports_of_the_past_are_had_by_publication(desk: Desk, autojump_clock: MockClock) -> None:
    order_id = desk.venue.place("prime")
    await trio.sleep(100)
    desk.venue.exchange.cancel(desk.venue.resting("prime")[0], "by hand")
    await desk.subscribe({"name": "ExecutionReport", "StartDate": micros(START_S + 50)})
    assert [told(row, "OrderID", "ExecType") for row in (await desk.ws.get())["data"]] == [(order_id, "Canceled")]
    await desk.subscribe({"name": "ExecutionReport", "StartDate": micros(START_S)})
    assert [row["ExecType"] for row in (await desk.ws.get())["data"]] == ["PendingNew", "New", "Canceled"]


async def test_filters_narrow_a_stream(desk: Desk) -> None:
    wanted, other = desk.venue.place("prime"), desk.venue.place("prime", pair="ETH-USD")
    for filtered in ({"OrderID": wanted}, {"Symbol": "BTC-USD"}):
        await desk.subscribe({"name": "Order"} | filtered)
        assert [row["OrderID"] for row in (await desk.ws.get())["data"]] == [wanted]
    desk.venue.exchange.cancel(desk.venue.resting("prime")[1], "by hand")
    for statuses in (["Canceled", "Filled"], "Canceled,Filled"):
        await desk.subscribe({"name": "Order", "Statuses": statuses})
        assert [row["OrderID"] for row in (await desk.ws.get())["data"]] == [other]


async def test_a_stream_is_canceled_in_silence(desk: Desk) -> None:
    reqid = await desk.subscribe({"name": "Order"})
    await desk.ws.put({"reqid": reqid, "type": "cancel"})
    await desk.ping()
    desk.venue.place("prime")
    await desk.ping()
    error = await desk.ws.ask({"reqid": reqid, "type": "cancel"})
    assert told(error, "type", "reqid") == ("error", reqid)


async def test_a_reqid_is_used_by_one_stream_at_a_time(desk: Desk) -> None:
    reqid = await desk.subscribe({"name": "Order"})
    error = await desk.ws.ask({"reqid": reqid, "type": "subscribe", "streams": [{"name": "Order"}]})
    assert told(error, "type", "reqid") == ("error", reqid)


async def test_each_stream_numbers_its_own_messages(desk: Desk) -> None:
    await desk.subscribe({"name": "Order"})
    await desk.ping()
    desk.venue.place("prime")
    messages = [await desk.ws.get() for _ in range(2)]
    later = await desk.subscribe({"name": "ExecutionReport"})
    await desk.ping()
    desk.venue.place("prime")
    messages += [await desk.ws.get() for _ in range(4)]
    assert [message["seqNum"] for message in messages if message["reqid"] == later] == [1, 2]
    assert [message["seqNum"] for message in messages if message["reqid"] != later] == [1, 2, 3, 4]


# --- a cancel -------------------------------------------------------------------------------------------------------


async def test_a_cancel_shows_as_pending_and_then_done_on_both_streams(desk: Desk) -> None:
    await desk.both_streams()
    order_id = desk.venue.place("prime", cl_ord_id="mine")
    assert [row["ExecType"] for row in await desk.rows(2)] == ["PendingNew", "New"]
    cl_ord_id = await desk.cancel(order_id)
    pending, done = await desk.rows(2)
    assert told(pending, "ExecType", "OrdStatus", "OrderID") == ("PendingCancel", "PendingCancel", order_id)
    assert told(done, "ExecType", "OrdStatus", "LeavesQty", "CumQty") == ("Canceled", "Canceled", "0", "0.00000000")
    for row in (pending, done):
        assert told(row, "ClOrdID", "OrigClOrdID") == (cl_ord_id, "mine")
    assert pending["ExecID"] != done["ExecID"]
    assert desk.venue.resting("prime") == []
    await desk.ping()  # and nothing in answer to the request itself


async def test_a_cancel_may_name_the_order_by_its_client_id(desk: Desk) -> None:
    desk.venue.place("prime", cl_ord_id="mine")
    await desk.cancel(OrigClOrdID="mine")
    await desk.ping()
    assert desk.venue.resting("prime") == []


async def test_every_connection_of_the_account_hears_of_it(desk: Desk, nursery: trio.Nursery) -> None:
    other = Desk(desk.venue, await dial(desk.venue, nursery))
    await other.both_streams()
    order_id = desk.venue.place("prime")
    await other.rows(2)
    await desk.cancel(order_id)
    assert [row["ExecType"] for row in await other.rows(2)] == ["PendingCancel", "Canceled"]


async def test_a_cancel_that_comes_too_late_is_rejected_with_the_real_state(desk: Desk) -> None:
    order_id = desk.venue.place("prime", cl_ord_id="mine")
    desk.venue.exchange.fill(desk.venue.resting("prime")[0])
    await desk.both_streams_after_snapshot()
    cl_ord_id = await desk.cancel(order_id)
    [row] = await desk.rows(1)
    assert told(row, "ExecType", "OrdStatus", "CxlRejReason", "OrderID") == (
        "CancelRejected",
        "Filled",
        "TooLateToCancel",
        order_id,
    )
    assert told(row, "ClOrdID", "OrigClOrdID", "CumQty") == (cl_ord_id, "mine", "1.00000000")


@pytest.mark.parametrize(
    "named", [{"OrderID": NOBODY}, {"OrigClOrdID": "nobody's"}, {"OrigClOrdID": "mine", "symbol": "ETH-USD"}]
)
async def test_a_cancel_of_an_unknown_order_is_rejected_without_one(desk: Desk, named: dict[str, str]) -> None:
    desk.venue.place("prime", cl_ord_id="mine")
    await desk.both_streams_after_snapshot()
    cl_ord_id = await desk.cancel(**named)
    [row] = await desk.rows(1)
    assert told(row, "ExecType", "OrderID", "ClOrdID", "CxlRejReason") == (
        "CancelRejected",
        "NONE",
        cl_ord_id,
        "UnknownOrder",
    )
    assert len(desk.venue.resting("prime")) == 1


async def test_a_client_id_is_used_once(desk: Desk) -> None:
    order_id = desk.venue.place("prime", cl_ord_id="mine")
    await desk.both_streams_after_snapshot()
    await desk.put(
        "OrderCancelRequest",
        [{"Symbol": "BTC-USD", "ClOrdID": "mine", "OrderID": order_id, "TransactTime": VECTOR_TIME}],
    )
    [row] = await desk.rows(1)
    assert told(row, "ExecType", "OrdStatus", "CxlRejReason") == ("CancelRejected", "New", "DuplicateClOrdID")
    assert len(desk.venue.resting("prime")) == 1


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"Symbol": "BTC-USD"}, {"Symbol": "BTC-USD"}],
        [{"Symbol": "BTC-USD", "ClOrdID": "1", "TransactTime": VECTOR_TIME}],
        [{"Symbol": "BTC-USD", "ClOrdID": "1", "TransactTime": VECTOR_TIME, "OrderID": NOBODY, "OrigClOrdID": "2"}],
        [{"Symbol": "BTC-USD", "ClOrdID": "1" * 37, "TransactTime": VECTOR_TIME, "OrderID": NOBODY}],
        [{"Symbol": "BTC-USD", "ClOrdID": "1", "TransactTime": "2019-02-13", "OrderID": NOBODY}],
        [{"ClOrdID": "1", "TransactTime": VECTOR_TIME, "OrderID": NOBODY}],
        [{"Symbol": "BTC-USD", "ClOrdID": "1", "TransactTime": VECTOR_TIME, "OrderID": NOBODY, "Side": "Buy"}],
    ],
)
async def test_a_malformed_cancel_is_an_error_with_its_reqid(desk: Desk, data: Any) -> None:
    error = await desk.ask("OrderCancelRequest", data)
    assert told(error, "type", "reqid") == ("error", 1)


async def test_a_viewer_cannot_cancel(desk: Desk, nursery: trio.Nursery) -> None:
    viewer = Desk(desk.venue, await dial(desk.venue, nursery, rights={PRIME_READ}))
    await viewer.cancel(desk.venue.place("prime"))
    assert (await viewer.ws.get())["error"]["msg"] == "permission denied"
    assert len(desk.venue.resting("prime")) == 1


# --- a new order ----------------------------------------------------------------------------------------------------


def new_order(**changed: Any) -> dict[str, Any]:
    return {
        "Symbol": "BTC-USD",
        "ClOrdID": "7b1e1f7c-0b7e-4a55-9c1e-2f60d1a4b8c3",
        "Side": "Sell",
        "TransactTime": VECTOR_TIME,
        "OrderQty": "0.5",
        "OrdType": "Limit",
        "Price": "90000",
        "Currency": "BTC",
        "TimeInForce": "GoodTillCancel",
    } | changed


async def test_an_order_is_placed_and_partly_filled(desk: Desk) -> None:
    await desk.both_streams()
    await desk.put("NewOrderSingle", [new_order()])
    _, new = await desk.rows(2)
    assert told(new, "ClOrdID", "OrdStatus", "Side", "Price") == (
        "7b1e1f7c-0b7e-4a55-9c1e-2f60d1a4b8c3",
        "New",
        "Sell",
        "90000",
    )
    [order] = desk.venue.resting("prime")
    assert (order.order_id, order.quantity) == (new["OrderID"], Decimal("0.5"))
    desk.venue.exchange.fill(order, Decimal("0.2"))
    desk.venue.exchange.fill(order)
    part, whole = await desk.rows(2)
    assert told(part, "ExecType", "OrdStatus", "CumQty", "LastQty") == ("Trade", "PartiallyFilled", "0.20000000", "0.2")
    assert told(whole, "ExecType", "OrdStatus", "CumQty", "LeavesQty") == ("Trade", "Filled", "0.50000000", "0")


async def test_a_client_id_in_use_rejects_the_order(desk: Desk) -> None:
    await desk.put("NewOrderSingle", [new_order()])
    await desk.both_streams_after_snapshot()
    await desk.put("NewOrderSingle", [new_order()])
    [row] = await desk.rows(1)
    assert told(row, "ExecType", "OrdStatus") == ("Rejected", "Rejected")
    assert len(desk.venue.resting("prime")) == 1


@pytest.mark.parametrize(
    "changed", [{"Symbol": "BTCUSD"}, {"Side": "buy"}, {"OrderQty": "-1"}, {"OrdType": "RFQ"}, {"TimeInForce": "GTC"}]
)
async def test_a_malformed_order_is_an_error(desk: Desk, changed: dict[str, str]) -> None:
    assert (await desk.ask("NewOrderSingle", [new_order(**changed)]))["type"] == "error"
    assert desk.venue.resting("prime") == []


async def test_orders_are_filled_and_expired_at_the_control_door(desk: Desk, nursery: trio.Nursery) -> None:
    http = Http.dial(desk.venue, nursery)
    placed = await http.control("POST", "/sim/orders", {"venue": "prime", "quantity": "3", "price": "100"})
    order_id = placed.json["order_id"]
    [shown] = (await http.control("GET", "/sim/orders")).json["prime"]
    assert (shown["order_id"], shown["quantity"]) == (order_id, "3")
    assert uuid.UUID(shown["cl_ord_id"]).version == 4
    await desk.both_streams_after_snapshot()
    await http.control("POST", "/sim/fill", {"order_id": order_id, "quantity": "1"})
    await http.control("POST", "/sim/expire", {"order_id": order_id})
    assert [told(row, "ExecType", "OrdStatus", "CumQty") for row in await desk.rows(2)] == [
        ("Trade", "PartiallyFilled", "1.00000000"),
        ("Canceled", "DoneForDay", "1.00000000"),
    ]


# --- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "left", "heard"),
    [
        ("swallow_ack_before_effect", 1, 0),
        ("swallow_ack_after_effect", 0, 0),
        ("duplicate_ack", 0, 8),
        ("shuffle_acks", 0, 4),
    ],
)
async def test_faults_on_acks_strike_the_reports_of_a_cancel(desk: Desk, kind: str, left: int, heard: int) -> None:
    order_id = desk.venue.place("prime")
    await desk.both_streams_after_snapshot()
    desk.venue.faults.inject({"kind": kind, "match": "OrderCancelRequest", "times": 1})
    await desk.cancel(order_id)
    for _ in range(heard):
        await desk.ws.get()
    await desk.ping()
    assert len(desk.venue.resting("prime")) == left


async def test_a_cancel_may_stay_pending_for_ever(desk: Desk, autojump_clock: MockClock) -> None:
    order_id = desk.venue.place("prime")
    await desk.both_streams_after_snapshot()
    desk.venue.faults.inject({"kind": "linger", "times": 1})
    await desk.cancel(order_id)
    assert [row["ExecType"] for row in await desk.rows(1)] == ["PendingCancel"]
    await desk.cancel(order_id)
    [again] = await desk.rows(1)
    assert told(again, "ExecType", "OrdStatus", "CxlRejReason") == ("CancelRejected", "PendingCancel", "AlreadyPending")
    await desk.ws.silence(60)
    assert len(desk.venue.resting("prime")) == 1


async def test_a_cancel_may_be_overtaken_by_a_trade_while_it_pends(desk: Desk, autojump_clock: MockClock) -> None:
    order_id = desk.venue.place("prime")
    await desk.both_streams_after_snapshot()
    desk.venue.faults.inject({"kind": "linger", "seconds": 3, "fill": "0.25", "times": 1})
    await desk.cancel(order_id)
    assert [told(row, "ExecType", "OrdStatus") for row in await desk.rows(2)] == [
        ("PendingCancel", "PendingCancel"),
        ("Trade", "PendingCancel"),
    ]
    start_s = trio.current_time()
    [done] = await desk.rows(1)
    assert told(done, "ExecType", "CumQty") == ("Canceled", "0.25000000")
    assert trio.current_time() - start_s == pytest.approx(3, abs=0.1)


async def test_a_cancel_may_find_the_order_filled_after_it_pended(desk: Desk) -> None:
    order_id = desk.venue.place("prime")
    await desk.both_streams_after_snapshot()
    desk.venue.faults.inject({"kind": "linger", "seconds": 3, "fill": "all", "times": 1})
    await desk.cancel(order_id)
    assert [row["OrdStatus"] for row in await desk.rows(2)] == ["PendingCancel", "Filled"]
    assert desk.venue.resting("prime") == []


@pytest.mark.parametrize(
    ("fault", "bears_ours", "order_id_told"),
    [({}, True, True), ({"bears": "order"}, False, True), ({"nameless": True}, True, False)],
)
async def test_a_cancel_may_be_rejected_in_other_words(
    desk: Desk, fault: dict[str, Any], bears_ours: bool, order_id_told: bool
) -> None:
    order_id = desk.venue.place("prime", cl_ord_id="mine")
    await desk.both_streams_after_snapshot()
    desk.venue.faults.inject({"kind": "cancel_rejected", "text": "not today", "times": 1} | fault)
    cl_ord_id = await desk.cancel(order_id)
    [row] = await desk.rows(1)
    assert told(row, "ExecType", "Text", "CxlRejReason") == ("CancelRejected", "not today", "BrokerOption")
    assert (row["ClOrdID"] == cl_ord_id, row["OrderID"] == order_id) == (bears_ours, order_id_told)
    assert len(desk.venue.resting("prime")) == 1
    await desk.cancel(order_id)
    assert [row["OrdStatus"] for row in await desk.rows(2)] == ["PendingCancel", "Canceled"]


async def test_a_command_may_be_answered_by_an_error(desk: Desk) -> None:
    desk.venue.faults.inject({"kind": "ack_error", "error": "try again", "match": "OrderCancelRequest", "times": 1})
    await desk.cancel(desk.venue.place("prime"))
    error = await desk.ws.get()
    assert told(error, "type", "reqid") == ("error", 1)
    assert error["error"]["msg"] == "try again"


async def test_reports_may_be_lost_and_states_unheard_of(desk: Desk) -> None:
    order_id = desk.venue.place("prime")
    await desk.both_streams_after_snapshot()
    desk.venue.faults.inject(
        [{"kind": "drop_event", "match": "PendingCancel"}, {"kind": "status_word", "word": "Gone", "match": "Canceled"}]
    )
    await desk.cancel(order_id)
    [row] = await desk.rows(1)
    assert told(row, "ExecType", "OrdStatus") == ("Canceled", "Gone")
