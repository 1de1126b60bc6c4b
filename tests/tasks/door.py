"""The front door on a bench: gateway and admission, with a dispatcher that answers when it is told to."""

from collections.abc import Sequence
from typing import Any

import msgspec
import trio

from canceld.contract.ids import Target
from canceld.contract.outcomes import Outcome, Settlement
from canceld.engine.timer_right import RightToRenew
from canceld.tasks.dispatcher import Owner
from canceld.tasks.events import Events
from canceld.tasks.gateway import Gateway
from canceld.tasks.killswitch import KillSwitch
from canceld.tasks.leasing import Leasing
from canceld.tasks.origins import Origins
from canceld.tasks.recovery import Record, Recovery
from canceld.tasks.scoping import Scoping
from canceld.transport.clock import VirtualClock
from canceld.transport.entropy import SeededEntropy
from canceld.transport.memory.disk import MemoryDirectory
from canceld.transport.memory.zeromq import MemoryBus, MemoryDealer
from canceld.transport.origins import nobody_knows

COMMANDS = "ipc:///run/canceld/commands.sock"
CONTROL = "ipc:///run/canceld/control.sock"
EVENTS = "ipc:///run/canceld/events.sock"
ORDER_ID = "OAAAAA-BBBBB-CCCCCC"
CANCEL = {"type": "cancel", "id": 1, "venue": "spot", "order_id": ORDER_ID}
STATUS_NS = 3_000_000


class Venue:
    """What the gateway sees of a dispatcher."""

    venue = "spot"

    def __init__(self) -> None:
        self.asked: list[tuple[Owner, Target, bool, int]] = []
        self.performed = 0

    def submit(
        self,
        owner: Owner,
        target: Target,
        proof: bool,
        deadline_ns: int,
        now_ns: int,
        symbol: str | None = None,
        urgent: bool = False,
    ) -> None:
        self.asked.append((owner, target, proof, deadline_ns))

    def submit_batch(
        self, owners: Sequence[tuple[Owner, Target, str | None]], proof: bool, deadline_ns: int, now_ns: int
    ) -> None:
        for owner, target, symbol in owners:
            self.submit(owner, target, proof, deadline_ns, now_ns, symbol)

    def line_for(self, target: Target, *, alone: bool) -> None:
        """No session, no straight line."""

    def perform(self) -> None:
        self.performed += 1

    def answer(self, outcome: Outcome, place: int = 0) -> None:
        """Answer the command at this place of those still waiting."""
        owner, target, _, _ = self.asked.pop(place)
        owner.answered(Settlement(venue="spot", target=target, outcome=outcome, route="ws"))


class SlowClock(VirtualClock):
    """Virtual time in which work takes time, too: as much as is added to `spent_ns`."""

    def __init__(self) -> None:
        super().__init__()
        self.spent_ns = 0

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.spent_ns


class Door:
    """A gateway that runs, and a client at each of its sockets."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.bus = MemoryBus()
        self.clock = SlowClock()
        self.venue = Venue()
        self.events = Events(self.bus.publisher(EVENTS, mode=0o660), self.clock)
        self.directory = MemoryDirectory("/state")
        record = Record(self.directory)
        scoping = Scoping({"spot": self.venue}, self.clock, {})  # type: ignore[dict-item]
        self.kill = KillSwitch({}, self.directory, self.clock, SeededEntropy(1), self.events, scoping)
        self.gateway = Gateway(
            self.bus.router(COMMANDS, mode=0o660),
            self.bus.router(CONTROL, mode=0o600),
            {"spot": self.venue},  # type: ignore[dict-item]
            self.clock,
            self.events,
            self.status,
            intents=record.intents,
            successor=Recovery(record, {}, self.clock, self.events, {}),
            kill=self.kill,
            leasing=Leasing({"spot": self.venue}, self.directory, self.clock, self.events, self.kill, scoping),  # type: ignore[dict-item]
            scoping=scoping,
            origins=Origins(nobody_knows, self.events),
            timer_right=RightToRenew(shared=False),
            deadline_ms=2000,
        )
        self.client = self.bus.connect(COMMANDS)
        self.operator = self.bus.connect(CONTROL)
        nursery.start_soon(self.gateway.run)

    def status(self, detail: bool) -> dict[str, Any]:
        """A daemon's status that takes some of its time."""
        self.clock.spent_ns += STATUS_NS
        return {"state": "serving", "detailed": detail}

    async def ask(self, command: Any, *, of: MemoryDealer | None = None) -> None:
        """Send one command in msgpack and let the gateway take it."""
        (of or self.client).send_nowait([msgspec.msgpack.encode(command)])
        await trio.sleep(0.001)

    def told(self, of: MemoryDealer | None = None) -> list[dict[str, Any]]:
        """Every reply since this was last asked."""
        told = []
        while (frames := (of or self.client).receive_nowait()) is not None:
            told.append(msgspec.msgpack.decode(frames[-1]))
        return told
