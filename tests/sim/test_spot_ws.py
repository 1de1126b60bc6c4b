"""Spot WebSocket v1 as a caller sees it."""

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
    """One venue, one v1 connection and a live token."""

    def __init__(self, venue: SimulatedKraken, ws: WebSocket, token: str) -> None:
        self.venue = venue
        self.ws = ws
        self.token = token

    async def ask(self, event: str, **members: Any) -> Any:
        return await self.ws.ask({"event": event, "token": self.token} | members)

    async def subscribe(self, name: str = "openOrders", **options: Any) -> Any:
        """Subscribe, check the answer, and return the snapshot frame."""
        subscription = {"name": name, "token": self.token} | options
        answer = await self.ws.ask({"event": "subscribe", "subscription": subscription})
        assert answer["status"] == "subscribed", answer
        return await self.ws.get()


def token_of(venue: SimulatedKraken, **options: Any) -> str:
    known = venue.keys.find("spot", venue.credentials["spot"]["key"])
    assert known is not None
    key = venue.keys.issue("spot", "default", **options) if options else known
    return venue.keys.issue_token(key)


@pytest.fixture
async def desk(nursery: trio.Nursery) -> Desk:
    venue = kraken()
    return Desk(venue, await WebSocket.dial(venue, nursery), token_of(venue))


async def test_the_greeting_names_connection_and_status(nursery: trio.Nursery) -> None:
    ws = await WebSocket.dial(kraken(), nursery, greeted=False)
    greeting = await ws.get()
    assert greeting == {
        "connectionID": greeting["connectionID"],
        "event": "systemStatus",
        "status": "online",
        "version": "1.9.1",
    }


async def test_ping_is_answered_with_its_reqid_or_without_one(desk: Desk) -> None:
    assert await desk.ws.ask({"event": "ping", "reqid": 42}) == {"event": "pong", "reqid": 42}
    assert await desk.ws.ask({"event": "ping"}) == {"event": "pong"}


@pytest.mark.parametrize("junk", ["", "{", "[]", "7", '{"event":7}', '{"event":"ping","reqid":"42"}', '{"reqid":1}'])
async def test_junk_is_a_malformed_request_without_a_reqid(desk: Desk, junk: str) -> None:
    assert await desk.ws.ask(junk) == {"errorMessage": "Malformed request", "event": "error"}


async def test_an_unknown_event_or_member_is_refused(desk: Desk) -> None:
    assert await desk.ask("cancelorder", reqid=3) == {
        "errorMessage": "Event(s) not found",
        "event": "error",
        "reqid": 3,
    }
    assert await desk.ask("cancelOrder", reqid=4, txids=[UNKNOWN]) == {
        "errorMessage": "Unsupported field: 'txids' for the given msg type: cancel order",
        "event": "cancelOrderStatus",
        "status": "error",
        "reqid": 4,
    }


async def test_the_snapshot_is_every_open_order_in_full(desk: Desk) -> None:
    txid = desk.venue.place(userref=7, quantity=Decimal(5), price=Decimal("9.25"), pair="SOL/USD")
    other = desk.venue.place(cl_ord_id="mine")
    entries, channel, position = await desk.subscribe(ratecounter=True)
    assert (channel, position) == ("openOrders", {"sequence": 1})
    assert [list(entry) for entry in entries] == [[txid], [other]]
    record = entries[0][txid]
    assert record["descr"]["order"] == "buy 5.00000000 SOL/USD @ limit 9.25"
    assert (record["status"], record["vol"], record["userref"]) == ("open", "5.00000000", 7)
    assert entries[1][other]["cl_ord_id"] == "mine"


async def test_the_subscription_answer_tells_the_tier_and_repeats_its_reqid(desk: Desk) -> None:
    request = {"event": "subscribe", "reqid": 1, "subscription": {"name": "openOrders", "token": desk.token}}
    assert await desk.ws.ask(request) == {
        "channelName": "openOrders",
        "event": "subscriptionStatus",
        "reqid": 1,
        "status": "subscribed",
        "subscription": {"maxratecount": 180, "name": "openOrders"},
    }
    assert await desk.ws.get() == [[], "openOrders", {"sequence": 1}]
    again = await desk.ws.ask(request)
    assert (again["status"], again["errorMessage"]) == ("error", "Already subscribed")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("ticker", "Public channels not available in this endpoint"),
        ("closedOrders", "Subscription name invalid"),
    ],
)
async def test_a_wrong_channel_is_refused(desk: Desk, name: str, error: str) -> None:
    answer = await desk.ws.ask({"event": "subscribe", "subscription": {"name": name, "token": desk.token}})
    assert (answer["event"], answer["status"], answer["errorMessage"]) == ("subscriptionStatus", "error", error)


