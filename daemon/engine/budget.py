"""The venue's rate counters mirrored: which form a set of cancels should take, and whether a query can be afforded.

A mirror and no more: strategies add and cancel past us, so it can only be too optimistic. It therefore never refuses a
cancel; the venue may, and that answer is handled where it arrives.
Source: Spot "Rate limits" guide (trading engine); Spot REST "Rate limits" guide (calls).
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

Form: TypeAlias = Literal["single", "batch", "all"]
"""One request per order, one for all that are named, or one for everything that is open."""


Use: TypeAlias = Literal["kill", "cancel", "settle", "first token", "token", "look"]
"""What a REST call is for. settle: a query that tells what became of a cancel. first token: the venue has no session.
look: a list of what is open that no cancel waits for, as the survey's."""

RESERVES: Final[Mapping[Use, int]] = {"kill": 0, "cancel": 0, "first token": 0, "settle": 2, "token": 6, "look": 8}
"""Who goes first on a REST budget that runs short, and how many calls each leaves to those before it.

A kill and a cancel are never withheld, whatever the mirrored counter says. Next is the first token: it is one call, and
the session that it opens lists what is open, which settles every cancel in doubt. Queries that settle them one by one
would else keep the venue without a session for as long as they go on. While those are withheld an order counts as live.
A token for one more session comes after them, and what only looks has time."""

NEVER_WITHHELD: Final[frozenset[Use]] = frozenset({"kill", "cancel"})


class CancelBudget(Protocol):
    """What decides on the form of several cancels. Symbols and ages (seconds) are None where they are not known."""

    def told(self, ceiling: float | None) -> None:
        """The venue told the account's threshold."""
        ...

    def sent(self, symbol: str | None, age_s: float | None, now_ns: int) -> None:
        """A single cancel was sent over a session."""
        ...

    def bundled(self, orders: int, now_ns: int) -> None:
        """One request that cancels so many orders was sent over a session."""
        ...

    def form(self, orders: Iterable[tuple[str | None, float | None]], now_ns: int, *, everything: bool = False) -> Form:
        """How to send the cancels of these orders. everything: they are all that is open."""
        ...


class CallBudget(Protocol):
    """What decides whether a REST call that only asks can be afforded; cancels are always made."""

    def told(self, ceiling: float | None) -> None:
        """The venue told the account's threshold."""
        ...

    def called(self, form: str, orders: int, now_ns: int) -> None:
        """A call of this form was made, about so many orders; a token's form is "token"."""
        ...

    def spares(self, use: Use, now_ns: int) -> bool:
        """Whether a call for this leaves enough for what goes before it."""
        ...


class Tier(NamedTuple):
    """One verification tier: thresholds, and how much of each counter decays per second."""

    ceiling: float
    decay: float
    rest_ceiling: float
    rest_decay: float


STARTER: Final = Tier(60, 1.0, 15, 0.33)
INTERMEDIATE: Final = Tier(125, 2.34, 20, 0.5)
PRO: Final = Tier(180, 3.75, 20, 1.0)
TIERS: Final = (STARTER, INTERMEDIATE, PRO)

AGE_COSTS: Final = ((5.0, 8), (10.0, 6), (15.0, 5), (45.0, 4), (90.0, 2), (300.0, 1))
"""What a cancel adds to its pair's counter: the first row whose age (seconds, exclusive) is not reached; then 0."""

YOUNGEST_COST: Final = AGE_COSTS[0][1]

PAIRS_LIMIT: Final = 2_000
"""Most pairs counted separately; Spot lists about 1,500. What comes beyond is counted together."""

_SHARED: Final = ""
"""The counter of orders whose pair is not known. No pair has this name."""


def tier_of(ceiling: float | None) -> Tier:
    """The tier whose threshold the venue told on subscribing; the highest one not above it, Starter when not told.

    Large accounts can have raised thresholds that are in no table: such a one gets its own threshold with the decay of
    the tier below it, which errs towards batches.
    """
    tier = next((tier for tier in reversed(TIERS) if ceiling is not None and tier.ceiling <= ceiling), STARTER)
    return tier if ceiling is None or ceiling <= tier.ceiling else tier._replace(ceiling=ceiling)


def cost(age_s: float | None) -> int:
    """What cancelling an order of this age adds to its pair's counter. An age that cannot be is taken for none."""
    if age_s is None or not age_s >= 0.0:
        return YOUNGEST_COST
    return next((points for below_s, points in AGE_COSTS if age_s < below_s), 0)


