"""`canceld panic`: cancel everything at every enabled venue, with neither daemon nor ZeroMQ, and latch the kill switch.

For the day when the daemon is dead, hung or not believed. It takes no lock, so a daemon that lives goes on beside it;
one key serves both, and a daemon whose nonces are overtaken recovers from it. Nothing here waits for the disk before
the first byte has left, and nothing slow is imported: whoever calls this waits for it.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from .contract.ids import Venue
from .credentials import BadCredentials, Keys, load_venue
from .engine.latch import REASON_CHARS, Latch, Switch, format_latch, parse_latch
from .engine.nonces import Nonces, format_mark, parse_mark
from .panic_venues import FirstThatWorks, FuturesRoute, PrimeRoute, Report, RestDoor, Route, SpotRoute, UnifiedRoute
from .panic_venues import sweep as sweep_venue
from .settings import REST_SCHEMES, WEBSOCKET_SCHEMES, BadSettings, Settings, address_of, read
from .transport.files import DiskFailed, read_regular, replace
from .transport.plain import threads
from .transport.plain.line import Dialler
from .venues.prime_ws import TAG_CHARS

DONE: Final = 0
NOT_DONE: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3

GRACE_S: Final = 1.0
"""What a venue's last step may take past its bound before the result is told without it."""

DISK_TIMEOUT_S: Final = 5.0
"""The longest that a hanging disk holds up the end. It never holds up the cancels."""

NONCE_GROWTH: Final = 64
"""A daemon that lives sweeps as soon as it is latched, with the same key. Overtaken before, it may be minutes ahead of
its mark and jump by as much: so few refusals catch up with it."""

MARK_PATIENCE_S: Final = 0.25
"""The longest that the first nonce waits for the daemon's mark; not known, it costs a head start (engine.nonces)."""

STATE_FILE_BYTES: Final = 64 * 1024
"""Largest latch or nonce file that is read; ours have a few hundred bytes."""


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
    told = _told(settings, reason, latching, nonces, dialler, reports)
    if as_json:
        print(json.dumps(told))
    else:
        _print_table(told)
    return _status(reports)


def _complain(text: str) -> int:
    print(f"canceld: {text}", file=sys.stderr)
    return USAGE


def _status(reports: Mapping[Venue, Report]) -> int:
    states = {report.state for report in reports.values()}
    # What is known to rest is the worse news, and the one that can be acted on.
    if "residual" in states:
        return NOT_DONE
    return UNREACHABLE if "unreachable" in states else DONE


# ---------------------------------------------------------------- the venues


def _sweep(routes: "Routes", venue: Venue, report: Report, by_s: float) -> None:
    """One venue's thread. Whatever goes wrong here stays here: the other venues must not hear of it."""
    try:
        sweep_venue(routes.to(venue), report, by_s)
    except BadCredentials as error:
        report.why = str(error)
    except Exception as error:
        # The name alone: the text of an error that nobody foresaw could hold anything.
        report.why = f"a fault of this program: {type(error).__name__}"


class Routes:
    """Makes the way to each venue, from the configuration and the key files. Called by the venues' threads."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        dialler: Dialler,
        nonces: "StoredNonces",
        reports: Mapping[Venue, Report],
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._dialler = dialler
        self._reports = reports
        # One door for whoever uses the Spot key: nonces must arrive in sequence.
        self._spot_door = RestDoor(dialler, address_of(settings.spot.rest_url, REST_SCHEMES, "spot.rest_url"), nonces)

    def to(self, venue: Venue) -> Route:
        """The way to one venue. Raises BadCredentials."""
        makers: dict[Venue, Callable[[Report], Route]] = {
            "spot": self._spot,
            "prime": self._prime,
            "futures": self._futures,
        }
        return makers[venue](self._reports[venue])

    def _spot(self, report: Report) -> Route:
        return SpotRoute(self._spot_door, self._keys("spot"), report)

    def _prime(self, report: Report) -> Route:
        address = address_of(self._settings.prime.ws_url, WEBSOCKET_SCHEMES, "prime.ws_url")
        tag = os.urandom(TAG_CHARS).hex()[:TAG_CHARS]
        return PrimeRoute(self._dialler, address, self._keys("prime"), tag, report)

    def _futures(self, report: Report) -> Route:
        """The API of Futures itself, and behind it the Unified WebSocket where one is named."""
        futures = self._settings.futures
        routes: list[Route] = []
        missing: list[BadCredentials] = []
        try:
            address = address_of(futures.rest_url, REST_SCHEMES, "futures.rest_url")
            routes.append(FuturesRoute(RestDoor(self._dialler, address, None), self._keys("futures"), report))
        except BadCredentials as error:
            missing.append(error)
        if futures.uws_url:
            try:
                address = address_of(futures.uws_url, WEBSOCKET_SCHEMES, "futures.uws_url")
                routes.append(UnifiedRoute(self._dialler, address, self._spot_door, self._keys("spot"), report))
            except BadCredentials as error:
                missing.append(error)
        if not routes:
            raise BadCredentials("; ".join(map(str, missing)))
        return FirstThatWorks(routes)

    def _keys(self, venue: Venue) -> Keys:
        return load_venue(self._settings, self._environ, venue)


# ---------------------------------------------------------------- the state directory


class StoredNonces:
    """Nonces of the Spot key above the mark that the daemon keeps on disk, and the mark raised for its next start."""

    def __init__(self, path: Path) -> None:
        self.fault: str | None = None
        self._path = path
        self._guard = threading.Lock()
        self._nonces: Nonces | None = None
        self._mark: int | None = None
        self._reading = threads.start(self._read, "read the nonce mark")

    def draw(self) -> int:
        """The next nonce."""
        with self._guard:
            return self._source().draw(time.time_ns())

    def overtaken(self) -> None:
        """The venue has seen a higher one, most often the daemon's: go on above it."""
        with self._guard:
            self._source().overtaken(time.time_ns())

    def store(self) -> None:
        """Raise the mark on disk above the nonces in use; it is never lowered. What went wrong is left in `fault`."""
        with self._guard:
            mark = self._source().mark_to_store()
        if mark is None:
            return
        try:
            # A mark that is there and cannot be read may be higher than ours.
            on_disk = parse_mark(_content(self._path))
            if on_disk is None or on_disk < mark:
                replace(self._path, format_mark(mark))
        except (DiskFailed, OSError) as error:
            self.fault = _in_words(error)
            return
        with self._guard:
            self._source().stored(mark)

    def _source(self) -> Nonces:
        if self._nonces is None:
            threads.wait_for([self._reading], time.monotonic() + MARK_PATIENCE_S)
            self._nonces = Nonces(self._mark, time.time_ns(), growth=NONCE_GROWTH)
        return self._nonces

    def _read(self) -> None:
        try:
            self._mark = parse_mark(_content(self._path))
        except (DiskFailed, OSError) as error:
            self.fault = _in_words(error)


