"""The picture that `canceld watch` draws: what has been heard of one daemon, as lines. It touches nothing.

Whatever the width, nothing falls off the right edge: lines are folded. Where a terminal is too low, events go first,
then older alerts; what is missing after that is counted in the last line.
"""

import json
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from math import log10
from typing import Any, Final, Literal, NamedTuple

from ..client.events import Gaps
from ..contract.outcomes import NAMES
from ..contract.plain_text import plain
from .fold import columns, folded, joined
from .minute import Minute
from .output import age_of

EVENTS_KEPT: Final = 200
"""More than the highest terminals have lines."""

ALERTS_SHOWN: Final = 6

STALE_S: Final = 3.0
"""A status is asked for every second. One that is older tells how it was, not how it is."""

BAR: Final = 24
"""Columns of the longest bar."""

BAR_FROM_US: Final = 100
BAR_DECADES: Final = 5
"""A bar grows with every factor of ten, from 0.1 ms to the 10 s after which a cancel is `unknown` at the latest."""

GOOD_STATES: Final = frozenset({"up", "live", "good", "flat", "armed"})

Style = Literal["plain", "bold", "dim", "good", "warn", "bad", "title"]

KEYS: Final = ("q  end", "?  these lines, or none")

_UNSHOWN: Final = frozenset({"type", "ts", "monotonic_ns", "id", "seq", "started_ns"})
"""Members of an event that are not in its line, or not a second time."""

_TARGETS: Final = ("order_id", "cl_ord_id", "userref")

_OUTCOME_STYLES: Final[dict[str, Style]] = {"unknown": "bad", "rejected": "warn", "refused": "warn"}


class Line(NamedTuple):
    """A line of the picture. Its style is for all of it; a title has a line of its own."""

    style: Style
    text: str


