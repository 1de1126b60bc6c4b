"""`canceld status`: how the daemon is."""

import argparse
import json
from collections.abc import Iterator
from typing import Any

from ..client import Client
from .exit_status import DONE
from .output import print_columns, print_json


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
    print_columns([_venue_cells(venue, part) for venue, part in venues.items()])
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
