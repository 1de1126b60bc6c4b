"""`canceld cancel VENUE ID…`."""

import argparse
from collections.abc import Iterable, Sequence
from typing import assert_never

from ..client import CancelResult, Client, OrderRef
from ..client.results import ReplyMap
from ..contract.frames import outcome_map
from ..contract.ids import Kind, Target, fault_of
from ..contract.outcomes import Acked, Canceled, Closed, NotOpen, Outcome, Refused, Rejected, Settlement, Unknown
from .ask import UsageFault
from .exit_status import DONE, NOT_DONE, UNREACHABLE
from .output import NS_PER_MS, say, say_columns, say_json


def check_usage(asked: argparse.Namespace) -> None:
    """Raises UsageFault for ids that no order can have."""
    for text in asked.ids:
        _order(asked, text)


def cancel(asked: argparse.Namespace, client: Client) -> int:
    """`canceld cancel VENUE ID…`."""
    orders = [_order(asked, text) for text in asked.ids]
    until = asked.until
    if len(orders) == 1:
        order = orders[0]
        results = [
            client.cancel(
                asked.venue,
                order_id=order.order_id,
                cl_ord_id=order.cl_ord_id,
                userref=order.userref,
                symbol=order.symbol,
                until=until,
                deadline_ms=asked.deadline_ms,
            )
        ]
    else:
        results = client.cancel_many(asked.venue, orders, until=until, deadline_ms=asked.deadline_ms)
    if asked.json:
        for result in results:
            say_json(result.reply or _never_answered(result))
    else:
        say_columns([_cells(result) for result in results])
        if len(results) > 1:
            say(_summary(results))
    return status_of(result.outcome for result in results)


def _order(asked: argparse.Namespace, text: str) -> OrderRef:
    kind: Kind = asked.kind
    value: str | int = text
    if kind == "userref":
        try:
            value = int(text)
        except ValueError:
            raise UsageFault(f"{text!r}: userref: expected a whole number") from None
    fault = fault_of(asked.venue, Target(kind, value))
    if kind == "userref" and asked.venue != "spot":
        fault = f"userref: {asked.venue} orders have none"
    if fault is not None:
        raise UsageFault(f"{text!r}: {fault}")
    if isinstance(value, int):
        return OrderRef(userref=value, symbol=asked.symbol)
    if kind == "cl_ord_id":
        return OrderRef(cl_ord_id=value, symbol=asked.symbol)
    return OrderRef(order_id=value, symbol=asked.symbol)


def status_of(outcomes: Iterable[Outcome]) -> int:
    """The exit status of several outcomes together."""
    undone = [outcome for outcome in outcomes if isinstance(outcome, Rejected | Unknown | Refused)]
    if not undone:
        return DONE
    if all(isinstance(outcome, Refused) and outcome.reason == "no_route" for outcome in undone):
        return UNREACHABLE
    return NOT_DONE


def _never_answered(result: CancelResult) -> ReplyMap:
    settlement = Settlement(
        venue=result.venue, target=result.target, outcome=result.outcome, route=result.route, error=result.error
    )
    return outcome_map(result.id, None, settlement)


def _cells(result: CancelResult) -> list[str]:
    outcome = result.outcome
    told = [result.error or ""]
    match outcome:
        case Closed(state=state):
            told.insert(0, state or "how is not known")
        case Rejected(reject_class=reject_class):
            told.insert(0, f"{reject_class}, it may still rest")
        case Refused(reason=reason, detail=detail):
            told = [reason, detail]
        case Unknown():
            told.insert(0, "treat it as live")
        case Acked() | Canceled() | NotOpen():
            pass
        case _:
            assert_never(outcome)
    if result.replayed:
        told.append("answered before")
    took = ""
    if result.received_ns is not None and result.answered_ns is not None:
        took = f"{(result.answered_ns - result.received_ns) / NS_PER_MS:.1f} ms"
    return [
        result.venue,
        str(result.target.value),
        result.name,
        "" if result.route == "none" else result.route,
        took,
        "; ".join(filter(None, told)),
    ]


def _summary(results: Sequence[CancelResult]) -> str:
    counts: dict[str, int] = {}
    for result in results:
        counts[result.name] = counts.get(result.name, 0) + 1
    return f"{len(results)} asked: " + ", ".join(f"{count} {name}" for name, count in counts.items())
