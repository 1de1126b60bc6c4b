"""A story drawn as one HTML file: no network, no script. What others wrote is text, never markup."""

import html
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from math import floor, log10
from typing import Any, Final

from .story import Answered, Record, Span, Story, Way, seconds

TITLE: Final = "canceld: what happened"

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""The page may load nothing and run nothing, whatever a venue or a client wrote into the record."""

MARKS_LIMIT: Final = 1_000
"""Most marks in one lane of the time line: more would not be told apart."""

ALERTS_LIMIT: Final = 500
COLUMNS: Final = 120
"""Slices of the lane that shows how many cancels were answered."""

_GOOD: Final = frozenset({"live", "armed", "up"})
_BAD: Final = frozenset({"latched", "down", "backing off"})
_STYLES: Final = {"unknown": "bad", "rejected": "bad", "refused": "warn", "critical": "bad", "warning": "warn"}


def page(story: Story, *, verdict: str, made: str) -> Iterator[str]:
    """The file, part by part. verdict: what became of checking the record's chain. made: when the page was made."""
    style = files(__package__).joinpath("style.css").read_text("utf-8")
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{TITLE}</title>\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    yield f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>\n{style}</style></head><body>\n'
    yield f"<h1>{TITLE}</h1>\n<p>{_clock(story.begun_s, date=True)} to {_clock(story.ended_s, date=True)} UTC, "
    yield f"{story.lines} lines of the record. The record is <b>{_text(verdict)}</b>. Made {_text(made)}.</p>\n"
    yield from _figures(story)
    yield from _time_line(story)
    yield from _kills(story)
    yield from _alerts(story)
    yield from _latencies(story)
    yield from _orders(story)
    yield from _runs(story)
    yield "</body></html>\n"


def _figures(story: Story) -> Iterator[str]:
    told: Counter[str] = Counter()
    for (_, outcome), count in story.outcomes.items():
        told[outcome] += count
    kills = sum(one.get("state") == "latched" for one in story.kills)
    critical = sum(alert.get("severity") == "critical" for alert in story.alerts)
    shown = [("cancels answered", told.total()), *sorted(told.items()), ("kills", kills), ("critical alerts", critical)]
    yield '<ul class="figures">'
    yield from (f"<li><b>{count:,}</b>{_text(name)}</li>" for name, count in shown)
    yield "</ul>\n"


# ---------------------------------------------------------------- the time line


def _time_line(story: Story) -> Iterator[str]:
    yield "<h2>Time line</h2>\n"
    names = sorted(story.spans, key=lambda name: (name != "kill switch", name))
    for name in names:
        yield _lane(name, (_bar(story, span) for span in story.spans[name]))
    marks = [_mark(story, alert) for alert in story.alerts[:MARKS_LIMIT]]
    yield _lane("alerts", marks)
    yield _lane("cancels answered", _columns(story))
    middle_s = (story.begun_s + story.ended_s) / 2
    ticks = "".join(f"<span>{_clock(at_s)}</span>" for at_s in (story.begun_s, middle_s, story.ended_s))
    yield f'<div class="axis">{ticks}</div>\n'


def _lane(name: str, parts: Iterable[str]) -> str:
    label = f'<span title="{_text(name)}">{_text(name)}</span>'
    return f'<div class="lane">{label}<div class="bar">{"".join(parts)}</div></div>\n'


def _bar(story: Story, span: Span) -> str:
    style = "good" if span.state in _GOOD else "bad" if span.state in _BAD else "warn"
    left, right = _percent(story, span.begun_s), _percent(story, span.ended_s)
    what = f"{span.state} from {_clock(span.begun_s)} for {span.ended_s - span.begun_s:.3f} s"
    what += f": {span.why}" if span.why else ""
    return f'<i class="{style}" style="left:{left:.3f}%;width:{right - left:.3f}%" title="{_text(what)}"></i>'


def _mark(story: Story, alert: Record) -> str:
    at_s = seconds(str(alert["ts"]))
    style = _STYLES.get(str(alert.get("severity")), "warn")
    what = f"{_clock(at_s)} {alert.get('what')}: {alert.get('do')}"
    return f'<i class="{style}" style="left:{_percent(story, at_s):.3f}%" title="{_text(what)}"></i>'


def _columns(story: Story) -> Iterator[str]:
    """How many cancels were answered in each slice; a slice with a doubtful outcome is red."""
    counts: Counter[int] = Counter()
    doubtful: set[int] = set()
    for one in story.answered:
        column = min(COLUMNS - 1, int(_percent(story, one.at_s) * COLUMNS / 100))
        counts[column] += 1
        if one.outcome in _STYLES:
            doubtful.add(column)
    most = max(counts.values(), default=1)
    for column, count in sorted(counts.items()):
        style, height = ("bad" if column in doubtful else "calm"), max(8, 100 * count / most)
        place = f"left:{100 * column / COLUMNS:.3f}%;width:{100 / COLUMNS:.3f}%;top:{100 - height:.0f}%"
        yield f'<i class="{style}" style="{place}" title="{count} answered"></i>'


def _percent(story: Story, at_s: float) -> float:
    whole = story.ended_s - story.begun_s
    return 100 * min(1.0, max(0.0, (at_s - story.begun_s) / whole)) if whole else 0.0


# ---------------------------------------------------------------- kills, alerts


def _kills(story: Story) -> Iterator[str]:
    if not story.kills:
        return
    yield '<h2>Kills and re-arms</h2>\n<div class="wide"><table class="told">'
    yield "<tr><th>when</th><th>what</th><th>who and why</th></tr>\n"
    for one in story.kills:
        state = str(one.get("state") or ("re-armed" if one.get("latched") is False else one.get("type", "")))
        style = "bad" if state in ("latched", "residual", "unreachable") else "good"
        yield f'<tr><td class="t">{_clock(seconds(str(one["ts"])))}</td>'
        yield f'<td><span class="tag {style}">{_text(state)}</span></td><td>{_members(one, "state")}</td></tr>\n'
    yield "</table></div>\n"


