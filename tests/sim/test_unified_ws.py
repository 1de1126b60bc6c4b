"""The Unified WebSocket as a caller sees it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from canceld.sim.rates import Budget
from tests.sim.callers import WebSocket, kraken
from tests.sim.test_spot_ws_v2 import Desk as V2Desk
from tests.sim.test_spot_ws_v2 import token_of

NOBODY = "7d3c1f52-0b7e-4a55-9c1e-2f60d1a4b8c3"


class Desk(V2Desk):
    """One venue, one connection and a live Spot token; every request names derivatives unless told otherwise."""

    async def put(self, method: str, req_id: int | None = None, **params: Any) -> None:
        await super().put(method, req_id, **{"asset_class": "derivatives"} | params)

    def place(self, **order: Any) -> str:
        return self.venue.place("futures", **order)

    @property
    def left(self) -> list[str]:
        return [order.order_id for order in self.venue.resting("futures")]


async def desk_at(nursery: trio.Nursery, **options: Any) -> Desk:
    venue = kraken(**options)
    return Desk(venue, await WebSocket.dial(venue, nursery, "/v2/private"), token_of(venue))


@pytest.fixture
async def desk(nursery: trio.Nursery) -> Desk:
    return await desk_at(nursery)


async def test_the_greeting_and_ping_are_v2s(desk: Desk, nursery: trio.Nursery) -> None:
    ws = await WebSocket.dial(desk.venue, nursery, "/v2/private", greeted=False)
    assert (await ws.get())["data"][0]["system"] == "online"
    await desk.ws.put({"method": "ping", "req_id": 9})
    assert await desk.get() == {"method": "pong", "req_id": 9, "success": True}


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("cancel_order", {"asset_class": "spot", "order_id": [NOBODY]}, "EGeneral:Invalid arguments:asset_class"),
        ("cancel_order", {"asset_class": None, "order_id": [NOBODY]}, "EGeneral:Invalid arguments:asset_class"),
        ("cancel_order", {"order_id": ["OHYO67-6LP66-HMQ437"]}, "EGeneral:Invalid arguments:order_id"),
        ("cancel_order", {"order_id": [NOBODY], "cl_ord_id": ["a"]}, "EGeneral:Invalid arguments:order_id"),
        ("cancel_order", {}, "EGeneral:Invalid arguments:order_id"),
        ("cancel_order", {"order_id": [NOBODY]}, "EOrder:Unknown order"),
        ("batch_cancel", {"orders": [NOBODY]}, "EGeneral:Invalid arguments:orders"),
        ("batch_cancel", {"orders": ["x", "y"]}, "EGeneral:Invalid arguments:orders"),
        ("cancel_all", {"token": "stale"}, "ESession:Invalid session"),
        ("cancel_all_orders_after", {"timeout": "60"}, "EGeneral:Invalid arguments:timeout"),
        ("subscribe", {"channel": "balances"}, "Subscription name invalid"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(desk: Desk, method: str, params: dict[str, Any], error: str) -> None:
    answer = await desk.ask(method, 3, **params)
    assert (answer["method"], answer["req_id"], answer["success"], answer["error"]) == (method, 3, False, error)


async def test_a_userref_is_not_understood(desk: Desk) -> None:
    answer = await desk.ask("cancel_order", order_userref=[7])
    assert answer["error"] == "Unsupported field: 'order_userref' for the given msg type: cancel order"


async def test_a_cancel_has_one_answer_per_order(desk: Desk) -> None:
    order_id = desk.place()
    await desk.put("cancel_order", 41, order_id=[order_id, NOBODY])
    assert await desk.get() == {
        "method": "cancel_order",
        "req_id": 41,
        "result": {"order_id": order_id},
        "success": True,
    }
    assert (await desk.get())["error"] == "EOrder:Unknown order"
    desk.place(cl_ord_id="mine")
    assert (await desk.ask("cancel_order", cl_ord_id=["mine"]))["result"] == {"cl_ord_id": "mine"}
    assert desk.left == []


async def test_a_batch_may_tell_its_count_beside_the_result(desk: Desk) -> None:
    desk.venue.faults.inject({"kind": "count_beside", "times": 1})
    answer = await desk.ask("batch_cancel", 42, orders=[desk.place(), desk.place()])
    assert (answer["success"], answer["orders_cancelled"], "result" in answer) == (True, 2, False)
    assert desk.left == []


async def test_a_batch_and_cancel_all_only_count(desk: Desk) -> None:
    first, _, third = desk.place(), desk.place(cl_ord_id="mine"), desk.place()
    spot = desk.venue.place("spot")
    answer = await desk.ask("batch_cancel", 42, orders=[first, NOBODY], cl_ord_id=["mine"])
    assert (answer["success"], answer["result"]) == (True, {"count": 2})
    assert desk.left == [third]
    assert (await desk.ask("cancel_all"))["result"] == {"count": 1}
    assert (await desk.ask("cancel_all"))["result"] == {"count": 0}
    assert [order.order_id for order in desk.venue.resting("spot")] == [spot]


async def test_the_countdown_is_the_one_rest_arms(desk: Desk, autojump_clock: MockClock) -> None:
    desk.place()
    armed = (await desk.ask("cancel_all_orders_after", timeout=60))["result"]
    assert armed == {"currentTime": "2023-11-14T22:13:20Z", "triggerTime": "2023-11-14T22:14:20Z"}
    desk.venue.futures.cancel_all_after("default", 0)
    await trio.sleep(61)
    assert len(desk.left) == 1


async def test_the_budget_is_shared_with_rest(nursery: trio.Nursery) -> None:
    desk = await desk_at(nursery, futures_budget=Budget(points=20, window_s=10))
    assert (await desk.ask("batch_cancel", orders=[NOBODY, desk.place()]))["result"] == {"count": 1}
    assert (await desk.ask("cancel_order", order_id=[NOBODY]))["error"] == "apiLimitExceeded"


async def test_orders_are_told_from_the_snapshot_on(desk: Desk) -> None:
    resting = desk.place(cl_ord_id="mine", quantity=Decimal(2))
    desk.venue.exchange.fill(desk.venue.resting("futures")[0], Decimal("0.5"))
    snapshot = await desk.subscribe()
    assert (snapshot["type"], snapshot["sequence"]) == ("snapshot", 1)
    [row] = snapshot["data"]
    assert (row["order_id"], row["cl_ord_id"], row["order_status"]) == (resting, "mine", "partially_filled")
    order_id = desk.place()
    new = await desk.get()
    assert (new["type"], new["sequence"]) == ("update", 2)
    assert [(row["exec_type"], row["order_status"], row["order_id"]) for row in new["data"]] == [
        ("new", "new", order_id)
    ]
    await desk.put("cancel_order", order_id=[order_id])
    told = [await desk.get(), await desk.get()]
    assert [message.get("method") for message in told] == ["cancel_order", None]
    [row] = told[1]["data"]
    assert (row["exec_type"], row["order_status"], row["cum_qty"]) == ("canceled", "canceled", 0)
    assert row["reason"] == "cancelled_by_user"


@pytest.mark.parametrize(("every_status", "told"), [(True, ["new", "trade"]), (False, ["new", "filled"])])
async def test_a_fill_ends_in_its_own_row(desk: Desk, every_status: bool, told: list[str]) -> None:
    await desk.subscribe(order_status=every_status)
    desk.place()
    desk.venue.exchange.fill(desk.venue.resting("futures")[0])
    rows = [(await desk.get())["data"][0] for _ in told]
    assert [row["exec_type"] for row in rows] == told
    assert (rows[-1]["order_status"], rows[-1]["cum_qty"]) == ("filled", 1)
    await desk.ws.put({"method": "ping"})
    assert (await desk.get())["method"] == "pong"


async def test_in_maintenance_nothing_is_canceled(desk: Desk) -> None:
    order_id = desk.place()
    desk.venue.faults.inject({"kind": "maintenance", "for_s": 60, "route": "unified_ws"})
    status = await desk.get()
    assert status["data"][0]["system"] == "maintenance"
    assert (await desk.ask("cancel_order", order_id=[order_id]))["error"] == "marketUnavailable"
    assert desk.venue.spot.status == "online"
    assert desk.left == [order_id]


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        ({"kind": "swallow_ack_before_effect"}, 1),
        ({"kind": "swallow_ack_after_effect"}, 0),
        ({"kind": "ack_error", "error": "EService:Busy"}, 1),
        ({"kind": "token_error"}, 1),
    ],
)
async def test_the_faults_of_acks_strike_here_too(desk: Desk, fault: dict[str, Any], left: int) -> None:
    order_id = desk.place()
    desk.venue.faults.inject(fault | {"route": "unified_ws", "match": "cancel_order", "times": 1})
    await desk.put("cancel_order", order_id=[order_id])
    if "error" in fault["kind"]:
        assert (await desk.get())["success"] is False
    await desk.ws.put({"method": "ping"})
    assert (await desk.get())["method"] == "pong"
    assert len(desk.left) == left


async def test_a_batch_may_leave_orders_resting_and_a_state_have_any_name(desk: Desk) -> None:
    order_ids = [desk.place() for _ in range(3)]
    await desk.subscribe()
    desk.venue.faults.inject([{"kind": "batch_partial", "times": 1}, {"kind": "status_word", "word": "gone"}])
    answer = await desk.ask("batch_cancel", orders=order_ids)
    assert answer["result"] == {"count": 2}
    assert desk.left == order_ids[2:]
    assert (await desk.get())["data"][0]["order_status"] == "gone"
