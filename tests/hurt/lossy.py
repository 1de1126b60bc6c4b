"""The daemon over a line that drops, delays, garbles and swallows, for as long as it is told; the book is the judge."""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.hurt.between import Between
from tests.hurt.strategy import MS, Asked, Metronome, Strategy
from tests.processes.stage import START_S, Exchange, Service, until

VENUES: Final = ("spot", "prime", "futures")
STRATEGIES: Final = 3
ROUND_S: Final = 0.5
"""So often each strategy is given an order, and the book is looked at: far below every venue's own limits."""

GRACE_NS: Final = 50 * MS
SHOWN_CHARS: Final = 4_000
SURE: Final = frozenset({"canceled", "closed", "not_open"})
"""Outcomes after which nothing may rest, from the moment they are told."""


@dataclass
class Figures:
    """What a run came to. latest_ms: of all replies, after the deadline; without: share of the time by venue."""

    lasted_s: float = 0.0
    cancels: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    packets: dict[str, int] = field(default_factory=dict)
    false_claims: list[dict[str, Any]] = field(default_factory=list)
    doubles: list[Any] = field(default_factory=list)
    unanswered: list[Any] = field(default_factory=list)
    latest_ms: float = 0.0
    without: dict[str, float] = field(default_factory=dict)
    tokens: int = 0
    dials: int = 0

    @property
    def good(self) -> bool:
        """Whether nobody was told anything wrong, twice, late or not at all."""
        wrong = self.false_claims or self.doubles or self.unanswered
        return not wrong and self.latest_ms <= GRACE_NS / MS

    def lines(self) -> Iterator[str]:
        """The figures for people, one a line."""
        minutes = self.lasted_s / 60
        yield f"{self.cancels} cancels and {self.faults.total()} faults in {self.lasted_s:.0f} s"
        yield f"outcomes: {dict(self.outcomes)}"
        yield f"faults: {dict(self.faults)}"
        if self.packets:
            yield f"packets: {self.packets}"
        yield f"false claims {len(self.false_claims)}, double replies {len(self.doubles)}, none {len(self.unanswered)}"
        yield f"latest reply {self.latest_ms:+.1f} ms of its deadline"
        yield "without a session: " + ", ".join(f"{venue} {share:.1%}" for venue, share in self.without.items())
        yield f"a minute: {self.tokens / minutes:.1f} tokens, {self.dials / minutes:.1f} dials"


@contextmanager
def _stage(seed: int, packets: bool, unified: bool) -> Iterator[tuple[Exchange, Between, Service]]:
    with tempfile.TemporaryDirectory(prefix="canceld-hurt-") as name, ExitStack() as ending:
        exchange = Exchange(Path(name))
        ending.callback(exchange.end)
        between = Between(Path(name), exchange, seed, packets=packets)
        ending.callback(between.end)
        urls = between.told
        service = Service(
            Path(name),
            exchange.told,
            spot={"ws_url": urls["spot_ws_url"], "rest_url": urls["spot_rest_url"]},
            prime={"enabled": True, "ws_url": urls["prime_ws_url"]},
            futures={
                "enabled": True,
                "rest_url": urls["futures_rest_url"],
                "ws_url": urls["futures_ws_url"],
                **({"uws_url": urls["uws_url"]} if unified else {}),
            },
        )
        ending.callback(service.end)
        try:
            yield exchange, between, service.start(environ=between.environ, through=between.through)
        except BaseException:
            print(service.program.err[-SHOWN_CHARS:])
            print(exchange.program.err[-SHOWN_CHARS:])
            raise


