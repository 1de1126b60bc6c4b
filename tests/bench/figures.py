"""Figures of alternating rounds, and the table they end in."""

import math
import platform
from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from os import cpu_count
from statistics import median
from typing import Final, NamedTuple

LIBRARIES: Final = ("trio", "trio-websocket", "pyzmq", "msgspec", "ccxt", "httpx")


def percentile(values: Iterable[float], percent: float) -> float:
    """The value that `percent` of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


class Rounds:
    """What each party's rounds measured. A figure is the median over its rounds, so that one bad moment counts once."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], list[float]] = defaultdict(list)

    def add(self, party: str, figure: str, value: float) -> None:
        self._values[party, figure].append(value)

    def has(self, party: str, figure: str) -> bool:
        return (party, figure) in self._values

    def figure(self, party: str, figure: str) -> float:
        return median(self._values[party, figure])

    def ratio(self, figure: str, party: str, to: str) -> float:
        """One party's figure over another's."""
        return self.figure(party, figure) / self.figure(to, figure)


class Row(NamedTuple):
    """One line of the table. `met` is None where there is no goal, or nothing to compare with."""

    measure: str
    goal: str
    measured: str
    met: bool | None

    @classmethod
    def at_most(cls, measure: str, value: float, goal: float, unit: str = "", *, details: str = "") -> "Row":
        """A figure that must not be larger than its goal."""
        return cls(measure, f"≤ {goal:g}{unit}", f"{value:.2f}{unit}{details}", value <= goal)

    @classmethod
    def at_least(cls, measure: str, value: float, goal: float, unit: str = "", *, details: str = "") -> "Row":
        """A figure that must not be smaller than its goal."""
        return cls(measure, f"≥ {goal:g}{unit}", f"{value:.2f}{unit}{details}", value >= goal)

    @classmethod
    def left_out(cls, measure: str, goal: str, why: str) -> "Row":
        """A figure that could not be had here."""
        return cls(measure, goal, why, None)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def verdicts(rows: Iterable[Row]) -> str:
    """The table of goals."""
    return f"{table(['measure', 'goal', 'measured', 'met'], [])}\n{lines_of(rows)}"


def lines_of(rows: Iterable[Row]) -> str:
    """More lines of that table."""
    marks = {True: "met", False: "**missed**", None: ""}
    return "\n".join(f"| {row.measure} | {row.goal} | {row.measured} | {marks[row.met]} |" for row in rows)


def machine() -> str:
    """What the figures were taken on."""
    libraries = []
    for name in LIBRARIES:
        try:
            libraries.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            libraries.append(f"no {name}")
    system = f"{cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{system}, {', '.join(libraries)}"
