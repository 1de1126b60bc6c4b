"""One venue's dead man's timer kept: its commands sent, its answers heard, and switched off before a clean stop.

When it is renewed, left to run out or switched off is engine/deadman.py's to decide. There is one timer for each
account and, as we assume, for both ways to it, so it goes by one way at a time: the active session, on Futures one of
the Unified WebSocket, and REST when there is none or it fails.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import structlog
import trio

from ..contract.evidence import Mode, Window
from ..contract.ids import Venue
from ..contract.outcomes import Route
from ..engine.deadman import ANSWER_TIMEOUT_NS, SECOND_NS, Arm, Deadman, Disarm, Health, Notice, Over
from ..engine.effects import Alert
from ..engine.instants import FAR_NS, MS
from ..engine.lane import Lane
from ..engine.resting import Row
from ..engine.timer_right import RightToRenew
from ..transport.clock import Clock
from ..venues.values import is_timer_reason
from .dispatcher import Dispatcher
from .events import Events
from .rest_lane import RestLane
from .rest_pool import CallFailed
from .session import TimerAsker

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

STILL_NS: Final = 3 * SECOND_NS
"""A reader or an alarm that has not gone round for so long makes no progress; each does so twice a second at least."""

MAINTENANCE_NS: Final = 3600 * SECOND_NS
"""How long announced maintenance is taken to last where its end is not told, and the venue never said that it began."""


class TimerSession(Protocol):
    """What is needed of a session: to send one timer command."""

    def write_timer(self, timeout_s: int, asker: TimerAsker) -> bool:
        """Arm or renew the account's timer, or with 0 switch it off; False when the session is over."""
        ...


class Progress:
    """Whether everything in `beats()` goes round: the gateway's readers and the alarms of what is in flight."""

    def __init__(self, beats: Callable[[], list[int]]) -> None:
        self._beats = beats
        self._before: list[int] = []
        self._grown_ns: list[int] = []

    def seen(self, now_ns: int) -> bool:
        """To be asked once a second or more often."""
        beats = self._beats()
        if not self._before:
            self._grown_ns = [now_ns] * len(beats)
        else:
            for place, (new, old) in enumerate(zip(beats, self._before, strict=True)):
                if new > old:
                    self._grown_ns[place] = now_ns
        self._before = beats
        return all(now_ns - grown_ns < STILL_NS for grown_ns in self._grown_ns)


class _Command:
    """One command under way; who sent it tells it what the command came to."""

    def __init__(self, switch: "DeadmanSwitch", number: int) -> None:
        self._switch = switch
        self._number = number

    def timer_answered(self, trigger_s: float | None) -> None:
        self._switch.answered(self._number, trigger_s)

    def timer_failed(self, why: str) -> None:
        self._switch.failed(self._number, why)


