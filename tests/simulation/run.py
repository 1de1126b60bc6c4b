"""Runs one seed from its plan to its verdict."""

import gc
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sized
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from unittest.mock import patch

import msgspec
import trio
from trio.testing import MockClock

from canceld.contract.ids import Venue
from canceld.desks import OVERTAKE_MS
from canceld.engine.pursuits.front import Pursuits
from canceld.settings import LATE_WINDOW_S
from canceld.sim.exchange import State
from canceld.sim.rates import FUTURES_BUDGET, UNLIMITED
from canceld.sim.server import DEFAULT_ACCOUNT
from tests.scenarios import wirelog
from tests.scenarios.world import EVENTS, FEED_HOST

from .cells import Cells, counted
from .limits import drawn, within
from .lines import Courier, SealedIO, clock_with
from .plan import Plan, brief_plan_for, plan_for
from .traders import MOMENT_NS, Asking, Traders
from .troubles import TROUBLES, WS_HOSTS, Trouble
from .world import SimulatedWorld

WAITS: Final = " waits: the connection budget"

HEAL_S: Final = 10.0
"""By when after the last fault every venue has a session up again. Source: the reliability goals of this project."""

GRACE_S: Final = 2.0
"""By how much later a probe may still be sent: its own last try may have ended in a refusal."""

POINTS_BACK_S: Final = FUTURES_BUDGET.window_s + 2.0
"""By how much later still where the venue says that the account has spent what it may."""

WHOLE_S: Final = 30.0
"""By when the last connection is back too: the longest delay between two dials."""

LATE_BY_S: Final = 0.5
"""By how much everything is late that is to be told after the reply."""

SINGLE: Final = frozenset({"cancelOrder", "cancel_order", "CancelOrder"})
ENDING: Final = wirelog.CANCELS | {"cancelAll", "cancel_all", "CancelAll"}
"""Operations of Spot by which a userref can be canceled, and by which anything can."""

HELD_BACK: Final = frozenset({"silent stall", "one way stall", "stall then close", "half open", "nonce refused"})
"""Troubles after which what left one by one arrives together; and a call whose nonce was refused leaves anew at once,
which the REST lane does a single time."""

SPACE_S: Final = 0.05
PER_SECOND: Final = 3
"""Least time between two requests for an order on one way, and most of them in any second."""

CONNECTIONS_LIMIT: Final = 120
CONNECTIONS_WINDOW_S: Final = 600.0
"""Most WebSocket dials of one life in ten minutes."""

VIRTUAL_LIMIT_S: Final = 400.0
"""What a run may take beyond its span; one that takes more hangs."""

Beside: TypeAlias = Callable[[SimulatedWorld], Awaitable[None]]
"""A task that watches a run."""

_WS_HOSTS: Final = {host for hosts in WS_HOSTS.values() for host in hosts}


@dataclass
class Result:
    """What became of a seed.

    brief: whether it ran by the cheaper plan. digest: which way plain cancels took, and of everything that must be the
    same whenever it is run; empty unless asked for. coverage: how often each row of the fault catalogue struck in each
    state of the daemon. pairs: rows that were felt at once. cells: of the pursuit's table, how often each was visited.
    """

    seed: int
    brief: bool
    blamed: list[tuple[str, tuple[str, ...]]]
    digest: str
    lines: list[str]
    cancels: int
    faults: int
    virtual_s: float
    crashes: int
    coverage: Counter[tuple[int, str]] = field(default_factory=Counter)
    pairs: set[tuple[int, int]] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)
    cells: Cells = field(default_factory=Counter)
    about: list[str] = field(default_factory=list)

    def report(self) -> str:
        """What failed, how to see it again, and what happened around it."""
        told = [f"seed {self.seed}: {what}" for what, _ in self.blamed[:5]]
        return "\n".join(
            [
                *told,
                f"replay: python -m tests.simulation{' --brief' if self.brief else ''} --seed {self.seed}",
                *self.about,
            ]
        )


