"""Leases: a strategy that stops renewing its own has its orders cancelled, or the kill switch pulled.

The strategy's label is the key. Whoever renews under it is that strategy: a client that crashed and came back goes on
with the lease it left. Nothing here cancels; what has expired is handed to the caller. The file that lets leases
survive a restart is read and written by others.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from ..contract.ids import VENUES, Venue
from ..contract.selectors import Selector, selector_fault, strategies_fault
from .instants import FAR_NS, MS
from .sealed import Broken, seal, unseal

OnExpiry: TypeAlias = Literal["cancel", "kill"]

VERSION: Final = 1
"""Version of the file's format."""

TTL_MIN_MS: Final = 500
"""Shortest lease: below it a pause of the strategy's own runtime would cancel its orders."""

LEASES_LIMIT: Final = 1_000
SCOPE_LIMIT: Final = 10_000
"""Most leases, and most scope entries of all leases together; past either, nobody is given more."""

LATE_NS: Final = 250 * MS
"""When we ourselves look at the clock this much too late, renewals may be waiting to be read: expiry is put off once,
by as much again, so that a stall of the daemon is not taken for one of every strategy."""


class Terms(msgspec.Struct, frozen=True):
    """What one strategy asked for. The file holds these and no times: after a restart a full ttl is waited."""

    strategy: str
    ttl_ms: int
    on_expiry: OnExpiry
    scope: tuple[Selector, ...]


class _Held:
    """A lease that is live, until `expires_ns` on the monotonic clock."""

    __slots__ = ("expires_ns", "restored", "terms")

    def __init__(self, terms: Terms, expires_ns: int, *, restored: bool) -> None:
        self.terms = terms
        self.expires_ns = expires_ns
        self.restored = restored


