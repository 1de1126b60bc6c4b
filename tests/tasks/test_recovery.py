"""What a record held is settled through the dispatchers: here with one that answers as it is told to."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio

from canceld.contract.evidence import RestOrders
from canceld.contract.ids import Target
from canceld.contract.outcomes import Canceled, Closed, NotOpen, Outcome, Refused, Rejected, Settlement, Unknown
from canceld.engine.intents import HEADER, NOBODY, RECORD_BYTES, Found, Intents, read
from canceld.engine.resting import Resting
from canceld.settings import REPLAY_WINDOW_S
from canceld.tasks.events import Events
from canceld.tasks.recovery import GIVEN_UP, INFLIGHT_FILE, PATIENCE_S, Record, Recovery
from canceld.transport.clock import VirtualClock
from canceld.transport.memory.disk import MemoryDirectory
from canceld.transport.memory.zeromq import MemoryBus, MemorySubscriber

EVENTS = "ipc:///run/canceld/events.sock"
ORDER = "OAAAAA-BBBBB-CCCCCC"
AUTO = b"\0\0\0\0\1"
CANCEL = {"type": "cancel", "id": "a", "venue": "spot", "order_id": ORDER}
MINUTE_NS = 60_000_000_000


class Policy:
    overtake_ns = 0


class Venue:
    """What the recovery sees of a dispatcher. Every order comes to the next of `outcomes`, the last one for ever."""

    policy = Policy()

    def __init__(self, *outcomes: Outcome) -> None:
        self.resting = Resting(10)
        self.resumed: list[str] = []
        self._outcomes = list(outcomes)
        self._due: list[Callable[[], None]] = []

    def resume(self, owner: Any, order_id: str, deadline_ns: int, now_ns: int, symbol: str | None = None) -> None:
        self.resumed.append(order_id)
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        settlement = Settlement(venue="spot", target=Target("order_id", order_id), outcome=outcome, route="rest")
        self._due.append(lambda: owner.answered(settlement))

    def request(self, form: str, owner: Any, *, urgent: bool) -> None:
        assert form == "open_orders"
        owner.call_answered(None, RestOrders(()), 0)

    def perform(self) -> None:
        due, self._due = self._due, []
        for answer in due:
            answer()


class Broken(Venue):
    """A dispatcher that is wrong about itself."""

    def resume(self, owner: Any, order_id: str, deadline_ns: int, now_ns: int, symbol: str | None = None) -> None:
        raise AssertionError("impossible")


class Scene:
    """A state directory in which a process died, and the recovery of the next."""

    def __init__(self, nursery: trio.Nursery, venue: Venue) -> None:
        self.clock = VirtualClock()
        self.directory = MemoryDirectory("/state")
        self.venue = venue
        self.intents = Intents(self.directory.map(INFLIGHT_FILE, RECORD_BYTES, HEADER))
        self._nursery = nursery
        bus = MemoryBus()
        self._subscriber: MemorySubscriber = bus.subscribe(EVENTS)
        self.events = Events(bus.publisher(EVENTS, mode=0o660), self.clock)

    def leave(self, command: dict[str, Any], *, pid: int = 42, ago_ns: int = 0, boot_ago_ns: int = 0) -> None:
        """Let the process before have taken a command. boot_ago_ns: how much later the machine has started since."""
        received_ns = self.clock.monotonic_ns() - ago_ns + boot_ago_ns
        utc_ns = self.clock.utc_ns() - ago_ns
        self.intents.enter(msgspec.msgpack.encode(command), AUTO, 1000, pid, received_ns, utc_ns)

    async def recover(self) -> Recovery:
        self.directory.crash(power_lost=False)
        recovery = Recovery(
            Record(self.directory),
            {"spot": self.venue},  # type: ignore[dict-item]
            self.clock,
            self.events,
            {},
        )
        await self._nursery.start(recovery.run)
        return recovery

    @property
    def recorded(self) -> Found:
        content = self.directory.read(INFLIGHT_FILE)
        assert content is not None
        return read(content)

    def late(self) -> list[dict[str, Any]]:
        events = []
        while (event := self._subscriber.receive_nowait()) is not None:
            if event[0].startswith(b"late."):
                events.append(msgspec.json.decode(event[1]))
        return events


async def test_nothing_found_means_nothing_to_do(autojump_clock: object, nursery: trio.Nursery) -> None:
    scene = Scene(nursery, Venue(NotOpen()))
    recovery = await scene.recover()
    await trio.sleep(1)
    assert (recovery.expects, recovery.unsettled, scene.venue.resumed, scene.late()) == (False, 0, [], [])


async def test_what_it_comes_to_is_told_late_with_the_time_of_its_receipt(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    scene = Scene(nursery, Venue(Canceled("1")))
    scene.leave(CANCEL, ago_ns=MINUTE_NS)
    received_ns = scene.clock.monotonic_ns() - MINUTE_NS
    await scene.recover()
    await trio.sleep(1)
    [late] = scene.late()
    assert (late["id"], late["outcome"], late["filled_qty"], late["order_id"]) == ("a", "canceled", "1", ORDER)
    assert late["received_ns"] == received_ns
    assert scene.recorded == Found()


async def test_after_a_reboot_no_time_of_the_old_clock_is_told(autojump_clock: object, nursery: trio.Nursery) -> None:
    scene = Scene(nursery, Venue(Canceled()))
    scene.leave(CANCEL, boot_ago_ns=MINUTE_NS)
    await scene.recover()
    await trio.sleep(1)
    [late] = scene.late()
    assert "received_ns" not in late


@pytest.mark.parametrize(
    "first", [Unknown(("ws",)), Refused("no_route", "no session"), Rejected("unavailable"), Rejected("throttled")]
)
async def test_what_settles_nothing_is_tried_again(
    autojump_clock: object, nursery: trio.Nursery, first: Outcome
) -> None:
    scene = Scene(nursery, Venue(first, first, Closed("filled", "3")))
    scene.leave(CANCEL)
    await scene.recover()
    await trio.sleep(0.1)
    assert len(scene.recorded.intents) == 1
    await trio.sleep(5)
    assert scene.venue.resumed == [ORDER] * 3
    [late] = scene.late()
    assert (late["outcome"], late["state"]) == ("closed", "filled")


async def test_once_given_up_nothing_more_is_begun_and_the_record_keeps_it(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    scene = Scene(nursery, Venue(Unknown(())))
    scene.leave(CANCEL)
    recovery = await scene.recover()
    await trio.sleep(0.1)
    recovery.give_up()
    await trio.sleep(60)
    assert scene.venue.resumed == [ORDER]
    assert len(scene.recorded.intents) == 1
    assert scene.late() == []


@pytest.mark.parametrize("reject_class", ["auth", "permission", "invalid"])
async def test_a_refusal_that_would_be_repeated_is_told_and_alerts(
    autojump_clock: object, nursery: trio.Nursery, reject_class: Any
) -> None:
    scene = Scene(nursery, Venue(Rejected(reject_class)))
    scene.leave(CANCEL)
    await scene.recover()
    await trio.sleep(60)
    assert scene.venue.resumed == [ORDER]
    [late] = scene.late()
    assert (late["outcome"], late["class"]) == ("rejected", reject_class)
    assert GIVEN_UP in [alert["what"] for alert in scene.events.alerts]


async def test_patience_ends_and_what_is_left_is_unknown(autojump_clock: object, nursery: trio.Nursery) -> None:
    scene = Scene(nursery, Venue(Unknown(("ws",))))
    scene.leave(CANCEL)
    await scene.recover()
    await trio.sleep(PATIENCE_S + 1)
    assert [late["outcome"] for late in scene.late()] == ["unknown"]
    assert scene.recorded == Found()
    assert GIVEN_UP in [alert["what"] for alert in scene.events.alerts]


async def test_a_dispatcher_that_breaks_ends_no_process(autojump_clock: object, nursery: trio.Nursery) -> None:
    """The same record would be there for the next process, and for all that follow it."""
    scene = Scene(nursery, Broken(NotOpen()))
    scene.leave(CANCEL)
    await scene.recover()
    await trio.sleep(1)
    assert [late["outcome"] for late in scene.late()] == ["unknown"]
    assert scene.recorded == Found()


async def test_a_batch_is_settled_when_its_last_order_is(autojump_clock: object, nursery: trio.Nursery) -> None:
    scene = Scene(nursery, Venue(Canceled(), Unknown(()), NotOpen()))
    orders = [{"order_id": ORDER}, {"order_id": "OAAAAA-BBBBB-DDDDDD"}]
    scene.leave({"type": "cancel_batch", "id": "b", "venue": "spot", "orders": orders})
    recovery = await scene.recover()
    await trio.sleep(0.1)
    assert [late["outcome"] for late in scene.late()] == ["canceled"]
    assert recovery.unsettled == 1
    await trio.sleep(1)
    assert [late["outcome"] for late in scene.late()] == ["not_open"]
    assert recovery.unsettled == 0


async def test_a_name_under_which_nothing_rests_is_closed_and_nothing_is_sent(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    scene = Scene(nursery, Venue(NotOpen()))
    scene.leave({"type": "cancel", "id": "a", "venue": "spot", "userref": 7})
    await scene.recover()
    await trio.sleep(1)
    assert scene.venue.resumed == []
    [late] = scene.late()
    assert (late["outcome"], late["cause"], late["userref"]) == ("closed", "unconfirmed", 7)


async def test_whom_the_kernel_did_not_name_is_not_known_again(autojump_clock: object, nursery: trio.Nursery) -> None:
    scene = Scene(nursery, Venue(Canceled()))
    scene.intents.enter(msgspec.msgpack.encode(CANCEL), AUTO, NOBODY, NOBODY, 1, scene.clock.utc_ns())
    recovery = await scene.recover()
    assert not recovery.expects
    await trio.sleep(1)
    assert len(scene.late()) == 1


async def test_ids_are_expected_for_as_long_as_they_are_remembered(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    scene = Scene(nursery, Venue(Canceled()))
    scene.leave(CANCEL)
    recovery = await scene.recover()
    await trio.sleep(REPLAY_WINDOW_S - 1)
    assert recovery.expects
    await trio.sleep(2)
    assert not recovery.expects
