"""Walks the way of a cancel while nobody cancels, so that its code and tables stay in the processor's caches.

Strategies cancel seconds apart, and by then everything the way needs has been pushed out: the same work takes several
times as long. So a miniature of the daemon cancels an order that does not exist at a venue that is not there, a
thousand times a second. It is made of the daemon's own classes, and of none of its parts: it has a desk, an admission,
replies and events of its own, which lead nowhere. So nothing that it does can be seen in the record, the counters, the
request ids, or at a venue.
"""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

import trio

from ..contract.commands import Cancel
from ..contract.ids import Reqid
from ..credentials import Secret
from ..engine.backoff import ConnectBudget
from ..engine.budget import Budget
from ..engine.inflight import Reqids
from ..engine.instants import MS
from ..engine.intents import SLOT_BYTES, Intents
from ..engine.policy import Policy
from ..engine.pursuits.front import Pursuits
from ..engine.replays import Replays
from ..engine.resting import Resting
from ..engine.timer_right import RightToRenew
from ..engine.venue_clock import VenueClock
from ..settings import Address
from ..transport.messages import Message, Sent
from ..transport.warm import WarmWebSocket
from ..transport.world import World
from ..venues import spot_ws
from .admission import Admission
from .conversation import Parts
from .dispatcher import Dispatcher
from .events import Events
from .gateway import read
from .killswitch import KillSwitch
from .leasing import Leasing
from .origins import Origins
from .outbox import Outbox, Outlet
from .replies import Replies
from .scoping import Scoping
from .session import Session
from .straight import StraightLine
from .telemetry import Histogram
from .tickets import Asked

FORGET_AFTER: Final = 64
"""After so many walks the miniature's memory of their ids is thrown away: it is to stay small."""

LONG_WAY_EVERY: Final = 4
"""One walk in so many goes the long way: what is not plain goes there, and shares most of the code."""

IDENTITY: Final = b"\0walk"
COMMAND: Final = b'{"type":"cancel","id":"walk-%d","venue":"spot","order_id":"OWALKS-NOWHE-RELEAD"}'
ANSWER: Final = b'{"event":"cancelOrderStatus","status":"ok","reqid":%d}'
TOKEN: Final = "leads-nowhere-" + 30 * "0"
"""As long as the venue's tokens."""


class _Nobody:
    """Who listens to a miniature: its clients, its subscribers, its token source, the process before it."""

    expects = False
    rescues = dropped = 0

    def send_nowait(self, identity: bytes, frames: Sequence[bytes]) -> Sent:
        return Sent.OK

    def wants(self, topic: bytes) -> bool:
        return True

    def publish_nowait(self, topic: bytes, body: bytes) -> None:
        """A subscriber who does not read."""

    def takes(self, asked: Asked, deadline_ns: int) -> bool:
        return False


class _Nowhere(Session):
    """A session whose socket leads nowhere."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, 0, spot_ws, _Nobody())  # type: ignore[arg-type]  # no token is ever asked for
        self._token = Secret(TOKEN)
        self._socket = self.wire = WarmWebSocket(parts.world.entropy.bytes, self._hear_walk)

    def _hear_walk(self, messages: Sequence[str | bytes]) -> None:
        self._take_in(self.wire, messages)


class Walk:
    """The miniature. `step` takes one cancel all the way from the message to its reply."""

    def __init__(self, world: World, kill: KillSwitch, leasing: Leasing, scoping: Scoping) -> None:
        """kill, leasing, scoping: the daemon's own, which a cancel never touches."""
        nobody = _Nobody()
        events = Events(nobody, world.clock)  # type: ignore[arg-type]  # nobody closes it
        reqids = Reqids(1)
        policy = Policy(hedge_ns=500 * MS, overtake_ns=500 * MS, late_ns=1000 * MS, late_limit=FORGET_AFTER)
        pursuits = Pursuits("spot", policy, reqids, Resting(1))
        self._desk = Dispatcher("spot", pursuits, world.clock, events, Budget())
        parts = Parts(
            "spot",
            Address(True, "nowhere", 443, "/"),
            world,
            self._desk,
            events,
            ConnectBudget(),
            reqids,
            Histogram(),
            Histogram(),
            VenueClock(),
        )
        self._session = _Nowhere(parts)
        self._desk.attach(0, self._session)
        self._desk.attach_line(self._session)
        self._desk.session_up(0)
        self._outlet = Outlet("commands", nobody)  # type: ignore[arg-type]  # nobody receives by it
        # One slot beside the head: each walk gives back the one it took.
        intents = Intents(bytearray(2 * SLOT_BYTES))
        self._replies = Replies(Outbox((self._outlet,), events), intents, world.clock, events)
        self._admission = Admission(
            self._replies,
            {"spot": self._desk},
            world.clock,
            events,
            lambda detail: {},
            kill=kill,
            intents=intents,
            successor=nobody,
            leasing=leasing,
            scoping=scoping,
            origins=Origins(world.origin, events),
            timer_right=RightToRenew(shared=False),
            deadline_ms=1000,
        )
        self._straight = StraightLine(
            self._admission, self._replies, {"spot": self._desk}, intents, nobody, world.clock, deadline_ms=1000
        )
        self._clock = world.clock
        self._walks = 0

    @property
    def answered(self) -> int:
        """How many walks came back with their reply: all of them, but for the one under way."""
        return self._replies.answer_times.count

    def step(self) -> None:
        """By the straight line: from a message to the bytes for the wire, and from the venue's answer to the reply."""
        self._walks += 1
        message, now_ns = Message(IDENTITY, [COMMAND % self._walks]), self._clock.monotonic_ns()
        command = read(message)
        plain = type(command) is Cancel and self._straight.take(
            self._outlet, message, False, command, now_ns, alone=True
        )
        if not plain:
            self._admission.take(self._outlet, message, command, now_ns)
            self._desk.perform()
        # The miniature draws a request id a walk, from 1 on.
        self._session.wire.answer(ANSWER % Reqid(self._walks))
        if not self._walks % FORGET_AFTER:
            self._replies.replays = Replays()

    def step_long_way(self) -> None:
        """The same by the way of whatever is odd: a cancel by its client order id, say."""
        self._desk.straight.on = False
        self.step()
        self._desk.straight.on = True


async def run(walk: Walk, every_ms: int, took_ns: Callable[[], int]) -> None:
    """Walk so often, but not where a cancel came since the last time; ends by cancellation. took_ns: when one did."""
    last_ns = took_ns()
    for number in count(1):
        await trio.sleep(every_ms / 1000)
        now_ns = took_ns()
        if now_ns == last_ns:
            (walk.step if number % LONG_WAY_EVERY else walk.step_long_way)()
        last_ns = now_ns