class Run:
    """One seed under way."""

    def __init__(self, plan: Plan, clock: MockClock, courier: Courier) -> None:
        self.plan = plan
        self.world = SimulatedWorld(plan, clock, courier)
        self.traders = Traders(self.world)
        self.faults = 0
        self._kinds = [trouble for trouble in TROUBLES if trouble.name in plan.kinds]
        self._rng = random.Random(plan.seed * 7 + 4)
        self._until_s = 0.0

    async def play(self, beside: Beside | None) -> None:
        """The whole run. Whatever is wrong is blamed in the world."""
        world = self.world
        with world.logging():
            async with trio.open_nursery() as nursery:
                world.live(nursery)
                if beside is not None:
                    nursery.start_soon(beside, world)
                with trio.move_on_after(VIRTUAL_LIMIT_S + self.plan.span_s) as bound:
                    await self._story()
                if bound.cancelled_caught:
                    world.blame("the run hangs")
                nursery.cancel_scope.cancel()
        self._close_the_books()

    async def _story(self) -> None:
        world, plan = self.world, self.plan
        await trio.sleep(self._rng.choice((0.0, 0.2, 1.0)))
        self._until_s = trio.current_time() + plan.span_s
        if plan.slice_bytes < 1000:
            world.cover(9)
        if plan.venue_ahead_s:
            world.cover(37)
        if self._kinds:
            self._again()
        self.traders.begin()
        await trio.sleep(plan.span_s)
        if plan.mode == "liveness":
            await self._heals()
        if plan.late_window and world.running:
            await self._nothing_left()
        world.over = True
        world.terminate()
        while world.life is not None and world.life.ended_s is None:
            await world.gone()

    # ---------------------------------------------------------------- trouble

    def _again(self) -> None:
        self.world.courier.carry(self._rng.expovariate(self.plan.troubles_per_s), self._strike)

    def _strike(self) -> None:
        if trio.current_time() >= self._until_s:
            return
        venue = self._rng.choice(self.plan.venues)
        fitting = [trouble for trouble in self._kinds if venue in trouble.venues]
        if fitting:
            self._begin(self._rng.choice(fitting), venue)
        self._again()

    def _begin(self, trouble: Trouble, venue: Venue) -> None:
        world = self.world
        world.trace.add("fault", f"{trouble.name} {venue}")
        state = world.state_of(venue)
        lasts_s = trouble.begin(world, self._rng, venue)
        self.faults += 1
        world.cover(trouble.row, state, lasts_s)

    # ---------------------------------------------------------------- the end

    async def _heals(self) -> None:
        """Trouble ends, but for one path that may be gone for good: everything else is up again and cancels work."""
        world = self.world
        world.mend_all()
        frozen: Venue | None = None
        chance = self._rng.random()
        if chance < 0.4 and self.plan.venues == ("spot",):
            frozen = "spot"
            world.freeze(WS_HOSTS["spot"])
        elif chance > 0.6:
            await self._vanished_is_noticed()
        world.trace.add("fault", f"liveness frozen={frozen}")
        deadline_s = trio.current_time() + HEAL_S
        while trio.current_time() < deadline_s and not self._serves(frozen):  # noqa: ASYNC110 - no event tells
            await trio.sleep(0.1)
        if not self._serves(frozen):
            world.blame(f"not healed {HEAL_S} s after the last fault: {self._states()}")
            return
        if world.daemon is not None and world.daemon.kill.latched:
            self.traders.rearm()
            await trio.sleep(1.0)
        for venue in self.plan.venues:
            await self._probe(venue, frozen, deadline_s)
        world.thaw()
        whole_s = trio.current_time() + WHOLE_S
        while trio.current_time() < whole_s and not self._whole():  # noqa: ASYNC110 - no event tells
            await trio.sleep(0.25)
        if not self._whole():
            world.blame(f"a connection stays away for {WHOLE_S} s: {self._states()}")
        elif 0.4 < chance < 0.55:
            for venue in self.plan.venues:
                await self._late_is_told(venue, ("delay", "delay_events", "rest_delay"))
            if "spot" in self.plan.venues:
                reply = await self._late_is_told("spot", ("delay_events", "rest_delay"), until="proof")
                if reply.get("outcome") == "canceled":
                    world.blame(f"proof is told of that was still under way: {reply}", reply.get("order_id"))

    async def _late_is_told(self, venue: Venue, late: Collection[str], **how: str) -> dict[str, Any]:
        """What the venue says after a command was answered is told on the event socket.

        late: what is late. Returns the reply.
        """
        world = self.world
        probe = self.traders.strategy("-".join(("late", venue, *how.values())))
        heard = world.bus.subscribe(EVENTS, f"late.{venue}".encode())
        order_id = world.exchange.place(venue)
        await trio.sleep(0.3)
        for kind in late:
            world.exchange.faults.inject({"kind": kind, "seconds": LATE_BY_S, "for_s": LATE_BY_S})
        command = {"type": "cancel", "id": probe.fresh_id(), "venue": venue, "order_id": order_id, "deadline_ms": 200}
        command |= how
        asking = probe.ask(command | ({"symbol": "BTC-USD"} if venue == "prime" else {}), json=True)
        await trio.sleep(3 * LATE_BY_S)
        order = world.exchange.exchange.order(DEFAULT_ACCOUNT, venue, order_id)
        reply = asking.replied or {}
        if reply.get("outcome") != "unknown" or order is None or order.ended_s is None:
            return reply
        told = []
        while (event := heard.receive_nowait()) is not None:
            told.append(msgspec.json.decode(event[-1]).get("id"))
        if command["id"] not in told:
            world.blame(f"what {venue} said after the reply is not told: {reply}", order_id)
        return reply

    async def _vanished_is_noticed(self) -> None:
        """The peer of every session is gone without a word: no such connection is held on to.

        But for the Futures feed, which no cancel goes by: it may be silent for longer.
        """
        world = self.world
        hosts = [host for venue in self.plan.venues for host in WS_HOSTS[venue] if host != FEED_HOST]
        vanished = world.vanish(hosts)
        world.trace.add("fault", f"{len(vanished)} peers vanish")
        await trio.sleep(HEAL_S)
        held = [line.host for line in vanished if not line.ours.closed]
        if held and world.running:
            world.blame(f"connections whose peer vanished {HEAL_S} s ago are held on to: {held}")

    async def _probe(self, venue: Venue, frozen: Venue | None, deadline_s: float) -> None:
        """An order is placed, and canceled by whatever is left. A session that comes back may be lost once more."""
        probe = self.traders.strategy(f"probe-{venue}")
        # Others before it took their time.
        deadline_s = max(deadline_s, trio.current_time()) + GRACE_S
        while True:
            order_id = self.world.exchange.place(venue)
            await trio.sleep(0.3)
            command = {"type": "cancel", "id": probe.fresh_id(), "venue": venue, "order_id": order_id}
            asking = probe.ask(command | ({"symbol": "BTC-USD"} if venue == "prime" else {}), json=True)
            await trio.sleep(2.1)
            reply = asking.replied or {}
            wrong = self._wrong_with_probe(venue, frozen, reply)
            # Somebody else's cancel of everything may have been first.
            gone = self.world.exchange.exchange.known_order(venue, order_id) is None
            if wrong is None or (gone and reply.get("outcome") not in ("acked", "canceled")):
                return
            # What others spent of a budget comes back, if late.
            patience_s = POINTS_BACK_S if reply.get("class") == "throttled" else 0.0
            if trio.current_time() >= deadline_s + patience_s:
                self.world.blame(wrong, order_id)
                return

    def _wrong_with_probe(self, venue: Venue, frozen: Venue | None, reply: dict[str, Any]) -> str | None:
        """What is wrong with the reply to a probe; None when nothing is."""
        if reply.get("outcome") not in ("acked", "canceled"):
            return f"the probe at {venue} came to {reply}"
        wanted = ("rest",) if frozen == "spot" else ("ws", "stream")
        if venue == "spot" and self.plan.tier is UNLIMITED and reply["route"] not in wanted:
            return f"the probe at {venue} went by {reply['route']}, not by {wanted}"
        return None

    def _serves(self, frozen: Venue | None) -> bool:
        """Whether every venue has a way to cancel: a live session where it has sessions, REST where they are gone."""
        daemon = self.world.daemon
        if daemon is None or not self.world.running:
            return False
        for venue, desk in daemon.desks.items():
            rest_up = desk.rest is not None and desk.rest.status()["state"] == "up"
            if not (rest_up if venue == frozen or not desk.sessions else desk.dispatcher.live):
                return False
        return True

    def _whole(self) -> bool:
        """Whether every session is there, or waits for the budget of dials and says so: what the faults of a run spent
        of it comes back in ten minutes, and the last of it is kept for a venue without any session."""
        daemon = self.world.daemon
        if daemon is None:
            return False
        waiting = {alert["what"].partition(WAITS)[0] for alert in daemon.events.alerts if WAITS in alert["what"]}
        for desk in daemon.desks.values():
            missing = {one.name for one in desk.connections if not one.live}
            excused = missing and missing <= waiting and bool(desk.dispatcher.live)
            if desk.state != "up" and (not excused or desk.dispatcher.mode == "maintenance"):
                return False
        return True

    def _states(self) -> dict[str, Any]:
        daemon = self.world.daemon
        return {} if daemon is None else {venue: desk.line() for venue, desk in daemon.desks.items()}

    async def _nothing_left(self) -> None:
        """With nothing to come any more, every table is empty."""
        world = self.world
        world.mend_all()
        await trio.sleep(LATE_WINDOW_S + 12.0)
        daemon = world.daemon
        if daemon is None or not world.running:
            return
        if daemon.gateway.in_flight:
            world.blame(f"{daemon.gateway.in_flight} commands are in flight at the end")
        if self.plan.settings.spot.canary_s or daemon.kill.latched or daemon.recovery.unsettled:
            return  # none of these comes to rest
        for venue, desk in daemon.desks.items():
            if not desk.dispatcher._pursuits.idle:
                world.blame(f"the engine's tables for {venue} are not empty: {_left_in(desk.dispatcher._pursuits)}")

    def _close_the_books(self) -> None:
        world, traders = self.world, self.traders
        for client in traders.clients:
            for asking in client.owed():
                if asking.waited and world.life is not None and asking.asked_s >= world.life.began_s:
                    continue  # it came after the doors had shut, and waits for a daemon that never comes
                world.blame(f"no reply: {client.name} {asking.command}", asking.command["id"])
        own_cancels = self.plan.kills or self.plan.settings.spot.canary_s or world.daemon is None
        if not own_cancels and world.life is not None and not world.life.dead and world.daemon is not None:
            for venue, desk in world.daemon.desks.items():
                if desk.dispatcher._pursuits.active:
                    world.blame(f"the daemon ended with pursuits open on {venue}")
        received = world.exchange.received
        reqids = Counter(number for one in received if (number := wirelog.reqid(one)) is not None)
        for number, count in reqids.items():
            if count > 1:
                world.blame(f"reqid {number} was used {count} times", number)
        nonces = Counter(
            one.body["nonce"]
            for one in received
            if one.route == "spot_rest" and isinstance(one.body, dict) and "nonce" in one.body
        )
        for number, count in nonces.items():
            if count > 1:
                world.blame(f"nonce {number} was used {count} times", number)
        self._refusals_were_true()
        self._no_family_was_asked_for_twice()
        self._overtaken_were_found()
        self._bystanders_were_left_alone()
        self._requests_were_kept_apart()
        for (life, host), count in world.dials.items():
            if host in _WS_HOSTS and count > CONNECTIONS_LIMIT * max(1.0, self.plan.span_s / CONNECTIONS_WINDOW_S):
                world.blame(f"{count} dials to {host} in life {life}")
        self._no_secrets()

    def _overtaken_were_found(self) -> None:
        """An order placed well inside the time for which its cancel is asked again is not told as `not_open`."""
        world = self.world
        spot_ms = self.plan.settings.spot.overtake_ms
        for venue, order_id, asking, placed_s in self.traders.overtaken:
            window_s = min((spot_ms if venue == "spot" else OVERTAKE_MS) / 1000, asking.deadline_s * 3 / 4)
            reply = asking.replied or {}
            denied = reply.get("outcome") == "not_open" or reply.get("cause") == "unconfirmed"
            order = world.exchange.exchange.order(DEFAULT_ACCOUNT, venue, order_id)
            if placed_s > asking.asked_s + window_s - 0.1 or not denied or order is None:
                continue
            if order.ended_s is not None and world.trio_s(order.ended_s) <= asking.replied_s:
                continue  # a cancel of everything was first
            if not any(start_s <= placed_s <= end_s + 1.0 for start_s, end_s in world.pauses):
                world.blame(f"not open, and placed before the window's end: {reply}", order_id)

    def _bystanders_were_left_alone(self) -> None:
        """No order outside of a scope was cancelled, unless somebody wanted everything gone."""
        world = self.world
        for venue, order_id in self.traders.bystanders:
            order = world.exchange.exchange.order(DEFAULT_ACCOUNT, venue, order_id)
            if order is None or order.state is not State.CANCELED or order.ended_s is None:
                continue
            # The book tells fractions of a second: a cancel that nothing delayed may seem to precede its asking.
            if not self._swept(world.trio_s(order.ended_s) + MOMENT_NS / 1e9):
                world.blame(f"{order_id} was cancelled on {venue}, and lies outside of every scope", order_id)

    def _requests_were_kept_apart(self) -> None:
        """No order that one command was after was asked for twice in a moment by one way, nor four times in a second.

        What a way's own unsteadiness takes from the time between two requests is allowed for.
        """
        world, plan = self.world, self.plan
        if HELD_BACK & set(plan.kinds):
            return
        came: dict[tuple[Venue, str, str], list[float]] = {}
        for one in world.exchange.received:
            if one.operation in wirelog.CANCELS and (one.session is not None or world.lives == 1):
                way = one.route if one.session is None else f"{one.route} {one.session}"
                for name in set(wirelog.names(one)):
                    came.setdefault((wirelog.venue_of(one), name, way), []).append(one.at_s)
        for (venue, name, way), at_s in came.items():
            askings = self.traders.after.get((venue, name), ())
            if len(askings) != 1 or self._swept(world.trio_s(at_s[-1])):
                continue
            for count, least_s in ((1, SPACE_S), (PER_SECOND, 1.0)):
                gap_s = min((later - earlier for earlier, later in zip(at_s, at_s[count:], strict=False)), default=9.0)
                if gap_s < least_s - plan.jitter_s - 0.001:
                    world.blame(f"{count + 1} requests for {venue} {name} by {way} in {gap_s:.4f} s", name)

    def _no_family_was_asked_for_twice(self) -> None:
        """A request by userref that canceled an order is not sent again: by then the name may be another order's."""
        world = self.world
        if {"unlisted error", "rate limit"} & set(self.plan.kinds):
            return  # one order is refused by words that are for the whole request, which then was not carried out
        at_once: Counter[float] = Counter()
        came: dict[str, list[float]] = {}
        for one in world.exchange.received:
            if one.operation in ENDING:
                at_once[one.at_s] += 1
            if one.operation in SINGLE:
                for name in wirelog.names(one):
                    came.setdefault(name, []).append(one.at_s)
        for (venue, userref), askings in self.traders.naming.items():
            at_s = came.get(str(userref), ())
            if len(askings) != 1 or len(at_s) < 2:
                continue
            order_ids = self.traders.bearing.get((venue, "userref", userref), ())
            orders = [world.exchange.exchange.order(DEFAULT_ACCOUNT, venue, order_id) for order_id in order_ids]
            ended = {order.ended_s for order in orders if order is not None}
            # What came together with other cancels need not be what ended it.
            worked = [one_s for one_s in at_s if at_once[one_s] == 1 and one_s in ended]
            if worked and at_s[-1] > worked[0]:
                again_s = at_s[-1] - worked[0]
                world.blame(f"userref {userref} was sent again {again_s:.3f} s after it had worked", str(userref))

    def _refusals_were_true(self) -> None:
        """Where the first asking for an order was refused, no cancel of that order came to the venue meanwhile."""
        world = self.world
        came: dict[tuple[Venue, str], list[float]] = {}
        for one in world.exchange.received:
            if one.operation in wirelog.CANCELS:
                for name in wirelog.names(one):
                    came.setdefault((wirelog.venue_of(one), name), []).append(world.trio_s(one.at_s))
        for order, askings in self.traders.after.items():
            first = askings[0]
            if first.excused or order not in came:
                continue
            until_s = min([first.replied_s, *(other.asked_s for other in askings[1:])])
            outcome = _outcome_of(first, order[1])
            if outcome.get("outcome") != "refused" or self._swept(until_s):
                continue
            if any(first.asked_s <= at_s < until_s for at_s in came[order]):
                world.blame(f"refused, but a frame had left: {outcome}", order[1])

    def _swept(self, until_s: float) -> bool:
        """Whether a kill or a cancel_all, also one of an earlier life, may have walked the orders one by one."""
        damaged = any("latch" in line for line in self.world.trace.lines if " fault " in line)
        return damaged or any(at_s <= until_s for at_s in self.traders.sweeps)

    def _no_secrets(self) -> None:
        world = self.world
        kept = [*world.journal(), *world.log_lines, *(line.encode() for line in world.trace.lines)]
        whole = b"\n".join(kept)
        for secret in dict.fromkeys(world.secrets):
            if secret in whole:
                world.blame("a secret stands in what is kept", secret.decode()[:6])


