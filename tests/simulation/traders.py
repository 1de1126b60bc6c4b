"""Strategies, their operator and the market: what is asked, and whether what was promised about replies is kept.

Each reply is held against the promise the moment it comes: one per asking, in time, true by the venue's own book, the
same again for the same id.
"""

import random
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec
import trio

from canceld.contract.ids import Venue
from canceld.sim.server import DEFAULT_ACCOUNT
from canceld.transport.memory.zeromq import MemoryDealer
from canceld.transport.signals import Signal
from tests.scenarios.meaning import is_meant
from tests.scenarios.scopes.stages import SYMBOLS as PAIRS
from tests.scenarios.world import COMMANDS, CONTROL, GRACE_S, SETTINGS, WS_HOST

from .troubles import EVENTS_DELAYED_S
from .world import Life, SimulatedWorld

DEADLINES_MS: Final = (1, 20, 50, 300, 1000, 2000, 2000, 5000, 8000)
KILL_DEADLINE_MS: Final = 10_000
USERREFS: Final = range(1, 6)
NAMES: Final = ("order_id", "cl_ord_id", "userref")

RECENT: Final = 30
"""Out of how many of the last orders a strategy chooses."""

DIES_OF_A_KILL: Final = 0.8
"""How often the daemon dies as soon as a kill is confirmed."""

RESTING_WANTED: Final = 0.7
"""How often a strategy knows what rests. Otherwise it also goes after what has ended, as one that hears late does."""

DARK: Final = 0.3
"""How often a family is canceled while no stream can tell of it; as often in all where families come every moment."""

MOMENT_NS: Final = 1_000
"""What happens in one moment may have been the other way round: the book's times are fractions of a second."""

SAID: Final = 4096
"""Characters of a command or reply that the trace keeps."""

SYMBOLS: Final = {"prime": "BTC-USD"}

NEVER_WAS: Final = "16a55364-4248-4575-aa0b-000000000001"

JUNK: Final[tuple[list[bytes], ...]] = (
    [b""],
    [b"\xc1"],
    [b"{"],
    [b"[" * 5000],
    [b"null"],
    [b'{"type":"cancel"}'],
    [b'{"type":"nonsense","id":"junk"}'],
    [b'{"type":"cancel","id":"junk","venue":"spot","order_id":"O-1","userref":3}'],
    [b'{"type":"cancel","id":"junk","venue":"spot","userref":0}'],
    [b'{"type":"cancel","id":"junk","venue":"moon","order_id":"O-1"}'],
    [b'{"type":"cancel","id":"junk","venue":"spot","order_id":"O-1","until":"later"}'],
    [b'{"type":"ping","id":"junk","what":2}'],
    [b"a", b"b"],
    [b"a", b"b", b"c", b"d", b"e"],
    [b"x" * 20_000],
)

encode_json: Final = msgspec.json.Encoder().encode
encode_msgpack: Final = msgspec.msgpack.Encoder().encode


class Asking:
    """One message that a reply is owed to."""

    __slots__ = (
        *("asked_ns", "asked_s", "command", "deadline_s", "excused"),
        *("repeats", "replied", "replied_s", "stamped", "waited"),
    )

    def __init__(
        self, command: Mapping[str, Any], asked_s: float, asked_ns: int, deadline_s: float, repeats: "Asking | None"
    ) -> None:
        self.command = command
        self.asked_s = asked_s
        self.asked_ns = asked_ns
        self.deadline_s = deadline_s
        self.stamped = "sent_ns" in command
        self.repeats = repeats
        """The first asking under the same id."""
        self.excused = False
        """Its daemon died: a reply may come, from the next one, or not."""
        self.waited = False
        """No daemon was there to take it when it was sent."""
        self.replied: dict[str, Any] | None = None
        self.replied_s = 0.0

    @property
    def forgotten(self) -> bool:
        """Whether it was refused: then the id is free, so that it may be sent again."""
        return self.replied is not None and self.replied.get("outcome") == "refused"


