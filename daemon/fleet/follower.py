"""What one daemon's agent does about kills: pull the local switch, leave it, re-arm it, tell the others.

A kill stands from the moment its order is believed until two persons' approvals of that very order are here. While one
stands the local switch is kept latched, also where the bus is silent and where somebody re-arms it by hand. What comes
off the bus can add a kill at any time; only approvals end one, and neither silence, an entry that is gone nor one that
cannot be read ever does.

Times are monotonic nanoseconds. Every call leaves in `effects` what is to be done.
"""

from typing import Final, NamedTuple, TypeAlias

import msgspec

from .orders import Approval, Codes, KillOrder, LocalKill, Unfit, code_mark, kill_id
from .place import Place

SECOND_NS: Final = 10**9

PULL_PAUSE_NS: Final = SECOND_NS // 5
"""The least pause between two pulls of a switch that does not latch; so too between two tries to re-arm it."""

SYNC_NS: Final = 1 * SECOND_NS
"""How long the switch waits, after each connecting, for the bus to have told all that stands: a kill and then the
approvals that ended it come one by one. A bus that breaks off meanwhile must not hold a kill back for longer."""

PERSONS: Final = 2
"""How many different persons end a kill of a fleet."""

ENDED_KEPT: Final = 64
"""Kills over whose ids are remembered, so that an old order that is put back is known for what it is."""

OURS: Final = "fleet: "
"""How the reason of a switch that an agent pulled begins."""


class Standing(msgspec.Struct, frozen=True):
    """A kill that is not ended. scope: of an order; or `local.HOST.ACCOUNT`, of a neighbour's own kill."""

    scope: str
    kill: str
    reason: str
    by: str


class Memory(msgspec.Struct):
    """What outlives an agent: what stands, what is over, and how far each signer has counted.

    pulled: whether the switch as it is latched now was pulled by us. others: somebody else pulled it besides.
    by_hand: what it was pulled for was not ended by two persons, so somebody at this host has to re-arm it.
    asked: pulls that we asked for, also by the kill file of a daemon that was not there, and have not seen counted.
    written: how far this agent itself has counted. start, pulls: which life of the daemon was seen last, and how often
    its switch had been pulled in it.
    """

    standing: list[Standing] = msgspec.field(default_factory=list)
    ended: list[str] = msgspec.field(default_factory=list)
    counters: dict[str, int] = msgspec.field(default_factory=dict)
    pulled: bool = False
    others: bool = False
    by_hand: bool = False
    asked: int = 0
    start: str = ""
    pulls: int = 0
    written: int = 0


class Pull(NamedTuple):
    """Pull the local switch with this reason."""

    reason: str


class Rearm(NamedTuple):
    """Re-arm the local switch, in its two steps."""

    reason: str


class Announce(NamedTuple):
    """Tell the others whether this daemon is latched by a kill of its own."""

    latched: bool
    reason: str
    who: str


class Refused(NamedTuple):
    """For the record and an alert: what came off the bus was not followed."""

    key: str
    why: str


class Remember(NamedTuple):
    """The memory has changed: put it on disk before anything after this is done."""


Effect: TypeAlias = Pull | Rearm | Announce | Refused | Remember


class Local(NamedTuple):
    """What `status` of the local daemon says of its switch. start: what tells this life of the daemon from others;
    pulls: how often the switch was pulled in it. reason: of the pull that latched it, whatever came after."""

    latched: bool
    start: str
    pulls: int
    reason: str = ""
    who: str = ""