async def test_an_orders_life_is_told_frame_by_frame(desk: Desk) -> None:
    await desk.subscribe()
    txid = desk.venue.place(userref=7, quantity=Decimal(2), price=Decimal(100))
    order = desk.venue.resting()[0]
    pending = await desk.ws.get()
    assert pending[0][0][txid]["status"] == "pending"
    assert pending[0][0][txid]["userref"] == 7
    assert await desk.ws.get() == [[{txid: {"status": "open", "userref": 0}}], "openOrders", {"sequence": 3}]
    desk.venue.exchange.fill(order, Decimal("0.5"))
    [[traded], _, _] = await desk.ws.get()
    assert "status" not in traded[txid]
    assert (traded[txid]["vol_exec"], traded[txid]["avg_price"]) == ("0.50000000", "100.00000")
    assert await desk.ask("cancelOrder", txid=[txid]) == {"event": "cancelOrderStatus", "status": "ok"}
    [[ended], _, position] = await desk.ws.get()
    assert position == {"sequence": 5}
    assert ended[txid]["status"] == "canceled"
    assert ended[txid]["cancel_reason"] == "User requested"
    assert (ended[txid]["vol_exec"], ended[txid]["userref"]) == ("0.50000000", 0)


async def test_a_fill_closes_and_an_expiry_gives_no_reason(desk: Desk) -> None:
    first, second = desk.venue.place(), desk.venue.place()
    await desk.subscribe()
    orders = desk.venue.resting()
    desk.venue.exchange.fill(orders[0])
    await desk.ws.get()
    assert (await desk.ws.get())[0][0][first]["status"] == "closed"
    desk.venue.exchange.expire(orders[1])
    expired = (await desk.ws.get())[0][0][second]
    assert expired["status"] == "expired"
    assert "cancel_reason" not in expired


async def test_own_trades_hears_fills_only(desk: Desk) -> None:
    assert await desk.subscribe("ownTrades") == [[], "ownTrades", {"sequence": 1}]
    txid = desk.venue.place()
    desk.venue.exchange.fill(desk.venue.resting()[0])
    [[entry], channel, _] = await desk.ws.get()
    assert channel == "ownTrades"
    assert next(iter(entry.values()))["ordertxid"] == txid


async def test_one_ack_per_order_with_one_reqid_and_no_order_id(desk: Desk) -> None:
    txids = [desk.venue.place() for _ in range(2)]
    await desk.ws.put({"event": "cancelOrder", "reqid": 7, "token": desk.token, "txid": [txids[0], UNKNOWN, txids[1]]})
    acks = [await desk.ws.get() for _ in range(3)]
    ok = {"event": "cancelOrderStatus", "reqid": 7, "status": "ok"}
    assert acks == [ok, ok | {"status": "error", "errorMessage": "EOrder:Unknown order"}, ok]
    assert desk.venue.resting() == []


async def test_a_userref_gives_as_many_acks_as_orders(desk: Desk) -> None:
    for _ in range(3):
        desk.venue.place(userref=7)
    await desk.ws.put({"event": "cancelOrder", "reqid": 1, "token": desk.token, "txid": ["7"]})
    assert [(await desk.ws.get())["status"] for _ in range(3)] == ["ok"] * 3
    assert desk.venue.resting() == []