class _Counter:
    """A number that decays at a steady rate down to 0."""

    __slots__ = ("_at_ns", "_level")

    def __init__(self, now_ns: int) -> None:
        self._level = 0.0
        self._at_ns = now_ns

    def level(self, now_ns: int, decay: float) -> float:
        return max(0.0, self._level - decay * max(0, now_ns - self._at_ns) / 1e9)

    def add(self, points: float, now_ns: int, decay: float) -> None:
        self._level = self.level(now_ns, decay) + points
        self._at_ns = now_ns


class Budget:
    """The trading engine's counter of each pair. Times are monotonic nanoseconds."""

    def __init__(self, ceiling: float | None = None) -> None:
        self._tier = tier_of(ceiling)
        self._counters: dict[str, _Counter] = {}

    def __len__(self) -> int:
        """How many counters are kept."""
        return len(self._counters)

    def told(self, ceiling: float | None) -> None:
        """The venue told the account's threshold (`Subscribed.rate_ceiling`); None changes nothing."""
        if ceiling is not None:
            self._tier = tier_of(ceiling)

    def sent(self, symbol: str | None, age_s: float | None, now_ns: int) -> None:
        """A single cancel was sent for an order of this pair and age (None: not known)."""
        self.charge(symbol, cost(age_s), now_ns)

    def bundled(self, orders: int, now_ns: int) -> None:
        """Several cancels were sent as one, of pairs and ages that are not known."""
        self.charge(None, YOUNGEST_COST * orders, now_ns)

    def charge(self, symbol: str | None, points: float, now_ns: int) -> None:
        """Cancels worth `points` were sent for a pair (None: not known)."""
        if points > 0:
            self._counter(symbol, now_ns).add(points, now_ns, self._tier.decay)

    def room(self, symbol: str | None, now_ns: int) -> float:
        """How many points the pair's counter can still take; negative when it is over its threshold.

        Points of unknown pair may have been this pair's: they count against every one.
        """
        level = sum(
            counter.level(now_ns, self._tier.decay)
            for name in {symbol or _SHARED, _SHARED}
            if (counter := self._counters.get(name)) is not None
        )
        return self._tier.ceiling - level

    def form(self, orders: Iterable[tuple[str | None, float | None]], now_ns: int, *, everything: bool = False) -> Form:
        """How to send the cancels of `orders`, each a pair's symbol and an age in seconds, None where not known.

        "single" as long as every pair has room, since only single answers can be told apart; else "batch", which is
        accepted above the threshold too. everything: the orders are all that is open on the account; "all" is chosen
        only then, because it would take others along.
        """
        points: dict[str | None, int] = {}
        orders_count = 0
        for symbol, age_s in orders:
            orders_count += 1
            points[symbol] = points.get(symbol, 0) + cost(age_s)
        # Unknown pairs may turn out to be any of the others.
        unknown = points.get(None, 0)
        if orders_count < 2 or all(
            self.room(symbol, now_ns) >= asked + (unknown if symbol is not None else 0)
            for symbol, asked in points.items()
        ):
            return "single"
        return "all" if everything else "batch"

    def _counter(self, symbol: str | None, now_ns: int) -> _Counter:
        name = symbol or _SHARED
        counter = self._counters.get(name)
        if counter is not None:
            return counter
        if len(self._counters) >= PAIRS_LIMIT:
            self._counters = {
                kept: counter
                for kept, counter in self._counters.items()
                if kept == _SHARED or counter.level(now_ns, self._tier.decay) > 0
            }
            if len(self._counters) >= PAIRS_LIMIT:
                name = _SHARED
        return self._counters.setdefault(name, _Counter(now_ns))


