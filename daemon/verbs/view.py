"""The picture that `canceld watch` draws: what has been heard of one daemon, as lines. It touches nothing."""

import json
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from ..contract.outcomes import NAMES
from ..contract.plain_text import plain
from .output import NS_PER_MS, in_columns
from .status import reasons

MINUTE_S: Final = 60
EVENTS_KEPT: Final = 200
"""More than the highest terminals have lines."""

ALERTS_SHOWN: Final = 6

GOOD_STATES: Final = frozenset({"up", "live", "good", "flat", "armed"})

Style = Literal["plain", "bold", "dim", "good", "warn", "bad"]

_UNSHOWN: Final = frozenset({"type", "ts", "monotonic_ns", "id"})
"""Members of an event that are not in its line, or not a second time."""

_NAMES: Final = ("order_id", "cl_ord_id", "userref")

_OUTCOME_STYLES: Final[dict[str, Style]] = {"unknown": "bad", "rejected": "warn", "refused": "warn"}


class Line(NamedTuple):
    """A line of the picture. Its style is for all of it."""

    style: Style
    text: str


class View:
    """What has been heard of one daemon, and the picture of it. Times are seconds of any one monotonic clock."""

    def __init__(self) -> None:
        self._status: dict[str, Any] = {}
        self._answered_s = 0.0
        self._why: str | None = None
        self._events: deque[Line] = deque(maxlen=EVENTS_KEPT)
        self._seconds: deque[tuple[int, Counter[str]]] = deque(maxlen=MINUTE_S + 1)

    def answered(self, status: dict[str, Any], now_s: float) -> None:
        """The daemon's reply to a `status`."""
        self._status = status
        self._answered_s = now_s
        self._why = None

    def silent(self, why: str) -> None:
        """It did not answer."""
        self._why = why

    def heard(self, topic: str, event: dict[str, Any], now_s: float) -> None:
        """An event of the event socket."""
        kind = topic.partition(".")[0]
        if kind == "order":
            return  # every cancel that works is told of twice: the outcome says more
        if kind == "outcome":
            second = int(now_s)
            if not self._seconds or self._seconds[-1][0] != second:
                self._seconds.append((second, Counter()))
            self._seconds[-1][1][str(event.get("outcome"))] += 1
        self._events.append(_event_line(topic, event))

    def picture(self, width: int, height: int, now_s: float, clock: str) -> list[Line]:
        """The whole picture: at most `height` lines of at most `width` characters. clock: the time of day."""
        lines = [*self._head(width, now_s, clock), Line("plain", "")]
        lines += self._venues()
        lines += self._totals(now_s)
        lines += self._alerts()
        room = height - len(lines) - 2
        if room > 0:
            lines += [Line("plain", ""), Line("bold", "events")]
            lines += list(self._events)[-room:] or [Line("dim", "none yet")]
        return [Line(line.style, plain(line.text)[:width]) for line in lines[:height]]

    def _head(self, width: int, now_s: float, clock: str) -> Iterator[Line]:
        status = self._status
        state = status.get("state", "")
        told = f"canceld {status.get('version', '')}  {state}  in flight {status.get('in_flight', '')}"
        yield Line("bold" if state == "serving" else "warn", told + clock.rjust(width - len(told)))
        if self._why is not None:
            yield Line("bad", f"NO ANSWER for {now_s - self._answered_s:.0f} s: {self._why}")
        kill: dict[str, Any] = status.get("kill") or {}
        if not kill.get("latched"):
            yield Line("good", "kill switch armed")
            return
        by = " ".join(filter(None, (kill.get("trigger"), kill.get("who"))))
        yield Line("bad", f"KILL SWITCH LATCHED since {kill.get('at')} by {by}: {kill.get('reason')}")
        for venue, part in (kill.get("venues") or {}).items():
            rests = len(part.get("residual") or ())
            state = part.get("state", "")
            text = f"  {venue}  {state}  {part.get('canceled') or 0} canceled{f'  {rests} still rest' if rests else ''}"
            yield Line("good" if state == "flat" else "bad", text)

    def _venues(self) -> Iterator[Line]:
        venues: dict[str, Any] = self._status.get("venues") or {}
        rows = [["venue", "state", "mode", "open", "rest", "sessions"], *(_row(*item) for item in venues.items())]
        styles: dict[str, Style] = {"state": "bold", "up": "good", "down": "bad"}
        for row, text in zip(rows, in_columns(rows), strict=True):
            yield Line(styles.get(row[1], "warn"), text)
        for venue, part in venues.items():
            for reason in reasons(part):
                yield Line("warn", f"{venue}  {reason}")

    def _totals(self, now_s: float) -> Iterator[Line]:
        total: Counter[str] = Counter()
        for second, counts in self._seconds:
            if second > now_s - MINUTE_S:
                total += counts
        told = "  ".join(f"{name} {total[name]:,}" for name in NAMES.values())
        yield Line("plain", "")
        yield Line("warn" if any(total[name] for name in _OUTCOME_STYLES) else "plain", f"last minute  {told}")
        leases = self._status.get("leases") or []
        timers: dict[str, Any] = self._status.get("deadman") or {}
        armed = [f"{venue} {timer.get('state', '')}" for venue, timer in timers.items()]
        if leases or armed:
            yield Line("plain", f"leases {len(leases)}  dead man's timers {', '.join(armed) or 'none'}")

    def _alerts(self) -> Iterator[Line]:
        alerts: list[dict[str, Any]] = self._status.get("alerts") or []
        if alerts:
            yield Line("plain", "")
            yield Line("bold", "alerts")
        for alert in alerts[-ALERTS_SHOWN:]:
            text = f"{alert.get('ts', '')[11:19]}  {alert.get('what', '')}; {alert.get('do', '')}"
            yield Line("bad" if alert.get("severity") == "critical" else "warn", text)


