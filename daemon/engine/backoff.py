"""When to dial again: delays of one session, and the budget of attempts that all sessions of a host share."""

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from ..contract.evidence import Mode

FREE_TRIES: Final = 3
"""Tries without a delay: most drops are single ones, and every second without a session is one without cancels."""

FREE_REFUSALS: Final = 1
"""Refusals of the order stream without a delay: a new session has a new token, which mends what one is mostly for.
Whoever is refused again has to ask for less."""

FIRST_S: Final = 1.0
HELD_S: Final = 4.0
HELD_TRIES: Final = 6
LONGEST_S: Final = 30.0
"""The delay after the free tries, doubled each time, and where the doubling ends. It rests on the way for so many
tries: a minute of trouble is to be over for us seconds after it is over for the venue."""

MAINTENANCE_FLOOR_S: Final = 5.0
"""Least delay while the venue is in maintenance or has just left it. Source: Spot WebSocket "Introduction"."""

STABLE_NS: Final = 60 * 10**9
"""How long a session has to live before earlier failures are forgiven. Shorter, and a venue that admits and then drops
us every few seconds would be dialled without delay until it bans the address."""

SPREAD_S: Final = 1.0
"""Over how long a reconnect that may be immediate is spread, since everyone was dropped in the same second."""

BANNED_S: Final = 600.0
"""How long Cloudflare keeps an address out that dialled too often. Source: Spot WebSocket "Introduction"."""

REFUSED_S: Final = 60.0
"""Delay after a refusal that only people or a new token can change."""


PRESSING_S: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
"""The delays while the venue is under a kill, whatever turned the session away; the last repeats."""


class Rule(NamedTuple):
    """What a close code or a refused upgrade asks for. `spread`: the first time, dial at once but not all together."""

    least_s: float
    alarm: bool = False
    spread: bool = False


RULES: Final[Mapping[int, Rule]] = {
    # WebSocket close codes.
    1008: Rule(REFUSED_S, alarm=True),  # policy violation: the official SDK gives up here, a daemon must not
    1012: Rule(0.0, spread=True),  # service restart
    1013: Rule(1.0),  # try again later
    # HTTP statuses of a refused upgrade.
    400: Rule(REFUSED_S, alarm=True),
    401: Rule(REFUSED_S, alarm=True),
    403: Rule(BANNED_S, alarm=True),
    404: Rule(REFUSED_S, alarm=True),
    429: Rule(BANNED_S, alarm=True),
}
"""Causes that ask for more than the usual delay. Close codes have four digits, HTTP statuses three: no clash."""

_USUAL: Final = Rule(0.0)


class Backoff:
    """The delays of one session. Not the attempts of a host: `ConnectBudget` counts those."""

    def __init__(self) -> None:
        self._failures = 0
        self._refusals = 0
        self._live_ns: int | None = None

    def live(self, now_ns: int) -> None:
        """The session was admitted."""
        self._live_ns = now_ns

    def forgive(self) -> None:
        """Begin with the shortest delay again."""
        self._failures = 0

    def delay_s(
        self,
        now_ns: int,
        uniform: float,
        *,
        mode: Mode = "online",
        cause: int | None = None,
        pressing: bool = False,
        refused: bool = False,
    ) -> float:
        """The session was lost or could not be opened: how long to wait before dialling again.

        uniform: drawn afresh from 0..1; the delay is spread over its whole length with it. mode: the venue's last
        announced. cause: the close code or the HTTP status of the refusal, where there was one. pressing: the venue is
        under a kill. refused: the venue was there, and refused the order stream.
        """
        if self._live_ns is not None and now_ns - self._live_ns >= STABLE_NS:
            self._failures = self._refusals = 0
        self._live_ns = None
        rule = RULES.get(cause, _USUAL) if cause is not None else _USUAL
        self._failures += 1
        self._refusals += refused
        if pressing:
            # Nothing that a venue could do to us for dialling too often is worse than orders that nobody cancels. The
            # budget of the address still bounds it.
            return PRESSING_S[min(self._failures, len(PRESSING_S)) - 1]
        tries = self._failures - FREE_TRIES
        pause_s = 0.0
        if refused and self._refusals > FREE_REFUSALS:
            pause_s = min(LONGEST_S, FIRST_S * 2.0 ** min(self._refusals - FREE_REFUSALS - 1, 16))
        if tries <= 0:
            # A venue that restarts again and again falls back to the usual delays, or the budget would be gone.
            delay_s = SPREAD_S * uniform if rule.spread else 0.0
        else:
            # The exponent is bounded: after a weekend of failures 2.0**n would overflow.
            held_s = min(HELD_S, FIRST_S * 2.0 ** min(tries - 1, 16))
            later_s = FIRST_S * 2.0 ** min(max(tries - 1 - HELD_TRIES, 0), 16)
            delay_s = min(LONGEST_S, max(held_s, later_s)) * uniform
        floor_s = max(rule.least_s, pause_s, MAINTENANCE_FLOOR_S if mode in ("maintenance", "cancel_only") else 0.0)
        # A floor is spread too, upwards: else all that were dropped together would come back together.
        return delay_s if floor_s == 0.0 else max(delay_s, floor_s + SPREAD_S * uniform)


def is_alarming(cause: int | None) -> bool:
    """Whether people should hear of a close code or of the HTTP status of a refused upgrade."""
    return cause is not None and RULES.get(cause, _USUAL).alarm


CONNECT_LIMIT: Final = 120
RESERVE_SHARE: Final = 6
CONNECT_WINDOW_NS: Final = 600 * 10**9
"""Connection attempts per rolling window. The address is banned at about 150; Kraken's own clients stop at 120.
One in six is kept for kills. Source: Spot WebSocket "Introduction"; krakenfx/kraken-api-sdk."""


class ConnectBudget:
    """The attempts of all sessions together, on one address. Times are monotonic nanoseconds."""

    def __init__(self, limit: int = CONNECT_LIMIT, window_ns: int = CONNECT_WINDOW_NS) -> None:
        self._limit = limit
        self._reserve = limit // RESERVE_SHARE
        self._window_ns = window_ns
        self._attempts: deque[int] = deque(maxlen=limit)

    def take(self, now_ns: int, *, pressing: bool = False) -> int:
        """Book an attempt now and return 0, or book none and return the nanoseconds until one is free.

        pressing: for a venue under a kill, which may have the reserve too.
        """
        attempts = self._attempts
        limit = self._limit if pressing else self._limit - self._reserve
        if len(attempts) >= limit:
            wait_ns = attempts[-limit] + self._window_ns - now_ns
            if wait_ns > 0:
                return wait_ns
        attempts.append(now_ns)
        return 0