def _alerts(story: Story) -> Iterator[str]:
    if not story.alerts:
        return
    yield '<h2>Alerts</h2>\n<div class="wide"><table class="told">'
    yield "<tr><th>when</th><th></th><th>what</th><th>what to do</th></tr>\n"
    for one in story.alerts[:ALERTS_LIMIT]:
        severity = str(one.get("severity"))
        yield f'<tr><td class="t">{_clock(seconds(str(one["ts"])))}</td>'
        yield f'<td><span class="tag {_STYLES.get(severity, "warn")}">{_text(severity)}</span></td>'
        yield f"<td>{_text(one.get('what'))}</td><td>{_text(one.get('do'))}</td></tr>\n"
    yield "</table></div>\n"
    if len(story.alerts) > ALERTS_LIMIT:
        yield f"<p>{len(story.alerts) - ALERTS_LIMIT} later alerts are not shown.</p>\n"


# ---------------------------------------------------------------- latencies


def _latencies(story: Story) -> Iterator[str]:
    ways: dict[tuple[str, str], list[float]] = {}
    for one in story.answered:
        ways.setdefault((one.venue, one.route), []).append(one.took_ms)
    if not ways:
        return
    yield "<h2>From receipt to answer</h2>\n"
    yield from _distribution(story.answered)
    yield '<div class="wide"><table><tr><th>venue</th><th>route</th><th class="n">cancels</th>'
    yield '<th class="n">p50</th><th class="n">p99</th><th class="n">most</th></tr>\n'
    for (venue, route), times in sorted(ways.items()):
        times.sort()
        p50, p99 = (times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.99))
        cells = "".join(f'<td class="n">{ms:.2f} ms</td>' for ms in (p50, p99, times[-1]))
        yield f'<tr><td>{_text(venue)}</td><td>{_text(route)}</td><td class="n">{len(times):,}</td>{cells}</tr>\n'
    yield "</table></div>\n"


def _distribution(answered: Sequence[Answered]) -> Iterator[str]:
    """How many cancels took how long, on a logarithmic axis, ten columns a decade."""
    counts = Counter(floor(10 * log10(max(one.took_ms, 0.001))) for one in answered)
    first, last, most = min(counts), max(counts) + 1, max(counts.values())
    first, last = 10 * (first // 10), 10 * -(-last // 10)
    width, height = 800, 160
    step = width / (last - first)
    yield f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none"'
    yield ' role="img" aria-label="distribution of answer times">'
    for column, count in sorted(counts.items()):
        tall = max(2.0, height * count / most)
        x = (column - first) * step
        yield f'<rect x="{x:.1f}" y="{height - tall:.1f}" width="{step * 0.9:.1f}" height="{tall:.1f}"'
        yield ' fill="var(--calm)">'
        yield f"<title>{count} from {10 ** (column / 10):.3g} ms</title></rect>"
    yield "</svg>\n"
    ticks = "".join(f"<span>{10 ** (decade / 10):g} ms</span>" for decade in range(first, last + 1, 10))
    yield f'<div class="axis whole">{ticks}</div>\n'


# ---------------------------------------------------------------- orders, runs


def _orders(story: Story) -> Iterator[str]:
    ways = list(story.ways())
    if not ways:
        return
    yield "<h2>Every order's way</h2>\n<p>Those that somebody should look at come first. A click opens the way.</p>\n"
    for way in ways:
        yield from _order(way)
    if story.orders_left_out:
        yield f"<p>{story.orders_left_out} more orders are not shown: ask for a shorter time.</p>\n"


def _order(way: Way) -> Iterator[str]:
    tags = "".join(f' <span class="tag {_STYLES.get(one, "good")}">{_text(one)}</span>' for one in way.outcomes)
    yield f"<details><summary>{_clock(way.begun_s)} {_text(way.venue)} <code>{_text(way.name)}</code>{tags}</summary>\n"
    yield '<ol class="way">'
    for at_s, kind, text in way.steps:
        after = f"<span>+{(at_s - way.begun_s) * 1000:.3f} ms</span>"
        yield f"<li>{after}<span>{_text(kind)}</span><span>{_text(text)}</span></li>\n"
    if way.left_out:
        yield f"<li>{way.left_out} more lines are in the record</li>"
    yield "</ol></details>\n"


def _runs(story: Story) -> Iterator[str]:
    if not story.starts:
        return
    yield '<h2>Starts</h2>\n<div class="wide"><table class="told"><tr><th>when</th><th>what</th></tr>\n'
    for one in story.starts:
        yield f'<tr><td class="t">{_clock(seconds(str(one["ts"])))}</td><td>{_members(one)}</td></tr>\n'
    yield "</table></div>\n"


def _members(record: Record, *hidden: str) -> str:
    """What a record says beside its place in the chain, as text."""
    own = {"n", "ts", "kind", "prev", "type", "monotonic_ns", *hidden}
    told = {name: value for name, value in record.items() if name not in own and value not in (None, "", [])}
    return _text(" · ".join(f"{name}: {_listed(value)}" for name, value in told.items()))


def _listed(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _clock(at_s: float, *, date: bool = False) -> str:
    at = datetime.fromtimestamp(at_s, UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S.%f")[: 19 if date else 12]


def _text(value: Any) -> str:
    """Text of others: no markup, no control characters, nothing that turns the direction of reading."""
    text = str(value)
    return html.escape(text if text.isprintable() else ascii(text)[1:-1])