def _row(venue: str, part: dict[str, Any]) -> list[str]:
    sessions = []
    for one in part.get("sessions") or []:
        trip_us = one.get("round_trip_us")
        trip = f" {trip_us / 1000:.1f} ms" if trip_us and one.get("state") == "live" else ""
        sessions.append(f"{one.get('name', '?')} {one.get('state', '?')}{trip}")
    rest = part.get("rest")
    rest_state = str(rest.get("state", "") if isinstance(rest, dict) else rest or "-")
    mode, rests = part.get("mode"), part.get("open_orders")
    shown = [venue, part.get("state", ""), "-" if mode in (None, "unknown") else mode, "-" if rests is None else rests]
    return [str(cell) for cell in (*shown, rest_state, "  ".join(sessions))]


def _event_line(topic: str, event: dict[str, Any]) -> Line:
    when = str(event.get("ts", ""))[11:23]
    kind = topic.partition(".")[0]
    style: Style = "plain"
    if kind in ("outcome", "late"):
        outcome = str(event.get("outcome", ""))
        style = _OUTCOME_STYLES.get(outcome, "plain")
        target = next((str(event[name]) for name in _NAMES if name in event), "everything")
        took = ""
        if "received_ns" in event and "answered_ns" in event:
            took = f"{(event['answered_ns'] - event['received_ns']) / NS_PER_MS:.1f} ms"
        why = str(event.get("detail") or event.get("error") or "")
        told = "  ".join(filter(None, [target, outcome, str(event.get("route", "")), took, why]))
    elif kind == "alert":
        style = "bad" if event.get("severity") == "critical" else "warn"
        told = f"{event.get('what', '')}; {event.get('do', '')}"
    else:
        if event.get("state") in GOOD_STATES:
            style = "good"
        elif kind == "kill":
            style = "bad"
        shown = [name for name in event if name not in _UNSHOWN and not (name == "venue" and "." in topic)]
        told = "  ".join(f"{name} {_short(event[name])}" for name in shown)
    return Line(style, f"{when}  {topic:<16}  {told}")


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
