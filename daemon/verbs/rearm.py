"""`canceld rearm`: re-arm the kill switch, in two steps."""

import argparse
import sys

from ..client import Client
from ..contract.plain_text import plain
from ..contract.texts import REASON_BYTES, cleaned
from .exit_status import DONE, NOT_DONE
from .output import at_terminal, complain, say, say_json, say_residual


def rearm(asked: argparse.Namespace, client: Client) -> int:
    """`canceld rearm`: at a terminal both steps, elsewhere one step per call."""
    if asked.confirm is not None:
        return _confirm(asked, client, asked.confirm, _reason(asked))
    result = client.rearm(deadline_ms=asked.deadline_ms)
    interactive = _is_interactive(asked)
    if asked.json:
        say_json(result.reply)
    elif not result.latched:
        say("kill switch armed: it is not latched")
    else:
        for venue, ids in result.residual.items():
            say_residual(venue, ids)
        if not interactive:
            say(f"not re-armed yet; to go on: canceld rearm --confirm {result.code} --reason TEXT")
    if not result.latched:
        return DONE
    if not interactive or result.code is None:
        return NOT_DONE
    reason = _reason(asked)
    if not reason:
        complain("not re-armed: a reason is needed for the record")
        return NOT_DONE
    if input(f"Type {plain(result.code)} to re-arm: ").strip() != result.code:
        complain("not re-armed: that was not the code")
        return NOT_DONE
    return _confirm(asked, client, result.code, reason)


def _is_interactive(asked: argparse.Namespace) -> bool:
    return at_terminal(sys.stdin, sys.stdout) and not asked.json


def _reason(asked: argparse.Namespace) -> str:
    """The reason that was given, or is asked for at a terminal; it may be none."""
    if asked.reason is None and _is_interactive(asked):
        return cleaned(input("Why is it safe to trade again? "), REASON_BYTES)
    return cleaned(asked.reason or "", REASON_BYTES)


def _confirm(asked: argparse.Namespace, client: Client, code: str, reason: str) -> int:
    result = client.rearm(confirm=code, reason=reason or None, force=asked.force, deadline_ms=asked.deadline_ms)
    if asked.json:
        say_json(result.reply)
    else:
        say("kill switch still latched" if result.latched else "kill switch re-armed")
    return NOT_DONE if result.latched else DONE