async def test_a_client_id_cancels_with_or_without_an_empty_txid(desk: Desk) -> None:
    desk.venue.place(cl_ord_id="a")
    assert (await desk.ask("cancelOrder", cl_ord_id=["a"]))["status"] == "ok"
    desk.venue.place(cl_ord_id="a")
    assert (await desk.ask("cancelOrder", txid=[], cl_ord_id=["a"]))["status"] == "ok"


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({}, "EGeneral:Invalid arguments:txid"),
        ({"txid": []}, "EGeneral:Invalid arguments:txid"),
        ({"txid": UNKNOWN}, "EGeneral:Invalid arguments:txid"),
        ({"txid": [7]}, "EGeneral:Invalid arguments:txid"),
        ({"txid": ["0"]}, "EGeneral:Invalid arguments:userref"),
        ({"txid": ["no id"]}, "EOrder:Invalid order"),
        ({"txid": [UNKNOWN] * 51}, "EGeneral:Invalid arguments:txid"),
        ({"txid": [UNKNOWN], "token": "stale"}, "ESession:Invalid session"),
        ({"txid": [UNKNOWN], "token": None}, "ESession:Invalid session"),
    ],
)
async def test_a_wrong_cancel_gets_one_error(desk: Desk, members: dict[str, Any], error: str) -> None:
    answer = await desk.ask("cancelOrder", reqid=9, **members)
    assert answer == {"errorMessage": error, "event": "cancelOrderStatus", "status": "error", "reqid": 9}


async def test_each_private_request_needs_its_own_live_token(desk: Desk) -> None:
    txid = desk.venue.place()
    await desk.subscribe()
    desk.venue.faults.inject({"kind": "invalid_session"})
    refused = await desk.ask("cancelOrder", txid=[txid])
    assert refused["errorMessage"] == "ESession:Invalid session"
    desk.token = token_of(desk.venue)
    assert (await desk.ask("cancelOrder", txid=[txid]))["status"] == "ok"


async def test_rights_of_the_key_behind_the_token_count(desk: Desk) -> None:
    txid = desk.venue.place()
    desk.token = token_of(desk.venue, rights={"create-ws-token"})
    refused = await desk.ask("cancelOrder", txid=[txid])
    assert refused["errorMessage"] == "EGeneral:Permission denied"
    subscribe = {"event": "subscribe", "subscription": {"name": "openOrders", "token": desk.token}}
    assert (await desk.ws.ask(subscribe))["errorMessage"] == "EGeneral:Permission denied"


async def test_another_accounts_orders_are_out_of_reach(desk: Desk) -> None:
    txid = desk.venue.place(account="bob")
    assert (await desk.ask("cancelOrder", txid=[txid]))["errorMessage"] == "EOrder:Unknown order"
    assert (await desk.ask("cancelAll", reqid=8)) == {
        "event": "cancelAllStatus",
        "status": "ok",
        "count": 0,
        "reqid": 8,
    }
    assert len(desk.venue.resting()) == 1


async def test_cancel_all_counts(desk: Desk) -> None:
    for _ in range(2):
        desk.venue.place()
    assert await desk.ask("cancelAll", reqid=8) == {"event": "cancelAllStatus", "status": "ok", "count": 2, "reqid": 8}