class Client:
    """One process of a strategy, or the operator's."""

    def __init__(self, traders: "Traders", name: str, dealer: MemoryDealer, *, reads: bool = True) -> None:
        self.name = name
        self.dealer = dealer
        self.reads = reads
        self.open: dict[Any, deque[Asking]] = {}
        self.first: dict[Any, Asking] = {}
        self._traders = traders
        self._world = traders.world
        self._ids = 0

    def fresh_id(self) -> Any:
        """An id not used before: a number, or text."""
        self._ids += 1
        return self._ids if self._ids % 3 else f"{self.name}-{self._ids}"

    def ask(self, command: dict[str, Any], *, json: bool) -> Asking:
        """Send one command, whose id says whether it is new."""
        world = self._world
        default_ms = KILL_DEADLINE_MS if command["type"] == "kill" else SETTINGS.gateway.deadline_ms
        deadline_s = command.get("deadline_ms", default_ms) / 1000
        id = command["id"]
        known = self.first.get(id)
        if known is not None and known.forgotten:
            known = None
            del self.first[id]
        asking = Asking(command, trio.current_time(), world.clock.monotonic_ns(), deadline_s, known)
        self.first.setdefault(id, asking)
        self.open.setdefault(id, deque()).append(asking)
        world.trace.add("ask", f"{self.name} {str(command)[:SAID]}")
        self.dealer.send_nowait([encode_json(command) if json else encode_msgpack(command)])
        asking.waited = self.dealer.unsent > 0
        return asking

    def say_junk(self, frames: list[bytes]) -> None:
        """Send what is no command: one refusal is owed, under no id or under one that only junk has."""
        asking = Asking({"type": "junk", "id": None}, trio.current_time(), 0, 0.0, None)
        self.open.setdefault(None, deque()).append(asking)
        self._world.trace.add("junk", f"{self.name} {frames[0][:40]!r} {len(frames)}")
        self.dealer.send_nowait(frames)
        asking.waited = self.dealer.unsent > 0

    async def read(self) -> None:
        """Take replies for ever."""
        while True:
            self._heard(await self.dealer.receive())
            while (frames := self.dealer.receive_nowait()) is not None:
                self._heard(frames)

    def _heard(self, frames: list[bytes]) -> None:
        world = self._world
        payload = frames[-1]
        decode = msgspec.json.decode if payload[:1] == b"{" else msgspec.msgpack.decode
        reply: dict[str, Any] = decode(payload)
        world.trace.add("reply", f"{self.name} {str(reply)[:SAID]}")
        id = reply.get("id")
        asking = self._asking_of(id, reply)
        if asking is None:
            world.blame(f"a reply that nobody is owed: {self.name} {reply}", str(id))
            return
        asking.replied, asking.replied_s = reply, trio.current_time()
        self._in_time(asking, reply)
        if asking.command["type"] != "junk":
            self._traders.judge(self, asking, reply)

    def _asking_of(self, id: Any, reply: Mapping[str, Any]) -> Asking | None:
        """Which asking this is the reply to: of several under one id, the one that it fits."""
        waiting = self.open.get(id)
        if id == "junk" and reply.get("outcome") == "refused":
            waiting = self.open.get(None)
        if not waiting:
            return None
        reused = reply.get("reason") == "id_reused"

        def misfit(asking: Asking) -> tuple[bool, bool]:
            return asking.excused, (asking.repeats is not None and asking.command != asking.repeats.command) != reused

        found = min(waiting, key=misfit)
        waiting.remove(found)
        return found

    def _in_time(self, asking: Asking, reply: Mapping[str, Any]) -> None:
        world = self._world
        life = world.life
        assert life is not None
        start_s = asking.asked_s if asking.stamped else max(asking.asked_s, life.began_s)
        due_s = world.due_after_pauses(asking.asked_s, start_s + asking.deadline_s)
        now_s = trio.current_time()
        # A message that waited for a daemon is answered as soon as there is one.
        due_s = max(due_s, life.began_s)
        if now_s > due_s + GRACE_S:
            late_s = now_s - due_s
            world.blame(f"{self.name} {reply['id']} was answered {late_s:.3f} s past its deadline", reply["id"])

    def died_with(self, life: Life) -> None:
        """The daemon has gone: what was under way is owed no more."""
        for waiting in self.open.values():
            for asking in waiting:
                if life.dead:
                    # What was asked after it died waits for the next one.
                    asking.excused |= asking.asked_s <= life.died_s
                elif life.ended_s is not None and asking.asked_s > life.ended_s - 0.01:
                    # A clean stop answers everything it read; what came in its very last moments it may not have read.
                    asking.excused = True

    def owed(self) -> list[Asking]:
        """Askings without a reply that should have one."""
        return [asking for waiting in self.open.values() for asking in waiting if not asking.excused]


