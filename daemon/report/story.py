"""The story of a stretch of the record: sessions, kills, alerts, latencies, and the way of every order. Pure.

What must never happen here: a line of the record left out without saying so.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

ORDERS_LIMIT: Final = 2_000
"""Most orders whose way is shown: a page that a browser opens at once. Those with trouble come first."""

STEPS_LIMIT: Final = 200
"""Most lines in one order's way: a stream can repeat an order many times."""

PENDING_LIMIT: Final = 100_000
"""Most requests remembered until their answers, which may name the request alone."""

TROUBLE: Final = ("unknown", "rejected", "refused")
"""Outcomes after which an order may rest, or that nobody expected."""

_NAMES: Final = ("order_id", "cl_ord_id", "userref")
_REQID: Final = re.compile(r'"req_?id":(\d+)')
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,63}")

Record = Mapping[str, Any]


class Span(NamedTuple):
    """One state of a session or of the kill switch. Times are Unix seconds; `why` is the daemon's own word."""

    begun_s: float
    ended_s: float
    state: str
    why: str


class Step(NamedTuple):
    """One line of the record on an order's way."""

    at_s: float
    kind: str
    text: str


class Way(NamedTuple):
    """One order, from the first command that named it. outcomes: in their sequence."""

    venue: str
    name: str
    begun_s: float
    outcomes: tuple[str, ...]
    steps: tuple[Step, ...]
    left_out: int

    @property
    def troubled(self) -> bool:
        """Whether its cancel ended in a way that somebody should look at."""
        return any(outcome in TROUBLE for outcome in self.outcomes)


class Answered(NamedTuple):
    """How long one cancel took, from receipt to answer."""

    at_s: float
    venue: str
    route: str
    outcome: str
    took_ms: float


