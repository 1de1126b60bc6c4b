"""`canceld rearm`: re-arm the kill switch, in two steps."""

import argparse
import sys

from ..client import Client
from .ask import UsageFault
from .exit_status import DONE, NOT_DONE
from .output import complain, print_json, print_residual


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
            print_residual(venue, ids)
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