class Leases:
    """The live leases. Times are monotonic nanoseconds.

    `revision` counts the changes of what the file has to hold; renewals on the same terms are none, so they cost no
    disk.
    """

    def __init__(self, venues: Collection[Venue] = VENUES, strategies: Mapping[str, object] | None = None) -> None:
        """venues, strategies: those that a scope may name."""
        self.revision = 0
        self._venues = venues
        self._strategies = strategies or {}
        self._held: dict[str, _Held] = {}
        self._entries = 0
        # Not later than the first expiry, and often sooner: renewals leave it as it is, which keeps them cheap.
        self._wake_ns = FAR_NS
        self._put_off = False

    def __len__(self) -> int:
        """How many leases are live."""
        return len(self._held)

    def __contains__(self, strategy: str) -> bool:
        """Whether this strategy holds one."""
        return strategy in self._held

    @property
    def wake_ns(self) -> int:
        """When `on_time` is to be called; FAR_NS without leases."""
        return self._wake_ns

    @property
    def terms(self) -> tuple[Terms, ...]:
        """What the file has to hold now."""
        return tuple(held.terms for held in self._held.values())

    def renew(
        self, strategy: str, ttl_ms: int, on_expiry: OnExpiry, scope: tuple[Selector, ...], now_ns: int
    ) -> str | None:
        """Take or renew a lease with these terms from now on, or with ttl_ms 0 give it back.

        Returns why that is refused, naming the field; what was held before then goes on as it was. None when done.
        """
        if ttl_ms == 0:
            self._drop(strategy)
            return None
        held = self._held.get(strategy)
        # Identical terms are the rule: compared, not looked into again.
        if held is None or (held.terms.ttl_ms, held.terms.on_expiry, held.terms.scope) != (ttl_ms, on_expiry, scope):
            if (why := self._fault(held, ttl_ms, scope)) is not None:
                return why
            terms = Terms(strategy, ttl_ms, on_expiry, scope)
            self._entries += len(scope) - (len(held.terms.scope) if held is not None else 0)
            self.revision += 1
            held = self._held[strategy] = _Held(terms, 0, restored=False)
        held.restored = False
        self._run(held, now_ns)
        return None

    def restore(self, terms: Iterable[Terms], now_ns: int) -> None:
        """Leases that were live when the daemon ended: their strategies have one ttl to renew, then they expire.

        A strategy that has renewed already keeps what it asked for. Past a limit the rest is left out; the file was
        written within the same limits.
        """
        for each in terms:
            full = len(self._held) >= LEASES_LIMIT or self._entries + len(each.scope) > SCOPE_LIMIT
            if each.strategy in self._held or full:
                continue
            self._entries += len(each.scope)
            held = self._held[each.strategy] = _Held(each, 0, restored=True)
            self._run(held, now_ns)

    def on_time(self, now_ns: int) -> list[Terms]:
        """The leases that have expired, longest ago first; they are no longer held."""
        if now_ns < self._wake_ns:
            return []
        if now_ns - self._wake_ns >= LATE_NS and not self._put_off:
            self._put_off = True
            self._wake_ns = now_ns + LATE_NS
            return []
        self._put_off = False
        over = sorted((held for held in self._held.values() if held.expires_ns <= now_ns), key=lambda it: it.expires_ns)
        for held in over:
            self._drop(held.terms.strategy)
        self._wake_ns = min((held.expires_ns for held in self._held.values()), default=FAR_NS)
        return [held.terms for held in over]

    def status(self, now_ns: int) -> list[dict[str, Any]]:
        """The leases for `status`. restored: not renewed yet since the daemon started. scope: how many entries."""
        return [
            {
                "strategy": held.terms.strategy,
                "ttl_ms": held.terms.ttl_ms,
                "expires_in_ms": max(0, (held.expires_ns - now_ns) // MS),
                "on_expiry": held.terms.on_expiry,
                "scope": len(held.terms.scope),
                "restored": held.restored,
            }
            for held in self._held.values()
        ]

    def _fault(self, held: _Held | None, ttl_ms: int, scope: tuple[Selector, ...]) -> str | None:
        if ttl_ms < TTL_MIN_MS:
            return f"ttl_ms: expected 0 or at least {TTL_MIN_MS}"
        if held is None and len(self._held) >= LEASES_LIMIT:
            return f"strategy: {LEASES_LIMIT} leases are held already"
        before = len(held.terms.scope) if held is not None else 0
        if self._entries - before + len(scope) > SCOPE_LIMIT:
            return f"scope: more than {SCOPE_LIMIT} entries over all leases"
        for number, entry in enumerate(scope):
            if entry.venue is not None and entry.venue not in self._venues:
                return f"scope[{number}].venue: {entry.venue} is not enabled in this daemon's configuration"
            if (why := selector_fault(entry)) is not None:
                return f"scope[{number}]{why}"
        return strategies_fault(scope, self._strategies)

    def _run(self, held: _Held, now_ns: int) -> None:
        held.expires_ns = now_ns + held.terms.ttl_ms * MS
        self._wake_ns = min(self._wake_ns, held.expires_ns)

    def _drop(self, strategy: str) -> None:
        held = self._held.pop(strategy, None)
        if held is not None:
            self._entries -= len(held.terms.scope)
            self.revision += 1


# ---------------------------------------------------------------- the file


class _File(msgspec.Struct):
    leases: tuple[Terms, ...]
    expired: tuple[Terms, ...] = ()


class Stored(NamedTuple):
    """What a file held: the live leases, and expired ones that were not carried out to the end.

    `why` when it cannot be used, so that leases which were live are not known any more.
    """

    terms: tuple[Terms, ...]
    expired: tuple[Terms, ...] = ()
    why: str | None = None


def format_leases(terms: Iterable[Terms], expired: Iterable[Terms] = ()) -> bytes:
    """Leases as their file holds them: one line of JSON, sealed."""
    return seal(VERSION, {"leases": tuple(terms), "expired": tuple(expired)})


def parse_leases(content: bytes | None) -> Stored:
    """The leases in a state file's content; none for no file.

    A file that cannot be read restores nothing: pulling the kill for leases that perhaps never were would be a guess.
    People have to hear of it, since strategies that died with the daemon are not missed then.
    """
    if content is None:
        return Stored(())
    read = unseal(content, VERSION, _File)
    if isinstance(read, Broken):
        return Stored((), (), f"the file of leases {read.why}")
    return Stored(read.leases, read.expired)