class Latching:
    """The kill switch's latch, put into the state directory. `latched` once it is durable, `fault` when it is not."""

    def __init__(self, state: Path, reason: str) -> None:
        self.latched = False
        self.fault: str | None = "the disk has not answered"
        self._state = state
        self._reason = reason

    def run(self) -> None:
        """Write the latch, and the trigger by which a daemon that runs hears of it at once."""
        who = f"uid {os.getuid()} pid {os.getpid()}"
        mine = Latch(trigger="panic", reason=self._reason, who=who, utc_ns=time.time_ns())
        path = self._state / "latch"
        try:
            found = _existing(path)
            # The first cause of a latch is what an operator has to look into: it is kept, and widened to every venue.
            latch = Switch(None if found is None or found.trigger == "unreadable" else found).trip(mine)
            if latch != found:
                replace(path, format_latch(latch))
            self.latched, self.fault = True, None
            replace(self._state / "kill", f"panic: {self._reason}\n".encode(errors="replace"))
        except (DiskFailed, OSError) as error:
            self.fault = _in_words(error)


def _existing(path: Path) -> Latch | None:
    try:
        return parse_latch(_content(path))
    except DiskFailed:
        # Something is there that cannot be read: a latch, as far as any daemon is concerned. Ours takes its place.
        return None


def _keep(latching: Latching, nonces: StoredNonces) -> None:
    latching.run()
    nonces.store()


def _content(path: Path) -> bytes | None:
    """A state file; None when there is none. Raises DiskFailed."""
    try:
        return read_regular(path, STATE_FILE_BYTES)[0]
    except FileNotFoundError:
        return None


def _in_words(error: DiskFailed | OSError) -> str:
    if isinstance(error, DiskFailed):
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)


# ---------------------------------------------------------------- what is told


def _told(
    settings: Settings,
    reason: str,
    latching: Latching,
    nonces: StoredNonces,
    dialler: Dialler,
    reports: Mapping[Venue, Report],
) -> dict[str, Any]:
    remarks = []
    if "futures" in reports and reports["futures"].state == "unreachable" and not settings.futures.uws_url:
        remarks.append("futures.uws_url is not set: there is no second way to Futures")
    if nonces.fault is not None:
        remarks.append(f"the nonce mark: {nonces.fault}")
    if dialler.trust_fault is not None:
        remarks.append(f"tls.ca_file is left out: {dialler.trust_fault}")
    return {
        "type": "panic",
        "reason": reason,
        "latched": latching.latched,
        "latch_error": latching.fault,
        "venues": {venue: _venue(report) for venue, report in reports.items()},
        "remarks": remarks,
    }


def _venue(report: Report) -> dict[str, Any]:
    return {
        "state": report.state,
        "canceled": report.canceled,
        "residual": list(report.residual),
        "took_ms": None if report.took_s is None else round(report.took_s * 1000),
        "tried": dict(report.tried),
        "error": report.why,
    }


def _print_table(told: dict[str, Any]) -> None:
    fault = told["latch_error"]
    print(f"kill switch {'latched' if told['latched'] else 'NOT latched'}{'' if fault is None else f': {fault}'}")
    rows = [["venue", "state", "canceled", "residual", "took"]]
    for venue, part in told["venues"].items():
        # Where nothing is known, nothing is not the number that rests.
        residual = "?" if part["state"] == "unreachable" else str(len(part["residual"]))
        took = "" if part["took_ms"] is None else f"{part['took_ms']} ms"
        rows.append([venue, part["state"], str(part["canceled"]), residual, took])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for venue, part in told["venues"].items():
        for order_id in part["residual"]:
            print(f"{venue} still rests: {order_id}")
        if part["state"] != "flat":
            tried = ", ".join(f"{step} x{times}" for step, times in part["tried"].items()) or "nothing"
            print(f"{venue} {part['state']}: {_printable(part['error'] or 'out of time')}; tried: {tried}")
    for remark in told["remarks"]:
        print(f"note: {remark}")


def _printable(text: str) -> str:
    """A venue's words, without what could steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
