"""When to dial again: delays of one session, and the budget of attempts that all sessions of a host share.

A delay that grows is for a venue that is not there. One that takes every dial, and ends each session soon, is dialled
as fast as the budget bears: to stay away from it would leave us without a session and spare nobody anything.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from ..contract.evidence import Mode
from ..contract.ids import Venue
from .lane import Lane

Need: TypeAlias = Literal["kill", "only", "witness", "spare"]
"""Who dials: for a kill; as the only session of its venue; as a stream that tells of orders; as one more session."""

FREE_TRIES: Final = 3
"""Tries without a delay: most drops are single ones, and every second without a session is one without cancels."""

LEAST_S: Final = 0.1
"""From one dial to the next but one, free or not: a line that resets every dial at once must not take three of the
budget in a millisecond, where all of them meet the same fault."""

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
        self._dialled_ns: int | None = None

    def dialled(self, now_ns: int) -> None:
        """An attempt was booked."""
        self._dialled_ns = now_ns

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
        pace_s: float | None = None,
    ) -> float:
        """The session was lost or could not be opened: how long to wait before dialling again.

        uniform: drawn afresh from 0..1; the delay is spread over its whole length with it. mode: the venue's last
        announced. cause: the close code or the HTTP status of the refusal, where there was one. pressing: the venue is
        under a kill. refused: the venue was there, and refused the order stream. pace_s: from dial to dial, as the
        budget bears it, where a session that was admitted is missed at once; None where another one is live.
        """
        rest_s = 0.0
        if self._live_ns is not None and pace_s is not None:
            # The dial was taken, so the session was no failure, however short it was.
            self._failures = 0
            since_s = pace_s if self._dialled_ns is None else (now_ns - self._dialled_ns) / 1e9
            rest_s = max(0.0, pace_s - since_s)
        if self._live_ns is not None and now_ns - self._live_ns >= STABLE_NS:
            self._failures = self._refusals = 0
        self._live_ns = None
        rule = RULES.get(cause, _USUAL) if cause is not None else _USUAL
        self._failures += 1
        self._refusals += refused
        if self._failures > 1 and self._dialled_ns is not None:
            rest_s = max(rest_s, LEAST_S - (now_ns - self._dialled_ns) / 1e9)
        if pressing:
            # Nothing that a venue could do to us for dialling too often is worse than orders that nobody cancels. The
            # budget of the address still bounds it.
            return max(rest_s, PRESSING_S[min(self._failures, len(PRESSING_S)) - 1])
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
        delay_s = max(delay_s, rest_s)
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


KEPT: Final[Mapping[Need, int]] = {"kill": 0, "only": 1, "witness": 2, "spare": 4}
"""How many reserves each leaves to those before it: one more session is the first to go without."""

FAIR_S: Final = 18.0
"""From dial to dial of one venue with the budget nearly spent: what three venues that are dropped all the time can all
have, so that sessions which live for twenty seconds are never waited for."""


class ConnectBudget:
    """The attempts of all sessions together, on one address. Times are monotonic nanoseconds."""

    def __init__(
        self,
        limit: int = CONNECT_LIMIT,
        window_ns: int = CONNECT_WINDOW_NS,
        *,
        before_ns: Iterable[int] = (),
        booked: Callable[[], None] | None = None,
        unbooked: Callable[[], None] | None = None,
    ) -> None:
        """before_ns: the attempts of earlier processes, oldest first. booked: told of every attempt; unbooked: that the
        newest one was none."""
        self._limit = limit
        self._reserve = limit // RESERVE_SHARE
        self._window_ns = window_ns
        self._attempts: deque[int] = deque(before_ns, maxlen=limit)
        self._booked = booked
        self._unbooked = unbooked
        self._first: dict[Venue, Lane] = {}
        self._lost_ns: dict[Venue, int] = {}

    def take(self, now_ns: int, *, pressing: bool = False, need: Need = "only") -> int:
        """Book an attempt now and return 0, or book none and return the nanoseconds until one is free.

        pressing: for a venue under a kill, which may have the reserve too, whatever its need otherwise is.
        """
        attempts = self._attempts
        limit = self._limit if pressing else self._limit - KEPT[need] * self._reserve
        if len(attempts) >= limit:
            wait_ns = attempts[-limit] + self._window_ns - now_ns
            if wait_ns > 0:
                return wait_ns
        attempts.append(now_ns)
        if self._booked is not None:
            self._booked()
        return 0

    def give_back(self) -> None:
        """An attempt that was booked found no address: nothing went to the venue, which counts what reaches it.

        An outage of DNS under a kill would else spend what the sessions need when it is over.
        """
        if self._attempts:
            self._attempts.pop()
            if self._unbooked is not None:
                self._unbooked()

    def pace_s(self, now_ns: int) -> float:
        """How far apart the dials of one venue are to be: hardly with the budget untouched, FAIR_S with it spent."""
        used = sum(at_ns > now_ns - self._window_ns for at_ns in self._attempts)
        return FAIR_S * min(1.0, used / (self._limit - self._reserve)) ** 2

    def lost(self, venue: Venue, now_ns: int) -> None:
        """A session of this venue that was admitted is over."""
        self._lost_ns[venue] = now_ns

    def need(self, venue: Venue, lane: Lane, now_ns: int, *, live: bool) -> Need:
        """What a dial of this session is for. live: another one of its venue is."""
        if not live:
            return "only" if self.is_first(venue, lane) else "spare"
        # Where sessions are not lost all the time, one more spends nothing that the others will want.
        lost_ns = self._lost_ns.get(venue)
        return "spare" if lost_ns is not None and now_ns - lost_ns < STABLE_NS else "witness"

    def is_first(self, venue: Venue, lane: Lane) -> bool:
        """Whether this session is the one that dials for a venue without any; until it is `settled`, no other is."""
        return self._first.setdefault(venue, lane) == lane

    def settled(self, venue: Venue, lane: Lane) -> None:
        """What became of this session's dial is known."""
        if self._first.get(venue) == lane:
            del self._first[venue]
