"""`canceld kill`, and its drill."""

import argparse
from typing import Any

from ..client import Client, CommandRefused
from ..client.results import KillResult
from ..contract.plain_text import NO_REASON, as_typed
from .ask import DEFAULT_CONFIG
from .exit_status import DONE, NOT_DONE
from .output import complain, say, say_columns, say_json, say_residual


def kill(asked: argparse.Namespace, client: Client) -> int:
    """`canceld kill`, or `canceld kill --drill`."""
    result = _pulled(asked, client)
    if result.drilled is not None:
        return _drilled(asked, result)
    flat = all(part.state == "flat" for part in result.venues.values())
    if asked.json:
        say_json(result.reply)
    else:
        say("kill switch latched" if result.latched else "kill switch NOT latched")
        say_columns(
            [
                [venue, part.state, "" if part.canceled is None else f"{part.canceled} canceled"]
                for venue, part in result.venues.items()
            ]
        )
        for venue, part in result.venues.items():
            say_residual(venue, part.residual)
    return DONE if result.latched and flat else NOT_DONE


def otherwise(asked: argparse.Namespace) -> str:
    """What to type when no daemon answers."""
    # Late: only here.
    import shlex

    if asked.drill:
        return "nothing was tried; a drill needs the daemon"
    config = shlex.quote(asked.config or DEFAULT_CONFIG)
    reason = shlex.quote(as_typed(asked.reason or "") or NO_REASON)
    return f"to cancel everything without the daemon, type: canceld panic --config {config} --reason {reason}"


def _pulled(asked: argparse.Namespace, client: Client) -> KillResult:
    reason = as_typed(asked.reason or "") or NO_REASON
    try:
        return client.kill(reason, venues=asked.venues, drill=asked.drill, deadline_ms=asked.deadline_ms)
    except CommandRefused as refused:
        # A daemon of another version may be stricter with texts. No kill fails for what stands in its reason.
        if asked.drill or "reason" not in refused.detail:
            raise
        complain(f"{refused}; killing without the reason")
    return client.kill(NO_REASON, venues=asked.venues, deadline_ms=asked.deadline_ms)


def _drilled(asked: argparse.Namespace, result: KillResult) -> int:
    parts: dict[str, Any] = result.reply.get("venues") or {}
    if asked.json:
        say_json(result.reply)
    else:
        say(f"kill drill {'good' if result.drilled else 'NOT good'}; nothing was cancelled")
        say(f"disk  {result.reply.get('disk', '')}")
        for venue, part in parts.items():
            for way, told in (part.get("ways") or {}).items():
                say(f"{venue}  {way}  {told}")
    return DONE if result.drilled else NOT_DONE
