"""Reports that the simulated venue would never make by itself, in the shape of Prime's own: sent as raw frames."""

import json
from collections.abc import Mapping
from typing import Any

from canceld.sim.prime import NO_ORDER
from canceld.sim.server import DEFAULT_ACCOUNT

from ..world import Stage

SOME_REQID = 7
"""The reqid of a report is its subscription's, which says nothing about a cancel."""


def last_cancel(world: Stage) -> str:
    """The ClOrdID of the cancel that the venue received last."""
    cl_ord_id: str = world.frames("OrderCancelRequest")[-1]["ClOrdID"]
    return cl_ord_id


def row_of(world: Stage, order_id: str) -> dict[str, Any]:
    """The row that last told of an order, to be bent by the story."""
    for report in world.exchange.prime.states(DEFAULT_ACCOUNT):
        if report.row["OrderID"] == order_id:
            return dict(report.row)
    raise AssertionError(f"{order_id} was never told of")


def refusal(world: Stage, order_id: str, **members: Any) -> dict[str, Any]:
    """The row that refuses the last cancel; `members` replace its own, and those that are None are left out."""
    row = row_of(world, order_id) | {
        "ClOrdID": last_cancel(world),
        "ExecID": world.exchange.prime.fresh_id(),
        "ExecType": "CancelRejected",
        "OrdStatus": "New",
        "CxlRejReason": 2,
        **members,
    }
    return {name: value for name, value in row.items() if value is not None}


def nameless(world: Stage, **members: Any) -> dict[str, Any]:
    """The row that refuses the last cancel and names no order, as FIX has it for one that is unknown."""
    return {
        "Symbol": "BTC-USD",
        "OrderID": NO_ORDER,
        "ClOrdID": last_cancel(world),
        "ExecID": world.exchange.prime.fresh_id(),
        "ExecType": "CancelRejected",
        "OrdStatus": "Rejected",
        **members,
    }


def tell(world: Stage, row: Mapping[str, Any], *, stream: str = "ExecutionReport", session: int | None = None) -> None:
    """Have one connection, or each, told a row on one of the two streams."""
    frame = {"reqid": SOME_REQID, "type": stream, "initial": False, "seqNum": 1, "action": "Update", "data": [row]}
    only = {} if session is None else {"session": session}
    world.inject("garbage_frame", text=json.dumps(frame), **only)


def rest_again(world: Stage, order_id: str) -> None:
    """The venue gives a pending cancel up: the order rests as before."""
    world.exchange.prime._papers[order_id].pending = False