class Story:
    """Everything that the page tells. Filled by `take`, one record after another, oldest first; then `end` once."""

    def __init__(self) -> None:
        self.begun_s = 0.0
        self.ended_s = 0.0
        self.lines = 0
        self.starts: list[Record] = []
        self.kills: list[Record] = []
        self.alerts: list[Record] = []
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.answered: list[Answered] = []
        self.spans: dict[str, list[Span]] = {}
        self.orders_left_out = 0
        self._open: dict[str, tuple[float, str, str]] = {}
        self._ways: dict[tuple[str, str], list[Step]] = {}
        self._left_out: Counter[tuple[str, str]] = Counter()
        self._told: dict[tuple[str, str], list[str]] = {}
        self._by_command: dict[str, list[tuple[str, str]]] = {}
        self._by_word: dict[str, tuple[str, str]] = {}
        self._by_request: dict[str, list[tuple[str, str]]] = {}

    # ---------------------------------------------------------------- reading

    def take(self, record: Record) -> None:
        """One line of the record."""
        at_s = seconds(str(record["ts"]))
        self.begun_s = self.begun_s or at_s
        self.ended_s = max(self.ended_s, at_s)
        self.lines += 1
        kind = str(record["kind"])
        if kind == "start":
            self.starts.append(record)
            # A process that ended by itself has told of no session's end.
            self._close_all(at_s)
        elif kind == "stop":
            self._close_all(at_s)
        elif kind == "session":
            self._state(str(record.get("name")), str(record.get("state")), str(record.get("why") or ""), at_s)
        elif kind in ("kill", "rearm"):
            self._kill(record, at_s)
        elif kind == "alert":
            self.alerts.append(record)
        if kind in ("command", "outcome", "late", "decision", "frame_out", "frame_in"):
            self._step(record, kind, at_s)

    def end(self) -> None:
        """No more records."""
        self._close_all(self.ended_s)

    def _state(self, name: str, state: str, why: str, at_s: float) -> None:
        begun = self._open.pop(name, None)
        if begun is not None and at_s > begun[0]:
            self.spans.setdefault(name, []).append(Span(begun[0], at_s, begun[1], begun[2]))
        self.spans.setdefault(name, [])
        self._open[name] = (at_s, state, why)

    def _close_all(self, at_s: float) -> None:
        for name, (begun_s, state, why) in self._open.items():
            self.spans[name].append(Span(begun_s, at_s, state, why))
        self._open.clear()

    def _kill(self, record: Record, at_s: float) -> None:
        self.kills.append(record)
        if record.get("state") == "latched":
            self._state("kill switch", "latched", str(record.get("reason") or ""), at_s)
        elif record.get("state") == "rearmed" or record.get("latched") is False:
            self._state("kill switch", "armed", "", at_s)

    # ---------------------------------------------------------------- orders

    def _step(self, record: Record, kind: str, at_s: float) -> None:
        step = Step(at_s, kind, text_of(record))
        if kind == "command":
            keys = [(str(record.get("venue", "")), name) for name in _names_in(record)]
            self._by_command[str(record.get("id"))] = keys
            for key in keys:
                self._by_word[key[1]] = key
        elif kind in ("frame_out", "frame_in"):
            keys = self._of_frame(record)
        else:
            keys = [(str(record.get("venue", "")), name) for name in _names_in(record)]
            keys = keys or self._by_command.get(str(record.get("id")), [])
        if kind == "outcome":
            self._outcome(record, keys, at_s)
        for key in dict.fromkeys(keys):
            steps = self._ways.setdefault(key, [])
            if len(steps) < STEPS_LIMIT:
                steps.append(step)
            else:
                self._left_out[key] += 1

    def _outcome(self, record: Record, keys: Iterable[tuple[str, str]], at_s: float) -> None:
        outcome, venue = str(record.get("outcome")), str(record.get("venue", ""))
        self.outcomes[venue, outcome] += 1
        for key in keys:
            self._told.setdefault(key, []).append(outcome)
        received_ns, answered_ns = record.get("received_ns"), record.get("answered_ns")
        if isinstance(received_ns, int) and isinstance(answered_ns, int) and answered_ns >= received_ns:
            took_ms = (answered_ns - received_ns) / 1e6
            self.answered.append(Answered(at_s, venue, str(record.get("route")), outcome, took_ms))

    def _of_frame(self, record: Record) -> list[tuple[str, str]]:
        """The orders that a frame names, or whose request it answers."""
        frame = f"{record.get('asked', '')} {record.get('frame', '')}"
        request = _request_of(record, frame)
        keys = [key for word in dict.fromkeys(_WORD.findall(frame)) if (key := self._by_word.get(word)) is not None]
        if request is None:
            return keys
        if keys and record["kind"] == "frame_out" and len(self._by_request) < PENDING_LIMIT:
            self._by_request[request] = keys
        return keys or self._by_request.get(request, [])

    def ways(self) -> Iterator[Way]:
        """The orders, those with trouble first, each group in the sequence of their first commands."""
        ways = [
            Way(
                venue,
                name,
                steps[0].at_s,
                tuple(self._told.get((venue, name), ())),
                tuple(steps),
                self._left_out[venue, name],
            )
            for (venue, name), steps in self._ways.items()
        ]
        ways.sort(key=lambda way: (not way.troubled, way.begun_s))
        self.orders_left_out = max(0, len(ways) - ORDERS_LIMIT)
        yield from ways[:ORDERS_LIMIT]


def seconds(ts: str) -> float:
    """Unix seconds of a record's time."""
    return datetime.fromisoformat(ts).timestamp()


def text_of(record: Record) -> str:
    """What a line says, without its place in the chain and the times that only machines compare."""
    hidden = {"n", "ts", "kind", "prev", "type", "monotonic_ns"}
    shown = [
        f"{name}={value}" for name, value in record.items() if name not in hidden and not str(name).endswith("_ns")
    ]
    return " ".join(shown)


def _names_in(record: Record) -> list[str]:
    named = [str(record[name]) for name in _NAMES if record.get(name) is not None]
    for order in record.get("orders") or ():
        if isinstance(order, dict):
            named += [str(order[name]) for name in _NAMES if order.get(name) is not None]
    return named[:1] if "orders" not in record else named


def _request_of(record: Record, frame: str) -> str | None:
    if "call" in record:
        return f"{record.get('session')} {record['call']}"
    reqid = _REQID.search(frame)
    return None if reqid is None else reqid[1]
