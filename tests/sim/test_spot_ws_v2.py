"""Spot WebSocket v2 as a caller sees it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from canceld.sim.server import SimulatedKraken
from tests.sim.callers import WebSocket, kraken

UNKNOWN = "OHYO67-6LP66-HMQ437"


class Desk:
    """One venue, one v2 connection and a live token."""

    def __init__(self, venue: SimulatedKraken, ws: WebSocket, token: str) -> None:
        self.venue = venue
        self.ws = ws
        self.token = token

    async def ask(self, method: str, req_id: int | None = None, **params: Any) -> Any:
        await self.put(method, req_id, **params)
        return await self.get()

    async def put(self, method: str, req_id: int | None = None, **params: Any) -> None:
        message: dict[str, Any] = {"method": method, "params": {"token": self.token} | params}
        await self.ws.put(message if req_id is None else message | {"req_id": req_id})

    async def get(self, **options: Any) -> Any:
        """The next message without its times, which are checked to be there where they belong."""
        message = await self.ws.get(**options)
        if "method" in message:
            assert message.pop("time_in").endswith("Z")
            assert message.pop("time_out").endswith("Z")
        return message

    async def subscribe(self, channel: str = "executions", **options: Any) -> Any:
        answer = await self.ask("subscribe", channel=channel, **options)
        assert answer["success"] is True, answer
        return await self.get()


def token_of(venue: SimulatedKraken) -> str:
    key = venue.keys.find("spot", venue.credentials["spot"]["key"])
    assert key is not None
    return venue.keys.issue_token(key)


@pytest.fixture
async def desk(nursery: trio.Nursery) -> Desk:
    venue = kraken()
    return Desk(venue, await WebSocket.dial(venue, nursery, "/v2"), token_of(venue))


async def test_the_greeting_is_a_status_frame(nursery: trio.Nursery) -> None:
    ws = await WebSocket.dial(kraken(), nursery, "/v2", greeted=False)
    greeting = await ws.get()
    assert (greeting["channel"], greeting["type"]) == ("status", "update")
    assert (greeting["data"][0]["system"], greeting["data"][0]["api_version"]) == ("online", "v2")


async def test_ping_needs_no_params(desk: Desk) -> None:
    await desk.ws.put({"method": "ping", "req_id": 1})
    assert await desk.get() == {"method": "pong", "req_id": 1}


@pytest.mark.parametrize(
    "junk", ["{", "[]", '{"method":7}', '{"method":"ping","params":[]}', '{"method":"ping","req_id":"1"}']
)
async def test_junk_fails(desk: Desk, junk: str) -> None:
    answer = await desk.ws.ask(junk)
    assert (answer["success"], answer["error"]) == (False, "Malformed request")


async def test_an_unknown_method_or_member_is_refused(desk: Desk) -> None:
    assert (await desk.ask("cancelOrder"))["error"] == "Event(s) not found"
    answer = await desk.ask("cancel_order", 2, txid=[UNKNOWN])
    assert answer == {
        "error": "Unsupported field: 'txid' for the given msg type: cancel order",
        "method": "cancel_order",
        "success": False,
        "req_id": 2,
    }


async def test_the_snapshot_holds_every_open_order(desk: Desk) -> None:
    txid = desk.venue.place(userref=7, quantity=Decimal(2), price=Decimal(100))
    desk.venue.exchange.fill(desk.venue.resting()[0], Decimal("0.5"))
    snapshot = await desk.subscribe(ratecounter=True)
    assert (snapshot["channel"], snapshot["type"], snapshot["sequence"]) == ("executions", "snapshot", 1)
    [record] = snapshot["data"]
    assert (record["order_id"], record["order_userref"], record["symbol"]) == (txid, 7, "BTC/USD")
    assert (record["exec_type"], record["order_status"]) == ("new", "partially_filled")
    assert (record["cum_qty"], record["order_qty"], record["limit_price"]) == (0.5, 2.0, 100.0)


async def test_the_subscription_answer_tells_the_tier(desk: Desk) -> None:
    answer = await desk.ask("subscribe", 4, channel="executions", ratecounter=True)
    assert (answer["req_id"], answer["result"]["maxratecount"]) == (4, 180)
    assert (await desk.get())["data"] == []
    assert (await desk.ask("subscribe", channel="executions"))["error"] == "Already subscribed"


async def test_the_snapshot_can_be_left_out(desk: Desk) -> None:
    desk.venue.place()
    answer = await desk.ask("subscribe", channel="executions", snap_orders=False)
    assert answer["success"] is True
    txid = desk.venue.place()
    update = await desk.get()
    assert (update["data"][0]["order_id"], update["sequence"]) == (txid, 1)


async def test_a_stale_token_fails_the_subscription(desk: Desk) -> None:
    desk.token = "stale"
    assert await desk.ask("subscribe", 42, channel="executions") == {
        "error": "ESession:Invalid session",
        "method": "subscribe",
        "req_id": 42,
        "status": "error",
        "success": False,
    }


async def test_an_orders_life_is_told_update_by_update(desk: Desk) -> None:
    await desk.subscribe()
    txid = desk.venue.place(cl_ord_id="mine", quantity=Decimal(2), price=Decimal(100))
    order = desk.venue.resting()[0]
    desk.venue.exchange.fill(order, Decimal("0.5"))
    desk.venue.exchange.cancel(order, "User requested")
    updates = [await desk.get() for _ in range(4)]
    assert [update["sequence"] for update in updates] == [2, 3, 4, 5]
    records = [update["data"][0] for update in updates]
    assert {(record["order_id"], record["cl_ord_id"]) for record in records} == {(txid, "mine")}
    assert [record["exec_type"] for record in records] == ["pending_new", "new", "trade", "canceled"]
    assert records[3]["order_status"] == "canceled"
    assert records[3]["reason"] == records[3]["cancel_reason"] == "User requested"
    assert (records[3]["cum_qty"], records[3]["avg_price"]) == (0.5, 100.0)


async def test_without_order_status_only_the_turning_points_are_told(desk: Desk) -> None:
    await desk.subscribe(order_status=False)
    desk.venue.place()
    desk.venue.exchange.fill(desk.venue.resting()[0])
    types = [(await desk.get())["data"][0]["exec_type"] for _ in range(2)]
    assert types == ["new", "filled"]


async def test_each_ack_names_its_order_on_success_only(desk: Desk) -> None:
    txids = [desk.venue.place() for _ in range(2)]
    await desk.put("cancel_order", 5, order_id=[txids[0], UNKNOWN, txids[1]])
    acks = [await desk.get() for _ in range(3)]
    assert [ack.get("result") for ack in acks] == [{"order_id": txids[0]}, None, {"order_id": txids[1]}]
    assert acks[1] == {"error": "EOrder:Invalid order", "method": "cancel_order", "success": False, "req_id": 5}
    assert desk.venue.resting() == []


async def test_a_cancel_by_client_id_echoes_only_that(desk: Desk) -> None:
    desk.venue.place(cl_ord_id="mine")
    answer = await desk.ask("cancel_order", 1, cl_ord_id=["mine"])
    assert answer == {"method": "cancel_order", "result": {"cl_ord_id": "mine"}, "success": True, "req_id": 1}


async def test_a_cancel_by_userref_gives_one_ack_per_order(desk: Desk) -> None:
    txids = [desk.venue.place(userref=7) for _ in range(3)]
    await desk.put("cancel_order", 1, order_userref=[7])
    assert [(await desk.get())["result"]["order_id"] for _ in range(3)] == txids


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, "EGeneral:Invalid arguments:order_id"),
        ({"order_id": [UNKNOWN], "cl_ord_id": ["a"]}, "EGeneral:Invalid arguments:order_id"),
        ({"order_id": UNKNOWN}, "EGeneral:Invalid arguments:order_id"),
        ({"order_id": []}, "EGeneral:Invalid arguments:order_id"),
        ({"order_userref": ["7"]}, "EGeneral:Invalid arguments:order_userref"),
        ({"order_userref": [True]}, "EGeneral:Invalid arguments:order_userref"),
        ({"order_userref": [0]}, "EGeneral:Invalid arguments:userref"),
        ({"order_id": [UNKNOWN], "token": None}, "ESession:Invalid session"),
    ],
)
async def test_a_wrong_cancel_fails(desk: Desk, params: dict[str, Any], error: str) -> None:
    answer = await desk.ask("cancel_order", 9, **params)
    assert answer == {"error": error, "method": "cancel_order", "success": False, "req_id": 9}


async def test_a_batch_takes_two_or_more_and_tells_how_many(desk: Desk) -> None:
    txid = desk.venue.place()
    desk.venue.place(userref=7)
    assert (await desk.ask("batch_cancel", orders=[txid]))["error"] == "EGeneral:Invalid arguments:orders"
    answer = await desk.ask("batch_cancel", 3, orders=[txid, "7", UNKNOWN])
    assert answer == {"method": "batch_cancel", "result": {"count": 2}, "success": True, "req_id": 3}


async def test_cancel_all_counts(desk: Desk) -> None:
    desk.venue.place()
    assert (await desk.ask("cancel_all"))["result"] == {"count": 1}
    assert (await desk.ask("cancel_all"))["result"] == {"count": 0}


async def test_the_countdown_is_the_accounts(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    venue = kraken()
    desk = Desk(venue, await WebSocket.dial(venue, nursery, "/v2"), token_of(venue))
    venue.place()
    answer = await desk.ask("cancel_all_orders_after", timeout=60)
    assert answer["result"] == {"currentTime": "2023-11-14T22:13:20Z", "triggerTime": "2023-11-14T22:14:20Z"}
    assert (await desk.ask("cancel_all_orders_after", timeout=0))["result"]["triggerTime"] == "0"
    await trio.sleep(100)
    assert len(venue.resting()) == 1


async def test_an_order_is_added_with_its_ids_echoed(desk: Desk) -> None:
    order = {"order_type": "limit", "side": "buy", "symbol": "BTC/USD", "order_qty": 1.25, "limit_price": 37500}
    answer = await desk.ask("add_order", 1, cl_ord_id="mine", **order)
    assert answer["result"] == {"order_id": desk.venue.resting()[0].order_id, "cl_ord_id": "mine"}
    again = await desk.ask("add_order", 2, cl_ord_id="mine", **order)
    assert again["success"] is False
    assert len(desk.venue.resting()) == 1


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"symbol": "XBT/USD"}, "Currency pair not supported XBT/USD"),
        ({"order_qty": "1"}, "EGeneral:Invalid arguments:order_qty"),
        ({"order_userref": "7"}, "EGeneral:Invalid arguments:order_userref"),
        ({"time_in_force": "GTC"}, "EGeneral:Invalid arguments:time_in_force"),
        ({"price": 1}, "Unsupported field: 'price' for the given msg type: add order"),
    ],
)
async def test_a_wrong_order_is_refused(desk: Desk, changed: dict[str, Any], error: str) -> None:
    order = {"order_type": "limit", "side": "buy", "symbol": "BTC/USD", "order_qty": 1, "limit_price": 37500}
    assert (await desk.ask("add_order", **(order | changed)))["error"] == error


async def test_balances_can_be_subscribed(desk: Desk) -> None:
    snapshot = await desk.subscribe("balances")
    assert {"BTC", "USD"} <= {row["asset"] for row in snapshot["data"]}


async def test_unsubscribing_ends_the_news(desk: Desk) -> None:
    await desk.subscribe()
    assert (await desk.ask("unsubscribe", channel="executions"))["success"] is True
    desk.venue.place()
    assert (await desk.ask("cancel_all"))["method"] == "cancel_all"


async def test_a_status_change_is_pushed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    venue = kraken()
    desk = Desk(venue, await WebSocket.dial(venue, nursery, "/v2"), token_of(venue))
    await desk.subscribe()
    venue.faults.inject({"kind": "maintenance", "for_s": 5, "cancel_only_s": 5})
    told = [(await desk.get(within_s=6))["data"][0]["system"] for _ in range(3)]
    assert told == ["maintenance", "cancel_only", "online"]
