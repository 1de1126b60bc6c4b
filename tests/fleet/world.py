"""A fleet of three hosts in simulated time: a bus that is cut and healed, agents that die, daemons, two persons.

The judge knows what was put on the bus and when; what an agent believes of it is never asked.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from canceld.fleet.follower import Follower, Local, Memory, Pull, Rearm, Refused
from canceld.fleet.orders import Approval, Codes, KillOrder, LocalKill, code_mark, kill_id
from canceld.fleet.place import Place
from canceld.fleet.timer_lease import LEASE_NS, Claim, GiveUp, Right, TimerLease

MS: Final = 10**6
STEP_NS: Final = 50 * MS
SECOND_NS: Final = 1000 * MS
HOSTS: Final = ("h1", "h2", "h3")
ACCOUNTS: Final = {"h1": "alpha", "h2": "alpha", "h3": "beta"}
REACHED_NS: Final = 1 * SECOND_NS
"""Within this a host that has the bus is latched by a kill of the fleet."""
UNLATCHED_NS: Final = 500 * MS
"""For so long at the most it is not latched where somebody re-armed it by hand beside a kill of the fleet."""
RETURNED_NS: Final = 2 * SECOND_NS
"""Within this, one that comes back to the bus, or whose agent does."""


@dataclass
class Daemon:
    """What an agent sees of its daemon."""

    latched: bool = False
    pulls: int = 0
    reason: str = ""
    unlatched_by: str = ""

    def pull(self, reason: str) -> None:
        self.pulls += 1
        if not self.latched:
            self.latched, self.reason = True, reason

    def told(self) -> Local:
        return Local(self.latched, "life", self.pulls, self.reason if self.latched else "")


@dataclass
class Bus:
    """A key-value bucket with one revision for all of it. Whoever is cut off neither writes nor hears."""

    entries: dict[str, tuple[int, Any]] = field(default_factory=dict)
    revision: int = 0

    def put(self, key: str, value: Any) -> int:
        self.revision += 1
        self.entries[key] = (self.revision, value)
        return self.revision

    def update(self, key: str, value: Any, after: int) -> int | None:
        held = self.entries.get(key, (0, None))[0]
        return self.put(key, value) if held == after else None


class Host:
    """One host: its daemon lives through everything; its agent dies and comes back with its memory."""

    def __init__(self, name: str, world: "World") -> None:
        self.name = name
        self.account = ACCOUNTS[name]
        self.world = world
        self.daemon = Daemon()
        self.memory = Memory()
        self.follower: Follower | None = None
        self.lease: TimerLease | None = None
        self.linked = True
        self.linked_ns = 0
        self.inbox: list[tuple[int, str, int, Any]] = []
        self.answers: list[tuple[int, Callable[[], None]]] = []
        self.may_renew_until_ns = -1
        self.right = 0
        self.counter = 0
        self.start(0)

    # ------------------------------------------------ life

    def start(self, now_ns: int) -> None:
        self.follower = Follower(Place("f", self.name, self.account, follow="account"), self.memory)
        self.lease = TimerLease(self.name, now_ns)
        self.linked_ns = now_ns
        if self.linked:
            self.subscribe(now_ns)

    def die(self) -> None:
        # A claim on its way may still land, and what the daemon was allowed runs out by itself.
        self.follower = self.lease = None
        self.inbox.clear()

    def subscribe(self, now_ns: int) -> None:
        assert self.follower is not None
        self.linked_ns = now_ns
        self.inbox.clear()
        self.follower.connected(now_ns)
        at_ns = now_ns + self.world.delay()
        for key, (revision, value) in sorted(self.world.bus.entries.items(), key=lambda one: one[1][0]):
            self.inbox.append((at_ns, key, revision, value))
        self.inbox.append((at_ns, "", 0, None))

    # ------------------------------------------------ a step

    def step(self, now_ns: int) -> None:
        if self.follower is None or self.lease is None:
            return
        due = [one for one in self.inbox if one[0] <= now_ns]
        self.inbox = [one for one in self.inbox if one[0] > now_ns]
        if self.linked:
            for _, key, revision, value in due:
                self._hear(key, revision, value, now_ns)
        ready = [call for at_ns, call in self.answers if at_ns <= now_ns]
        self.answers = [one for one in self.answers if one[0] > now_ns]
        for call in ready:
            if self.lease is not None:
                call()
        self.follower.local(self.daemon.told(), now_ns)
        self.lease.able(not self.daemon.latched, now_ns)
        self.lease.on_time(now_ns)
        self._act(now_ns)

    def _hear(self, key: str, revision: int, value: Any, now_ns: int) -> None:
        follower, lease = self.follower, self.lease
        assert follower is not None
        assert lease is not None
        if key == "":
            follower.caught_up(now_ns)
            if f"timer.{self.account}" not in self.world.bus.entries:
                lease.seen(0, None, now_ns)
            return
        match value:
            case KillOrder():
                follower.order(key, value, now_ns)
            case Approval():
                follower.approval(key, value, now_ns)
            case Codes():
                follower.codes(key, value, now_ns)
            case LocalKill():
                follower.neighbour(key, value, now_ns)
            case str() | None if key == f"timer.{self.account}":
                lease.seen(revision, value, now_ns)

    def _act(self, now_ns: int) -> None:
        follower, lease = self.follower, self.lease
        assert follower is not None
        assert lease is not None
        while follower.effects:
            effect = follower.effects.pop(0)
            match effect:
                case Pull(reason=reason):
                    self.daemon.pull(reason)
                    follower.pulled(self.daemon.told(), now_ns)
                case Rearm():
                    self.world.judge_rearm(self, now_ns)
                    self.daemon.latched, self.daemon.unlatched_by = False, "fleet"
                    follower.local(self.daemon.told(), now_ns)
                case Refused(key=key, why=why):
                    self.world.refused.append((self.name, key, why))
                case _ if hasattr(effect, "latched") and self.linked:
                    self.counter += 1
                    told = LocalKill(
                        fleet="f", by=self.name, at_ns=now_ns, counter=self.counter, account=self.account,
                        latched=effect.latched, reason=effect.reason, who=effect.who,
                    )  # fmt: skip
                    self.world.put(f"local.{self.name}.{self.account}", told, now_ns)
                case _:
                    pass
        while lease.effects:
            self._act_on_timer(lease.effects.pop(0), lease, now_ns)

    def _act_on_timer(self, effect: Claim | GiveUp | Right, lease: TimerLease, now_ns: int) -> None:
        match effect:
            case Right(may_renew=may, token=token, until_ns=until_ns):
                if token >= self.right:
                    self.right = token
                    self.may_renew_until_ns = until_ns if may else -1
            case Claim(after=after) | GiveUp(after=after):
                value = self.name if isinstance(effect, Claim) else None
                lands_ns = now_ns + self.world.delay()
                lost_answer = self.world.random.random() < 0.1
                linked = self.linked

                def land() -> None:
                    revision = None
                    if linked and self.linked:
                        revision = self.world.update(f"timer.{self.account}", value, after, self.world.now_ns)
                    if isinstance(effect, GiveUp) or lost_answer or self.lease is not lease:
                        return
                    if revision is None:
                        lease.lost(self.world.now_ns)
                    else:
                        lease.claimed(revision, self.world.now_ns)

                self.answers.append((lands_ns, land))


class World:
    """A run of one seed. `faults`: what went wrong, as far as the judge can tell."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now_ns = 0
        self.bus = Bus()
        self.refused: list[tuple[str, str, str]] = []
        self.faults: list[str] = []
        self.kills: dict[str, tuple[KillOrder, int]] = {}
        self.over: set[str] = set()
        self.approvals = 0
        self.good: dict[str, set[str]] = {}
        self.codes: dict[str, list[str]] = {}
        self.latched_ns = dict.fromkeys(HOSTS, 0)
        self.counter = 0
        self.hosts = {name: Host(name, self) for name in HOSTS}
        self.ownerless_ns = {"alpha": 0, "beta": 0}

    def delay(self) -> int:
        return int(self.random.expovariate(1 / (20 * MS))) + MS

    def put(self, key: str, value: Any, now_ns: int) -> int:
        revision = self.bus.put(key, value)
        self._spread(key, revision, value, now_ns)
        return revision

    def update(self, key: str, value: Any, after: int, now_ns: int) -> int | None:
        revision = self.bus.update(key, value, after)
        if revision is not None:
            self._spread(key, revision, value, now_ns)
        return revision

    def _spread(self, key: str, revision: int, value: Any, now_ns: int) -> None:
        for host in self.hosts.values():
            if host.linked and host.follower is not None:
                # A watch tells in the bus's order, however long each took.
                at_ns = max(now_ns + self.delay(), host.inbox[-1][0] if host.inbox else 0)
                host.inbox.append((at_ns, key, revision, value))

    # ------------------------------------------------ what happens

    def play(self, seconds: int) -> "World":
        for _ in range(seconds * SECOND_NS // STEP_NS):
            self.now_ns += STEP_NS
            self._strike()
            for host in self.hosts.values():
                host.step(self.now_ns)
            self._judge()
        return self

    def _strike(self) -> None:
        roll = self.random.random()
        host = self.hosts[self.random.choice(HOSTS)]
        if roll < 0.010:
            host.linked = not host.linked
            if host.linked and host.follower is not None:
                host.subscribe(self.now_ns)
        elif roll < 0.016:
            if host.follower is None:
                host.start(self.now_ns)
            else:
                host.die()
        elif roll < 0.020:
            self._kill(self.random.choice(("fleet", "account.alpha", "account.beta")))
        elif roll < 0.050:
            self._approve()
        elif roll < 0.053:
            host.daemon.pull("by hand")
        elif roll < 0.060 and host.daemon.latched:
            host.daemon.latched, host.daemon.unlatched_by = False, "hand"
        elif roll < 0.064 and self.kills:
            # Somebody puts an old order back.
            scope, (order, _) = self.random.choice(sorted(self.kills.items()))
            self.put(f"kill.{scope}", order, self.now_ns)

    def _kill(self, scope: str) -> None:
        standing = self.kills.get(scope)
        if standing is not None and kill_id(standing[0]) not in self.over:
            return
        self.counter += 1
        order = KillOrder(fleet="f", by="ann", at_ns=self.now_ns, counter=self.counter, scope=scope, reason="test")
        self.kills[scope] = (order, self.now_ns)
        self.put(f"kill.{scope}", order, self.now_ns)

    def _approve(self) -> None:
        scopes = [scope for scope, (order, _) in self.kills.items() if kill_id(order) not in self.over]
        if not scopes:
            return
        scope = self.random.choice(sorted(scopes))
        person = self.random.choice(("ann", "bob"))
        order = self.kills[scope][0]
        kill = kill_id(order)
        code_host = self.random.choice(HOSTS)
        code = f"{self.random.randrange(10**8):08d}"
        forged = self.random.random() < 0.3
        marks = self.codes.setdefault(code_host, [])
        if not forged:
            marks.append(code_mark(code, scope, kill, person))
        self.counter += 1
        told = Codes(fleet="f", by=code_host, at_ns=self.now_ns, counter=self.counter, marks=tuple(marks[-20:]))
        self.put(f"code.{code_host}.{ACCOUNTS[code_host]}", told, self.now_ns)
        approval = Approval(
            fleet="f", by=person, at_ns=self.now_ns, counter=self.counter, scope=scope, kill=kill, code=code,
            code_host=code_host, code_account=ACCOUNTS[code_host],
        )  # fmt: skip
        self.put(f"rearm.{scope}.{person}", approval, self.now_ns)
        good = self.good.setdefault(kill, set())
        (good.discard if forged else good.add)(person)
        if len(good) == 2:
            self.over.add(kill)
            self.approvals += 1

    # ------------------------------------------------ the judge

    def _over_host(self, host: Host) -> list[tuple[KillOrder, int]]:
        """The kills that stand over this host: put on the bus, and not ended by two persons."""
        return [
            (order, since_ns)
            for scope, (order, since_ns) in self.kills.items()
            if scope in ("fleet", f"account.{host.account}") and kill_id(order) not in self.over
        ]

    def judge_rearm(self, host: Host, now_ns: int) -> None:
        if host.linked and now_ns - host.linked_ns > RETURNED_NS:
            for order, since_ns in self._over_host(host):
                if now_ns - since_ns > REACHED_NS:
                    self.faults.append(f"{now_ns}: {host.name} re-armed by its agent while {order.scope} is killed")
        if "by hand" in host.daemon.reason:
            self.faults.append(f"{now_ns}: {host.name}: its agent re-armed what a hand had pulled")
        if host.daemon.reason.startswith("fleet: local."):
            self.faults.append(f"{now_ns}: {host.name}: its agent re-armed a neighbour's kill that a hand has to")

    def _judge(self) -> None:
        for host in self.hosts.values():
            if host.daemon.latched:
                self.latched_ns[host.name] = self.now_ns
            if host.follower is None or not host.linked or self.now_ns - host.linked_ns < RETURNED_NS:
                continue
            for order, since_ns in self._over_host(host):
                late = self.now_ns - since_ns > REACHED_NS
                if late and not host.daemon.latched and self._unlatched_long(host):
                    self.faults.append(f"{self.now_ns}: {host.name} is not latched while {order.scope} is killed")
        self._judge_timers()

    def _unlatched_long(self, host: Host) -> bool:
        return self.now_ns - max(self.latched_ns[host.name], host.linked_ns + RETURNED_NS) > UNLATCHED_NS

    def _judge_timers(self) -> None:
        for account in ("alpha", "beta"):
            owners = [
                host.name
                for host in self.hosts.values()
                if host.account == account and host.may_renew_until_ns > self.now_ns
            ]
            if len(owners) > 1:
                self.faults.append(f"{self.now_ns}: {account} has two owners of its timer: {owners}")
            able = any(
                host.account == account
                and host.linked
                and host.follower is not None
                and not host.daemon.latched
                and self.now_ns - host.linked_ns > RETURNED_NS
                for host in self.hosts.values()
            )
            self.ownerless_ns[account] = 0 if owners or not able else self.ownerless_ns[account] + STEP_NS
            if self.ownerless_ns[account] > LEASE_NS + 8 * SECOND_NS:
                self.faults.append(f"{self.now_ns}: nobody keeps the timer of {account}")
                self.ownerless_ns[account] = 0
