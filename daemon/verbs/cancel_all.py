"""`canceld cancel-all [VENUE]`."""

import argparse
from typing import assert_never

from ..client import Client
from ..client.results import VenueSweep
from ..contract.outcomes import NAMES, Acked, Canceled, Closed, NotOpen, Refused, Rejected, Unknown
from .cancel import status_of
from .exit_status import NOT_DONE
from .output import say_columns, say_json, say_residual


def cancel_all(asked: argparse.Namespace, client: Client) -> int:
    """`canceld cancel-all [VENUE]`."""
    result = client.cancel_all(asked.venue, until=asked.until, deadline_ms=asked.deadline_ms)
    if asked.json:
        say_json(result.reply)
    else:
        say_columns([_sweep_cells(venue, sweep) for venue, sweep in result.venues.items()])
        for venue, sweep in result.venues.items():
            say_residual(venue, sweep.residual)
    sweeps = result.venues.values()
    # What a refused sweep lists rests because nothing left; that a venue could not be reached is then the better word.
    if any(sweep.residual and not isinstance(sweep.outcome, Refused) for sweep in sweeps):
        return NOT_DONE
    return status_of(sweep.outcome for sweep in sweeps)


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
