"""One venue's dead man's timer: when it is renewed, when it is left to run out, and when it is switched off.

The timer is the venue's: armed with a timeout it cancels every order of the account unless it is armed again in time.
It guards against our own end, so it is renewed only while we demonstrably work: while the latch holds, the loop lags,
the desk makes no progress or the venue cannot be reached, it is left to run. Off it goes only ahead of announced
maintenance, after which an armed timer fires, and on a clean stop.

One command at a time: two that overtake each other on the way would leave the timer in the wrong state.
Source: Spot WebSocket v1 "cancelAllOrdersAfter"; Futures REST "Dead man's switch".
"""

import enum
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from ..contract.ids import Venue
from .effects import Alert
from .instants import FAR_NS, MS
from .timer_right import Right

SECOND_NS: Final = 1000 * MS

LAG_LIMIT_NS: Final = 1 * SECOND_NS
"""A loop that lags more than this is not one that could cancel anything in time."""

CHECK_NS: Final = 1 * SECOND_NS
"""How often it is looked at what could hold a renewal back, or ask for the timer to be off."""

ANSWER_TIMEOUT_NS: Final = 5 * SECOND_NS
"""When a timer command without an answer is given up."""

RETRY_NS: Final = 2 * SECOND_NS
"""How soon a command that failed is repeated."""

FAILURES_TOLD: Final = 2
"""After how many failures in a row people hear of it: a single one is made good by the next try."""

STOP_PATIENCE_NS: Final = 1 * SECOND_NS
"""How long a clean stop waits for the answer to a renewal, so that its disarming does not overtake it."""

MAINTENANCE_LEAD_NS: Final = 120 * SECOND_NS
"""How long before announced maintenance the timer is switched off: time for many tries, two timeouts of the default."""

SLACK_NS: Final = 3 * SECOND_NS
"""How much earlier than it should a trigger time may be: venues tell whole seconds, and clocks are set now and then."""

FIRING_NS: Final = 10 * SECOND_NS
"""Orders that the timer cancelled are told one by one; within this time they are one firing."""

Holding: TypeAlias = Literal[
    "latched",
    "loop lags",
    "no progress",
    "venue not reachable",
    "maintenance",
    "stopping",
    "another daemon keeps it",
    "no daemon is known to keep it",
]
"""Why the timer is not renewed now."""


QUIET: Final = frozenset({"maintenance", "stopping", "another daemon keeps it"})
"""Reasons that somebody asked for; nobody has to act."""


class Health(NamedTuple):
    """What a renewal vouches for. lag_ns: how late the loop ran last; progress: gateway and in-flight table move.
    right: whose the timer is, among daemons that share an account."""

    path_up: bool
    lag_ns: int
    progress: bool
    latched: bool
    right: Right = "ours"


class Arm(NamedTuple):
    """Arm or renew the timer; then `answered` or `failed` with this number."""

    number: int
    timeout_s: int


class Disarm(NamedTuple):
    """Switch the timer off (timeout 0); then `answered` or `failed` with this number."""

    number: int


class Notice(NamedTuple):
    """For the log and the events; nobody has to act."""

    what: str


class Over(NamedTuple):
    """The condition of an earlier Alert with this `what` is over."""

    what: str


TimerEffect: TypeAlias = Arm | Disarm | Alert | Notice | Over


class Timer(enum.Enum):
    """What the venue's timer is known to be; the value is what `status` shows."""

    OFF = "off"
    ARMED = "armed"
    UNKNOWN = "unknown"
    FIRED = "fired"


class _Asked(NamedTuple):
    number: int
    arms: bool
    sent_ns: int