class Follower:
    """The decisions of one agent. `memory` is the caller's to keep; it is changed here."""

    def __init__(self, place: Place, memory: Memory) -> None:
        self.place = place
        self.memory = memory
        self.effects: list[Effect] = []
        self._approvals: dict[tuple[str, str], Approval] = {}
        self._marks: dict[tuple[str, str], frozenset[str]] = {}
        self._local: Local | None = None
        self._tried_ns: int | None = None
        self._told: Announce | None = None
        self._over = f"{OURS}ended by {PERSONS} persons"
        self._syncing_ns: int | None = None

    # ---------------------------------------------------------------- what comes off the bus

    def connected(self, now_ns: int) -> None:
        """The bus begins to tell all that stands."""
        self._syncing_ns = now_ns

    def caught_up(self, now_ns: int) -> None:
        """The bus has told all that stands."""
        self._syncing_ns = None
        self._act(now_ns)

    def order(self, key: str, order: KillOrder | Unfit, now_ns: int) -> None:
        """What stands under `kill.SCOPE`, where SCOPE reaches this daemon."""
        scope = key.removeprefix("kill.")
        if isinstance(order, Unfit):
            self._refuse(key, order.why)
            return
        if order.scope != scope:
            self._refuse(key, f"an order for {order.scope}, put under another key")
            return
        if scope not in self.place.scopes:
            return
        kill = kill_id(order)
        if kill in self.memory.ended:
            # What two persons ended is met again whenever the bus is watched anew: it is over.
            return
        if any(one.kill == kill for one in self.memory.standing):
            return
        # For each scope by itself: an old order that is put back is told anew, behind a newer one of another scope.
        if not self._counts(f"{key}.{order.by}", order.counter):
            self._refuse(
                key, f"an order of {order.by} from before one that was followed: somebody puts old orders back"
            )
            return
        self.memory.standing.append(Standing(scope, kill, order.reason, order.by))
        self.effects.append(Remember())
        self._settle_approvals()
        self._act(now_ns)

    def approval(self, key: str, approval: Approval | Unfit, now_ns: int) -> None:
        """What stands under `rearm.SCOPE.OPERATOR`."""
        if isinstance(approval, Unfit):
            self._refuse(key, approval.why)
            return
        if key != f"rearm.{approval.scope}.{approval.by}":
            self._refuse(key, f"an approval of {approval.by} for {approval.scope}, put under another key")
            return
        self._approvals[approval.scope, approval.by] = approval
        self._settle_approvals()
        self._act(now_ns)

    def codes(self, key: str, codes: Codes | Unfit, now_ns: int) -> None:
        """What stands under `code.HOST.ACCOUNT`: the marks of the codes that this agent gave out."""
        if isinstance(codes, Unfit):
            self._refuse(key, codes.why)
            return
        host, _, account = key.removeprefix("code.").partition(".")
        if codes.by != host:
            self._refuse(key, f"codes of {codes.by}, put under another host's key")
            return
        self._marks[host, account] = frozenset(codes.marks)
        self._settle_approvals()
        self._act(now_ns)

    def neighbour(self, key: str, told: LocalKill | Unfit, now_ns: int) -> None:
        """What stands under `local.HOST.ACCOUNT`: a kill that was pulled at one daemon alone."""
        host, _, account = key.removeprefix("local.").partition(".")
        if not self.place.follows(host, account):
            return
        if isinstance(told, Unfit):
            self._refuse(key, told.why)
            return
        if (told.by, told.account) != (host, account):
            self._refuse(key, f"an announcement of {told.by}, put under another host's key")
            return
        kill = f"{key}:{told.counter}"
        if kill in self.memory.ended or any(one.kill == kill for one in self.memory.standing):
            return
        if told.counter == self.memory.counters.get(key):
            # Told again, since the bus was watched anew.
            return
        if not self._counts(key, told.counter):
            self._refuse(key, "an announcement from before one that was followed: somebody puts old ones back")
            return
        before = [one for one in self.memory.standing if one.scope == key]
        if told.latched:
            self.memory.standing.append(Standing(key, kill, told.reason, host))
        for one in before:
            # The newer word of that host holds. Our own switch stays latched: whoever is here looks and re-arms it.
            self.memory.by_hand = True
            self._end(one)
        self.effects.append(Remember())
        self._act(now_ns)

    # ---------------------------------------------------------------- the local daemon

    def local(self, local: Local | None, now_ns: int) -> None:
        """How the local switch stands; None while its daemon does not answer. To be told at each change and each
        second."""
        self._local = local
        if local is not None:
            self._watch_pulls(local)
            self._announce(local)
        self._act(now_ns)

    def pulled(self, local: Local, now_ns: int) -> None:
        """Our own pull was answered, and the switch stands so."""
        self.memory.asked += 1
        self.local(local, now_ns)

    def left_by_file(self) -> None:
        """The daemon was not reached, and its kill file was written: it is pulled when the daemon looks."""
        self.memory.asked += 1
        self.effects.append(Remember())

    # ---------------------------------------------------------------- how it stands

    @property
    def standing(self) -> tuple[Standing, ...]:
        """The kills that keep this daemon latched."""
        return tuple(self.memory.standing)

    @property
    def reason(self) -> str:
        """What the switch is pulled for, while a kill stands."""
        one = self.memory.standing[-1]
        return f"{OURS}{one.scope} by {one.by}: {one.reason}"

    def find(self, scope: str) -> Standing | None:
        """The kill that stands for this scope."""
        return next((one for one in reversed(self.memory.standing) if one.scope == scope), None)

    def approved_by(self, standing: Standing) -> list[str]:
        """The persons whose approval of this kill is here, sorted."""
        return sorted(self._good_approvals(standing))

    # ---------------------------------------------------------------- parts

    def _counts(self, signer: str, counter: int) -> bool:
        """Whether this is newer than all that this signer said; then it is the newest."""
        if counter <= self.memory.counters.get(signer, -1):
            return False
        self.memory.counters[signer] = counter
        return True

    def _refuse(self, key: str, why: str) -> None:
        self.effects.append(Refused(key, why))

    def _good_approvals(self, standing: Standing) -> dict[str, Approval]:
        good: dict[str, Approval] = {}
        used: set[str] = set()
        for (scope, person), one in sorted(self._approvals.items()):
            if scope != standing.scope or one.kill != standing.kill:
                continue
            mark = code_mark(one.code, scope, one.kill, person)
            if one.code not in used and mark in self._marks.get((one.code_host, one.code_account), ()):
                used.add(one.code)
                good[person] = one
        return good

    def _settle_approvals(self) -> None:
        for one in list(self.memory.standing):
            good = self._good_approvals(one)
            if len(good) >= PERSONS:
                self._over = f"{OURS}{one.scope}: its end was approved by {' and '.join(sorted(good))}"
                self._end(one)
                self.effects.append(Remember())

    def _end(self, standing: Standing) -> None:
        self.memory.standing.remove(standing)
        self.memory.ended.append(standing.kill)
        del self.memory.ended[:-ENDED_KEPT]

    def _watch_pulls(self, local: Local) -> None:
        """Whether somebody else pulled the switch while it is latched: then no order of the fleet re-arms it."""
        memory = self.memory
        grown = local.pulls - (memory.pulls if local.start == memory.start else 0)
        own = min(memory.asked, grown)
        pulled = local.latched and (memory.pulled or own > 0) and local.reason.startswith(OURS)
        others = local.latched and (memory.others or grown > own or not pulled)
        by_hand = local.latched and memory.by_hand
        # A kill file is pulled only when its daemon looks.
        asked = 0 if local.latched else memory.asked - own
        seen = (local.start, local.pulls, pulled, others, by_hand, asked)
        if seen != (memory.start, memory.pulls, memory.pulled, memory.others, memory.by_hand, memory.asked):
            memory.start, memory.pulls, memory.pulled, memory.others, memory.by_hand, memory.asked = seen
            self.effects.append(Remember())

    def _announce(self, local: Local) -> None:
        own = local.latched and self.memory.others
        told = Announce(own, local.reason if own else "", local.who if own else "")
        if told != self._told:
            self._told = told
            self.effects.append(told)

    def _act(self, now_ns: int) -> None:
        """Bring the local switch to where it has to be."""
        local = self._local
        if self._syncing_ns is not None:
            if now_ns < self._syncing_ns + SYNC_NS:
                return
            self._syncing_ns = None
        if self.memory.standing:
            if local is None or not local.latched:
                self._try(Pull(self.reason), now_ns)
        elif local is not None and local.latched and self._may_rearm:
            self._try(Rearm(self._over), now_ns)

    @property
    def _may_rearm(self) -> bool:
        """Whether all that the switch was pulled for was the fleet's, and is over."""
        return self.memory.pulled and not self.memory.others and not self.memory.by_hand

    def _try(self, effect: Pull | Rearm, now_ns: int) -> None:
        if self._tried_ns is None or now_ns - self._tried_ns >= PULL_PAUSE_NS:
            self._tried_ns = now_ns
            self.effects.append(effect)
