"""The verb: a thread for each venue, one for the disk, and the verdict when they have ended.

It takes no lock, so a daemon that lives goes on beside it; one key serves both, and a daemon whose nonces are overtaken
recovers from it. Nothing here waits for the disk before the first byte has left, and nothing slow is imported: whoever
calls this waits for it.
"""

import json
import os
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from ..contract.ids import Venue
from ..credentials import BadCredentials
from ..engine.latch import REASON_CHARS
from ..settings import BadSettings, read
from ..transport.plain import threads
from ..transport.plain.line import Dialler
from ..verbs.exit_status import USAGE
from .report import Report
from .routes import Routes
from .state_files import Latching, StoredNonces
from .sweep import sweep as sweep_venue
from .verdict import exit_status_of, print_table, verdict_of

GRACE_S: Final = 1.0
"""What a venue's last step may take past its bound before the result is told without it."""

DISK_TIMEOUT_S: Final = 5.0
"""The longest that a hanging disk holds up the end. It never holds up the cancels."""


def main(config: str, reason: str, timeout_s: int, as_json: bool) -> int:
    """Run the verb; gives the exit status: 0 flat everywhere, 1 something rests, else 3 where nothing is known.

    Bad usage is 2. timeout_s: how long each venue is swept at most.
    """
    if not reason.strip() or len(reason) > REASON_CHARS:
        return _complain(f"--reason: a text of 1 to {REASON_CHARS} characters, for the record")
    try:
        settings = read(config)
    except BadSettings as error:
        return _complain(str(error))
    by_s = time.monotonic() + timeout_s
    # A terminal or a connection that goes away must not end this half-way.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    state = Path(settings.state.dir)
    nonces = StoredNonces(state / "nonce-spot")
    dialler = Dialler(settings.tls.ca_file)
    reports = {venue: Report() for venue in settings.venues}
    routes = Routes(settings, os.environ, dialler, nonces, reports)
    sweeps = [threads.start(partial(_sweep, routes, venue, reports[venue], by_s), venue) for venue in settings.venues]
    latching = Latching(state, reason)
    keeping = threads.start(partial(_keep, latching, nonces), "state")
    # While the connections are being made: they all will ask for it.
    dialler.trust()
    if not as_json:
        # Whoever does not read this any more still wants what it says.
        with suppress(OSError):
            print(f"cancelling everything at {', '.join(settings.venues)}; at most {timeout_s} s", flush=True)
    threads.wait_for(sweeps, by_s + GRACE_S)
    disk_by_s = time.monotonic() + DISK_TIMEOUT_S
    if threads.wait_for([keeping], disk_by_s):
        # Not beside it: two writers of one file would share the unfinished one.
        threads.wait_for([threads.start(nonces.store, "nonce mark")], disk_by_s)
    verdict = verdict_of(settings, reason, latching, nonces, dialler, reports)
    if as_json:
        print(json.dumps(verdict))
    else:
        print_table(verdict)
    return exit_status_of(reports)


def _complain(text: str) -> int:
    print(f"canceld: {text}", file=sys.stderr)
    return USAGE


def _sweep(routes: Routes, venue: Venue, report: Report, by_s: float) -> None:
    """One venue's thread. Whatever goes wrong here stays here: the other venues must not hear of it."""
    try:
        sweep_venue(routes.to(venue), report, by_s)
    except BadCredentials as error:
        report.why = str(error)
    except Exception as error:
        # The name alone: the text of an error that nobody foresaw could hold anything.
        report.why = f"a fault of this program: {type(error).__name__}"


def _keep(latching: Latching, nonces: StoredNonces) -> None:
    latching.run()
    nonces.store()
