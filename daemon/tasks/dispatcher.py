"""What may be done to the engine of one venue, and by whom. One driver: nobody else changes the pursuits.

Every verb tells the engine and ends in `perform`, which writes the frames and hands the answers back before it returns.
Four leave that to their caller, so that a burst of commands leaves in one write: `submit`, `submit_batch`, `resume` and
`strike`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import structlog

from ..contract.evidence import Evidence, Mode, RestAnswer, RestPart, Subscribed
from ..contract.ids import EVERYTHING, Target
from ..engine.calls import Call, CallOwner, FireOwner, Form
from ..engine.lane import Lane
from ..engine.policy import Policy
from ..engine.resting import Resting
from .hand import Hand, Line, Owner

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Dispatcher(Hand):
    """One venue's pursuits behind verbs. All methods are plain calls; `run` is the alarm's task."""

    # ---------------------------------------------------------------- from the gateway

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
        """Take a cancel in. Nothing leaves before `perform`, so that a burst leaves in one write."""
        self._pursuits.submit(owner, target, proof, deadline_ns, now_ns, symbol, urgent)

    def submit_batch(
        self,
        owners: Sequence[tuple[Owner, Target, str | None]],
        proof: bool,
        deadline_ns: int,
        now_ns: int,
        *,
        narrow: bool = False,
    ) -> None:
        """Take many cancels in, each with its order's symbol where the client named it, in the form that the rate
        budget can bear: a batch is taken above the ceiling too.

        narrow: never by a cancel-all, not even where these are all that is known to be open.
        """
        orders = [self._price(target) for _, target, _ in owners if target.kind == "order_id"]
        everything = not narrow and self._pursuits.covers_all(target for _, target, _ in owners)
        form = self._budget.form(orders, now_ns, everything=everything) if len(orders) > 1 else "single"
        if form != "single":
            submit = self._pursuits.submit_sweep if form == "all" else self._pursuits.submit_batch
            submit([(owner, target) for owner, target, _ in owners], proof, deadline_ns, now_ns)
            return
        for owner, target, symbol in owners:
            self._pursuits.submit(owner, target, proof, deadline_ns, now_ns, symbol)

    def withdraw(self, owners: Iterable[Owner]) -> None:
        """Send nothing more for these owners: each is answered at once, with what is known by now."""
        self._pursuits.withdraw(owners, self._clock.monotonic_ns())
        self.perform()

    def resume(self, owner: Owner, order_id: str, deadline_ns: int, now_ns: int, symbol: str | None = None) -> None:
        """Go on after an order whose cancel may have left before this process began; leaves with `perform`."""
        self._pursuits.resume(owner, order_id, deadline_ns, now_ns, symbol)

    # ---------------------------------------------------------------- from the straight line

    def line_for(self, target: Target, *, alone: bool) -> Line | None:
        """The session that the plain cancel of an order may be written to; None where anything is odd.

        alone: no other cancel leaves with it, so that there is no form to be chosen.
        """
        lane = self.straight.lane_for(target)
        if lane is None or (lane in self._bundlers and not alone):
            return None
        line = self._lines.get(lane)
        return line if line is not None and line.ready else None

    # ---------------------------------------------------------------- from the kill, its drill, and who else asks

    def fire(self, lane: Lane, owner: FireOwner) -> None:
        """Have the venue's cancel-all written to a session at once, whatever else waits to be written."""
        self._pursuits.sessions.fire(lane, owner, self._clock.monotonic_ns())
        self.perform()

    def probe(self, lane: Lane, target: Target, owner: FireOwner, symbol: str | None = None) -> None:
        """Have the cancel of one order, which nobody pursues, written to this session and no other.

        symbol: where the venue wants one named.
        """
        self._pursuits.sessions.probe(lane, target, owner, symbol)
        self.perform()

    def strike(self, owner: Owner, order_id: str, told: FireOwner, deadline_ns: int, now_ns: int) -> None:
        """Cancel one order for a kill, past whatever its pursuit waits for; leaves with `perform`.

        told: hears what came of a request that had to leave past the pursuit.
        """
        self._pursuits.strike(owner, order_id, told, deadline_ns, now_ns)

    def request(self, form: Form, owner: CallOwner, *, urgent: bool, target: Target = EVERYTHING) -> None:
        """Have everything, or one order, cancelled, or all that is open listed, for somebody who is told the answer.

        urgent: beside all other calls of the REST lane, and before them.
        """
        self._pursuits.rest.request(form, owner, self._clock.monotonic_ns(), urgent=urgent, target=target)
        self.perform()

    # ---------------------------------------------------------------- from the REST lane

    @property
    def wants_call(self) -> bool:
        """Whether `next_call` may have something: cheap, and never wrong when it says no."""
        return self._pursuits.rest.wants_call

    @property
    def wants_urgent(self) -> bool:
        """Whether `next_urgent` has something."""
        return self._pursuits.rest.wants_urgent

    def next_call(self, *, settles: bool, looks: bool) -> Call | None:
        """The most important call, which counts as sent from here on; None when there is none to make now.

        settles, looks: whether a query that tells what became of a cancel may be made, and one that nobody's cancel
        waits for; a spent call budget holds those back, and never a cancel.
        """
        call = self._pursuits.rest.next_call(self._clock.monotonic_ns(), settles=settles, looks=looks)
        self.perform()
        return call

    def next_urgent(self) -> Call | None:
        """The next call that waits for nothing: no turn, no budget, no rest that the venue asked for."""
        call = self._pursuits.rest.next_urgent(self._clock.monotonic_ns())
        self.perform()
        return call

    def call_answered(self, call: Call, answer: RestAnswer) -> None:
        """A REST call came to an HTTP answer, readable or not."""
        self._pursuits.rest.answered(call, answer, self._clock.monotonic_ns())
        self.perform()

    def call_told(self, call: Call, part: RestPart) -> None:
        """Some of the orders of a long list by REST are here; its answer follows."""
        self._pursuits.lists.part(part.orders, self._clock.monotonic_ns())
        self.perform()

    def call_failed(self, call: Call, left: bool, why: str) -> None:
        """A REST call came to no answer. left: whether any byte of it may have reached the venue."""
        self._pursuits.rest.failed(call, left, why, self._clock.monotonic_ns())
        self.perform()

    # ---------------------------------------------------------------- from the sessions

    def heard(self, lane: Lane, evidence: Sequence[Evidence]) -> None:
        """Take in what a session read, in its sequence, and act on it."""
        now_ns = self._clock.monotonic_ns()
        for one in evidence:
            self._pursuits.sessions.evidence(lane, one, now_ns)
            if type(one) is Subscribed:
                self._budget.told(one.rate_ceiling)
                self._tell_ceiling(one.rate_ceiling)
        self.perform()

    def session_up(self, lane: Lane) -> None:
        """A session can take cancels."""
        self.outages.session_up()
        now_ns = self._clock.monotonic_ns()
        self._pursuits.sessions.up(lane, now_ns)
        self.perform()
        for watcher in self._watchers:
            watcher.session_up(lane, now_ns)

    def session_down(self, lane: Lane) -> None:
        """A session is over; what it had in flight moves on in this step."""
        now_ns = self._clock.monotonic_ns()
        self._pursuits.sessions.down(lane, now_ns)
        self.perform()
        for watcher in self._watchers:
            watcher.session_down(lane, now_ns)
        if not self._pursuits.live:
            self.outages.no_session()

    def token_renewed(self, lane: Lane, fresh: bool) -> None:
        """A session has a new token, or (not fresh) could not get one."""
        now_ns = self._clock.monotonic_ns()
        if fresh:
            self._pursuits.sessions.token_renewed(lane, now_ns)
        else:
            self._pursuits.sessions.token_failed(lane, now_ns)
        self.perform()

    def key_replaced(self) -> None:
        """The account has a new key."""
        self._pursuits.sessions.key_replaced()
        self.perform()

    def mode_changed(self, mode: Mode) -> None:
        """The venue announced its trading mode."""
        if mode != self._pursuits.mode:
            log.info("venue mode", venue=self.venue, mode=mode, was=self._pursuits.mode)
        self._pursuits.sessions.mode_changed(mode, self._clock.monotonic_ns())
        self.perform()

    # ---------------------------------------------------------------- at the end

    def give_up(self) -> None:
        """Answer everything in flight with what can honestly be said now."""
        self._pursuits.give_up(self._clock.monotonic_ns())
        self.perform()

    # ---------------------------------------------------------------- how it stands

    @property
    def live(self) -> tuple[Lane, ...]:
        """The sessions that are up and take cancels, the active one first."""
        return self._pursuits.live

    @property
    def mode(self) -> Mode:
        """The venue's trading mode, as far as it was told."""
        return self._pursuits.mode

    @property
    def quiet(self) -> bool:
        """Whether the venue said that we send too much: nothing is sent now that cancels nothing."""
        return self._pursuits.quiet.anywhere(self._clock.monotonic_ns())

    @property
    def policy(self) -> Policy:
        """What the venue offers, and how patient its pursuits are."""
        return self._pursuits.policy

    @property
    def witnessed(self) -> bool:
        """Whether a stream has listed all that is open and tells of it from there on."""
        return self._pursuits.witnessed

    @property
    def resting(self) -> Resting:
        """The orders as the venue's streams and lists tell of them, to be read."""
        return self._pursuits.resting

    def detail(self) -> dict[str, Any]:
        """Counters for a detailed status."""
        return msgspec.structs.asdict(self._pursuits.counts)
