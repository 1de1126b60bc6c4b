"""The daemon as a process that is killed in the middle of a step, and started again in the same world.

After its death nothing that it still does shows: its sockets and wires are cut, the memory of its record is nobody's,
and of its files there is what was written. What it had handed to the kernel before arrives.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import trio

from canceld.app import Daemon
from canceld.contract.evidence import CancelAck, CancelAllAck, Orders
from canceld.contract.ids import Venue
from canceld.engine.intents import Intent, read
from canceld.settings import Settings
from canceld.sim.rates import UNLIMITED
from canceld.tasks.session import Session
from canceld.transport.network import DialFailed
from canceld.transport.notify import Notifier
from canceld.transport.signals import Signal
from canceld.transport.wire import Wire
from canceld.transport.world import World

from ..world import PATIENCE_S, SETTINGS, Listener, SpotProtocol, Stage, Strategy

INFLIGHT: Final = "inflight"

DOWN_S: Final = 0.3
"""From the death to the next start: what a service manager takes."""

RECORDED: Final = ("recorded", "frame", "ack", "reply", "settling")
"""Steps of a cancel at which the record holds it."""

STEPS: Final = ("decoded", *RECORDED, "settled")


class Killed(BaseException):
    """Unwinds a process that is dead already. No handler of the daemon may take it for an error."""


class Lives:
    """A stage on which the daemon dies and lives again."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.daemon: Daemon
        self.events: Listener = stage.listen()
        self.killed = trio.Event()
        self._wires: list[Wire] = []
        self._ended = trio.Event()

    def begin(self) -> None:
        """Start a process."""
        stage, killed = self.stage, self.killed

        async def dial(host: str, port: int) -> Wire:
            if killed.is_set():
                raise DialFailed("connect", "the dead do not dial")
            wire = await stage.dial(host, port)
            self._wires.append(wire)
            return wire

        world = stage.world
        daemon = self.daemon = stage.daemon = Daemon(
            stage.settings, stage.credentials, World(world.clock, world.entropy, dial, world.bus, world.directory)
        )
        stage.ready, stage.ended = trio.Event(), trio.Event()
        ended = self._ended = trio.Event()

        async def serve() -> None:
            try:
                await daemon.serve(stage.signals, Notifier({}), ready=stage.ready.set)
            except* (Killed, Exception):
                # What breaks in a dead process breaks because it is dead.
                if not killed.is_set():
                    raise
            else:
                stage.ended.set()
            ended.set()

        stage.start(serve)

    async def up(self) -> None:
        """Wait until every session is live."""
        with trio.fail_after(PATIENCE_S):
            await self.stage.ready.wait()
        for venue in self.stage.settings.venues:
            await self.stage.live(venue)

    def die(self) -> None:
        """The process is gone from here on."""
        for directory in self.stage.directories.values():
            directory.crash(power_lost=False)
        self.stage.bus.drop_process()
        for wire in self._wires:
            wire.abort()
        self._wires.clear()
        self.killed.set()
        raise Killed

    def die_at(self, step: str) -> None:
        """Let it die at this step of the next cancel; "resumed": when it learns what became of an order it resumed."""
        admission, desk = self.daemon.gateway.admission, self.stage.desk
        intents = admission._intents
        match step:
            case "decoded":
                for name in ("_cancel", "_batch", "_all"):
                    self._instead(admission, name)
                # The way of a plain cancel, which no other step of these is on.
                self._instead(self.daemon.gateway._straight, "take")
            case "recorded":
                self._after(intents, "enter")
            case "frame":
                for session in desk.sessions:
                    self._after(session, "write_cancels")
                    if isinstance(session, Session):
                        self._after(session, "write_plain")
            case "ack":
                for part, name in [
                    (desk.dispatcher, "heard"),
                    *[(session._plain_acks, "take") for session in desk.sessions],
                ]:
                    self._hearing(part, name)
            case "reply":
                self._after(self.daemon.gateway.outbox, "send")
            case "settling":
                self._instead(intents, "settle")
            case "settled":
                self._after(intents, "settle")
            case "resumed":
                self._instead(self.daemon.recovery, "told")
            case other:
                raise ValueError(other)

    def _instead(self, part: Any, name: str) -> None:
        setattr(part, name, lambda *_, **__: self.die())

    def _after(self, part: Any, name: str) -> None:
        does: Callable[..., Any] = getattr(part, name)

        def dies(*args: Any, **options: Any) -> None:
            does(*args, **options)
            self.die()

        setattr(part, name, dies)

    def _hearing(self, part: Any, name: str) -> None:
        hears: Callable[..., Any] = getattr(part, name)

        def heard(of: Any, evidence: Any) -> Any:
            # Whichever comes first: Spot tells of the order's end on its stream too.
            if any(isinstance(one, CancelAck | CancelAllAck | Orders) for one in evidence):
                self.die()
            return hears(of, evidence)

        setattr(part, name, heard)

    async def reborn(self, *, up: bool = True, down_s: float = DOWN_S) -> None:
        """Wait for the death, then start the next process, whose events are heard from its first on."""
        with trio.fail_after(PATIENCE_S):
            await self.killed.wait()
            await self._ended.wait()
        self.killed = trio.Event()
        await trio.sleep(down_s)
        self.begin()
        if up:
            await self.up()

    def strategy(self, venue: Venue | None = None) -> Strategy:
        """A client whose askings may stay without a reply when the daemon dies."""
        strategy = self.stage.strategy(venue, reads=False)
        self.stage.start(strategy.read)
        return strategy

    @property
    def recorded(self) -> tuple[Intent, ...]:
        """What the record holds now, as the next process would read it."""
        content = self.stage.directory(self.stage.settings.state.dir).read(INFLIGHT)
        assert content is not None
        found = read(content)
        assert found.torn == ()
        return found.intents

    async def settled(self) -> None:
        """Wait until everything that was found is settled; the record is empty then."""
        with trio.fail_after(PATIENCE_S):
            while self.daemon.recovery.unsettled:  # noqa: ASYNC110 - the daemon owes no event for this
                await trio.sleep(0.01)
        assert self.recorded == ()

    @property
    def late(self) -> list[dict[str, Any]]:
        """Every `late` event so far."""
        return [event for event in self.events.events if event["type"] == "late"]


@asynccontextmanager
async def lives(
    seed: int = 1,
    settings: Settings = SETTINGS,
    *,
    protocol: SpotProtocol = "v1",
    before: Callable[[Stage], None] = lambda _: None,
    records: bool = True,
) -> AsyncIterator[Lives]:
    """The daemon's first life, every session live. In the end the books are closed and the last life is stopped.

    records: whether there is a record, which has to be empty by then.
    """
    settings = msgspec.structs.replace(settings, spot=msgspec.structs.replace(settings.spot, protocol=protocol))
    stage = Stage(settings, seed, UNLIMITED)
    before(stage)
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    trio._core._run._r.seed(seed)
    failed: Exception | None = None
    async with trio.open_nursery() as around:
        stage._nursery = around
        run = Lives(stage)
        run.begin()
        try:
            await run.up()
            yield run
            await stage.close_the_books()
            assert not records or run.recorded == ()
            stage.signals.raise_now(Signal.TERMINATE)
            with trio.fail_after(PATIENCE_S):
                await stage.ended.wait()
        except Exception as error:
            # Raised out here because the nursery would wrap it in a group.
            failed = error
        around.cancel_scope.cancel()
    if failed is not None:
        raise failed
