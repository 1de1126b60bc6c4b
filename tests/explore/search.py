"""Every sequence of events, as long as it is asked for, from every state in which a venue may begin.

A sequence is played from its beginning. Where two come to the same state, only one is gone on from.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from multiprocessing import get_context
from typing import Final, TypeAlias

import structlog

from .daemon import Connection
from .events import STARTS, begin, events_of
from .kernel import by_hand
from .places import PLACES, Place
from .run import STEP_MS, Run
from .states import digest

Path: TypeAlias = tuple[str, ...]
"""Names of events, in their sequence."""

Job: TypeAlias = tuple[Place, str, tuple[Path, ...]]

LONGER: Final[tuple[Path, ...]] = (
    *(
        (trouble, "a kill", wait)
        for trouble in (
            "REST refuses the key",
            "REST is locked",
            "REST refuses connections",
            "sockets refused",
            "maintenance",
        )
        for wait in ("1.3 s pass", "6 s pass")
    ),
    ("REST refuses the key", "a kill", "a re-arm"),
    ("a kill", "a cancel", "a kill"),
    ("a kill", "1.3 s pass", "a kill"),
    ("no REST any more", "two frames that come next are swallowed", "a kill"),
    ("the active socket mute", "the other socket mute", "REST is silent"),
)
"""A venue that goes on refusing after the kill: its pauses grow meanwhile. And what shows in three steps alone."""

CHUNK: Final = 20
"""Paths whose continuations a process is given at once."""


class Found:
    """What an exploration came to: how many sequences were played, how many states they led to, and what is wrong."""

    def __init__(self) -> None:
        self.sequences = 0
        self.states = 0
        self.wrong: Counter[str] = Counter()
        self.first: dict[str, str] = {}

    def blame(self, venue: Place, start: str, path: Path, what: str) -> None:
        kind = f"{venue}: {re.sub(r'[0-9.]+ s', '… s', what)}"
        self.wrong[kind] += 1
        self.first.setdefault(kind, f"{venue} {start}: {', '.join(path) or 'nothing'}: {what}")

    def add(self, other: "Found") -> None:
        self.sequences += other.sequences
        self.states += other.states
        self.wrong += other.wrong
        for kind, first in other.first.items():
            self.first.setdefault(kind, first)

    def report(self) -> str:
        """What is wrong, most often first, each with its shortest sequence."""
        return "\n".join(f"{count:,} times: {self.first[kind]}" for kind, count in self.wrong.most_common())


def play(venue: Place, start: str, path: Iterable[str]) -> Run:
    """A run in which all of this has happened."""
    events = events_of(venue)
    run = Run(venue)
    begin(run, start)
    for name in path:
        events[name](run)
        run.advance(STEP_MS)
    return run


def judged(found: Found, venue: Place, start: str, path: Path, run: Run) -> None:
    """Hold a run to the promises of the kill, and end it."""
    try:
        run.judge()
    finally:
        run.end()
    found.sequences += 1
    # What goes wrong first may bring about the rest.
    for what in run.blamed[:1]:
        found.blame(venue, start, path, what)


def level(venue: Place, start: str, paths: Sequence[Path], seen: set[bytes], found: Found) -> list[Path]:
    """Go on from these paths by one event; the paths that led to states which nobody had seen."""
    new = []
    for path, name in product(paths, events_of(venue)):
        run = play(venue, start, (*path, name))
        state = digest(run)
        if state in seen:
            found.sequences += 1
            run.end()
            continue
        seen.add(state)
        new.append((*path, name))
        judged(found, venue, start, new[-1], run)
    return new


def last(job: Job) -> Found:
    """Go on from these paths by a last event. No state is written down: nobody goes on from it."""
    venue, start, paths = job
    found = Found()
    with by_hand(Connection):
        for path, name in product(paths, events_of(venue)):
            judged(found, venue, start, (*path, name), play(venue, start, (*path, name)))
    return found


def frontier(job: tuple[Place, str, int]) -> tuple[Place, str, list[Path], Found]:
    """All states that up to so many events lead to: the paths to those that take so many, and what was found."""
    venue, start, depth = job
    found = Found()
    with by_hand(Connection):
        run = play(venue, start, ())
        seen = {digest(run)}
        judged(found, venue, start, (), run)
        paths: list[Path] = [()]
        for _ in range(depth):
            paths = level(venue, start, paths, seen, found)
    found.states = len(seen)
    return venue, start, paths, found


def explore(depth: int, venues: Sequence[Place] = PLACES, processes: int | None = None) -> Iterator[Found]:
    """Every sequence of up to so many events; what each part came to, as it does."""
    with get_context("spawn").Pool(processes, initializer=hush) as pool:
        parts = pool.map(frontier, [(v, s, depth - 1) for v, s in product(venues, STARTS)], chunksize=1)
        jobs: list[Job] = []
        for venue, start, paths, found in parts:
            yield found
            jobs += [(venue, start, tuple(paths[at : at + CHUNK])) for at in range(0, len(paths), CHUNK)]
        yield from pool.imap_unordered(last, jobs)


def sampled(venue: Place, every: int) -> Found:
    """Every single event, each so-manieth pair, and some longer ones, from every state in which a venue may begin."""
    found = Found()
    events = events_of(venue)
    longer = [path for path in LONGER if events.keys() >= set(path)]
    paths: list[Path] = [(), *((name,) for name in events), *longer]
    pairs = list(product(STARTS, events, events))[::every]
    with by_hand(Connection):
        for start, path in [*product(STARTS, paths), *((start, pair) for start, *pair in pairs)]:
            judged(found, venue, start, tuple(path), play(venue, start, path))
    return found


def hush() -> None:
    """What the daemon tells its log is not wanted here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
