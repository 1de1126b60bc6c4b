"""The verb: a thread for each venue, one for the disk, and the verdict when they have ended.

It takes no lock, so a daemon that lives goes on beside it; one key serves both, and a daemon whose nonces are overtaken
recovers from it. Nothing here waits for the disk before the first byte has left, and nothing slow is imported: whoever
calls this waits for it.
"""

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Final

from ..contract.commands import NO_REASON
from ..contract.ids import Venue
from ..contract.texts import REASON_BYTES, cleaned
from ..credentials import BadCredentials
from ..transport.plain import threads
from ..transport.plain.line import Dialler
from ..transport.secrecy import keep_memory_private
from ..verbs.exit_status import USAGE
from ..verbs.output import complain, say, say_json
from ..verbs.readable import Readable, read_what_can_be
from .keys import KeyFiles
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

    2 where there is nothing to cancel with: no venue that is enabled, or no configuration and no keys either. Whatever
    else is wrong with the configuration costs what it stands in; a line says so. reason: any text, or none.
    timeout_s: how long each venue is swept at most.
    """
    by_s = time.monotonic() + timeout_s
    keep_memory_private()
    found = read_what_can_be(config)
    keys = KeyFiles(found, config, os.environ)
    settings, venues = found.settings, keys.venues()
    if not venues:
        complain(_nothing_to_do(found, keys, config))
        return USAGE
    # A terminal or a connection that goes away must not end this half-way.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    state = Path(settings.state.dir)
    nonces = StoredNonces(state / "nonce-spot")
    dialler = Dialler(settings.tls.ca_file)
    reports = {venue: Report() for venue in venues}
    routes = Routes(settings, keys, dialler, nonces, reports)
    sweeps = {venue: threads.start(partial(_sweep, routes, venue, reports[venue], by_s), venue) for venue in venues}
    latching = Latching(state, cleaned(reason, REASON_BYTES) or NO_REASON)
    keeping = threads.start(partial(_keep, latching, nonces), "state")
    # While the connections are being made: they all will ask for it.
    dialler.trust()
    for remark in found.remarks:
        complain(remark)
    if not as_json:
        say(f"cancelling everything at {', '.join(venues)}; at most {timeout_s} s")
    # Who waits for his turn waits for the Spot key alone.
    under_spot_key = ("spot", "futures") if settings.futures.uws_url else ("spot",)
    threads.wait_for([sweep for venue, sweep in sweeps.items() if venue in under_spot_key], by_s + GRACE_S)
    nonces.end_turn()
    threads.wait_for(sweeps.values(), by_s + GRACE_S)
    disk_by_s = time.monotonic() + DISK_TIMEOUT_S
    if threads.wait_for([keeping], disk_by_s):
        # Not beside it: two writers of one file would share the unfinished one.
        threads.wait_for([threads.start(nonces.store, "nonce mark")], disk_by_s)
    exit_status = exit_status_of(reports)
    verdict = verdict_of(settings, latching, nonces, dialler, reports, keys.remarks)
    if as_json:
        say_json({**verdict, "remarks": [*found.remarks, *verdict["remarks"]]})
    else:
        print_table(verdict)
    return exit_status


def _nothing_to_do(found: Readable, keys: KeyFiles, config: str) -> str:
    why = f"{config}: no venue is enabled"
    if found.remarks:
        why = f"{found.remarks[0]}; and no keys are in {keys.in_words()}"
    return f"{why}: nothing was cancelled"


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
