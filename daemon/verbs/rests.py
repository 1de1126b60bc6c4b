"""`canceld rests [VENUE]`: which orders are open."""

import argparse
from typing import Any

from ..client import Client
from .exit_status import DONE, NOT_DONE
from .output import say, say_columns, say_json
from .scopes import selected


def rests(asked: argparse.Namespace, client: Client) -> int:
    """`canceld rests [VENUE] [--symbol …]`: every page of it."""
    selector = selected(asked)
    scope = None if selector is None else [selector]
    after: str | None = None
    sure = True
    while True:
        result = client.what_rests(
            scope, fresh=asked.fresh and after is None, after=after, deadline_ms=asked.deadline_ms
        )
        if asked.json:
            say_json(result.reply)
        else:
            rows = [_cells(venue, order) for venue, part in result.venues.items() for order in part.orders]
            say_columns(rows)
        sure = sure and all(part.error is None for part in result.venues.values())
        after = result.after
        if after is None:
            break
    if not asked.json:
        for venue, part in result.venues.items():
            known = f"as of {part.as_of}, by {part.by}" if part.as_of is not None else part.error or ""
            unsure = f", {part.unsure} more may be meant" if part.unsure else ""
            say(f"{venue}: {part.count} open{unsure}  {known}")
    return DONE if sure else NOT_DONE


def _cells(venue: str, order: dict[str, Any]) -> list[str]:
    age_ms = order.get("age_ms", order.get("seen_ms"))
    names = " ".join(str(order[name]) for name in ("cl_ord_id", "userref") if name in order)
    filled = f"{order.get('filled_qty', '?')}/{order.get('quantity', '?')}"
    return [
        venue,
        str(order["order_id"]),
        str(order.get("symbol", "?")),
        str(order.get("side", "?")),
        filled,
        f"@ {order['price']}" if "price" in order else "",
        names,
        "" if age_ms is None else f"{age_ms / 1000:.1f} s",
        "unsure" if order.get("unsure") else "",
    ]
