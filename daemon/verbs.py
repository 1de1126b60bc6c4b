"""The verbs that talk to a running daemon: ask, print, and say by the exit status whether it happened.

Nothing here may import trio or structlog: an operator who kills waits for this process to start.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Literal

from .client import CONTROL_ENDPOINT, CancelResult, Client, CommandRefused, DaemonUnreachable, OrderRef
from .client.requests import COMMANDS_ENDPOINT
from .client.results import KillResult, ReplyMap, VenueSweep
from .contract.frames import outcome_map
from .contract.ids import Kind, Target, fault_of
from .contract.outcomes import NAMES, Closed, Outcome, Refused, Rejected, Settlement, Unknown

DONE: Final = 0
NOT_DONE: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3

CONNECT_TIMEOUT_MS: Final = 1500
"""Long enough for a daemon that is just being restarted, short enough for an operator who must reach for `panic`."""

NS_PER_MS: Final = 1_000_000

Door = Literal["commands", "control", "events"]

EVENTS_ENDPOINT: Final = "ipc:///run/canceld/events.sock"

_DEFAULTS: Final[dict[Door, str]] = {
    "commands": COMMANDS_ENDPOINT,
    "control": CONTROL_ENDPOINT,
    "events": EVENTS_ENDPOINT,
}


class UsageFault(Exception):
    """The command line or the configuration cannot be used; the text is one line."""


def run(verb: Callable[[argparse.Namespace, Client], int], door: Door, asked: argparse.Namespace) -> int:
    """Run one verb on the socket it belongs to; gives the exit status. Raises UsageFault."""
    endpoint = endpoint_of(asked, door)
    try:
        client = Client(endpoint, connect_timeout_ms=CONNECT_TIMEOUT_MS, strategy="canceld")
    except ValueError as error:
        raise UsageFault(str(error)) from None
    try:
        with client:
            return verb(asked, client)
    except DaemonUnreachable as error:
        complain(f"{error}{_why_absent(endpoint)}" if not error.sent else str(error))
        return UNREACHABLE
    except CommandRefused as error:
        if asked.json:
            print_json(error.reply)
        complain(str(error))
        return NOT_DONE
    except ValueError as error:
        raise UsageFault(str(error)) from None


def complain(text: str) -> None:
    """One line to stderr."""
    print(f"canceld: {text}", file=sys.stderr)


def print_json(message: ReplyMap) -> None:
    """One map as one line of JSON."""
    print(json.dumps(message))


def endpoint_of(asked: argparse.Namespace, door: Door) -> str:
    """Where the daemon's socket is, as the command line tells. Raises UsageFault."""
    if asked.endpoint is not None:
        return str(asked.endpoint)
    if asked.config is not None:
        # Late: reading TOML costs as much as the rest of the start, and most calls need none of it.
        from .settings import BadSettings, read

        try:
            gateway = read(asked.config).gateway
        except BadSettings as error:
            raise UsageFault(str(error)) from None
        return str(getattr(gateway, door))
    return _DEFAULTS[door]


def _why_absent(endpoint: str) -> str:
    path = endpoint.removeprefix("ipc://")
    if path == endpoint:
        return ""
    if not os.path.exists(path):
        return "; there is no such socket file, is it running?"
    if not os.access(path, os.W_OK):
        return "; this user may not write to the socket file, see its group"
    return "; the socket file is there, but nobody answers at it"


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
            print_json(result.reply or _never_answered(result))
    else:
        _print_columns([_cells(result) for result in results])
        if len(results) > 1:
            print(_summary(results))
    return _status_of(results)


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


def _status_of(results: Sequence[CancelResult]) -> int:
    return _status_of_outcomes([result.outcome for result in results])


def _status_of_outcomes(outcomes: Iterable[Outcome]) -> int:
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
        case _:
            pass
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


def cancel_all(asked: argparse.Namespace, client: Client) -> int:
    """`canceld cancel-all [VENUE]`."""
    result = client.cancel_all(asked.venue, until=asked.until, deadline_ms=asked.deadline_ms)
    if asked.json:
        print_json(result.reply)
    else:
        _print_columns([_sweep_cells(venue, sweep) for venue, sweep in result.venues.items()])
        for venue, sweep in result.venues.items():
            _print_residual(venue, sweep.residual)
    sweeps = result.venues.values()
    # What a refused sweep lists rests because nothing left; that a venue could not be reached is then the better word.
    if any(sweep.residual and not isinstance(sweep.outcome, Refused) for sweep in sweeps):
        return NOT_DONE
    return _status_of_outcomes(sweep.outcome for sweep in sweeps)


def _sweep_cells(venue: str, sweep: VenueSweep) -> list[str]:
    match sweep.outcome:
        case Refused(reason=reason, detail=detail):
            told = f"{reason}; {detail}"
        case Rejected(reject_class=reject_class):
            told = "; ".join(filter(None, (reject_class, sweep.error)))
        case _:
            told = sweep.error or ""
    return [
        venue,
        NAMES[type(sweep.outcome)],
        "" if sweep.count is None else f"{sweep.count} canceled",
        f"{len(sweep.residual)} still rest" if sweep.residual else "",
        told,
    ]


