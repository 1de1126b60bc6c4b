"""Takes the signals before anything else is imported, and keeps them until there is a daemon to heed them.

The daemon's libraries take a quarter of a second to load. A SIGUSR1 that came meanwhile would end the process, as is
its default, with nothing latched. So this module imports `signal` alone; even `typing` would double its time.
"""

import signal

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""Those that the daemon heeds; signals.py says what each means."""

_kept: list[int] = []
"""In the sequence of their arrival, each once. One list: a process has one set of handlers."""


def take_early() -> None:
    """Keep signals from here on; main thread only. A starter may have blocked them until now, so that none is lost."""
    for number in NUMBERS:
        signal.signal(number, lambda heard, _: keep(heard))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)


def kept() -> list[int]:
    """The signals that nobody heeded yet, for the caller to heed or to hand back with `keep`."""
    numbers = _kept.copy()
    _kept.clear()
    return numbers


def keep(number: int) -> None:
    """One more, unless it is kept already."""
    if number not in _kept:
        _kept.append(number)
