"""The venues' rate counters: the Spot engine's per account and pair, REST's per API key, Futures' sliding budget.

Pure arithmetic on a clock handed in; who is charged for what is decided by the fronts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tier:
    """One row of the trading limits. decay_per_s: points given back per second.

    Source: https://docs.kraken.com/exchange/guides/general/ratelimits
    """

    name: str
    threshold: float
    decay_per_s: float
    open_orders_per_pair: int


STARTER = Tier("starter", 60, 1, 60)
INTERMEDIATE = Tier("intermediate", 125, 2.34, 80)
PRO = Tier("pro", 180, 3.75, 225)
# Not a tier of the venue: for tests whose subject is not the counter.
UNLIMITED = Tier("unlimited", 1e12, 1e9, 1_000_000)
TIERS: dict[str, Tier] = {tier.name: tier for tier in (STARTER, INTERMEDIATE, PRO, UNLIMITED)}

_ADD_COST = 1
# (younger than so many seconds, cost of canceling it): the penalty falls with the age of the order.
_CANCEL_COST: tuple[tuple[float, int], ...] = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))


def cancel_cost(age_s: float) -> int:
    """Points one cancel costs for an order of this age; 0 from five minutes on."""
    return next((cost for limit_s, cost in _CANCEL_COST if age_s < limit_s), 0)


class _Leaky:
    """A counter that drains at a fixed rate and never goes below zero."""

    __slots__ = ("_decay_per_s", "_value", "_when_s")

    def __init__(self, decay_per_s: float, now_s: float) -> None:
        self._decay_per_s = decay_per_s
        self._value = 0.0
        self._when_s = now_s

    def value(self, now_s: float) -> float:
        # max(): a wall clock stepped back must not add points.
        self._value = max(0.0, self._value - self._decay_per_s * max(0.0, now_s - self._when_s))
        self._when_s = now_s
        return self._value

    def add(self, points: float, now_s: float) -> None:
        self._value = self.value(now_s) + points


class TradingCounters:
    """The engine's counter for each account and pair."""

    def __init__(self, now: Callable[[], float], tier: Tier = PRO) -> None:
        self.tier = tier
        self._now = now
        self._counters: dict[tuple[str, str], _Leaky] = {}

    def value(self, account: str, symbol: str) -> float:
        """The counter as it stands, drained up to now."""
        return self._counter(account, symbol).value(self._now())

    def charge_add(self, account: str, symbol: str) -> bool:
        """Book one new order; False when that would overrun the threshold (nothing is booked then)."""
        return self._charge(account, symbol, _ADD_COST)

    def charge_cancel(self, account: str, symbol: str, age_s: float) -> bool:
        """Book one single cancel; False when that would overrun the threshold (nothing is booked then)."""
        return self._charge(account, symbol, cancel_cost(age_s))

    def charge_batch(self, account: str, symbol: str, ages_s: Sequence[float]) -> None:
        """Book a batch cancel: each order's own cost. The venue accepts it even when it overruns the threshold."""
        self._counter(account, symbol).add(sum(map(cancel_cost, ages_s)), self._now())

    def _charge(self, account: str, symbol: str, points: float) -> bool:
        counter = self._counter(account, symbol)
        if counter.value(self._now()) + points > self.tier.threshold:
            return False
        counter.add(points, self._now())
        return True

    def _counter(self, account: str, symbol: str) -> _Leaky:
        key = (account, symbol)
        if key not in self._counters:
            self._counters[key] = _Leaky(self.tier.decay_per_s, self._now())
        return self._counters[key]


@dataclass(frozen=True, slots=True)
class RestLimit:
    """REST counter of one API key. The venue's own: 15 / 0.33, 20 / 0.5 and 20 / 1 per second by tier.

    Source: https://docs.kraken.com/exchange/guides/rest/ratelimits
    """

    maximum: float
    decay_per_s: float


# Generous on purpose: most tests drive REST far harder than a daemon would, and are not about this counter.
GENEROUS = RestLimit(maximum=10_000, decay_per_s=1_000)


class RestCounters:
    """REST's counter for each API key."""

    def __init__(self, now: Callable[[], float], limit: RestLimit = GENEROUS) -> None:
        self.limit = limit
        self._now = now
        self._counters: dict[str, _Leaky] = {}

    def charge(self, key: str, points: float) -> bool:
        """Book one call; False when the key is over its limit (the refused call still counts, as the venue warns)."""
        counter = self._counters.setdefault(key, _Leaky(self.limit.decay_per_s, self._now()))
        if points == 0:
            return True
        counter.add(points, self._now())
        # Held at twice the limit, so that a caller who never stops is blocked for long and not for ever.
        excess = counter.value(self._now()) - 2 * self.limit.maximum
        if excess > 0:
            counter.add(-excess, self._now())
        return counter.value(self._now()) <= self.limit.maximum


@dataclass(frozen=True, slots=True)
class Budget:
    """So many points within any so many seconds.

    Source: https://docs.kraken.com/exchange/guides/futures/ratelimits ("500 every 10 seconds")
    """

    points: int
    window_s: float


FUTURES_BUDGET = Budget(points=500, window_s=10.0)


class Budgets:
    """The Futures budget of each account, spent alike over REST and over the Unified WebSocket.

    Whether the venue's window slides, and whether both routes share it, is not published; both are taken as the harder
    case. A refused request costs nothing.
    """

    def __init__(self, now: Callable[[], float], budget: Budget = FUTURES_BUDGET) -> None:
        self.budget = budget
        self._now = now
        self._spent: dict[str, deque[tuple[float, int]]] = {}

    def charge(self, account: str, points: int) -> bool:
        """Spend points; False, and nothing spent, when the budget does not hold them."""
        now_s = self._now()
        spent = self._spent.setdefault(account, deque())
        while spent and spent[0][0] <= now_s - self.budget.window_s:
            spent.popleft()
        if sum(cost for _, cost in spent) + points > self.budget.points:
            return False
        if points:
            spent.append((now_s, points))
        return True