class View:
    """What has been heard of one daemon, and the picture of it. Times are seconds of any one monotonic clock."""

    def __init__(self, *, bar: str = "#", live: bool = True) -> None:
        """bar: the character of bars. live: False for one picture of a daemon whose events are not listened to."""
        self.help = False
        self._bar = bar
        self._live = live
        self._status: dict[str, Any] = {}
        self._answered_s = 0.0
        self._why: str | None = None
        self._events: deque[Line] = deque(maxlen=EVENTS_KEPT)
        self._minute = Minute()
        self._seen: Counter[str] = Counter()
        self._gaps = Gaps()
        self._missed = 0
        self._life_ns: int | None = None

    def answered(self, status: dict[str, Any], now_s: float) -> None:
        """The daemon's reply to a `status`."""
        self._status = status
        self._answered_s = now_s
        self._why = None

    def silent(self, why: str) -> None:
        """It did not answer."""
        self._why = why

    def heard(self, topic: str, event: dict[str, Any], now_s: float) -> None:
        """An event of the event socket, after what is missing before it."""
        self._count_gap(topic, event)
        kind = topic.partition(".")[0]
        if kind == "order":
            return  # every cancel that works is told of twice: the outcome says more
        if kind == "outcome":
            name = str(event.get("outcome"))
            self._seen[name] += 1
            self._minute.count(name, _took_us(event), now_s)
        self._events.append(_event_line(topic, event))

    def _count_gap(self, topic: str, event: dict[str, Any]) -> None:
        missed = self._gaps.before(topic, event)
        life_ns = event.get("started_ns")
        when = str(event.get("ts", ""))[11:23]
        if missed:
            self._missed += missed
            self._events.append(Line("warn", f"{when}  events missed here, of {topic}: {missed:,}"))
        if life_ns is not None and life_ns != self._life_ns:
            if self._life_ns is not None:
                told = "the daemon was started anew: what it told in between, nobody can say"
                self._events.append(Line("warn", f"{when}  {told}"))
            self._life_ns = life_ns

    def picture(self, width: int, height: int | None, now_s: float, clock: str) -> list[Line]:
        """The whole picture: at most `height` lines of at most `width` columns. clock: the time of day.

        height: None for as many lines as it takes, with no events.
        """
        above = [*self._head(width, clock), *self._kill(width)]
        below = [*self._venues(width), *self._outcomes(width, now_s), *self._safety(width), *self._keys(width)]
        silence = list(self._silence(width, now_s))
        shown = ALERTS_SHOWN
        while True:
            lines = [*above, *self._alerts(width, shown), *below]
            left = None if height is None else height - len(lines) - len(silence)
            if left is None or left >= 0 or shown == 1:
                break
            shown -= 1
        if left is not None and left > 1 and self._live:
            lines += self._latest(width, left - 1)
        if silence:
            # Green and red are for what is known now.
            lines = [*silence, *(line if line.style == "title" else Line("dim", line.text) for line in lines)]
        if height is not None and len(lines) > height:
            more = f"{len(lines) - height + 1} more lines: a higher window shows them"
            lines = [*lines[: height - 1], Line("warn", more[:width])]
        return lines

    def _silence(self, width: int, now_s: float) -> Iterator[Line]:
        age_s = now_s - self._answered_s
        if self._why is None and age_s <= STALE_S:
            return
        if self._status:
            yield from _lines("bad", f"NO ANSWER for {age_s:.0f} s: {self._why or 'this program stood still'}", width)
            yield from _lines("bad", f"All below is {age_s:.0f} s old.", width)
        else:
            yield from _lines("bad", f"NO ANSWER yet{f': {self._why}' if self._why else ''}", width)

    def _head(self, width: int, clock: str) -> Iterator[Line]:
        status = self._status
        state = status.get("state", "")
        style: Style = "bold" if state == "serving" else "warn"
        told = plain(f"canceld {status.get('version', '')}  {state}  in flight {status.get('in_flight', '')}")
        gap = width - columns(told) - len(clock)
        if gap >= 2:
            yield Line(style, told + " " * gap + clock)
            return
        yield from _lines(style, told, width)
        yield from _lines(style, clock, width)

    def _kill(self, width: int) -> Iterator[Line]:
        kill: dict[str, Any] = self._status.get("kill") or {}
        for scope in kill.get("scopes") or ():
            reason = scope.get("reason") or scope.get("unreadable")
            told = f"SCOPE LATCHED since {scope.get('at', '?')} by {scope.get('who') or '?'}: {reason}"
            yield from _lines("bad", told, width)
        if not kill.get("latched"):
            yield from _lines("good", "kill switch armed", width)
            return
        by = " ".join(filter(None, (kill.get("trigger"), kill.get("who"))))
        yield from _lines("bad", f"KILL SWITCH LATCHED since {kill.get('at')} by {by}: {kill.get('reason')}", width)
        for venue, part in (kill.get("venues") or {}).items():
            rests = part.get("resting") or len(part.get("residual") or ())
            state = part.get("state", "")
            text = f"  {venue}  {state}  {part.get('canceled') or 0} canceled{f'  {rests} still rest' if rests else ''}"
            yield from _lines("good" if state == "flat" else "bad", text, width)
        yield from _lines("bad", "New orders are canceled too until: canceld rearm", width)

    def _venues(self, width: int) -> Iterator[Line]:
        yield Line("title", "venues"[:width])
        venues: dict[str, Any] = self._status.get("venues") or {}
        for venue, part in venues.items():
            state, mode, rests = str(part.get("state", "")), part.get("mode"), part.get("open_orders")
            rest = part.get("rest")
            rest_state = rest.get("state", "") if isinstance(rest, dict) else rest
            cells = [
                f"{venue}  {state}",
                "" if mode in (None, "unknown") else f"mode {mode}",
                "" if rests is None else f"open {rests:,}" if isinstance(rests, int) else f"open {rests}",
                f"rest {rest_state}" if rest_state else "",
            ]
            styles: dict[str, Style] = {"up": "good", "down": "bad"}
            yield from _joined(styles.get(state, "warn"), [cell for cell in cells if cell], width)
            for one in part.get("sessions") or ():
                yield from _lines("good" if one.get("state") == "live" else "bad", _session(one), width)
            if isinstance(rest, dict) and rest.get("why") and rest_state not in ("live", "up"):
                yield from _lines("warn", f"  rest {rest_state}: {rest['why']}", width)

    def _outcomes(self, width: int, now_s: float) -> Iterator[Line]:
        if not self._live:
            yield from self._since_its_start(width)
            return
        total = self._minute.outcomes(now_s)
        yield Line("title", "last minute"[:width])
        yield from _counts(total, width)
        times = self._minute.times(now_s)
        if times is not None:
            yield from self._bars({"p50": times.p50_us, "p99": times.p99_us, "max": times.max_us}, width)
        if self._missed:
            told = f"events missed since this view began: {self._missed:,}; counts are too low"
            yield from _lines("warn", told, width)
        before = [f"{name} {self._seen[name]:,}" for name in _OUTCOME_STYLES if self._seen[name] > total[name]]
        if before:
            yield from _joined("warn", ["since this view began", *before], width)

    def _since_its_start(self, width: int) -> Iterator[Line]:
        detail: dict[str, Any] = self._status.get("detail") or {}
        total: Counter[str] = Counter()
        for row in detail.get("cancels") or ():
            total[str(row.get("outcome"))] += row.get("count", 0)
        yield Line("title", "since the daemon began"[:width])
        yield from _counts(total, width)
        times = detail.get("answer_times") or {}
        if times.get("count"):
            yield from self._bars({name: times[f"{name}_us"] for name in ("p50", "p99", "max")}, width)

    def _bars(self, times_us: dict[str, float], width: int) -> Iterator[Line]:
        for name, took_us in times_us.items():
            told = f"{name}  {_took(took_us):>9}"
            room = min(BAR, width - len(told) - 2)
            yield from _lines("plain", f"{told}  {self._bar * _bar_columns(took_us, room)}".rstrip(), width)

    def _safety(self, width: int) -> Iterator[Line]:
        """What stands behind the cancels: leases, the venues' timers, and when the kill path was last walked."""
        leases: list[dict[str, Any]] = self._status.get("leases") or []
        expired = [str(one.get("strategy")) for one in leases if one.get("state") == "expired"]
        timers: dict[str, Any] = self._status.get("deadman") or {}
        armed = [f"{venue} {timer.get('state', '')}" for venue, timer in timers.items()]
        age_s = ((self._status.get("kill") or {}).get("drill") or {}).get("age_s")
        yield Line("title", "safety"[:width])
        cells = [
            f"leases {len(leases) - len(expired)}",
            f"dead man's timers {', '.join(armed) or 'none'}",
            "kill never drilled" if age_s is None else f"last good drill {age_of(age_s)} ago",
        ]
        yield from _joined("warn" if age_s is None else "plain", cells, width)
        if expired:
            yield from _lines("bad", f"leases that ran out, orders not proved gone: {', '.join(expired)}", width)

    def _alerts(self, width: int, shown: int) -> Iterator[Line]:
        alerts: list[dict[str, Any]] = self._status.get("alerts") or []
        if not alerts:
            return
        more = f", the latest {shown} of {len(alerts)}" if len(alerts) > shown else ""
        yield Line("title", f"alerts{more}"[:width])
        for alert in alerts[-shown:]:
            text = f"{alert.get('ts', '')[11:19]}  {alert.get('what', '')}; {alert.get('do', '')}"
            yield from _lines("bad" if alert.get("severity") == "critical" else "warn", text, width)

    def _keys(self, width: int) -> Iterator[Line]:
        if self.help:
            yield Line("title", "keys"[:width])
            for key in KEYS:
                yield from _lines("plain", key, width)

    def _latest(self, width: int, room: int) -> list[Line]:
        """The latest events at the bottom; the oldest one shown may lack its beginning."""
        latest = [line for event in list(self._events)[-room:] for line in _lines(event.style, event.text, width)]
        return [Line("title", "events"[:width]), *(latest[-room:] or _lines("dim", "none yet", width))]


