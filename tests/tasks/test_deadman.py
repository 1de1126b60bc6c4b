"""The keeper of one timer by itself: which way its commands go, and what makes it stop renewing."""

from typing import Any

import msgspec
import pytest
import trio

from canceld.contract.evidence import Window
from canceld.engine.deadman import SECOND_NS, Deadman
from canceld.engine.resting import Row
from canceld.engine.timer_right import RightToRenew
from canceld.tasks.deadman import DeadmanSwitch, Progress
from canceld.tasks.events import Events
from canceld.tasks.rest_pool import CallFailed
from canceld.tasks.session import TimerAsker
from canceld.transport.clock import VirtualClock
from canceld.transport.memory.zeromq import MemoryBus

EVENTS = "ipc:///run/canceld/events.sock"
TIMEOUT_S, REFRESH_S = 60, 15


class Venue:
    """Dispatcher, session, REST lane and latch in one: what the keeper sees of the daemon."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.clock = VirtualClock()
        self.live: tuple[int, ...] = (0,)
        self.mode = "online"
        self.reachable = True
        self.maintenance: tuple[Window, ...] = ()
        self.latched = False
        self.stuck = False
        self.swallows = False
        self.beats = 0
        self.by_session: list[int] = []
        self.by_rest: list[int] = []
        self.told_end: Any = None
        bus = MemoryBus()
        self.events = Events(bus.publisher(EVENTS, mode=0o660), self.clock)
        self._subscriber = bus.subscribe(EVENTS, b"deadman.")
        timer = Deadman("spot", timeout_s=TIMEOUT_S, refresh_s=REFRESH_S, now_ns=self.clock.monotonic_ns())
        self.switch = DeadmanSwitch(
            timer,
            self,  # type: ignore[arg-type]
            {0: self},
            self,  # type: ignore[arg-type]
            self.clock,
            self.events,
            lambda venue: self.latched,
            self._beats,
            RightToRenew(shared=False),
        )
        nursery.start_soon(self.switch.run)

    def _beats(self) -> list[int]:
        self.beats += not self.stuck
        return [self.beats]

    def hear_ends(self, told: Any) -> None:
        self.told_end = told

    def write_timer(self, timeout_s: int, asker: TimerAsker) -> bool:
        self.by_session.append(timeout_s)
        if not self.swallows:
            asker.timer_answered(self._trigger_s(timeout_s))
        return True

    async def set_timer(self, timeout_s: int) -> float | None:
        self.by_rest.append(timeout_s)
        await trio.sleep(0.01)
        if not self.reachable:
            raise CallFailed("no connection", left=False)
        return self._trigger_s(timeout_s)

    def _trigger_s(self, timeout_s: int) -> float | None:
        return self.clock.utc_ns() / 1e9 + timeout_s if timeout_s else None

    @property
    def alerts(self) -> list[str]:
        return [alert["what"] for alert in self.events.alerts]

    @property
    def heard(self) -> list[dict[str, Any]]:
        heard = []
        while (event := self._subscriber.receive_nowait()) is not None:
            heard.append(msgspec.json.decode(event[1]))
        return heard


@pytest.fixture
async def venue(nursery: trio.Nursery) -> Venue:
    return Venue(nursery)


async def test_the_session_carries_it_and_rest_only_when_that_does_not(autojump_clock: object, venue: Venue) -> None:
    await trio.sleep(40)
    assert (len(venue.by_session), venue.by_rest) == (3, [])
    venue.live = ()
    await trio.sleep(30)
    assert (len(venue.by_session), len(venue.by_rest)) == (3, 2)


async def test_a_command_that_is_not_answered_is_repeated_the_other_way(autojump_clock: object, venue: Venue) -> None:
    venue.swallows = True
    await trio.sleep(10)
    assert (venue.by_session, venue.by_rest) == ([TIMEOUT_S], [TIMEOUT_S])
    assert venue.switch.status()["state"] == "armed"


@pytest.mark.parametrize("trouble", ["stuck", "latched", "cut off"])
async def test_it_is_not_renewed_while_nothing_vouches_for_us(
    autojump_clock: object, venue: Venue, trouble: str
) -> None:
    await trio.sleep(20)
    before = len(venue.by_session)
    if trouble == "cut off":
        venue.live, venue.reachable = (), False
    else:
        setattr(venue, trouble, True)
    await trio.sleep(60)
    assert (len(venue.by_session), venue.by_rest) == (before, [])
    holding = {"stuck": "no progress", "latched": "latched", "cut off": "venue not reachable"}[trouble]
    assert venue.switch.status()["holding"] == holding
    assert venue.alerts == ([] if trouble == "latched" else ["spot: the dead man's timer is not renewed"])
    venue.stuck = venue.latched = False
    venue.live = (0,)
    await trio.sleep(5)
    assert len(venue.by_session) == before + 1
    assert venue.alerts == []


async def test_a_loop_that_lagged_does_not_renew_at_once(autojump_clock: object, venue: Venue) -> None:
    await trio.sleep(14.5)
    before = len(venue.by_session)
    # The process stood still for so long: time went on, and nothing ran.
    venue.clock._monotonic_start_ns += 3 * SECOND_NS
    await trio.sleep(1.0)
    assert venue.switch.status()["holding"] == "loop lags"
    assert len(venue.by_session) == before
    await trio.sleep(1.5)
    assert "holding" not in venue.switch.status()
    assert len(venue.by_session) == before + 1


async def test_a_clean_stop_switches_it_off(autojump_clock: object, venue: Venue) -> None:
    await trio.sleep(5)
    with trio.fail_after(1):
        await venue.switch.stop()
    assert venue.by_session == [TIMEOUT_S, 0]
    venue.switch.left()
    assert venue.alerts == []
    await trio.sleep(60)
    assert len(venue.by_session) == 2


async def test_what_a_clean_stop_could_not_switch_off_is_said(autojump_clock: object, venue: Venue) -> None:
    await trio.sleep(5)
    venue.live, venue.reachable = (), False
    with trio.move_on_after(2.5) as patience:
        await venue.switch.stop()
    assert patience.cancelled_caught
    venue.switch.left()
    assert venue.alerts == ["spot: the dead man's timer may be armed after the stop"]


async def test_every_change_of_state_is_an_event_and_a_renewal_is_none(autojump_clock: object, venue: Venue) -> None:
    await trio.sleep(100)
    # Renewed thrice a minute all the while: an event tells that it is armed, and one by which way.
    assert [event["state"] for event in venue.heard] in (["armed"], ["armed", "armed"])
    venue.latched = True
    await trio.sleep(20)
    assert [event.get("holding") for event in venue.heard if "state" in event] == ["latched"]


@pytest.mark.parametrize("reason", ["dead_man_switch", "Cancel all orders after timeout"])
async def test_orders_that_the_timer_ended_are_told_from_others(
    autojump_clock: object, venue: Venue, reason: str
) -> None:
    await trio.sleep(20)
    row = Row("OAAAAA-BBBBB-CCCCCC", 0)
    row.status, row.reason = "canceled", "User requested"
    venue.told_end(row)
    assert venue.alerts == []
    row.reason = reason
    venue.told_end(row)
    assert venue.alerts == ["spot: somebody else uses the dead man's timer of this account"]


async def test_a_window_that_vanishes_when_it_begins_was_not_called_off(autojump_clock: object, venue: Venue) -> None:
    now_s = venue.clock.utc_ns() / 1e9
    venue.maintenance = (Window(now_s + 130, now_s + 430),)
    await trio.sleep(30)
    assert venue.switch.status()["state"] == "off"
    await trio.sleep(110)
    venue.maintenance = ()
    await trio.sleep(60)
    assert venue.switch.status()["holding"] == "maintenance"
    await trio.sleep(250)
    assert venue.switch.status()["state"] == "armed"


async def test_a_window_without_an_end_that_never_comes_ends_by_itself(autojump_clock: object, venue: Venue) -> None:
    venue.maintenance = (Window(venue.clock.utc_ns() / 1e9 + 10),)
    await trio.sleep(60)
    venue.maintenance = ()
    await trio.sleep(3400)
    assert venue.switch.status()["state"] == "off"
    await trio.sleep(200)
    assert venue.switch.status()["state"] == "armed"


def test_progress_wants_every_one_of_them_to_go_round() -> None:
    beats = [0, 0]
    progress = Progress(lambda: list(beats))
    assert progress.seen(0)
    for second in range(1, 4):
        beats[0] += 1
        seen = progress.seen(second * SECOND_NS)
    assert not seen
    beats[1] += 1
    assert progress.seen(4 * SECOND_NS)