class Pace:
    """A token bucket: so many at once, then so many a second."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._spent = 0.0
        self._at_ns = 0

    def take(self, now_ns: int) -> int:
        """Take one and return 0, or take none and return the nanoseconds until there is one."""
        self._spent = max(0.0, self._spent - (now_ns - self._at_ns) / 1e9 * self._per_s)
        self._at_ns = now_ns
        if self._spent + 1 > self._burst:
            return int((self._spent + 1 - self._burst) / self._per_s * 1e9) + 1
        self._spent += 1
        return 0


class RestBudget:
    """The Spot REST call counter of one key. CancelOrder is exempt and not counted."""

    def __init__(self, tier: Tier = PRO) -> None:
        self._tier = tier
        self._counter: _Counter | None = None

    def told(self, ceiling: float | None) -> None:
        """The venue told the account's trading threshold, which names the tier; None changes nothing."""
        if ceiling is not None:
            self._tier = tier_of(ceiling)

    def called(self, form: str, orders: int, now_ns: int) -> None:
        """A call was made; each counts alike, whatever it is about."""
        if form == "cancel":
            return
        if self._counter is None:
            self._counter = _Counter(now_ns)
        self._counter.add(1, now_ns, self._tier.rest_decay)

    def spares(self, use: Use, now_ns: int) -> bool:
        """Whether one more call fits with what its use leaves to others."""
        level = 0.0 if self._counter is None else self._counter.level(now_ns, self._tier.rest_decay)
        return use in NEVER_WITHHELD or level + 1 + RESERVES[use] <= self._tier.rest_ceiling


POINTS_CEILING: Final = 500.0
POINTS_PER_S: Final = 50.0
"""Futures grants 500 points in 10 s. Whether the window slides is not published: a steady decay never exceeds either.
Source: Futures "Rate limits"."""

POINTS: Final = {"cancel": 10, "batch": 9, "all": 25, "market": 25, "open_orders": 2, "query": 1, "timer": 25}
"""What a call costs; a batch one more for each order. Source: Futures "Rate limits"."""

POINTS_BATCH: Final = 20
"""Orders that share the cost of one batch."""

POINTS_RESERVE: Final = 150
"""Points left for cancels: strategies on the same host draw on the same budget."""

SETTLE_RESERVE: Final = 50
"""Points left by the queries that settle a cancel: five more cancels."""


class PointBudget:
    """The budget that all requests of a Futures account share: over REST, and as we assume the Unified WebSocket too.

    Singles over a session as long as they fit, since a batch goes by REST and waits for its turn there.
    """

    def __init__(self) -> None:
        self._counter: _Counter | None = None

    def told(self, ceiling: float | None) -> None:
        """Its ceiling is published and not told."""

    def sent(self, symbol: str | None, age_s: float | None, now_ns: int) -> None:
        """A single cancel was sent over a session."""
        self._spend(POINTS["cancel"], now_ns)

    def bundled(self, orders: int, now_ns: int) -> None:
        """Several cancels were sent as one: we assume at a batch's price."""
        self._spend(POINTS["batch"] + orders, now_ns)

    def called(self, form: str, orders: int, now_ns: int) -> None:
        """A REST call was made."""
        self._spend(POINTS.get(form, 0) + (orders if form == "batch" else 0), now_ns)

    def form(self, orders: Iterable[tuple[str | None, float | None]], now_ns: int, *, everything: bool = False) -> Form:
        """Batches as soon as single cancels would not leave the reserve; everything at once where they do not fit."""
        count = sum(1 for _ in orders)
        level = self._level(now_ns)
        if level + count * POINTS["cancel"] + POINTS_RESERVE <= POINTS_CEILING:
            return "single"
        batches = -(-count // POINTS_BATCH)
        return "all" if everything and level + batches * POINTS["batch"] + count > POINTS_CEILING else "batch"

    def spares(self, use: Use, now_ns: int) -> bool:
        """Whether a query leaves the reserve: what settles a cancel a smaller one than what only looks."""
        reserve = SETTLE_RESERVE if use == "settle" else POINTS_RESERVE
        return use in NEVER_WITHHELD or self._level(now_ns) + POINTS["open_orders"] + reserve <= POINTS_CEILING

    def _level(self, now_ns: int) -> float:
        return 0.0 if self._counter is None else self._counter.level(now_ns, POINTS_PER_S)

    def _spend(self, points: float, now_ns: int) -> None:
        if self._counter is None:
            self._counter = _Counter(now_ns)
        self._counter.add(points, now_ns, POINTS_PER_S)


class NoBudget:
    """For a venue that publishes no limit and takes single cancels only."""

    def told(self, ceiling: float | None) -> None:
        """Nothing is counted."""

    def sent(self, symbol: str | None, age_s: float | None, now_ns: int) -> None:
        """Nothing is counted."""

    def bundled(self, orders: int, now_ns: int) -> None:
        """Nothing is counted."""

    def form(self, orders: Iterable[tuple[str | None, float | None]], now_ns: int, *, everything: bool = False) -> Form:
        """One by one."""
        return "single"
