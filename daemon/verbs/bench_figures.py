"""What a bench measured: the stages of each cancel, and their quantiles. No socket, no clock."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

QUANTILES: Final = (50.0, 90.0, 99.0, 99.9)

NS_PER_US: Final = 1000


class Timed(NamedTuple):
    """One cancel; all times CLOCK_MONOTONIC ns, None for what did not happen or nobody told.

    asked_ns, here_ns: this process asked, and had the answer. received_ns, sent_ns, answered_ns: the daemon read the
    command, gave the first byte to the venue, and had its conclusive answer. arrived_ns: the venue had the request,
    which the simulated one tells. ended_ns: the daemon published that the order had ended.
    """

    order_id: str
    outcome: str
    asked_ns: int
    received_ns: int | None
    sent_ns: int | None
    answered_ns: int | None
    here_ns: int
    arrived_ns: int | None = None
    ended_ns: int | None = None


class Stage(NamedTuple):
    """A stretch of a cancel's way; `meaning` is for people."""

    name: str
    meaning: str
    begins: str
    ends: str


STAGES: Final = (
    Stage("ipc", "asked → the daemon has it", "asked_ns", "received_ns"),
    Stage("queue", "in the daemon → first byte out", "received_ns", "sent_ns"),
    Stage("send", "first byte out → the venue has it", "sent_ns", "arrived_ns"),
    Stage("ack", "the venue has it → its answer here", "arrived_ns", "answered_ns"),
    Stage("settle", "first byte out → nothing is there", "sent_ns", "answered_ns"),
    Stage("reply", "the venue's answer → the strategy", "answered_ns", "here_ns"),
    Stage("whole", "asked → answer", "asked_ns", "here_ns"),
    Stage("order event", "asked → the order's end is told", "asked_ns", "ended_ns"),
)
"""In their order on the way. Where the venue does not tell when it had the request, `settle` is told for both.
Of an order that cannot exist it is longer than both: the daemon waits for one that may yet appear, and asks again."""


class Figures(NamedTuple):
    """One stage over all cancels that had it, µs. A quantile that fewer than one value lies beyond is None: it would
    be the maximum under another name."""

    number: int
    quantiles: Mapping[float, float | None]
    most: float


def durations(cancels: Sequence[Timed]) -> dict[Stage, list[float]]:
    """How long each stage took, µs; a stage that no cancel had is left out. A negative time counts as none."""
    told = any(one.arrived_ns is not None for one in cancels)
    found: dict[Stage, list[float]] = {}
    for stage in STAGES:
        if stage.name == "settle" and told:
            continue
        took = [
            max(ends - begins, 0) / NS_PER_US
            for one in cancels
            if (begins := getattr(one, stage.begins)) is not None and (ends := getattr(one, stage.ends)) is not None
        ]
        if took:
            found[stage] = took
    return found


def quantile(ordered: Sequence[float], percent: float) -> float:
    """The least of the values, which are in order, that `percent` of them do not exceed."""
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def figures(values: Sequence[float]) -> Figures:
    """The figures of at least one value."""
    ordered = sorted(values)
    # Rounded: 0.1 % of 1,000 is a little less than one in floating point.
    beyond = {percent: round(len(ordered) * (100 - percent) / 100, 6) for percent in QUANTILES}
    return Figures(
        len(ordered),
        {percent: quantile(ordered, percent) if beyond[percent] >= 1 else None for percent in QUANTILES},
        ordered[-1],
    )


def rows(found: Mapping[Stage, Sequence[float]]) -> list[list[str]]:
    """The table for people, µs."""
    head = ["stage", "", "count", *(f"p{percent:g}" for percent in QUANTILES), "max µs"]
    lines = [head]
    for stage, values in found.items():
        of = figures(values)
        told = ("-" if one is None else f"{one:.0f}" for one in of.quantiles.values())
        lines.append([stage.name, stage.meaning, str(of.number), *told, f"{of.most:.0f}"])
    return lines


def maps(found: Mapping[Stage, Sequence[float]]) -> dict[str, dict[str, Any]]:
    """The same for programs: by stage, `count`, `p50_us` … `p99.9_us` (null where there are too few), `max_us`."""
    return {
        stage.name: {
            "count": (of := figures(values)).number,
            **{f"p{percent:g}_us": value for percent, value in of.quantiles.items()},
            "max_us": of.most,
        }
        for stage, values in found.items()
    }