class Traders:
    """Everyone who acts on the market, from one source of chance."""

    def __init__(self, world: SimulatedWorld) -> None:
        self.world = world
        self.clients: list[Client] = []
        self.cancels = 0
        self.outcomes: dict[str, int] = {}
        self.placed: list[tuple[Venue, str, dict[str, Any]]] = []
        self.bearing: dict[tuple[Venue, str, Any], list[str]] = {}
        """The orders of a venue that were ever placed under a name."""
        self.after: dict[tuple[Venue, str], list[Asking]] = {}
        """Every asking by the orders that it may have been after, for what may be said of frames that never left."""
        self.naming: dict[tuple[Venue, int], list[Asking]] = {}
        """Every asking by the userrefs that it names, an unread one of who went at once too."""
        self.sweeps: list[float] = []
        """When somebody asked for everything to be canceled."""
        self.overtaken: list[tuple[Venue, str, Asking, float]] = []
        """Cancels that came before their orders, and when those were placed."""
        self.bystanders: list[tuple[Venue, str]] = []
        """Orders outside of every scope that nobody names: only who wants everything gone may cancel them."""
        self._rng = random.Random(world.plan.seed * 7 + 3)
        self._names = 0
        self._until_s = 0.0
        self._operator: Client | None = None
        world.on_death.append(self._died)

    # ---------------------------------------------------------------- acting

    def begin(self) -> None:
        """Strategies and market act from here on for as long as the plan says."""
        plan = self.world.plan
        self._until_s = trio.current_time() + plan.span_s
        for n in range(plan.clients):
            self._client(f"s{n}", COMMANDS)
        self._operator = self._client("op", CONTROL)
        for _ in range(self._rng.choice(plan.placed)):
            self._place()
        self._again(plan.orders_per_s, self._market)
        self._again(plan.asks_per_s, self._ask)
        self._again(plan.asks_per_s / 10, self._story)
        if plan.families_per_s:
            self._again(plan.families_per_s, lambda: self._family("spot"))
        self._again(plan.asks_per_s / 40, self._misbehave)
        if plan.kills:
            self._again(4.0 / plan.span_s, self._kill)

    def _client(self, name: str, endpoint: str) -> Client:
        client = Client(self, name, self.world.bus.connect(endpoint))
        self.clients.append(client)
        self.world.start(client.read)
        return client

    def strategy(self, name: str) -> Client:
        """Another strategy, which acts only when told to."""
        return self._client(name, COMMANDS)

    def _again(self, per_s: float, happen: Any) -> None:
        """Let something happen at random moments at this rate, until strategies and market come to rest."""

        def once() -> None:
            if trio.current_time() < self._until_s:
                happen()
                self.world.courier.carry(self._rng.expovariate(per_s), once)

        self.world.courier.carry(self._rng.expovariate(per_s), once)

    def _market(self) -> None:
        rng = self._rng
        if rng.random() < 0.8:
            self._place()
            return
        venue = rng.choice(self.world.plan.venues)
        resting = self.world.exchange.resting(venue)
        if resting:
            order = rng.choice(resting)
            # Orders do not expire on Futures, and what it says of one would be that it was canceled.
            if venue != "futures" and rng.random() < 0.2:
                self.world.trace.add("expire", order.order_id)
                self.world.exchange.exchange.expire(order)
            else:
                quantity = rng.choice((None, Decimal("0.3")))
                self.world.trace.add("fill", f"{order.order_id} {quantity}")
                self.world.exchange.exchange.fill(order, quantity)

    def _place(self) -> None:
        rng = self._rng
        venue = rng.choice(self.world.plan.venues)
        named: dict[str, Any] = {}
        match rng.randrange(4):
            case 0:
                self._names += 1
                named = {"cl_ord_id": f"{rng.randrange(1 << 32):08x}-0000-4000-8000-{self._names:012d}"}
            case 1 if venue == "spot":
                named = {"userref": rng.choice(USERREFS)}
        self._place_as(venue, named)

    def _place_as(self, venue: Venue, named: dict[str, Any]) -> str:
        order_id = self.world.exchange.place(venue, **named)
        self.world.trace.add("place", f"{venue} {order_id} {named}")
        self.placed.append((venue, order_id, named))
        for kind, value in {"order_id": order_id, **named}.items():
            self.bearing.setdefault((venue, kind, value), []).append(order_id)
        return order_id

    def _ask(self) -> None:
        rng = self._rng
        client = rng.choice(self.clients[: self.world.plan.clients])
        if not self.placed:
            return
        command: dict[str, Any] = {
            "type": "cancel",
            "id": client.fresh_id(),
            "until": rng.choice(("ack", "ack", "proof")),
        }
        if rng.random() < 0.8:
            command["deadline_ms"] = rng.choice(DEADLINES_MS)
        if rng.random() < 0.2:
            # Some of them have been on the way for a while.
            ago_ns = rng.choice((0, 0, 1_000_000, 3_000_000_000))
            command["sent_ns"] = max(0, self.world.clock.monotonic_ns() - ago_ns)
        venue, order_id, named = self._choice()
        command["venue"] = venue
        match rng.randrange(24):
            case 0:
                del command["venue"]
                command["type"] = "cancel_all"
                if rng.random() < 0.5:
                    command["venue"] = venue
            case 1 | 2 | 3 | 4 | 11 | 12 | 13 | 14 | 15:
                command["type"] = "cancel_batch"
                command["orders"] = [self._named(rng, *one) for one in self._several(venue)]
            case 5 | 6 | 9 | 10 if venue == "spot":
                command["userref"] = rng.choice(USERREFS)
            case 7:
                command["order_id"] = "ONEVER-WASAN-ORDER1" if venue == "spot" else NEVER_WAS
            case 8:
                command["cl_ord_id"] = f"never-{rng.randrange(1000)}"
            case _:
                command |= self._named(rng, venue, order_id, named)
        asking = self._send(client, command)
        if rng.random() < 0.06:
            # Asked again, with the same words or with others, at once or later.
            again = dict(command) if rng.random() < 0.7 else {**command, "until": "proof", "deadline_ms": 7777}
            if "userref" in again:
                self._is_after(venue, {"userref": again["userref"]}, asking)
            self.world.courier.carry(
                rng.choice((0.0, 0.01, 1.0)), lambda: client.ask(again, json=rng.random() < 0.5) and None
            )

    # ---------------------------------------------------------------- what chance alone brings about too seldom

    def _story(self) -> None:
        rng = self._rng
        venue = rng.choice(self.world.plan.venues)
        stories = [self._everything_twice, self._cancel_before_its_order, self._part_of_it]
        if venue == "spot":
            stories += [self._family, self._family]
        if self.world.may_die():
            stories.append(self._cut_short)
        rng.choice(stories)(venue)

    def _everything_twice(self, venue: Venue) -> None:
        """Two want everything gone, the second one an order that was placed since the first one asked."""
        rng = self._rng

        def ask() -> None:
            client = rng.choice(self.clients[: self.world.plan.clients])
            until = rng.choice(("ack", "proof"))
            self._send(client, {"type": "cancel_all", "id": client.fresh_id(), "venue": venue, "until": until})

        ask()
        if self._place_as(venue, {}) and rng.random() < 0.8:
            self.world.courier.carry(rng.uniform(0.0, 0.3), ask)

    def _cut_short(self, venue: Venue) -> None:
        """Somebody wants everything gone, and asks again when the daemon has died over it."""
        rng = self._rng
        client = rng.choice(self.clients[: self.world.plan.clients])
        command: dict[str, Any] = {"type": "cancel_all", "id": client.fresh_id(), "venue": venue}
        command["until"] = rng.choice(("ack", "proof"))
        command["deadline_ms"] = rng.choice((50, 300, 2000))
        self._place_as(venue, {})
        self._send(client, command)
        self._dies_within(300)
        self.world.courier.carry(rng.choice((0.1, 0.4)), lambda: client.ask(dict(command), json=False) and None)

    def _dies_of_a_kill(self) -> None:
        """The daemon is gone as soon as it has confirmed one, and what it stored of it may be spoilt."""
        rng = self._rng
        if rng.random() < 0.6:
            self._dies_within(12)
        else:
            self.world.crash(power_lost=rng.random() < 0.5, down_s=0.05)
            self.world.damage("latch", rng.choice(("empty", "garbage", "cut")))

    def _dies_within(self, steps: int) -> None:
        rng, world = self._rng, self.world
        power_lost, down_s = rng.random() < 0.5, rng.choice((0.01, 0.05, 0.3))
        world.after_steps(
            rng.randrange(steps), lambda: world.crash(power_lost=power_lost, down_s=down_s) if world.may_die() else None
        )

    def _family(self, venue: Venue) -> None:
        """Several orders under one userref, and a cancel of them all, of which the venue may refuse any one.

        Some of them are placed and canceled while no stream can tell of them.
        """
        rng, world = self._rng, self.world
        userref = rng.randrange(100, 1_000_000)
        if rng.random() < DARK / max(1.0, world.plan.families_per_s):
            world.cut_off([WS_HOST], "refused")
            world.courier.carry(rng.uniform(0.5, 1.5), lambda: world.mend([WS_HOST]))
        size = rng.randint(2, 4)
        for _ in range(size):
            self._place_as(venue, {"userref": userref})
        client = rng.choice(self.clients[: world.plan.clients])
        until = rng.choice(("ack", "ack", "proof"))
        command = {"type": "cancel", "id": client.fresh_id(), "venue": venue, "userref": userref, "until": until}
        one_is_refused, refused = rng.random() < 0.5, rng.randrange(size)

        def send() -> None:
            if one_is_refused:
                cancels = {"route": "spot_ws_v2", "match": "cancel_order"}
                if world.plan.settings.spot.protocol == "v1":
                    cancels = {"route": "spot_ws", "match": "cancelOrder"}
                refusal = {"kind": "ack_error", "error": "EOrder:Rate limit exceeded", "times": 1, "for_s": 2.0}
                for aimed in (cancels, {"route": "spot_rest", "match": "CancelOrder"}):
                    world.exchange.faults.inject({**aimed, **refusal, "skip": refused})
            self._send(client, command)

        world.courier.carry(rng.choice((0.0, 0.2, 0.4, 0.4)), send)

    def _part_of_it(self, venue: Venue) -> None:
        """A strategy wants some of its orders gone, of which the streams may not have told yet, or wants to see them.

        The rest of them, and those of a strategy whose name is nearly the same, are not to be touched. Some orders are
        born while the cancel is under way.
        """
        rng = self._rng
        self._names += 1
        own = f"mm{self._names}-"
        selector: dict[str, Any] = {"cl_ord_id_prefix": own}
        if rng.random() < 0.5:
            selector["side"] = rng.choice(("buy", "sell"))
        if rng.random() < 0.3:
            selector["symbol"] = rng.choice(PAIRS[venue])
        if rng.random() < 0.3:
            selector["venue"] = venue
        wish = rng.choice(("cancel_all", "cancel_all", "cancel_all", "what_rests", "dry_run"))

        def place(name: str, side: str, pair: str) -> None:
            order_id = self.world.exchange.place(venue, cl_ord_id=name, side=side, pair=pair)  # type: ignore[arg-type]
            self.world.trace.add("place", f"{venue} {order_id} {name} {side} {pair}")
            order = self.world.exchange.exchange.known_order(venue, order_id)
            assert order is not None
            if wish != "cancel_all" or not is_meant(order, [selector], {}, 0.0):
                self.bystanders.append((venue, order_id))

        for number in range(rng.randint(2, 5)):
            name = f"{own if rng.random() < 0.7 else own[:-1] + 'x'}{number}"
            terms = name, rng.choice(("buy", "sell")), rng.choice(PAIRS[venue])
            if rng.random() < 0.8:
                place(*terms)
            else:
                self.world.courier.carry(rng.uniform(0.0, 0.3), lambda terms=terms: place(*terms))  # type: ignore[misc]
        client = rng.choice(self.clients[: self.world.plan.clients])
        command: dict[str, Any] = {"type": "cancel_all", "id": client.fresh_id(), "scope": [selector]}
        if wish == "what_rests":
            command |= {"type": wish, "fresh": rng.random() < 0.5}
        else:
            command |= {"until": rng.choice(("ack", "proof")), "deadline_ms": rng.choice((300, 2000, 5000))}
        if wish == "dry_run":
            command["dry_run"] = True
        pause_s = rng.choice((0.0, 0.0, 0.1))
        self.world.courier.carry(pause_s, lambda: self._send(client, command) and None)

    def _cancel_before_its_order(self, venue: Venue) -> None:
        """A cancel overtakes the order that it is for."""
        rng = self._rng
        self._names += 1
        ours = f"{rng.randrange(1 << 32):08x}-0000-4000-8000-{self._names:012d}"
        order_id = f"OVERTK-{self._names:05d}-{rng.randrange(1 << 20):06d}"[:19] if venue == "spot" else ours
        client = rng.choice(self.clients[: self.world.plan.clients])
        command: dict[str, Any] = {"type": "cancel", "id": client.fresh_id(), "venue": venue, "order_id": order_id}
        if venue in SYMBOLS:
            command["symbol"] = SYMBOLS[venue]
        asking = client.ask(command, json=False)
        self.cancels += 1
        self.after.setdefault((venue, order_id), []).append(asking)
        placed_after_s = rng.choice((0.01, 0.2, 0.8, 1.2))
        self.overtaken.append((venue, order_id, asking, trio.current_time() + placed_after_s))
        self.world.courier.carry(placed_after_s, lambda: self._place_as(venue, {"order_id": order_id}) and None)

    def _choice(self) -> tuple[Venue, str, dict[str, Any]]:
        """An order to cancel: most often one that rests, else one of the last."""
        rng = self._rng
        recent = self.placed[-rng.choice((4, RECENT)) :]
        resting = [one for one in recent if self._rests(one[0], one[1])] if rng.random() < RESTING_WANTED else []
        return rng.choice(resting or recent)

    def _several(self, venue: Venue) -> list[tuple[Venue, str, dict[str, Any]]]:
        """Orders to cancel at once: up to so many, of which most rest if as many do."""
        rng = self._rng
        sizes = self.world.plan.batch_sizes
        there = [one for one in self.placed[-max(sizes) :] if one[0] == venue]
        wanted = min(len(there), rng.randint(1, rng.choice(sizes)))
        if rng.random() < RESTING_WANTED:
            there.sort(key=lambda one: not self._rests(venue, one[1]))
            return there[:wanted]
        return rng.sample(there, wanted)

    def _rests(self, venue: Venue, order_id: str) -> bool:
        return self.world.exchange.exchange.known_order(venue, order_id) is not None

    def _send(self, client: Client, command: dict[str, Any]) -> Asking:
        asking = client.ask(command, json=self._rng.random() < 0.3)
        venue = command.get("venue")
        parts = command.get("orders", [command])
        self.cancels += len(parts)
        if command["type"] == "cancel_all" and "scope" not in command:
            self.sweeps.append(asking.asked_s)
        for part in parts:
            self._is_after(venue, part, asking)
        return asking

    def _is_after(self, venue: Venue | None, part: Mapping[str, Any], asking: Asking) -> None:
        if venue and "userref" in part:
            self.naming.setdefault((venue, part["userref"]), []).append(asking)
        for kind in NAMES:
            for order_id in self.bearing.get((venue, kind, part[kind]), ()) if venue and kind in part else ():
                self.after.setdefault((venue, order_id), []).append(asking)

    def _named(self, rng: random.Random, venue: Venue, order_id: str, named: Mapping[str, Any]) -> dict[str, Any]:
        """One order as a client might name it."""
        if "cl_ord_id" in named and rng.random() < 0.5:
            told: dict[str, Any] = {"cl_ord_id": named["cl_ord_id"]}
        elif "userref" in named and rng.random() < 0.2:
            told = {"userref": named["userref"]}
        else:
            told = {"order_id": order_id}
        if venue in SYMBOLS and rng.random() < 0.6:
            told["symbol"] = SYMBOLS[venue]
        return told

    # ---------------------------------------------------------------- misbehaving clients

    def _misbehave(self) -> None:
        rng = self._rng
        world = self.world
        match rng.randrange(4):
            case 0:
                client = rng.choice(self.clients[: world.plan.clients])
                client.say_junk(rng.choice(JUNK))
            case 1:
                # One that never reads, and soon goes.
                dealer = world.bus.connect(COMMANDS)
                for n in range(rng.choice((5, 60))):
                    dealer.send_nowait([encode_json({"type": "ping", "id": n})])
                if rng.random() < 0.5:
                    dealer.close()
                else:
                    world.courier.carry(0.5, dealer.close)
            case 2:
                # One that dies in the middle of a request.
                dealer = world.bus.connect(COMMANDS)
                if self.placed:
                    venue, order_id, named = rng.choice(self.placed[-RECENT:])
                    asked = {"type": "cancel", "id": "gone", "venue": venue, **self._named(rng, venue, order_id, named)}
                    self._is_after(venue, asked, Asking(asked, trio.current_time(), 0, 0.0, None))
                    dealer.send_nowait([encode_msgpack(asked)])
                dealer.close()
            case _:
                client = rng.choice(self.clients[: world.plan.clients])
                for _ in range(30):
                    client.ask({"type": "ping", "id": client.fresh_id()}, json=False)
        world.cover(34)

    # ---------------------------------------------------------------- the operator

    def _kill(self) -> None:
        rng = self._rng
        world = self.world
        operator = self._operator
        assert operator is not None
        self.sweeps.append(trio.current_time())
        match rng.randrange(4):
            case 0 if world.running:
                assert world.life is not None
                world.trace.add("fault", "SIGUSR1")
                world.latched = None
                world.life.signals.raise_now(Signal.USER1)
            case 1:
                world.trace.add("fault", "trigger file")
                world.latched = None
                if world.disk.faults.detail is None:
                    world.disk.replace_now("kill", b"by hand")
            case _:
                command: dict[str, Any] = {"type": "kill", "id": operator.fresh_id(), "reason": "enough"}
                if rng.random() < 0.3:
                    command["venues"] = [rng.choice(world.plan.venues)]
                if rng.random() < 0.8:
                    command["deadline_ms"] = rng.choice((60, 100, 300, 3000))
                client = rng.choice([operator, *self.clients[: world.plan.clients]])
                command["id"] = client.fresh_id()
                world.latched = None
                client.ask(command, json=rng.random() < 0.5)
        world.courier.carry(rng.uniform(0.3, 3.0), self.rearm)

    def rearm(self) -> None:
        """The operator begins to re-arm; he confirms when he has the code."""
        assert self._operator is not None
        self._operator.ask({"type": "rearm", "id": self._operator.fresh_id()}, json=True)

    # ---------------------------------------------------------------- judging

    def judge(self, client: Client, asking: Asking, reply: dict[str, Any]) -> None:
        """Hold a reply against the book, and against earlier ones."""
        world = self.world
        asked, id = asking.command, reply.get("id")
        kind = asked["type"]
        outcomes = reply.get("outcomes", [reply] if reply.get("type") == "outcome" else [])
        for outcome in outcomes:
            word = outcome.get("outcome", "?")
            self.outcomes[word] = self.outcomes.get(word, 0) + 1
        first = asking.repeats
        if reply.get("replayed") and first is not None and first.replied is not None:
            same = {**reply, "replayed": None} == {**first.replied, "replayed": None}
            if not same:
                world.blame(f"a replay that differs: {reply} and {first.replied}", id)
        if first is not None and asked != first.command:
            # Another life of the daemon does not know the first one.
            life = world.life
            assert life is not None
            known = not (first.excused or first.forgotten) and first.asked_s > life.began_s
            if reply.get("outcome") != "refused" and known:
                world.blame(f"another command under a used id was not refused: {reply}", id)
            return
        self._judge_asking(asking, reply)
        with world.blaming(id, *_names(asked)):
            world.judge.hear(reply, (asking if first is None else first).asked_ns - MOMENT_NS, asked.get("scope"))
            if "scope" in asked:
                self._judge_part(asked["scope"], reply)
            for outcome in outcomes:
                if asked.get("until") == "proof":
                    assert outcome["outcome"] != "acked", f"acked where proof was asked for: {outcome}"
                self._free_names(outcome)
            if asked.get("until") == "proof" and reply["type"] == "all" and not reply.get("dry_run"):
                proved = all(told["outcome"] != "acked" for told in reply["venues"].values())
                assert proved, f"acked where proof was asked for: {reply}"
        if kind == "cancel_batch" and reply["type"] == "batch" and len(outcomes) != len(asked["orders"]):
            world.blame(f"{len(outcomes)} outcomes for {len(asked['orders'])} orders", id)
        if kind == "kill" and reply["type"] == "killed":
            if not reply["latched"]:
                # Re-armed in between: whoever did that was told.
                return
            if reply.get("durable", True):
                # While a re-arming is under way nobody knows on which side of it a crash will be.
                world.latched = None if self._rearming else True
                if world.may_die() and self._rng.random() < DIES_OF_A_KILL:
                    self._dies_of_a_kill()
        if kind == "rearm" and reply["type"] == "rearm":
            if reply["latched"]:
                assert self._operator is not None
                confirm = {"type": "rearm", "id": self._operator.fresh_id(), "confirm": reply["code"], "force": True}
                world.latched = None
                self._operator.ask(confirm, json=True)
            else:
                world.latched = False

    def _judge_part(self, scope: list[dict[str, Any]], reply: Mapping[str, Any]) -> None:
        """Whatever is shown or was cancelled is inside of the scope, and the numbers are those of what is named."""
        for venue, told in reply.get("venues", {}).items():
            shown = told.get("orders", ())
            ids = told.get("order_ids", [order["order_id"] for order in shown if not order.get("unsure")])
            if "more" not in told and "after" not in reply and "count" in told:
                assert told["count"] == len(ids) == len(set(ids)), f"{told} counts otherwise than it names"
                unsure = [order["order_id"] for order in shown if order.get("unsure")]
                if "orders" in told:
                    assert told["unsure"] == len(unsure) == len({*unsure, *ids}) - len(ids), f"{told} miscounts"
            for order_id in ids:
                order = self.world.exchange.exchange.order(DEFAULT_ACCOUNT, venue, order_id)
                assert order is not None, f"{order_id} was told and never was"
                assert is_meant(order, scope, {}, 0.0), f"{order_id} is outside of {scope}"

    @property
    def _rearming(self) -> bool:
        assert self._operator is not None
        return any("confirm" in one.command for waiting in self._operator.open.values() for one in waiting)

    def _judge_asking(self, asking: Asking, reply: Mapping[str, Any]) -> None:
        """What can be said of a reply without looking at any book."""
        world, first = self.world, asking.repeats
        life = world.life
        assert life is not None
        known = first is not None and not (first.excused or first.forgotten) and first.asked_s > life.began_s
        if known and asking.command["type"] not in ("ping", "status") and not reply.get("replayed"):
            world.blame(f"asked again, and not answered by what is remembered: {reply}", reply.get("id"))
        sent_ns = asking.command.get("sent_ns")
        if sent_ns is None or reply.get("outcome") == "refused" or reply.get("replayed"):
            return
        if sent_ns + asking.deadline_s * 1e9 < asking.asked_ns:
            world.blame(f"it came after its deadline, and was not refused: {reply}", reply.get("id"))

    def _free_names(self, outcome: Mapping[str, Any]) -> None:
        """Whoever bore this name when the command came must not rest once its outcome says so."""
        if outcome["outcome"] not in ("acked", "canceled", "closed") or "received_ns" not in outcome:
            return
        world = self.world
        venue = outcome["venue"]
        book = world.exchange.exchange
        bearers = []
        if "cl_ord_id" in outcome:
            one = book.open_by_client_id(DEFAULT_ACCOUNT, venue, outcome["cl_ord_id"])
            bearers = [] if one is None else [one]
        elif "userref" in outcome and not self._told_by_count(outcome):
            bearers = book.open_by_userref(DEFAULT_ACCOUNT, venue, outcome["userref"])
        for order in bearers:
            pending = outcome["outcome"] == "acked" and world.judge._pending(order)
            # A request that is refused goes on by what the streams have told: an order of the same moment is not known.
            moment_ns = 0 if "cl_ord_id" in outcome else self._stream_lag_ns
            after = world.judge._placed_after(order, outcome["received_ns"] - moment_ns)
            assert after or pending, f"{outcome} while {order.order_id} rests"

    @property
    def _stream_lag_ns(self) -> int:
        """How long an order may rest before its stream has told so."""
        plan = self.world.plan
        delayed_s = EVENTS_DELAYED_S if "slow acks" in plan.kinds else 0.0
        return int((0.05 + plan.latency_s + plan.jitter_s + delayed_s) * 1e9)

    def _told_by_count(self, outcome: Mapping[str, Any]) -> bool:
        """Whether a cancel by userref was called accepted by what nobody can tell from the truth.

        Acks bear no order, so one that comes twice counts twice; and on the stream an ack is inferred, from every order
        that it could have meant having been seen to be canceled.
        """
        doubled = outcome["route"] == "ws" and {"acks in disorder", "foreign ack"} & set(self.world.plan.kinds)
        return outcome["outcome"] == "acked" and (outcome["route"] == "stream" or bool(doubled))

    def _died(self, life: Life) -> None:
        for client in self.clients:
            client.died_with(life)


def _names(command: Mapping[str, Any]) -> list[str]:
    parts = command.get("orders", [command])
    return [str(part[kind]) for part in parts for kind in NAMES if kind in part][:3]