def _lines(style: Style, text: str, width: int) -> Iterator[Line]:
    # Behind the door before it is folded: an escape is wider than what it stands for.
    return (Line(style, line) for line in folded(plain(text), width))


def _joined(style: Style, parts: Sequence[str], width: int) -> Iterator[Line]:
    return (Line(style, line) for line in joined([plain(part) for part in parts], width))


def _counts(total: Counter[str], width: int) -> Iterator[Line]:
    """What needs a look has a line of its own, above the rest; a low terminal cuts from below."""
    asking = [name for name in _OUTCOME_STYLES if total[name]]
    for name in asking:
        yield from _lines(_OUTCOME_STYLES[name], f"{name} {total[name]:,}", width)
    yield from _joined("plain", [f"{name} {total[name]:,}" for name in NAMES.values() if name not in asking], width)


def _session(one: dict[str, Any]) -> str:
    cells = [f"  {one.get('name', '?')} {one.get('state', '?')}"]
    if one.get("state") == "live":
        if trip_us := one.get("round_trip_us"):
            cells.append(f"{trip_us / 1000:.1f} ms")
        if (left_s := one.get("token_expires_in_s")) is not None:
            cells.append(f"token ends in {age_of(left_s)}")
    elif one.get("why"):
        cells[0] += f": {one['why']}"
    return "  ".join(cells)


def _took_us(event: dict[str, Any]) -> float | None:
    if "received_ns" in event and "answered_ns" in event:
        return float(event["answered_ns"] - event["received_ns"]) / 1000
    return None


def _took(took_us: float) -> str:
    return f"{took_us / 1000:,.1f} ms"


def _bar_columns(took_us: float, room: int) -> int:
    """As many columns as the time has powers of ten, so that 1 ms, 10 ms and 1 s can be told apart at a glance."""
    if took_us <= BAR_FROM_US or room < BAR_DECADES:
        return min(max(room, 0), 1)
    return min(max(round(log10(took_us / BAR_FROM_US) / BAR_DECADES * room), 1), room)


def _event_line(topic: str, event: dict[str, Any]) -> Line:
    when = str(event.get("ts", ""))[11:23]
    kind = topic.partition(".")[0]
    style: Style = "plain"
    if kind in ("outcome", "late"):
        outcome = str(event.get("outcome", ""))
        style = _OUTCOME_STYLES.get(outcome, "plain")
        target = next((str(event[name]) for name in _TARGETS if name in event), "everything")
        took_us = _took_us(event)
        took = "" if took_us is None else _took(took_us)
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
