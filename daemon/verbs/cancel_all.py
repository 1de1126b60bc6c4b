"""`canceld cancel-all [VENUE]`, of everything or of what a scope means."""

import argparse
from typing import assert_never

from ..client import Client
from ..client.results import VenueSweep
from ..contract.outcomes import NAMES, Acked, Canceled, Closed, NotOpen, Refused, Rejected, Unknown
from .cancel import status_of
from .exit_status import DONE, NOT_DONE
from .output import say_columns, say_json, say_residual


def cancel_all(asked: argparse.Namespace, client: Client) -> int:
    """`canceld cancel-all [VENUE]`."""
    result = client.cancel_all(
        asked.venue,
        scope=asked.scope,
        everything=asked.scope is None,
        dry_run=asked.dry_run,
        until=asked.until,
        deadline_ms=asked.deadline_ms,
    )
    if asked.json:
        say_json(result.reply)
    else:
        cells = _dry_cells if asked.dry_run else _sweep_cells
        say_columns([cells(venue, sweep) for venue, sweep in result.venues.items()])
        for venue, sweep in result.venues.items():
            say_residual(venue, sweep.residual)
    sweeps = result.venues.values()
    if asked.dry_run:
        return DONE
    # What a refused sweep lists rests because nothing left; that a venue could not be reached is then the better word.
    if any(sweep.residual and not isinstance(sweep.outcome, Refused) for sweep in sweeps):
        return NOT_DONE
    return status_of(sweep.outcome for sweep in sweeps)


def _dry_cells(venue: str, sweep: VenueSweep) -> list[str]:
    told = f"{len(sweep.unsure)} more cannot be told without a look" if sweep.unsure else ""
    return [venue, "dry run", f"{sweep.count} would be canceled", told]


def _sweep_cells(venue: str, sweep: VenueSweep) -> list[str]:
    match sweep.outcome:
        case Refused(reason=reason, detail=detail):
            told = f"{reason}; {detail}"
        case Rejected(reject_class=reject_class):
            told = "; ".join(filter(None, (reject_class, sweep.error)))
        case Acked() | Canceled() | Closed() | NotOpen() | Unknown():
            told = sweep.error or ""
        case _:
            assert_never(sweep.outcome)
    return [
        venue,
        NAMES[type(sweep.outcome)],
        "" if sweep.count is None else f"{sweep.count} canceled",
        f"{len(sweep.residual)} still rest" if sweep.residual else "",
        told,
    ]
