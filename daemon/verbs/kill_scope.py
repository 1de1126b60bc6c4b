"""`canceld kill-scope`: what a scope means is cancelled until it is re-armed."""

import argparse

from ..client import Client
from .exit_status import DONE, NOT_DONE
from .output import say, say_columns, say_json, say_residual


def kill_scope(asked: argparse.Namespace, client: Client) -> int:
    """`canceld kill-scope --reason TEXT --scope …`."""
    result = client.kill_scope(asked.reason, asked.scope, dry_run=asked.dry_run, deadline_ms=asked.deadline_ms)
    if asked.json:
        say_json(result.reply)
    elif asked.dry_run:
        parts = result.reply["venues"].items()
        say_columns([[venue, "dry run", f"{part['count']} would be canceled"] for venue, part in parts])
    else:
        say("scope latched" if result.latched else "scope NOT latched")
        say_columns([[venue, part.state, f"{part.canceled or 0} canceled"] for venue, part in result.venues.items()])
        for venue, part in result.venues.items():
            say_residual(venue, part.residual)
    if asked.dry_run:
        return DONE
    flat = all(part.state == "flat" for part in result.venues.values())
    return DONE if result.latched and flat else NOT_DONE