class DeadmanSwitch:
    """The timer of one venue. `run` keeps it; `stop` switches it off before the ways to the venue are closed."""

    def __init__(
        self,
        timer: Deadman,
        dispatcher: Dispatcher,
        sessions: dict[Lane, TimerSession],
        rest: RestLane,
        clock: Clock,
        events: Events,
        latched: Callable[[Venue], bool],
        beats: Callable[[], list[int]],
        right: RightToRenew,
    ) -> None:
        """sessions: those that may carry it, by lane; none where only REST does."""
        self.venue = timer.venue
        self._timer = timer
        self._dispatcher = dispatcher
        self._sessions = sessions
        self._rest = rest
        self._clock = clock
        self._events = events
        self._latched = latched
        self._progress = Progress(beats)
        self._right = right
        self._lag_ns = 0
        self._under_way = False
        self._session_failed = False
        self._by_session = False
        self._route: Route | None = None
        self._mode: Mode = "unknown"
        self._windows: tuple[Window, ...] = ()
        self._begins_ns = FAR_NS
        self._told: tuple[Any, ...] | None = None
        self._off = trio.Event()
        self._alarm: trio.CancelScope | None = None
        self._armed_ns = FAR_NS
        self._nursery: trio.Nursery | None = None
        dispatcher.hear_ends(self._ended)

    def status(self) -> dict[str, Any]:
        """This timer for the `deadman` member of a `status` reply. route: by which way the last command was taken."""
        shown = self._timer.status(self._clock.monotonic_ns())
        return shown if self._route is None else {**shown, "route": self._route}

    # ---------------------------------------------------------------- what happens

    def answered(self, number: int, trigger_s: float | None) -> None:
        """The venue took a command. trigger_s: when it will fire, Unix seconds of the venue; None when it is off."""
        self._under_way = self._session_failed = False
        self._route = "ws" if self._by_session else "rest"
        self._timer.answered(number, trigger_s, self._clock.monotonic_ns())
        self._perform()

    def failed(self, number: int, why: str) -> None:
        """A command came to nothing that we know of."""
        self._under_way = False
        self._session_failed = self._by_session
        self._timer.failed(number, why, self._clock.monotonic_ns())
        self._perform()

    def _ended(self, row: Row) -> None:
        if row.reason is not None and is_timer_reason(row.reason):
            self._timer.fired(self._clock.monotonic_ns())
            self._perform()

    def _look(self) -> None:
        """Let the timer act on how things stand."""
        now_ns = self._clock.monotonic_ns()
        self._heed_maintenance(now_ns)
        self._timer.on_time(self._health(now_ns), now_ns)
        self._perform()

    def _health(self, now_ns: int) -> Health:
        by_session = any(lane in self._sessions for lane in self._dispatcher.live)
        return Health(
            path_up=by_session or self._rest.reachable,
            lag_ns=self._lag_ns,
            progress=self._progress.seen(now_ns),
            latched=self._latched(self.venue),
            right=self._right.at(now_ns),
        )

    # ---------------------------------------------------------------- maintenance

    def _heed_maintenance(self, now_ns: int) -> None:
        mode = self._dispatcher.mode
        if mode != self._mode:
            was, self._mode = self._mode, mode
            if mode == "maintenance":
                # Announced or not, it has begun: nothing is taken now, and what is armed fires when it is over.
                self._timer.maintenance(now_ns, FAR_NS, now_ns)
            elif was == "maintenance":
                self._timer.maintenance_over(now_ns)
        windows = self._rest.maintenance
        if mode != "maintenance" and windows is not self._windows:
            self._windows = windows
            self._heed_windows(windows, now_ns)

    def _heed_windows(self, windows: tuple[Window, ...], now_ns: int) -> None:
        """Act on what is announced. A window leaves the list when it begins; one that leaves it earlier is called off.

        Source: Spot REST "Get System Status".
        """
        ahead_ns = now_ns - self._clock.utc_ns()
        coming = []
        for window in windows:
            begins_ns = ahead_ns + int(window.begins_s * SECOND_NS)
            told_ns = None if window.ends_s is None else ahead_ns + int(window.ends_s * SECOND_NS)
            ends_ns = begins_ns + MAINTENANCE_NS if told_ns is None else told_ns
            if ends_ns > now_ns:
                coming.append((begins_ns, ends_ns))
        if coming:
            begins_ns, ends_ns = min(coming)
            self._begins_ns = begins_ns
            self._timer.maintenance(begins_ns, ends_ns, now_ns)
        elif self._begins_ns != FAR_NS:
            if now_ns < self._begins_ns:
                self._timer.maintenance_over(now_ns)
            self._begins_ns = FAR_NS

    # ---------------------------------------------------------------- acting

    def _perform(self) -> None:
        while effects := self._timer.effects:
            self._timer.effects = []
            for effect in effects:
                match effect:
                    case Arm(number=number, timeout_s=timeout_s):
                        self._send(number, timeout_s)
                    case Disarm(number=number):
                        self._send(number, 0)
                    case Alert(what=what, do=do):
                        log.warning("dead man's timer", venue=self.venue, what=what, do=do)
                        self._events.alert("critical", what, do)
                    case Notice(what=what):
                        log.info("dead man's timer", venue=self.venue, what=what)
                        self._events.deadman({"venue": self.venue, "what": what})
                    case Over(what=what):
                        self._events.clear(what)
        self._tell_state()
        if self._timer.stopped:
            self._off.set()
        self._arm()

    def _tell_state(self) -> None:
        shown = self.status()
        state = (shown["state"], shown.get("holding"), shown.get("route"))
        if state != self._told:
            self._told = state
            self._events.deadman({"venue": self.venue, **shown})

    def _send(self, number: int, timeout_s: int) -> None:
        command = _Command(self, number)
        if self._under_way:
            # The last one was given up without an answer: this one goes the other way.
            self._session_failed = self._by_session
        self._under_way = True
        if not self._session_failed:
            for lane in self._dispatcher.live:
                session = self._sessions.get(lane)
                if session is not None and session.write_timer(timeout_s, command):
                    self._by_session = True
                    return
        self._by_session = False
        assert self._nursery is not None
        self._nursery.start_soon(self._send_by_rest, command, timeout_s, name=f"{self.venue} timer by REST")

    async def _send_by_rest(self, command: _Command, timeout_s: int) -> None:
        # No longer than it is waited for: it must not leave after the one that takes its place.
        with trio.move_on_after(ANSWER_TIMEOUT_NS / 1e9):
            try:
                trigger_s = await self._rest.set_timer(timeout_s)
            except CallFailed as failed:
                command.timer_failed(failed.why)
            else:
                command.timer_answered(trigger_s)

    # ---------------------------------------------------------------- tasks

    async def run(self) -> None:
        """Keep the timer for as long as the ways to the venue are kept; ends by cancellation."""
        async with trio.open_nursery() as self._nursery:
            while True:
                self._armed_ns = self._timer.wake_ns
                with trio.CancelScope(deadline=self._trio_time()) as self._alarm:
                    await trio.sleep_forever()
                self._alarm = None
                self._lag_ns = max(0, self._clock.monotonic_ns() - self._armed_ns)
                self._look()

    def _arm(self) -> None:
        if self._alarm is not None and self._timer.wake_ns < self._armed_ns:
            self._armed_ns = self._timer.wake_ns
            self._alarm.deadline = self._trio_time()

    def _trio_time(self) -> float:
        # Never in the past: two things that wake each other must not keep everything else from running.
        return trio.current_time() + max(self._armed_ns - self._clock.monotonic_ns(), MS) / 1e9

    async def stop(self) -> None:
        """Switch the timer off, or leave it to run out where the kill asks for that. The caller bounds it."""
        self._timer.stop()
        self._look()
        await self._off.wait()

    def left(self) -> None:
        """The clean stop has no more time: say what the timer will do."""
        if self._timer.stopped:
            return
        what = f"{self.venue}: the dead man's timer may be armed after the stop"
        do = "it could not be switched off: start again before it cancels every order, or switch it off by hand"
        log.error("timer left", venue=self.venue, status=self.status())
        self._events.alert("critical", what, do)