def kill(asked: argparse.Namespace, client: Client) -> int:
    """`canceld kill --reason TEXT`, or `canceld kill --drill`."""
    result = client.kill(
        asked.reason or "drill", venues=asked.venues, drill=asked.drill, deadline_ms=asked.deadline_ms
    )
    if result.drilled is not None:
        return _drilled(asked, result)
    if asked.json:
        print_json(result.reply)
    else:
        print("kill switch latched" if result.latched else "kill switch NOT latched")
        _print_columns(
            [
                [venue, part.state, "" if part.canceled is None else f"{part.canceled} canceled"]
                for venue, part in result.venues.items()
            ]
        )
        for venue, part in result.venues.items():
            _print_residual(venue, part.residual)
    states = {part.state for part in result.venues.values()}
    if not result.latched or not states <= {"flat", "unreachable"}:
        return NOT_DONE
    return UNREACHABLE if "unreachable" in states else DONE


def _drilled(asked: argparse.Namespace, result: KillResult) -> int:
    parts: dict[str, Any] = result.reply.get("venues") or {}
    if asked.json:
        print_json(result.reply)
    else:
        print(f"kill drill {'good' if result.drilled else 'NOT good'}; nothing was cancelled")
        print(f"disk  {result.reply.get('disk', '')}")
        for venue, part in parts.items():
            for way, told in (part.get("ways") or {}).items():
                print(f"{venue}  {way}  {told}")
    if result.drilled:
        return DONE
    return UNREACHABLE if any(part.state == "unreachable" for part in result.venues.values()) else NOT_DONE


def rearm(asked: argparse.Namespace, client: Client) -> int:
    """`canceld rearm`: at a terminal both steps, elsewhere one step per call."""
    if asked.confirm is not None:
        return _confirm(asked, client, asked.confirm, asked.reason)
    result = client.rearm(deadline_ms=asked.deadline_ms)
    interactive = sys.stdin.isatty() and not asked.json
    if asked.json:
        print_json(result.reply)
    elif not result.latched:
        print("kill switch armed: it is not latched")
    else:
        for venue, ids in result.residual.items():
            _print_residual(venue, ids)
        if not interactive:
            print(f"not re-armed yet; to go on: canceld rearm --confirm {result.code} --reason TEXT")
    if not result.latched:
        return DONE
    if not interactive or result.code is None:
        return NOT_DONE
    reason = asked.reason or input("Why is it safe to trade again? ").strip()
    if not reason:
        complain("not re-armed: a reason is needed for the record")
        return NOT_DONE
    if input(f"Type {result.code} to re-arm: ").strip() != result.code:
        complain("not re-armed: that was not the code")
        return NOT_DONE
    return _confirm(asked, client, result.code, reason)


def _confirm(asked: argparse.Namespace, client: Client, code: str, reason: str | None) -> int:
    if not reason:
        raise UsageFault("--confirm goes with --reason")
    result = client.rearm(confirm=code, reason=reason, force=asked.force, deadline_ms=asked.deadline_ms)
    if asked.json:
        print_json(result.reply)
    else:
        print("kill switch still latched" if result.latched else "kill switch re-armed")
    return NOT_DONE if result.latched else DONE


def status(asked: argparse.Namespace, client: Client) -> int:
    """`canceld status`."""
    reply = client.status(detail=asked.detail, deadline_ms=asked.deadline_ms)
    if asked.json:
        print_json(reply)
        return DONE
    kill_state = reply.get("kill") or {}
    latched = f"LATCHED {kill_state.get('reason', '')}".strip() if kill_state.get("latched") else "armed"
    print(f"canceld {reply.get('version', '')}  {reply.get('state', '')}  in flight {reply.get('in_flight', '')}")
    if kill_state.get("served") is False:
        latched = "not in this version"
    print(f"kill switch {latched}")
    venues: dict[str, Any] = reply.get("venues") or {}
    _print_columns([_venue_cells(venue, part) for venue, part in venues.items()])
    for venue, part in venues.items():
        for reason in reasons(part):
            print(f"{venue}  {reason}")
    leases = reply.get("leases") or []
    if leases:
        print(f"leases  {len(leases)}")
    for alert in reply.get("alerts") or []:
        print(f"{alert.get('severity', 'alert')}: {alert.get('what', '')}; {alert.get('do', '')}")
    if asked.detail:
        print(json.dumps(reply.get("detail") or {}, indent=2))
    return DONE


def _venue_cells(venue: str, part: dict[str, Any]) -> list[str]:
    sessions = "  ".join(f"{one.get('name', '?')} {one.get('state', '?')}" for one in part.get("sessions") or [])
    rest = part.get("rest")
    rest_state = rest.get("state", "") if isinstance(rest, dict) else rest
    # "online" goes without saying; what a venue takes in any other mode is the first thing to know.
    mode = part.get("mode")
    told = f"mode {mode}" if mode not in (None, "online", "unknown") else ""
    return [venue, str(part.get("state", "")), sessions, f"rest {rest_state}" if rest_state else "", told]


def reasons(part: dict[str, Any]) -> Iterator[str]:
    """Why what is down is down, one line for each part that says so."""
    rest = part.get("rest")
    parts = [*(part.get("sessions") or []), *([{"name": "rest", **rest}] if isinstance(rest, dict) else [])]
    for one in parts:
        if one.get("why") and one.get("state") not in ("live", "up"):
            yield f"{one.get('name', '?')} {one.get('state', '?')}: {one['why']}"


def _print_residual(venue: str, ids: Iterable[str]) -> None:
    for id in ids:
        print(f"{venue} still rests: {id}")


def _print_columns(rows: Sequence[Sequence[str]]) -> None:
    for line in in_columns(rows):
        print(line)


def in_columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """One line for each row, with the cells of a column below each other; a column of nothing is left out."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
        yield "  ".join(cells).rstrip()
