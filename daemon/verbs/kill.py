"""`canceld kill`, and its drill."""

import argparse
from typing import Any

from ..client import Client, CommandRefused
from ..client.results import KillResult
from ..contract.commands import NO_REASON
from ..contract.texts import REASON_BYTES, cleaned
from .ask import DEFAULT_CONFIG
from .exit_status import DONE, NOT_DONE
from .output import complain, say, say_columns, say_json, say_residual


def kill(asked: argparse.Namespace, client: Client) -> int:
    """`canceld kill`, or `canceld kill --drill`."""
    if asked.drill:
        reason = cleaned(asked.reason or "", REASON_BYTES) or "drill"
        return _drilled(asked, client.drill(reason, venues=asked.venues, deadline_ms=asked.deadline_ms))
    result = _pulled(asked, client)
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
    if result.ignored:
        complain(f"not understood, and killed all the same: {'; '.join(result.ignored)}")
    return DONE if result.latched and flat else NOT_DONE


def otherwise(asked: argparse.Namespace) -> str:
    """What to type when no daemon answers."""
    # Late: only here.
    import shlex

    if asked.drill:
        return "nothing was tried; a drill needs the daemon"
    config = shlex.quote(asked.config or DEFAULT_CONFIG)
    reason = shlex.quote(cleaned(asked.reason or "", REASON_BYTES) or NO_REASON)
    return f"to cancel everything without the daemon, type: canceld panic --config {config} --reason {reason}"


def _pulled(asked: argparse.Namespace, client: Client) -> KillResult:
    reason = cleaned(asked.reason or "", REASON_BYTES) or NO_REASON
    try:
        return client.kill(reason, venues=asked.venues, deadline_ms=asked.deadline_ms)
    except CommandRefused as refused:
        # A daemon of another version may be stricter with texts. No kill fails for what stands in its reason.
        if "reason" not in refused.detail:
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
