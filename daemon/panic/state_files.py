"""What `panic` leaves in the state directory: the latch, the trigger for a daemon that lives, and the nonce mark."""

import fcntl
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..engine.latch import Latch, Switch, format_latch, parse_latch
from ..engine.nonces import Nonces, format_mark, parse_mark
from ..transport.files import DiskFailed, read_regular, replace
from ..transport.plain import threads

NONCE_GROWTH: Final = 64
"""A daemon that lives sweeps as soon as it is latched, with the same key. Overtaken before, it may be minutes ahead of
its mark and jump by as much: so few refusals catch up with it."""

MARK_PATIENCE_S: Final = 0.25
"""The longest that the first nonce waits for the daemon's mark; not known, it costs a head start (engine.nonces)."""

TURN_PATIENCE_S: Final = 1.0
"""The longest that one panic waits for another with the same state directory: as long as it takes with all in order."""

TURN_LOOK_S: Final = 0.005

STATE_FILE_BYTES: Final = 64 * 1024
"""Largest latch or nonce file that is read; ours have a few hundred bytes."""


class StoredNonces:
    """Nonces of the Spot key above the mark that the daemon keeps on disk, and the mark raised for its next start.

    Two panics at once would overtake each other's nonces. They take turns: the second one's first nonce waits, within
    a bound, until the first has left its mark. The lock is the state directory's own, since a last resort must not
    need a file that it may not make, and goes with the process.
    """

    def __init__(self, path: Path) -> None:
        self.fault: str | None = None
        self._turn: int | None = None
        self._waits = threading.Event()
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

    def taken(self) -> None:
        """The venue took the last one."""
        with self._guard:
            self._source().taken()

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
            read = threads.wait_for([self._reading], time.monotonic() + MARK_PATIENCE_S)
            if not read and self._waits.is_set():
                threads.wait_for([self._reading], time.monotonic() + TURN_PATIENCE_S)
            self._nonces = Nonces(self._mark, time.time_ns(), growth=NONCE_GROWTH)
        return self._nonces

    def end_turn(self) -> None:
        """Let the next panic go on. The end of the process does the same."""
        if self._turn is not None:
            os.close(self._turn)
            self._turn = None

    def _take_turn(self) -> None:
        self._turn = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        by_s = time.monotonic() + TURN_PATIENCE_S
        while True:
            try:
                return fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._waits.set()
            if time.monotonic() >= by_s:
                return None  # it may hang; a nonce that is overtaken is mended sooner than an order that rests
            time.sleep(TURN_LOOK_S)

    def _read(self) -> None:
        with suppress(OSError):
            self._take_turn()
        try:
            self._mark = parse_mark(_content(self._path))
        except (DiskFailed, OSError) as error:
            self.fault = _in_words(error)


class Latching:
    """The kill switch's latch, put into the state directory. `latched` once it is durable, `fault` when it is not."""

    def __init__(self, state: Path, reason: str) -> None:
        self.latched = False
        self.fault: str | None = "the disk has not answered"
        self.reason = reason
        self._state = state

    def run(self) -> None:
        """Write the latch, and the trigger by which a daemon that runs hears of it at once."""
        who = f"uid {os.getuid()} pid {os.getpid()}"
        mine = Latch(trigger="panic", reason=self.reason, who=who, utc_ns=time.time_ns())
        path = self._state / "latch"
        try:
            found = _existing(path)
            # The first cause of a latch is what an operator has to look into: it is kept, and widened to every venue.
            latch = Switch(None if found is None or found.trigger == "unreadable" else found).trip(mine)
            if latch != found:
                replace(path, format_latch(latch))
            self.latched, self.fault = True, None
            replace(self._state / "kill", f"panic: {self.reason}\n".encode(errors="replace"))
        except (DiskFailed, OSError) as error:
            self.fault = _in_words(error)


def _existing(path: Path) -> Latch | None:
    try:
        return parse_latch(_content(path))
    except DiskFailed:
        # Something is there that cannot be read: a latch, as far as any daemon is concerned. Ours takes its place.
        return None


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
