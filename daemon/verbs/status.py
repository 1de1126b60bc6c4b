"""`canceld status`: how the daemon is."""

import argparse
import json
from collections.abc import Iterator
from typing import Any

from ..client import Client
from .exit_status import DONE, NOT_DONE, UNREACHABLE
from .output import age_of, say, say_columns, say_json, say_residual


def status(asked: argparse.Namespace, client: Client) -> int:
    """`canceld status`."""
    reply = client.status(detail=asked.detail, deadline_ms=asked.deadline_ms)
    exit_status = readiness(reply) if asked.check else DONE
    if asked.json:
        say_json(reply)
        return exit_status
    say(f"canceld {reply.get('version', '')}  {reply.get('state', '')}  in flight {reply.get('in_flight', '')}")
    _say_kill(reply.get("kill") or {})
    drilled_s = ((reply.get("kill") or {}).get("drill") or {}).get("age_s")
    say("never drilled" if drilled_s is None else f"last good drill {age_of(drilled_s)} ago")
    venues: dict[str, Any] = reply.get("venues") or {}
    say_columns([_venue_cells(venue, part) for venue, part in venues.items()])
    for venue, part in venues.items():
        for reason in reasons(part):
            say(f"{venue}  {reason}")
    leases = reply.get("leases") or []
    if leases:
        say(f"leases  {len(leases)}")
    for alert in reply.get("alerts") or []:
        say(f"{alert.get('severity', 'alert')}: {alert.get('what', '')}; {alert.get('do', '')}")
    if asked.detail:
        for line in json.dumps(reply.get("detail") or {}, indent=2).splitlines():
            say(line)
    return exit_status


def readiness(reply: dict[str, Any]) -> int:
    """What `--check` tells: DONE can cancel at every venue, NOT_DONE degraded or latched, UNREACHABLE cannot cancel.

    A daemon that is starting or draining takes no commands, and one of whose venues none is up or degraded has no way
    to any.
    """
    states = [str(part.get("state")) for part in (reply.get("venues") or {}).values()]
    if reply.get("state") != "serving" or not states or all(state not in ("up", "degraded") for state in states):
        return UNREACHABLE
    latched = bool((reply.get("kill") or {}).get("latched"))
    return NOT_DONE if latched or any(state != "up" for state in states) else DONE


def _say_kill(kill: dict[str, Any]) -> None:
    """The switch, and while it is latched since when, by whom, and how each venue stands."""
    if not kill.get("latched"):
        say("kill switch armed")
        return
    cause = _cause(kill, kill.get("at"))
    say(f"kill switch LATCHED {cause}: {kill.get('reason', '')}")
    parts: dict[str, Any] = kill.get("venues") or {}
    say_columns([_kill_cells(venue, part, cause) for venue, part in parts.items()])
    for venue, part in parts.items():
        say_residual(f"  {venue}", part.get("residual") or ())


def _cause(part: dict[str, Any], since: str | None) -> str:
    by = " ".join(filter(None, (part.get("trigger"), part.get("who"))))
    return f"since {since or '?'} by {by or '?'}"


def _kill_cells(venue: str, part: dict[str, Any], first: str) -> list[str]:
    """first: the cause of the whole latch; a venue that was latched later, by somebody else, tells its own."""
    own = _cause(part, part["since"]) if part.get("since") else first
    rests = part.get("resting") or len(part.get("residual") or ())
    tried = "; ".join(f"{way}: {why}" for way, why in (part.get("tried") or {}).items())
    return [
        f"  {venue}",
        str(part.get("state", "?")),
        f"{part.get('canceled') or 0} canceled",
        f"{rests} still rest" if rests else "",
        "" if own == first else own,
        tried,
    ]


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