def run(for_s: float, gap_s: float, seed: int, *, packets: bool = False, unified: bool = False) -> Figures:
    """Cancel for so long, with a fault every `gap_s` on average, and count.

    packets: over a line that loses some as well, for which this process must have a network of its own. unified:
    Futures cancels over its WebSocket too.
    """
    figures = Figures()
    with _stage(seed, packets, unified) as (exchange, between, service):
        until(lambda: _up(service), START_S, "every venue is up")
        metronome = Metronome(service.program.pid)
        metronome.start()
        strategies = [Strategy(f"s{n}", service.commands, f"{seed} {n}") for n in range(STRATEGIES)]
        for strategy in strategies:
            strategy.start()
        tokens, dials = len(exchange.received("GetWebSocketsToken")), _dials(service)
        between.storm(gap_s)
        began_s = time.monotonic()
        figures.without = _drive(exchange, service, strategies, figures, began_s + for_s, random.Random(seed))
        struck, figures.packets = between.calm()
        figures.faults = Counter(struck)
        figures.lasted_s = time.monotonic() - began_s
        figures.tokens = len(exchange.received("GetWebSocketsToken")) - tokens
        figures.dials = _dials(service) - dials
        for strategy in strategies:
            strategy.orders.put(None)
        for strategy in strategies:
            strategy.join(START_S)
        metronome.stop()
        _count(figures, strategies, metronome)
        _judge(exchange, strategies, figures)
    return figures


def _up(service: Service) -> bool:
    return all(venue["state"] == "up" for venue in service.status()["venues"].values())


def _drive(
    exchange: Exchange,
    service: Service,
    strategies: list[Strategy],
    figures: Figures,
    until_s: float,
    rng: random.Random,
) -> dict[str, float]:
    """Give out orders and look at the book; by venue, the share of the looks that found no session."""
    looks, without = 0, dict.fromkeys(VENUES, 0)
    while (now_s := time.monotonic()) < until_s:
        for strategy in strategies:
            venue = rng.choice(VENUES)
            strategy.orders.put((venue, exchange.place(1, venue=venue)))
        _judge(exchange, strategies, figures)
        looks += 1
        for venue, shown in service.status()["venues"].items():
            without[venue] += all(session["state"] != "live" for session in shown["sessions"])
        time.sleep(max(0.0, now_s + ROUND_S - time.monotonic()))
    return {venue: count / looks for venue, count in without.items()}


def _told(strategies: list[Strategy]) -> dict[str, dict[str, Any]]:
    asked = [one for strategy in strategies for one in list(strategy.asked.values()) if one.outcomes]
    return {id: outcome for one in asked for id, outcome in zip(one.order_ids, one.outcomes, strict=True)}


def _judge(exchange: Exchange, strategies: list[Strategy], figures: Figures) -> None:
    """What is told first, then the book: an order that is said to be gone and rests is a false claim."""
    known = _told(strategies)
    resting = {id for ids in exchange.book().values() for id in ids}
    figures.false_claims += [known[id] for id in resting & known.keys() if known[id]["outcome"] in SURE]


def _count(figures: Figures, strategies: list[Strategy], metronome: Metronome) -> None:
    figures.outcomes = Counter(outcome["outcome"] for outcome in _told(strategies).values())
    figures.cancels = sum(len(strategy.asked) for strategy in strategies)
    latest_ns = []
    for strategy in strategies:
        for id, asked in strategy.asked.items():
            replies = len(strategy.dealer.replies.get(id, ()))
            if replies > 1:
                figures.doubles.append(id)
            elif replies == 0:
                figures.unanswered.append(id)
            else:
                latest_ns.append(_late_ns(strategy, asked, metronome))
    figures.latest_ms = max(latest_ns, default=0) / MS


def _late_ns(strategy: Strategy, asked: Asked, metronome: Metronome) -> int:
    """How much later than its deadline a command was answered, without the time that the machine took."""
    heard_ns = strategy.dealer.heard_ns(asked.id)
    return heard_ns - asked.due_ns - metronome.taken_ns(asked.due_ns - GRACE_NS, heard_ns)


def _dials(service: Service) -> int:
    return sum(line.get("state") == "dialling" for line in service.logged("session"))
