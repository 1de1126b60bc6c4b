"""Who keeps the dead man's timer of an account: one of its agents, by a claim on the bus that runs out.

The bus gives each claim a revision, and takes a new one only from whoever names the revision before it. So of two that
want the timer one gets it, and the revision fences out whoever held it before. No two clocks are compared: an owner
counts from before it sent its claim, and whoever waits counts from when he saw that claim, so that the owner has
stopped before another begins.

A claim that got no answer may stand; it is not counted, and the next one tells.
"""

from typing import Final, NamedTuple, TypeAlias

SECOND_NS: Final = 10**9

LEASE_NS: Final = 15 * SECOND_NS
"""How long a claim holds. A venue's timer runs for a minute, so that another takes over before it fires."""

RENEW_NS: Final = 4 * SECOND_NS
"""How often a claim is made anew: three tries before it runs out."""

MARGIN_NS: Final = 3 * SECOND_NS
"""By how much earlier an owner stops than others begin."""

ANSWER_NS: Final = 2 * SECOND_NS
"""When a claim without an answer is given up, and made again."""

RETRY_NS: Final = 1 * SECOND_NS
"""The least pause between two claims."""


class Claim(NamedTuple):
    """Put our claim, given that the newest is this revision (0: there is none); then `claimed` or `lost`."""

    after: int


class GiveUp(NamedTuple):
    """Put a claim that is given up, after this revision; nobody waits for it."""

    after: int


class Right(NamedTuple):
    """Tell the daemon whether it may renew the timer: with this token, until this instant. off: it has to be switched
    off, since the bus is silent and nobody can say who keeps it; armed it would fire for that alone."""

    may_renew: bool
    token: int
    until_ns: int
    off: bool = False


Effect: TypeAlias = Claim | GiveUp | Right


class TimerLease:
    """The decisions of one agent about the timer of its account. Times are monotonic nanoseconds."""

    def __init__(self, host: str, now_ns: int) -> None:
        self.effects: list[Effect] = []
        self._host = host
        self._revision = 0
        self._holder: str | None = None
        # A claim that is older than we are may have been made just now.
        self._seen_ns = now_ns
        self._known = False
        self._claiming_ns: int | None = None
        self._claimed_ns: int | None = None
        self._next_ns = now_ns
        self._owner = False
        self._able = False

    @property
    def owner(self) -> bool:
        """Whether this host keeps the timer now."""
        return self._owner

    @property
    def holder(self) -> str | None:
        """Who made the newest claim; None where nobody holds one that we know of."""
        return self._holder

    def seen(self, revision: int, holder: str | None, now_ns: int) -> None:
        """The newest claim on the bus is this one; holder None: there is none, or it is given up."""
        self._known = True
        if revision < self._revision or (revision == self._revision and holder == self._holder):
            return
        self._revision = revision
        self._holder = holder
        self._seen_ns = now_ns
        if holder != self._host:
            self._stop(now_ns)

    def claimed(self, revision: int, now_ns: int) -> None:
        """Our claim was taken, under this revision."""
        sent_ns, self._claiming_ns = self._claiming_ns, None
        if sent_ns is None or revision < self._revision:
            # Its answer came after we had given it up, or after another's claim.
            return
        self._revision = revision
        self._holder = self._host
        self._seen_ns = now_ns
        self._claimed_ns = sent_ns
        self._next_ns = sent_ns + RENEW_NS
        until_ns = sent_ns + LEASE_NS - MARGIN_NS
        if now_ns < until_ns:
            self._owner = True
            self.effects.append(Right(True, revision, until_ns))

    def lost(self, now_ns: int) -> None:
        """Our claim was not taken, or we do not know: the newest revision is no longer the one that we named."""
        self._claiming_ns = None
        self._next_ns = now_ns + RETRY_NS

    def able(self, able: bool, now_ns: int) -> None:
        """Whether our daemon could renew the timer: it answers, reaches the venue, and is not latched."""
        self._able = able
        if not able and self._owner:
            self.effects.append(GiveUp(self._revision))
            self._stop(now_ns)

    def on_time(self, now_ns: int) -> None:
        """To be called a few times a second."""
        if self._owner and self._claimed_ns is not None and now_ns >= self._claimed_ns + LEASE_NS - MARGIN_NS:
            self._stop(now_ns, off=True)
        if self._claiming_ns is not None:
            if now_ns < self._claiming_ns + ANSWER_NS:
                return
            self.lost(now_ns)
        if not self._known or not self._able or now_ns < self._next_ns:
            return
        free = self._holder is None or now_ns - self._seen_ns >= LEASE_NS
        if self._owner or self._holder == self._host or free:
            self._claiming_ns = now_ns
            self._next_ns = now_ns + RETRY_NS
            self.effects.append(Claim(self._revision))

    def _stop(self, now_ns: int, *, off: bool = False) -> None:
        if self._owner:
            self._owner = False
            self.effects.append(Right(False, self._revision, now_ns, off))
        self._claimed_ns = None
        self._next_ns = max(self._next_ns, now_ns + RETRY_NS)
