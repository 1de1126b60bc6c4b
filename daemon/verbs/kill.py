"""`canceld kill`, and its drill."""

import argparse
from typing import Any

from ..client import Client
from ..client.results import KillResult
from .exit_status import DONE, NOT_DONE, UNREACHABLE
from .output import complain, print_columns, print_json, print_residual


def kill(asked: argparse.Namespace, client: Client) -> int:
    """`canceld kill --reason TEXT`, or `canceld kill --drill`."""
    if asked.drill:
        reason = asked.reason or "drill"
        return _drilled(asked, client.drill(reason, venues=asked.venues, deadline_ms=asked.deadline_ms))
    result = client.kill(asked.reason, venues=asked.venues, deadline_ms=asked.deadline_ms)
    if asked.json:
        print_json(result.reply)
    else:
        print("kill switch latched" if result.latched else "kill switch NOT latched")
        print_columns(
            [
                [venue, part.state, "" if part.canceled is None else f"{part.canceled} canceled"]
                for venue, part in result.venues.items()
            ]
        )
        for venue, part in result.venues.items():
            print_residual(venue, part.residual)
    if result.ignored:
        complain(f"not understood, and killed all the same: {'; '.join(result.ignored)}")
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