class Deadman:
    """The timer of one venue. `effects` is filled by every method and emptied by the caller.

    Times are monotonic nanoseconds. `on_time` is to be called at `wake_ns` and whenever the health may have changed.
    """

    def __init__(self, venue: Venue, *, timeout_s: int, refresh_s: int, now_ns: int) -> None:
        self.venue = venue
        self.effects: list[TimerEffect] = []
        self._timeout_s = timeout_s
        self._timeout_ns = timeout_s * SECOND_NS
        self._refresh_ns = refresh_s * SECOND_NS
        self._timer = Timer.OFF
        self._due_ns = now_ns
        self._looked_ns = now_ns - CHECK_NS
        self._asked: _Asked | None = None
        self._numbers = 0
        self._renewed_ns: int | None = None
        self._fired_ns: int | None = None
        self._maintenance: tuple[int, int] | None = None
        self._back_ns = -FAR_NS
        self._stopping = False
        self._holding: Holding | None = None
        self._told_holding = False
        self._failures = 0
        self._clock_ns: tuple[int, int] | None = None
        self._error: str | None = None
        self._alien = f"{venue}: somebody else uses the dead man's timer of this account"
        self._held = f"{venue}: the dead man's timer is not renewed"
        self._failing = f"{venue}: the dead man's timer takes no commands"

    # ---------------------------------------------------------------- what happens

    @property
    def wake_ns(self) -> int:
        """When `on_time` has something to do; FAR_NS once the timer is off for good."""
        if self._asked is not None:
            patience_ns = STOP_PATIENCE_NS if self._stopping and self._asked.arms else ANSWER_TIMEOUT_NS
            return self._asked.sent_ns + patience_ns
        if self.stopped:
            return FAR_NS
        check_ns = self._looked_ns + CHECK_NS
        return check_ns if self._holding is not None else min(self._due_ns, check_ns)

    def on_time(self, health: Health, now_ns: int) -> None:
        """Send what is due, if this health allows it."""
        if self._asked is not None:
            if now_ns < self.wake_ns:
                return
            self.failed(self._asked.number, "no answer", now_ns)
        self._looked_ns = now_ns
        if self._maintenance is not None and now_ns >= self._maintenance[1]:
            self._maintenance = None
            self.effects.append(Notice(f"{self.venue}: maintenance is over; the dead man's timer is armed again"))
            self._due_ns = now_ns
        off = self._off(now_ns, health.right)
        if off is not None and health.latched:
            # Left to run out: that cancels everything, which is what the latch asks for.
            self._hold("latched")
        elif off is not None:
            self._switch_off(off, health, now_ns)
        elif now_ns >= self._due_ns:
            why = _why_not(health)
            if why is not None:
                self._hold(why)
                return
            self._go_on()
            self._ask(arms=True, now_ns=now_ns)
            self.effects.append(Arm(self._numbers, self._timeout_s))

    def answered(self, number: int, trigger_s: float | None, now_ns: int) -> None:
        """The venue took a command. trigger_s: when the timer will fire, Unix seconds of the venue; None when off."""
        if self._asked is None or number != self._asked.number:
            return
        asked, self._asked = self._asked, None
        if asked.arms is (trigger_s is None):
            # It took what we did not ask for: whoever asked for that is not us.
            self._timer = Timer.UNKNOWN
            self._due_ns = now_ns + RETRY_NS
            self._suspect("it is off after it was armed" if asked.arms else "it runs after it was switched off")
            return
        self._error = None
        if self._failures >= FAILURES_TOLD:
            self.effects.append(Over(self._failing))
        self._failures = 0
        if trigger_s is None:
            self._timer = Timer.OFF
            self._renewed_ns = None
            self._due_ns = now_ns
            return
        self._timer = Timer.ARMED
        self._renewed_ns = asked.sent_ns
        self._due_ns = asked.sent_ns + self._refresh_ns
        self._compare(trigger_s, asked.sent_ns, now_ns)

    def failed(self, number: int, why: str, now_ns: int) -> None:
        """A command could not be sent, was refused or got no answer. It may have worked, and is repeated soon."""
        if self._asked is None or number != self._asked.number:
            return
        asked, self._asked = self._asked, None
        if asked.arms and self._timer is not Timer.ARMED:
            self._timer = Timer.UNKNOWN
            if self._renewed_ns is None:
                self._renewed_ns = asked.sent_ns
        self._error = why
        self._due_ns = now_ns + RETRY_NS
        self._failures += 1
        if self._failures == FAILURES_TOLD:
            self.effects.append(Alert(self._failing, f"{why}; it is tried again every {RETRY_NS // SECOND_NS} s"))

    def fired(self, now_ns: int) -> None:
        """The venue told that its timer cancelled orders; may be called for each of them."""
        again = self._fired_ns is not None and now_ns - self._fired_ns < FIRING_NS
        self._fired_ns = now_ns
        if again:
            return
        renewed_ns = self._renewed_ns
        self._timer = Timer.FIRED
        self._renewed_ns = None
        self._due_ns = now_ns
        if renewed_ns is None or now_ns < renewed_ns + self._timeout_ns - SLACK_NS:
            ours = "it is not armed by this daemon" if renewed_ns is None else "it was renewed in time"
            self._suspect(f"it cancelled every order although {ours}")
        else:
            what = f"{self.venue}: the dead man's timer has cancelled every order"
            self.effects.append(Alert(what, "find out why it was not renewed; it is armed again once that is over"))

    def maintenance(self, begins_ns: int, ends_ns: int, now_ns: int) -> None:
        """The venue announced maintenance: the timer is off from MAINTENANCE_LEAD_NS before it until its end.

        Announced again, the newer times count; one that is over, or from which the venue is back, does not. An end that
        is not known: FAR_NS, until `maintenance_over`.
        """
        if ends_ns <= now_ns or begins_ns < self._back_ns:
            return
        if self._maintenance is None:
            what = f"{self.venue}: maintenance is announced; the dead man's timer is switched off ahead of it"
            self.effects.append(Notice(what))
        self._maintenance = (begins_ns, ends_ns)

    def maintenance_over(self, now_ns: int) -> None:
        """The venue is back, or has called the maintenance off."""
        self._back_ns = now_ns
        if self._maintenance is not None:
            self._maintenance = (self._maintenance[0], now_ns)

    def stop(self) -> None:
        """A clean stop begins: nothing is armed any more, and unless the latch holds the timer is switched off.

        Call `on_time` at once and at `wake_ns` until `stopped`, for a bounded time; only then close the way to the
        venue.
        """
        self._stopping = True

    @property
    def stopped(self) -> bool:
        """Whether a clean stop has nothing more to wait for."""
        if not self._stopping or self._asked is not None:
            return False
        return self._holding in ("latched", "another daemon keeps it") or self._timer in (Timer.OFF, Timer.FIRED)

    # ---------------------------------------------------------------- how it stands

    def status(self, now_ns: int) -> dict[str, Any]:
        """This timer for `status`. fires_in_ms: at the earliest, while it is armed or may be."""
        shown: dict[str, Any] = {"state": self._timer.value, "timeout_s": self._timeout_s}
        if self._renewed_ns is not None:
            shown["fires_in_ms"] = max(0, (self._renewed_ns + self._timeout_ns - now_ns) // MS)
        if self._holding is not None:
            shown["holding"] = self._holding
        if self._error is not None:
            shown["error"] = self._error
        return shown

    # ---------------------------------------------------------------- parts

    def _off(self, now_ns: int, right: Right) -> Holding | None:
        """Why the timer has to be off now."""
        if self._stopping and right != "another's":
            return "stopping"
        if right == "nobody's":
            return "no daemon is known to keep it"
        if self._maintenance is not None and now_ns >= self._maintenance[0] - MAINTENANCE_LEAD_NS:
            return "maintenance"
        return None

    def _switch_off(self, why: Holding, health: Health, now_ns: int) -> None:
        if self._holding != why:
            # A stop, or the lead of a maintenance, begins between two renewals.
            self._due_ns = now_ns
        self._hold(why)
        if self._timer in (Timer.ARMED, Timer.UNKNOWN) and now_ns >= self._due_ns and health.path_up:
            self._ask(arms=False, now_ns=now_ns)
            self.effects.append(Disarm(self._numbers))

    def _hold(self, why: Holding) -> None:
        """Do not renew. People hear of it when it was not asked for and the timer is running."""
        if why == self._holding:
            return
        self._holding = why
        if why in QUIET or self._timer in (Timer.OFF, Timer.FIRED):
            return
        if why == "latched":
            self.effects.append(Notice(f"{self._held} while the kill switch is latched"))
        else:
            self._told_holding = True
            do = f"{why}: mend that, or every order is cancelled {self._timeout_s} s after the last renewal"
            self.effects.append(Alert(self._held, do))

    def _go_on(self) -> None:
        self._holding = None
        if self._told_holding:
            self._told_holding = False
            self.effects.append(Over(self._held))

    def _ask(self, *, arms: bool, now_ns: int) -> None:
        self._numbers += 1
        self._asked = _Asked(self._numbers, arms, now_ns)

    def _compare(self, trigger_s: float, sent_ns: int, now_ns: int) -> None:
        """Whether the venue will fire when our renewal says so, judged by what its clock showed with earlier ones.

        The venue armed it between sent and now, so its clock minus ours lies between two bounds, a second wide at
        least because trigger times are rounded up.
        """
        armed_ns = int(trigger_s * SECOND_NS) - self._timeout_ns
        clock_ns = (armed_ns - SECOND_NS - now_ns, armed_ns - sent_ns)
        before_ns, self._clock_ns = self._clock_ns, clock_ns
        if before_ns is not None and clock_ns[1] < before_ns[0] - SLACK_NS:
            self._suspect("its trigger time is earlier than our renewal asks for")

    def _suspect(self, why: str) -> None:
        do = f"{why}; the timer is one per account: let this daemon alone arm it, or set deadman.{self.venue} = false"
        self.effects.append(Alert(self._alien, do))


def _why_not(health: Health) -> Holding | None:
    if health.latched:
        return "latched"
    if health.right == "another's":
        return "another daemon keeps it"
    if health.lag_ns > LAG_LIMIT_NS:
        return "loop lags"
    if not health.progress:
        return "no progress"
    return None if health.path_up else "venue not reachable"