def _left_in(pursuits: Pursuits) -> dict[str, int]:
    """How much is left in each of the engine's tables that holds anything."""
    parts = [part for part in vars(pursuits).values() if type(part).__module__.startswith("canceld.engine.pursuits")]
    tables = {name: table for holder in (pursuits, *parts) for name, table in vars(holder).items()}
    return {name: len(table) for name, table in tables.items() if isinstance(table, Sized) and len(table)}


def _outcome_of(asking: Asking, order_id: str) -> dict[str, Any]:
    """What a reply says of one order; empty when it says nothing of it by this name."""
    reply = asking.replied or {}
    outcomes: list[dict[str, Any]] = reply.get("outcomes", [reply])
    return next((outcome for outcome in outcomes if outcome.get("order_id") == order_id), {})


def simulate(
    seed: int,
    *,
    brief: bool = False,
    digested: bool = False,
    plan: Plan | None = None,
    beside: Beside | None = None,
) -> Result:
    """Run one seed in a trio of its own.

    brief: whether by the seed's cheaper plan. digested: whether it is to be compared with another run of the same seed.
    plan: another one than the seed's own. beside: a task that watches.
    """
    if plan is None:
        plan = (brief_plan_for if brief else plan_for)(seed, tuple(trouble.name for trouble in TROUBLES))
    # trio shuffles each round of tasks; in a fixed order before and from a seeded source, a seed replays the whole run.
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[attr-defined]
    trio._core._run._r.seed(seed)  # type: ignore[attr-defined]
    courier = Courier()
    clock = clock_with(courier)

    async def play() -> tuple[Run, float]:
        run = Run(plan, clock, courier)
        await run.play(beside)
        return run, trio.current_time()

    # The collector would run at moments of its own choosing.
    was_on = gc.isenabled()
    gc.disable()
    try:
        with patch.object(trio._core._run, "TheIOManager", SealedIO), within(drawn(seed)), counted() as cells:
            run, virtual_s = trio.run(play, clock=clock)
    finally:
        if was_on:
            gc.enable()
    world = run.world
    digest = ""
    if digested:
        told = world.trace.digest([*world.journal(), *world.log_lines, repr(world.exchange.received).encode()])
        digest = f"{'straight' if plan.straight else 'long-way'}-{told}"
    about = world.trace.about([name for _, names in world.blamed[:2] for name in names]) if world.blamed else []
    return Result(
        seed=seed,
        brief=plan.brief,
        blamed=world.blamed,
        digest=digest,
        lines=world.trace.lines,
        cancels=run.traders.cancels,
        faults=run.faults,
        virtual_s=virtual_s,
        crashes=world.lives - 1,
        coverage=world.coverage,
        pairs=world.pairs,
        outcomes=Counter(run.traders.outcomes),
        cells=cells,
        about=about,
    )