async def test_the_countdown_tells_its_times_and_outlives_the_socket(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    venue = kraken()
    ws = await WebSocket.dial(venue, nursery)
    venue.place()
    answer = await ws.ask({"event": "cancelAllOrdersAfter", "reqid": 1, "timeout": 60, "token": token_of(venue)})
    assert answer == {
        "event": "cancelAllOrdersAfterStatus",
        "status": "ok",
        "currentTime": "2023-11-14T22:13:20Z",
        "triggerTime": "2023-11-14T22:14:20Z",
        "reqid": 1,
    }
    await ws.hang_up()
    await trio.sleep(59.9)
    assert len(venue.resting()) == 1
    await trio.sleep(0.2)
    assert venue.resting() == []


async def test_the_countdown_tells_subscribers_when_it_fires(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    venue = kraken()
    desk = Desk(venue, await WebSocket.dial(venue, nursery), token_of(venue))
    txid = venue.place()
    await desk.subscribe()
    await desk.ask("cancelAllOrdersAfter", timeout=3)
    [[entry], _, _] = await desk.ws.get()
    assert entry[txid]["status"] == "canceled"
    assert trio.current_time() == pytest.approx(3.0, abs=0.01)


async def test_an_order_is_added_and_its_events_follow_the_ack(desk: Desk) -> None:
    await desk.subscribe()
    order = {
        "ordertype": "limit",
        "type": "buy",
        "pair": "XBT/USD",
        "price": "4000",
        "volume": "0.0177",
        "userref": "9",
    }
    ack = await desk.ask("addOrder", reqid=5, **order)
    assert ack == {
        "event": "addOrderStatus",
        "status": "ok",
        "descr": "buy 0.01770000 XBTUSD @ limit 4000",
        "txid": ack["txid"],
        "reqid": 5,
    }
    assert (await desk.ws.get())[0][0][ack["txid"]]["status"] == "pending"
    assert desk.venue.resting()[0].userref == 9


async def test_a_wrong_order_is_refused(desk: Desk) -> None:
    order = {"ordertype": "limit", "type": "buy", "pair": "BTC/USD", "price": "4000", "volume": "1"}
    answer = await desk.ask("addOrder", **order)
    assert answer["errorMessage"] == "Currency pair not supported BTC/USD"
    answer = await desk.ask("addOrder", **(order | {"pair": "XBT/USD", "volume": "0.00000001"}))
    assert answer["errorMessage"] == "EOrder:Order minimum not met"


async def test_an_order_expires_at_its_time(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    venue = kraken()
    desk = Desk(venue, await WebSocket.dial(venue, nursery), token_of(venue))
    await desk.subscribe()
    order = {"ordertype": "limit", "type": "buy", "pair": "XBT/USD", "price": "1", "volume": "1", "expiretm": "+10"}
    txid = (await desk.ask("addOrder", **order))["txid"]
    await desk.ws.get()
    await desk.ws.get()
    [[entry], _, _] = await desk.ws.get(within_s=11)
    assert entry[txid]["status"] == "expired"


async def test_unsubscribing_ends_the_news(desk: Desk) -> None:
    await desk.subscribe()
    answer = await desk.ws.ask({"event": "unsubscribe", "subscription": {"name": "openOrders", "token": desk.token}})
    assert answer["status"] == "unsubscribed"
    desk.venue.place()
    assert await desk.ws.ask({"event": "ping"}) == {"event": "pong"}


async def test_maintenance_refuses_cancels_then_cancel_only_takes_them(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    venue = kraken()
    desk = Desk(venue, await WebSocket.dial(venue, nursery), token_of(venue))
    txid = venue.place()
    await desk.subscribe()
    venue.faults.inject({"kind": "maintenance", "for_s": 30, "cancel_only_s": 10})
    assert (await desk.ws.get())["status"] == "maintenance"
    assert (await desk.ask("cancelOrder", txid=[txid]))["errorMessage"] == "EService:Unavailable"
    assert (await desk.ws.get(within_s=31))["status"] == "cancel_only"
    assert trio.current_time() == pytest.approx(30, abs=0.1)
    order = {"ordertype": "limit", "type": "buy", "pair": "XBT/USD", "price": "1", "volume": "1"}
    assert (await desk.ask("addOrder", **order))["errorMessage"] == "EService:Market in cancel_only mode"
    assert (await desk.ask("cancelOrder", txid=[txid]))["status"] == "ok"
    await desk.ws.get()
    assert (await desk.ws.get(within_s=11))["status"] == "online"


@pytest.mark.parametrize("mode", ["post_only", "limit_only", "cancel_only"])
async def test_cancels_work_in_every_mode_but_maintenance(desk: Desk, mode: str) -> None:
    txid = desk.venue.place()
    await desk.subscribe()
    desk.venue.faults.inject({"kind": "market_status", "mode": mode})
    assert (await desk.ws.get())["status"] == mode
    assert (await desk.ask("cancelOrder", txid=[txid]))["status"] == "ok"


async def test_an_armed_countdown_strikes_when_maintenance_ends(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    venue = kraken()
    desk = Desk(venue, await WebSocket.dial(venue, nursery), token_of(venue))
    venue.place()
    await desk.ask("cancelAllOrdersAfter", timeout=600)
    venue.faults.inject({"kind": "maintenance", "for_s": 30})
    await trio.sleep(29)
    assert len(venue.resting()) == 1
    await trio.sleep(2)
    assert venue.resting() == []
