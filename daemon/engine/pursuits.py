"""Everything that is being cancelled at one venue: from the command to its one outcome.

A *pursuit* goes after one order (or, by userref or cancel-all, after a family of orders) for every client that asked
for it. It holds the attempts that were made, what the venue said to each, and when to do what next. All methods are
plain calls that take the time as an argument and leave what is to be done in `effects`; the caller carries those out
in the order in which they stand. Nothing here waits, reads a clock, or knows how a venue spells things.

What must never happen here: an order reported off the book because of silence, because of an absence, or because a
second way of asking did not find it; a userref sent again while the first sending may have worked; two answers for
one ticket; a ticket without an answer at its deadline.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Sequence, Set
from typing import Any, Literal

import msgspec

from ..contract.evidence import (
    CancelAck,
    CancelAllAck,
    CancelReject,
    Evidence,
    Fault,
    Looked,
    Mode,
    Orders,
    OrderState,
    RestAnswer,
    RestBatch,
    RestCanceled,
    RestEnded,
    RestFailed,
    RestOrders,
    RestUnreadable,
    Unattributed,
    Unlisted,
)
from ..contract.ids import EVERYTHING, Reqid, Target, Venue
from ..contract.outcomes import (
    SAFE,
    Acked,
    Canceled,
    Closed,
    NotOpen,
    Outcome,
    Refused,
    Rejected,
    Route,
    Settlement,
    Unknown,
)
from .budget import Pace
from .calls import Call, CallOwner, FireOwner, Form
from .effects import (
    Alert,
    Answer,
    Bundle,
    Counts,
    Decided,
    Effect,
    Ended,
    Late,
    Look,
    Opened,
    Redial,
    RenewToken,
    RestReady,
    Send,
)
from .inflight import Attempt, Inflight, Reqids
from .instants import FAR_NS, MS
from .lane import REST, Lane, route_of
from .lanes import Lanes
from .policy import Policy
from .pursuit import Child, Family, Pursuit, Sweep, Waiter, closed_state, ending, meant_newer
from .reactions import ATTEMPT_LIMIT, REASK_MS, RETRY_MS, RULES, Reaction
from .resting import Resting, Row

EVENT_LIMIT = 16_384
"""Most events remembered so that their repetitions on other streams are known as such."""

WALK_PER_S = 50.0
WALK_BURST = 100
"""Pace of cancelling everything one by one. Prime publishes no limit; this is half of what Futures allows a connection,
and single cancels and a kill are not held to it."""

FIRED_LIMIT = 64
"""Most unanswered cancel-alls of a sweep that are remembered: it sends one a round, ten a second at the very most."""

LOOK_LIMIT = 100
"""Most looks at single orders that are under way: a venue may bear few subscriptions, and each is one. Whoever asks
beyond shares a look at everything."""

ACCEPTED: tuple[type[Outcome], ...] = (*SAFE, Acked)
"""Outcomes of a walk's orders that only lists have to bear out."""

NO_PROOF = "accepted by the venue, but no proof came before the deadline"

LOOKS_NEEDED = 2
"""Lists in a row that show nothing open, where everything had to be cancelled one by one."""


class Pursuits:
    """The pursuits of one venue. `effects` and `decisions` are filled by every method and emptied by the caller."""

    def __init__(self, venue: Venue, policy: Policy, reqids: Reqids, resting: Resting) -> None:
        self.venue = venue
        self.resting = resting
        self.effects: list[Effect] = []
        self.decisions: list[Decided] = []
        self.counts = Counts()
        self.mode: Mode = "unknown"
        self._policy = policy
        self._reqids = reqids
        self._mass = policy.mass
        self._symbols = policy.symbols
        self._shared = policy.shared
        self._inflight: Inflight[Pursuit] = Inflight(reqids, memory_ns=policy.late_ns, limit=policy.late_limit)
        self._active: dict[Target, Pursuit] = {}
        self._families: dict[Family, None] = {}
        self._doubtful: dict[Target, Pursuit] = {}
        self._held: dict[Pursuit, None] = {}
        self._throttled: dict[Pursuit, None] = {}
        self._lanes = Lanes(policy.rest, uuids=policy.uuids)
        # Where any session takes any name, the first one takes a new pursuit without being asked whether.
        self._any_name = not policy.uuids
        self._rest_queue: dict[Pursuit, None] = {}
        self._queries: dict[Pursuit, None] = {}
        self._urgent: deque[Call] = deque()
        self._requests: deque[Call] = deque()
        self._looks: dict[Reqid, tuple[Lane, Pursuit | Call | list[Pursuit]]] = {}
        self._crowd: list[Pursuit] = []
        self._crowd_ns = 0
        self._bundles: dict[Reqid, tuple[Attempt[Pursuit], ...]] = {}
        self._events: dict[str, None] = {}
        self._walk = Pace(WALK_PER_S, WALK_BURST)
        self._witnesses: set[Lane] = set()
        self._heard_ns: dict[Lane, int] = {}
        self._fired: dict[Reqid, tuple[Lane, FireOwner]] = {}
        self.tells_opened = False
        """Whether an Opened follows when an order is open that was not known to be."""
        self._rest_error = "REST was not reached yet"
        self._heap: list[tuple[int, int, Pursuit]] = []
        self._tick = 0

    # ---------------------------------------------------------------- asking

    @property
    def policy(self) -> Policy:
        """How patient it is, and what the venue offers."""
        return self._policy

    @property
    def active(self) -> int:
        """How many pursuits are not settled."""
        return len(self._active) + len(self._families)

    @property
    def idle(self) -> bool:
        """Whether nothing is pursued, awaited or queued."""
        waiting = self._inflight.waiting or self._looks or self._urgent or self._requests
        return not (self.active or self._held or self._rest_queue or self._queries or waiting)

    def submit(
        self, ticket: Any, target: Target, proof: bool, deadline_ns: int, now_ns: int, symbol: str | None = None
    ) -> None:
        """Go after `target` for `ticket`: exactly one Answer follows, at the deadline at the latest.

        symbol: the order's, where the client named it.
        """
        waiter = Waiter(ticket, target, proof, deadline_ns, now_ns)
        key = target
        bearer = None
        if target.kind == "cl_ord_id":
            bearer = self.resting.bearer(str(target.value))
            if bearer is not None and bearer.status == "open":
                order = Target("order_id", bearer.order_id)
                pursued = self._active.get(order)
                # Once it was accepted the name may have been given to a newer order.
                key = order if pursued is None or pursued.acked_ns is None else target
        elif target.kind != "order_id":
            self._submit_family(target, waiter, now_ns)
            return
        if key.kind == "order_id":
            row = self.resting.get(str(key.value))
            if row is not None and row.ended:
                self._answer_ended(waiter, row, now_ns)
                return
        pursuit = self._active.get(key)
        if pursuit is not None:
            if symbol is not None and pursuit.symbol is None:
                pursuit.symbol = symbol
                self._named_at_last(pursuit, now_ns)
            self._join(pursuit, waiter, now_ns)
            return
        pursuit = self._active[key] = Pursuit(key, waiter)
        if symbol is not None:
            pursuit.symbol = symbol
        if bearer is not None and bearer.ended:
            pursuit.bearer = bearer
        self._go(pursuit, now_ns)
        self._schedule(pursuit)

    def resume(self, ticket: Any, order_id: str, deadline_ns: int, now_ns: int, symbol: str | None = None) -> None:
        """Go on after an order whose cancel may have left before this process began; proof is wanted.

        Where the order stream does not show it open its state is asked for first: a cancel leaves when that says that
        it rests, or when silence says nothing.
        """
        target = Target("order_id", order_id)
        waiter = Waiter(ticket, target, True, deadline_ns, now_ns)
        pursuit = self._active.get(target)
        if pursuit is not None:
            pursuit.ambiguous = True
            self._join(pursuit, waiter, now_ns)
            return
        pursuit = Pursuit(target, waiter)
        pursuit.ambiguous = True
        if symbol is not None:
            pursuit.symbol = symbol
        row = self.resting.get(order_id)
        if row is not None and row.ended:
            self._answer(pursuit, waiter, ending(pursuit, row), "stream", now_ns, now_ns)
            return
        self._active[target] = pursuit
        if self.resting.is_open(order_id):
            self._go(pursuit, now_ns)
        else:
            self._ask(pursuit, now_ns)
            pursuit.silent_ns = now_ns + self._policy.hedge_ns
        self._schedule(pursuit)

    def _submit_family(self, target: Target, waiter: Waiter, now_ns: int) -> None:
        for family in self._families:
            # A request that left already may have passed the venue before an order was placed that this client means,
            # and so may a list that was asked for because none could leave.
            begun = bool(family.sent) or (self._mass and (family.asked or family.children is not None))
            if family.key == target and not begun:
                self._join(family, waiter, now_ns)
                return
        family = Family(target, waiter)
        self._families[family] = None
        self._go(family, now_ns)
        self._schedule(family)

    def submit_batch(self, tickets: Sequence[tuple[Any, Target]], proof: bool, deadline_ns: int, now_ns: int) -> None:
        """Go after many orders at once, by REST batch: for orders whose single cancels the rate budget cannot bear."""
        usable = self._lanes.usable(REST, now_ns) and self.mode != "maintenance"
        for ticket, target in tickets:
            key = target
            if target.kind == "cl_ord_id" and (order_id := self.resting.open_as(str(target.value))) is not None:
                key = Target("order_id", order_id)
            row = self.resting.get(str(key.value)) if key.kind == "order_id" else None
            if not usable or key.kind != "order_id" or key in self._active or (row is not None and row.ended):
                self.submit(ticket, target, proof, deadline_ns, now_ns)
                continue
            pursuit = self._active[key] = Pursuit(key, Waiter(ticket, target, proof, deadline_ns, now_ns))
            pursuit.crowded = True
            self._send(pursuit, REST, now_ns)
            self._schedule(pursuit)

    def covers_all(self, targets: Iterable[Target]) -> bool:
        """Whether these are all the orders that are known to be open, and may go as one request for everything."""
        if not self._policy.sweeps:
            return False
        named = {str(target.value) for target in targets if target.kind == "order_id"}
        return bool(len(self.resting)) and self.resting.open_ids() <= named

    def submit_sweep(self, tickets: Sequence[tuple[Any, Target]], proof: bool, deadline_ns: int, now_ns: int) -> None:
        """Go after many orders, which are all that is open, by one request for everything; each has its own outcome."""
        swept = []
        for ticket, target in tickets:
            if target.kind != "order_id" or not self.resting.is_open(str(target.value)) or target in self._active:
                self.submit(ticket, target, proof, deadline_ns, now_ns)
                continue
            pursuit = self._active[target] = Pursuit(target, Waiter(ticket, target, proof, deadline_ns, now_ns))
            swept.append(pursuit)
        family = Family(EVERYTHING, Waiter(Sweep(), EVERYTHING, False, deadline_ns, now_ns))
        family.swept = tuple(swept)
        self._families[family] = None
        self._send(family, REST, now_ns)
        self._schedule(family)
        for pursuit in swept:
            pursuit.silent_ns = now_ns + self._policy.hedge_ns
            self._schedule(pursuit)

    def _sweep_left(self, family: Family, lane: Lane, now_ns: int) -> None:
        """The request for everything leaves, and with it those it is for; the answer or the stream tells of each."""
        for pursuit in family.swept:
            if pursuit.done:
                continue
            pursuit.sent += (lane,)
            pursuit.first_sent_ns = pursuit.first_sent_ns or now_ns
            pursuit.ambiguous = True
            pursuit.silent_ns = now_ns + self._policy.hedge_ns
            self._schedule(pursuit)

    def _join(self, pursuit: Pursuit, waiter: Waiter, now_ns: int) -> None:
        if pursuit.acked_ns is not None and self._acceptance_failed(pursuit, now_ns):
            self._revoke(pursuit)
            self._go(pursuit, now_ns)
        elif pursuit.acked_ns is not None and not waiter.proof:
            if self._shared:
                pursuit.answered_acked += (waiter,)
            self._answer(pursuit, waiter, Acked(), pursuit.acked_route, pursuit.acked_ns, now_ns)
            return
        pursuit.waiters.append(waiter)
        if waiter.deadline_ns < pursuit.deadline_ns:
            pursuit.deadline_ns = waiter.deadline_ns
        if pursuit.denied_ns is not None and pursuit.retry_ns == FAR_NS and not pursuit.pending:
            # Only a query was still awaited, by those whose windows were over; this one has a window of its own.
            self._plan_reask(pursuit, now_ns)
        self._schedule(pursuit)

    def _acceptance_failed(self, pursuit: Pursuit, now_ns: int) -> bool:
        """Whether it was accepted so long ago that its order would be gone, and the order stream still shows it."""
        assert pursuit.acked_ns is not None
        old = pursuit.acked_ns + self._policy.hedge_ns < now_ns
        return old and pursuit.key.kind == "order_id" and self._seen_open(pursuit)

    # ---------------------------------------------------------------- lanes

    def session_up(self, lane: Lane, now_ns: int) -> None:
        """A WebSocket lane is authenticated and subscribed."""
        waiting_for_token = self._lanes.up(lane)
        for pursuit in [*self._active.values(), *self._families]:
            if pursuit.acked_ns is not None or pursuit.done or pursuit in self._held:
                continue
            if lane in pursuit.renewed:
                # A new session has a token of its own.
                pursuit.renewed -= {lane}
                pursuit.refused -= {lane}
            # Whoever every route left in silence hedges on this one too; a userref must not, it is asked for once.
            silent = pursuit.pending and pursuit.silent_ns == pursuit.retry_ns == FAR_NS
            waited = pursuit.queued or pursuit.stranded or (pursuit in waiting_for_token and not pursuit.pending)
            if waited or (silent and pursuit.key.kind != "userref"):
                self._unqueue(pursuit)
                pursuit.retry_ns = FAR_NS
                self._go(pursuit, now_ns)
                self._schedule(pursuit)

    def session_down(self, lane: Lane, now_ns: int) -> None:
        """A WebSocket lane is lost: what was in flight on it goes to another route in this same step."""
        waiting_for_token = self._lanes.down(lane)
        self._witnesses.discard(lane)
        lost = [attempt.of for attempt in self._inflight.lost(lane, now_ns)]
        for pursuit in lost:
            del pursuit.pending[lane]
            pursuit.ambiguous = True
        if not self._lanes.live and self.mode == "maintenance":
            # Nobody is left to tell us that it is over, so the routes are asked instead.
            self.mode_changed("unknown", now_ns)
        for pursuit in dict.fromkeys([*lost, *waiting_for_token]):
            if not pursuit.done and pursuit.acked_ns is None:
                self._elsewhere(pursuit, now_ns)
                if not self._policy.rest and not pursuit.done:
                    # A second cancel of a dying order does no harm, so it has left; what the first one did is asked.
                    self._ask(pursuit, now_ns)
                self._schedule(pursuit)
        for reqid in [reqid for reqid, (at, _) in self._looks.items() if at == lane]:
            self._look_failed(reqid, now_ns)
        for reqid in [reqid for reqid, (at, _) in self._fired.items() if at == lane]:
            # Whoever is told may use the lane, and find out by himself that it is lost.
            _, owner = self._fired.pop(reqid, (lane, None))
            if owner is not None:
                owner.fired_failed(lane, "the session was lost before its answer", now_ns)

    @property
    def live(self) -> tuple[Lane, ...]:
        """The live WebSocket lanes, the active one first."""
        return tuple(self._lanes.live)

    def token_renewed(self, lane: Lane, now_ns: int) -> None:
        """The lane has a new token: whoever waited for it tries once more."""
        for pursuit in self._lanes.token_renewed(lane, now_ns):
            if not pursuit.done and pursuit.acked_ns is None and lane not in pursuit.pending:
                self._go_renewed(pursuit, lane, now_ns)
                self._schedule(pursuit)

    def _go_renewed(self, pursuit: Pursuit, lane: Lane, now_ns: int) -> None:
        takes = lane in self._lanes.live and self._lanes.fits(pursuit, lane)
        if takes and self.mode != "maintenance" and not self._barred(pursuit):
            self._send(pursuit, lane, now_ns)
        else:
            self._go(pursuit, now_ns)

    def token_failed(self, lane: Lane, now_ns: int) -> None:
        """No new token could be had: whoever waited for it goes elsewhere."""
        for pursuit in self._lanes.token_failed(lane):
            if not pursuit.done and pursuit.acked_ns is None:
                pursuit.refused |= {lane}
                self._elsewhere(pursuit, now_ns)
                self._schedule(pursuit)

    def key_replaced(self) -> None:
        """The account has a new key: what the venue held against the old one is forgotten."""
        self._lanes.reopen()
        for pursuit in [*self._active.values(), *self._families]:
            pursuit.refused = frozenset()
        if self.wants_call:
            self.effects.append(RestReady())

    def mode_changed(self, mode: Mode, now_ns: int) -> None:
        """The venue announced its trading mode. What waited for the end of maintenance leaves in this step."""
        was, self.mode = self.mode, mode
        if was == "maintenance" and mode != "maintenance":
            held, self._held = self._held, {}
            for pursuit in held:
                self._go(pursuit, now_ns)
                self._schedule(pursuit)

    # ---------------------------------------------------------------- several orders in one request of a session

    def bundle(self, cancels: Sequence[Send], *, crowded: bool) -> tuple[list[Send], list[Bundle]]:
        """The same cancels in fewer requests, before they are written: what still goes alone, and the bundles.

        crowded: only those that were to go as a batch. An order that had no luck in company goes alone, as does one
        that is known by the client's id only. The reqid of a bundle is that of its first order.
        """
        alone: list[Send] = []
        together: list[tuple[Send, Attempt[Pursuit]]] = []
        for cancel in cancels:
            attempt = self._inflight.find(cancel.reqid)
            if attempt is None or cancel.target.kind != "order_id" or attempt.of.single:
                alone.append(cancel)
            elif attempt.of.crowded or not crowded:
                together.append((cancel, attempt))
            else:
                alone.append(cancel)
        bundles: list[Bundle] = []
        for start in range(0, len(together), self._policy.bundle_limit):
            part = together[start : start + self._policy.bundle_limit]
            first = part[0][0]
            if len(part) == 1:
                alone.append(first)
                continue
            self._bundles[first.reqid] = tuple(attempt for _, attempt in part)
            self.counts.batches += 1
            bundles.append(Bundle(first.lane, first.reqid, tuple(str(cancel.target.value) for cancel, _ in part)))
        return alone, bundles

    def _bundle_of(self, lane: Lane, reqid: Reqid) -> tuple[Attempt[Pursuit], ...] | None:
        """The orders of the bundle that an answer is for, which is then over."""
        attempts = self._bundles.get(reqid)
        if attempts is None or attempts[0].lane != lane:
            return None
        return self._bundles.pop(reqid)

    # ---------------------------------------------------------------- what sessions hear

    def evidence(self, lane: Lane, evidence: Evidence, now_ns: int) -> None:
        """Take in what a WebSocket lane was told. Anything that says nothing about a cancel changes nothing."""
        kind = type(evidence)
        self._heard_ns[lane] = now_ns
        if kind is CancelAck:
            self._on_ack(lane, evidence, now_ns)  # type: ignore[arg-type]
        elif kind is Orders:
            others = any(other != lane for other in self._lanes.live)
            self.orders(evidence, now_ns, complete=not others)  # type: ignore[arg-type]
            if evidence.snapshot:  # type: ignore[union-attr]
                self._witnesses.add(lane)
        elif kind is CancelReject:
            self._on_reject(lane, evidence, now_ns)  # type: ignore[arg-type]
        elif kind is CancelAllAck:
            self._on_all(lane, evidence, now_ns)  # type: ignore[arg-type]
        elif kind is Looked:
            self._on_looked(evidence, now_ns)  # type: ignore[arg-type]
        elif kind is Unlisted:
            rows = map(self.resting.unlist, evidence.order_ids)  # type: ignore[union-attr]
            self._changed([row for row in rows if row is not None], "stream", now_ns)
        elif kind is Unattributed:
            self.counts.unattributed += 1

    def orders(self, orders: Orders, now_ns: int, *, complete: bool) -> None:
        """Take in order states from a stream. `complete`: no other stream would have told what a snapshot lacks."""
        if orders.snapshot:
            self._changed(self.resting.replace(orders.orders, now_ns, complete=complete), "stream", now_ns)
            return
        if orders.initial:
            self._changed(self._recall(orders.orders, now_ns), "stream", now_ns)
            return
        for state in orders.orders:
            row = self.resting.apply(state, now_ns)
            if row is not None:
                self._changed((row,), "stream", now_ns)

    def _recall(self, states: Iterable[OrderState], now_ns: int) -> list[Row]:
        """Take in what is told of the past; the rows that changed, but for ends that nobody here has to do with."""
        changed = []
        for state in states:
            known = self.resting.get(state.order_id) is not None
            row = self.resting.apply(state, now_ns)
            if row is not None and (known or not row.ended or self._is_pursued(row)):
                changed.append(row)
        return changed

    def _is_pursued(self, row: Row) -> bool:
        keys = [Target("order_id", row.order_id)]
        if row.cl_ord_id is not None:
            keys.append(Target("cl_ord_id", row.cl_ord_id))
        return any(key in self._active or key in self._doubtful for key in keys)

    def _is_repeated(self, event_id: str | None) -> bool:
        """Whether an event was told before, on another stream: there it may since have been revoked."""
        if event_id is None:
            return False
        if event_id in self._events:
            self.counts.repeated_acks += 1
            return True
        self._events[event_id] = None
        if len(self._events) > EVENT_LIMIT:
            del self._events[next(iter(self._events))]
        return False

    def _on_ack(self, lane: Lane, ack: CancelAck, now_ns: int) -> None:
        attempt = self._inflight.find(ack.reqid)
        if attempt is None or (attempt.lane != lane and not self._shared):
            if ack.reqid in self._fired:
                at, owner = self._fired.pop(ack.reqid)
                owner.fired_answered(at, None, now_ns)
            else:
                self.counts.stray_acks += 1
            return
        if self._is_repeated(ack.event_id):
            return
        pursuit = attempt.of
        if type(pursuit) is Family:
            self._on_family_ack(pursuit, attempt, ack, now_ns)
        elif ack.order_id is not None and not self._is_named(pursuit, ack.order_id):
            self.counts.stray_acks += 1
        elif pursuit.done:
            self._late_or_repeated(pursuit, attempt, now_ns)
        elif pursuit.acked_ns is not None:
            self.counts.repeated_acks += 1
            self._close_attempt(pursuit, attempt, now_ns)
        else:
            self._close_attempt(pursuit, attempt, now_ns)
            row = None if ack.order_id is None else self.resting.get(ack.order_id)
            if row is not None and row.ended and pursuit.end is None:
                # Its end was heard before it was known to be this pursuit's.
                self._settle(pursuit, ending(pursuit, row), "stream", now_ns)
            else:
                self._accepted(pursuit, attempt, now_ns)

    def _is_named(self, pursuit: Pursuit, order_id: str) -> bool:
        """Whether an ack that names its order can be this pursuit's; one by client order id learns its order so."""
        order = Target("order_id", order_id)
        if pursuit.key.kind == "cl_ord_id" and not pursuit.done:
            self._identify(pursuit.key, order)
        return pursuit.key == order or pursuit.key.kind == "cl_ord_id"

    def _on_family_ack(self, family: Family, attempt: Attempt[Pursuit], ack: CancelAck, now_ns: int) -> None:
        if ack.order_id is not None:
            if ack.order_id in family.named:
                self.counts.repeated_acks += 1
                return
            family.named.add(ack.order_id)
        family.oks += 1
        self._count_acks(family, attempt, now_ns)

    def _count_acks(self, family: Family, attempt: Attempt[Pursuit], now_ns: int) -> None:
        """Most acks do not name their order: a family is accepted when as many came as may be needed.

        How many that is for a userref only a stream tells that had listed all that is open. Without one a list has to.
        """
        if self._accounted(family):
            self._family_accepted(family, attempt, now_ns)
        elif self._unlisted(family) and not family.done:
            self._ask(family, now_ns)

    def _accounted(self, family: Family) -> bool:
        """Whether as many orders were accepted as its request can have meant."""
        if family.key.kind != "userref":
            return family.complete
        if self._unlisted(family):
            return False
        return family.oks >= max(1, len(family.meant | family.perhaps) - family.otherwise)

    def _unlisted(self, family: Family) -> bool:
        """Whether nobody has told all that its request by userref may have met: no stream, and no list since."""
        return self._mass and family.key.kind == "userref" and not (self._streamed(family) or family.seen_ns)

    def _streamed(self, family: Family) -> bool:
        """Whether a stream can be relied on to have told all. Not one that left a request unanswered: it may be mute.
        And none where more orders were canceled than were told of."""
        if family.oks > len(family.meant | family.perhaps):
            return False
        heard, mute = self._heard_ns, family.mute
        return family.witnessed and any(heard.get(lane, 0) >= mute.get(lane, 0) for lane in self._witnesses)

    def _heard_of(self, row: Row) -> None:
        """An order may have rested, or come to rest, just before a request for its family took effect."""
        for family in self._families:
            if family.sent and family.key == Target("userref", row.userref or 0) and row.order_id not in family.meant:
                family.perhaps.add(row.order_id)

    def _family_accepted(self, family: Family, attempt: Attempt[Pursuit], now_ns: int) -> None:
        if family.children is not None or family.verdict is not None or family.acked_ns is not None:
            return
        self._close_attempt(family, attempt, now_ns)
        if family.done:
            self._late_or_repeated(family, attempt, now_ns)
        else:
            self._accepted(family, attempt, now_ns)

    def _on_reject(self, lane: Lane, reject: CancelReject, now_ns: int) -> None:
        bundle = self._bundle_of(lane, reject.reqid)
        if bundle is not None:
            self._answered_together(bundle, RestFailed(reject.fault, reject.error), now_ns)
            return
        attempt = self._inflight.find(reject.reqid)
        if attempt is None or (attempt.lane != lane and not self._shared):
            if reject.reqid in self._looks:
                self._look_failed(reject.reqid, now_ns)
            elif reject.reqid in self._fired:
                if reject.fault is Fault.STALE_TOKEN:
                    self.effects.append(RenewToken(lane))
                at, owner = self._fired.pop(reject.reqid)
                owner.fired_failed(at, reject.error, now_ns, reject.fault)
            else:
                self.counts.stray_acks += 1
            return
        if self._is_repeated(reject.event_id):
            return
        pursuit = attempt.of
        if type(pursuit) is Family and pursuit.acked_ns is not None:
            # Of an order that had ended before there is nothing to say.
            if reject.fault is not Fault.NOT_OPEN:
                self._one_refused(pursuit, reject, now_ns)
        elif pursuit.done and pursuit.answered_acked and self._takes_back(pursuit, attempt, reject):
            self._acceptance_revoked(pursuit, reject, now_ns)
        elif pursuit.done or not (attempt.waiting or pursuit.acked_by is attempt):
            self.counts.repeated_acks += 1
        else:
            if pursuit.acked_by is attempt:
                # Accepted at first, refused in the end: Prime answers like this.
                self._revoke(pursuit)
                if pursuit.answered_acked:
                    self._acceptance_revoked(pursuit, reject, now_ns)
            self._close_attempt(pursuit, attempt, now_ns)
            self._refused(pursuit, attempt, self._fault_of_named(pursuit, reject), reject.error, now_ns)
            self._schedule(pursuit)

    def _fault_of_named(self, pursuit: Pursuit, reject: CancelReject) -> Fault:
        """What a refusal comes to, by the order that it names: that is the one which a client order id stood for.

        Whatever the venue's words for it are, one that is known to have ended is not open, and no other was meant.
        """
        row = None if reject.order_id is None else self.resting.get(reject.order_id)
        if row is None or not row.ended or pursuit.key.kind != "cl_ord_id":
            return reject.fault
        pursuit.bearer = row
        return Fault.NOT_OPEN

    def _takes_back(self, pursuit: Pursuit, attempt: Attempt[Pursuit], reject: CancelReject) -> bool:
        """Whether a refusal is of the very request that was accepted, and the order has not ended since.

        The second request of a hedge comes too late as a rule, and says nothing about the first.
        """
        if attempt.reqid != pursuit.accepted or reject.fault is Fault.NOT_OPEN:
            return False
        by_id = pursuit.key.kind == "order_id"
        row = self.resting.get(str(pursuit.key.value)) if by_id else self.resting.bearer(str(pursuit.key.value))
        return row is None or not row.ended

    def _acceptance_revoked(self, pursuit: Pursuit, reject: CancelReject, now_ns: int) -> None:
        """An order whose cancel was accepted, and reported so, is refused in the end: it may rest after all."""
        waiters, pursuit.answered_acked = pursuit.answered_acked, ()
        pursuit.error = reject.error
        for waiter in waiters:
            ticket = waiter.ticket
            settlement = self._settlement(pursuit, waiter, Rejected(RULES[reject.fault].reject_class), "stream", now_ns)
            if type(ticket) is Child:
                # Its walk may have been answered by now, or have gone after the order anew.
                told = None if ticket.parent.done else (ticket.parent.children or {}).get(ticket.order_id)
                if told is not None and type(told.outcome) is Acked:
                    self._child_told(ticket, settlement, now_ns)
            elif type(ticket) is not Sweep:
                self.counts.late += 1
                self.effects.append(Late(ticket, settlement))
        self.effects.append(
            Alert(
                f"the cancel of {pursuit.key.kind} {pursuit.key.value} was accepted and then refused: {reject.error}",
                "it may rest: cancel it again",
            )
        )

    def _one_refused(self, family: Family, reject: CancelReject, now_ns: int) -> None:
        """One order of a family was refused after as many had been accepted as were known."""
        if family.done:
            self.effects.append(
                Alert(
                    f"an order under {family.key.kind} {family.key.value} was refused after others had been accepted",
                    f"see what still rests under it: {reject.error}",
                )
            )
            return
        self._revoke(family)
        family.error = reject.error
        self._split(family, now_ns)
        self._schedule(family)

    def _revoke(self, pursuit: Pursuit) -> None:
        pursuit.acked_ns = pursuit.acked_by = None
        pursuit.query_ns = FAR_NS
        pursuit.ambiguous = True

    def _on_all(self, lane: Lane, ack: CancelAllAck, now_ns: int) -> None:
        bundle = self._bundle_of(lane, ack.reqid)
        if bundle is not None:
            counted = ack.count is not None
            told = RestCanceled(ack.count or 0, False) if counted else RestUnreadable("no count of what was canceled")
            self._answered_together(bundle, told, now_ns)
            return
        attempt = self._inflight.find(ack.reqid)
        if attempt is None or attempt.lane != lane:
            if ack.reqid in self._fired:
                self._fired.pop(ack.reqid)[1].fired_answered(lane, ack.count, now_ns)
            else:
                self.counts.stray_acks += 1
            return
        family = attempt.of
        if type(family) is not Family or family.key.kind != "all":
            self.counts.stray_acks += 1
            return
        if family.count is None:
            family.count = ack.count
        self._family_accepted(family, attempt, now_ns)

    def _late_or_repeated(self, pursuit: Pursuit, attempt: Attempt[Pursuit], now_ns: int) -> None:
        """An ack for a pursuit that is over: news only to those who were answered `unknown` without one."""
        holder = pursuit if type(pursuit) is Family else self._doubtful.get(pursuit.key)
        if holder is None or not holder.answered_unknown or pursuit.acked_ns is not None:
            self.counts.repeated_acks += 1
        else:
            self._tell_late(holder, Acked(), route_of(attempt.lane), now_ns)

    def _tell_late(self, pursuit: Pursuit, outcome: Outcome, route: Route, now_ns: int) -> None:
        waiters, pursuit.answered_unknown = pursuit.answered_unknown, ()
        if self._doubtful.get(pursuit.key) is pursuit:
            del self._doubtful[pursuit.key]
        for waiter in waiters:
            settlement = self._settlement(pursuit, waiter, outcome, route, now_ns)
            if type(waiter.ticket) is Child:
                self._child_told(waiter.ticket, settlement, now_ns)
            elif type(waiter.ticket) is not Sweep:
                self.counts.late += 1
                self.effects.append(Late(waiter.ticket, settlement))

    # ---------------------------------------------------------------- what REST hears

    @property
    def wants_call(self) -> bool:
        """Whether `next_call` may have something: cheap, and never wrong when it says no."""
        return bool(self._rest_queue or self._queries or self._requests)

    def request(
        self, form: Form, owner: CallOwner, now_ns: int, *, urgent: bool, target: Target = EVERYTHING
    ) -> None:
        """Have everything, or one order, cancelled, or all that is open listed, for somebody who is told the answer.

        urgent: by `next_urgent`, beside all other calls.
        """
        call = Call(form=form, targets=(target,), owner=owner, asked_ns=now_ns)
        if self._policy.rest and urgent:
            # One that nobody has begun yet is the same question, asked earlier: behind a venue that stalls for minutes
            # a queue of them would grow, and what is asked last would be heard last.
            self._urgent = deque(waiting for waiting in self._urgent if waiting.form != form)
            self._urgent.append(call)
            self.effects.append(RestReady())
        elif self._policy.rest:
            self._requests.append(call)
            self.effects.append(RestReady())
        elif self._lanes.live:
            self._look(call, self._lanes.live[-1], None)
        else:
            owner.call_failed(call, False, f"no {self.venue} session is up", now_ns)

    @property
    def wants_urgent(self) -> bool:
        """Whether `next_urgent` has something."""
        return bool(self._urgent)

    def next_urgent(self, now_ns: int) -> Call | None:
        """The next call that waits for nothing: no turn, no budget, no rest that the venue asked for."""
        return msgspec.structs.replace(self._urgent.popleft(), asked_ns=now_ns) if self._urgent else None

    def fire(self, lane: Lane, owner: FireOwner, now_ns: int) -> None:
        """Have the venue's cancel-all sent on a session at once, whatever state that is in as far as pursuits go."""
        # Before whatever else waits to be written: it makes most of that needless.
        self.effects.insert(0, Send(lane, self._fired_as(lane, owner), EVERYTHING))

    def probe(self, lane: Lane, target: Target, owner: FireOwner, symbol: str | None = None) -> None:
        """Have the cancel of one order, which nobody pursues, sent on this session and no other.

        symbol: where the venue wants one named.
        """
        self.effects.append(Send(lane, self._fired_as(lane, owner), target, symbol))

    def _fired_as(self, lane: Lane, owner: FireOwner) -> Reqid:
        reqid = self._reqids.draw()
        self._fired[reqid] = (lane, owner)
        if len(self._fired) > FIRED_LIMIT:
            # Its sweep has long sent others; nobody waits for the answer of this one.
            del self._fired[next(iter(self._fired))]
        return reqid

    def next_call(self, now_ns: int, *, queries: bool = True) -> Call | None:
        """The next REST call, most urgent first; None when there is none. Its attempts count as sent from here on.

        queries: whether calls that only ask may be made; a spent call budget holds those back, and never a cancel.
        """
        if not self._lanes.usable(REST, now_ns):
            return None
        while self._rest_queue:
            pursuit = next(iter(self._rest_queue))
            self._unqueue(pursuit)
            if not self._wants(pursuit, REST):
                continue
            if pursuit.key.kind != "order_id" or pursuit.single:
                attempt = self._open(pursuit, REST, now_ns)
                return Call(
                    form="all" if pursuit.key.kind == "all" else "cancel",
                    targets=(pursuit.key,),
                    attempts=(attempt,),
                    deadline_ns=pursuit.last_deadline_ns,
                )
            batch = [pursuit]
            for other in list(self._rest_queue):
                if len(batch) == self._policy.batch_limit:
                    break
                if other.key.kind == "order_id" and not other.single:
                    self._unqueue(other)
                    if self._wants(other, REST):
                        batch.append(other)
            attempts = tuple(self._open(member, REST, now_ns) for member in batch)
            alone = len(batch) == 1 and not pursuit.overdrawn
            self.counts.batches += not alone
            return Call(
                form="cancel" if alone else "batch",
                targets=tuple(member.key for member in batch),
                attempts=attempts,
                deadline_ns=max(member.last_deadline_ns for member in batch),
            )
        if not queries:
            return None
        if self._requests:
            return msgspec.structs.replace(self._requests.popleft(), asked_ns=now_ns)
        return self._next_query(now_ns)

    def _next_query(self, now_ns: int) -> Call | None:
        asked: list[Pursuit] = []
        for pursuit in list(self._queries):
            if type(pursuit) is Family:
                if not asked:
                    return self._next_list(now_ns)
            elif len(asked) < self._policy.query_limit and not (asked and pursuit.alone):
                del self._queries[pursuit]
                asked.append(pursuit)
                if pursuit.alone:
                    break
        if not asked:
            return None
        self.counts.queries += 1
        return Call(form="query", targets=tuple(p.key for p in asked), pursuits=tuple(asked), asked_ns=now_ns)

    def _next_list(self, now_ns: int) -> Call:
        """One list of open orders for all the families that want one; of its own userref where it is one alone."""
        families = [pursuit for pursuit in self._queries if type(pursuit) is Family]
        for family in families:
            del self._queries[family]
            family.listed_ns, family.listed_by, family.listed_whole = now_ns, "rest", len(families) > 1
        key = families[0].key if len(families) == 1 else EVERYTHING
        self.counts.queries += 1
        return Call(form="open_orders", targets=(key,), pursuits=tuple(families), asked_ns=now_ns)

    def call_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        """A REST call came to an HTTP answer, readable or not."""
        if call.owner is not None:
            if isinstance(answer, RestOrders):
                self._listed(answer.orders, call.asked_ns, now_ns)
            elif call.form == "open_orders" and self._relist(call):
                return
            elif isinstance(answer, RestCanceled):
                self._changed(self._ends_told(answer.orders, now_ns), "rest", now_ns)
            call.owner.call_answered(call, answer, now_ns)
            return
        match call.form:
            case "cancel" | "all":
                self._cancel_answered(call.attempts[0], answer, now_ns)
            case "batch":
                self._batch_answered(call, answer, now_ns)
            case _:
                self._query_answered(call, answer, now_ns)

    def call_failed(self, call: Call, left: bool, why: str, now_ns: int) -> None:
        """A REST call came to no answer. left: whether any byte of it may have reached the venue."""
        self._rest_error = why
        if call.owner is not None:
            if call.form != "open_orders" or not self._relist(call):
                call.owner.call_failed(call, left, why, now_ns)
            return
        for attempt in call.attempts:
            pursuit = attempt.of
            self._close_attempt(pursuit, attempt, now_ns)
            if pursuit.done or pursuit.acked_ns is not None:
                continue
            if left:
                pursuit.ambiguous = True
            else:
                _take_back(pursuit)
                for swept in pursuit.swept if type(pursuit) is Family else ():
                    if REST in swept.sent:
                        _take_back(swept)
                        swept.ambiguous = bool(swept.sent)
            self._elsewhere(pursuit, now_ns)
            self._schedule(pursuit)
        for pursuit in call.pursuits:
            self._query_failed(pursuit, now_ns, by_rest=True)

    def _cancel_answered(self, attempt: Attempt[Pursuit], answer: RestAnswer, now_ns: int) -> None:
        pursuit = attempt.of
        self._close_attempt(pursuit, attempt, now_ns)
        if isinstance(answer, RestCanceled) and answer.orders:
            self._changed(self._ends_told(answer.orders, now_ns), "rest", now_ns)
        match answer:
            case RestCanceled(count=count) if count > 0 or pursuit.key.kind == "all":
                if type(pursuit) is Family:
                    pursuit.count = count
                    pursuit.oks = max(pursuit.oks, count)
                    if pursuit.key.kind == "all" or self._accounted(pursuit):
                        self._family_accepted(pursuit, attempt, now_ns)
                    elif not pursuit.done and pursuit.complete and self._unlisted(pursuit):
                        self._ask(pursuit, now_ns)
                    elif not pursuit.done:
                        self._split(pursuit, now_ns)
                elif pursuit.done:
                    self._late_or_repeated(pursuit, attempt, now_ns)
                elif pursuit.acked_ns is None:
                    self._accepted(pursuit, attempt, now_ns)
            case RestOrders(orders=orders):
                self._state_told(pursuit, attempt, orders, now_ns)
            case RestEnded(state=state, filled_qty=filled_qty):
                row = Row("", now_ns)
                row.status, row.filled_qty = state, filled_qty
                self._end_told(pursuit, attempt, row, now_ns)
            case _ if pursuit.done or pursuit.acked_ns is not None:
                return
            case RestCanceled():
                # No order was cancelled and no error was named: as good as "no such open order".
                self._refused(pursuit, attempt, Fault.NOT_OPEN, "count 0", now_ns)
            case RestFailed(fault=fault, error=error):
                self._refused(pursuit, attempt, fault, error, now_ns)
            case _:
                self._doubt(pursuit, answer, now_ns)
        self._schedule(pursuit)

    def _state_told(
        self, pursuit: Pursuit, attempt: Attempt[Pursuit], states: Iterable[OrderState], now_ns: int
    ) -> None:
        """The answer to a cancel names the state of its order."""
        changed = self._ends_told(states, now_ns)
        for state in states:
            row = self.resting.get(state.order_id)
            if row is not None and row.ended:
                self._end_told(pursuit, attempt, row, now_ns)
        self._changed(changed, "rest", now_ns)

    def _ends_told(self, states: Iterable[OrderState], now_ns: int) -> list[Row]:
        """Take in the states that an answer to a cancel names; the rows that changed."""
        changed = []
        for state in states:
            row = self.resting.apply(state, now_ns)
            if row is None:
                continue
            if row.ended and state.filled_qty is None:
                # What the stream told before may be behind: fills that it has yet to tell came before this end.
                row.filled_qty = None
            changed.append(row)
        return changed

    def _end_told(self, pursuit: Pursuit, attempt: Attempt[Pursuit], row: Row, now_ns: int) -> None:
        """The answer to a cancel says how the very order ended that it was for."""
        if not pursuit.done:
            pursuit.end = row
            self._accepted(pursuit, attempt, now_ns)
        elif (holder := self._doubtful.get(pursuit.key)) is not None:
            self._tell_late(holder, ending(holder, row), route_of(attempt.lane), now_ns)

    def _doubt(self, pursuit: Pursuit, answer: RestAnswer, now_ns: int) -> None:
        pursuit.ambiguous = True
        pursuit.error = getattr(answer, "why", "an answer to another question")
        self._elsewhere(pursuit, now_ns)

    def _batch_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        if isinstance(answer, RestBatch):
            for target, attempt in zip(call.targets, call.attempts, strict=True):
                self._verdict_told(attempt, answer.verdicts.get(target), now_ns)
            return
        self._answered_together(call.attempts, answer, now_ns)

    def _answered_together(self, attempts: Sequence[Attempt[Pursuit]], answer: RestAnswer, now_ns: int) -> None:
        """One answer for several orders came, which tells them apart in nothing."""
        whole = isinstance(answer, RestCanceled) and answer.count >= len(attempts)
        for attempt in attempts:
            pursuit = attempt.of
            self._close_attempt(pursuit, attempt, now_ns)
            if pursuit.done:
                if whole:
                    self._late_or_repeated(pursuit, attempt, now_ns)
                continue
            if pursuit.acked_ns is not None:
                continue
            if pursuit.end is not None and not whole:
                self._follow_name(pursuit, now_ns)
                continue
            match answer:
                case RestCanceled() if whole:
                    self._accepted(pursuit, attempt, now_ns)
                case RestCanceled():
                    # Fewer than asked, and nobody says which: each one is looked up, and asked for alone if it rests.
                    self._look_up(pursuit, now_ns)
                case RestFailed(fault=Fault.NOT_OPEN | Fault.INVALID, error=error) if len(attempts) > 1:
                    # One bad id may have spoiled the batch: none of them is known to be refused, and some may be done.
                    pursuit.ambiguous = pursuit.single = True
                    pursuit.error = error
                    self._elsewhere(pursuit, now_ns)
                case RestFailed(fault=Fault.INVALID):
                    # A batch of one is not served here, so the counter has to be waited for.
                    pursuit.batched = True
                    self._again_at(pursuit, now_ns + RULES[Fault.THROTTLED].pause_ms * MS, now_ns)
                case RestFailed(fault=fault, error=error):
                    pursuit.batched = True
                    self._refused(pursuit, attempt, fault, error, now_ns)
                case _:
                    self._doubt(pursuit, answer, now_ns)
            self._schedule(pursuit)

    def _verdict_told(
        self,
        attempt: Attempt[Pursuit],
        verdict: RestOrders | RestEnded | RestFailed | RestUnreadable | None,
        now_ns: int,
    ) -> None:
        """What a batch's answer says of one of its orders; None when it does not mention it."""
        pursuit = attempt.of
        if verdict is not None:
            self._cancel_answered(attempt, verdict, now_ns)
            return
        self._close_attempt(pursuit, attempt, now_ns)
        if not pursuit.done and pursuit.acked_ns is None:
            pursuit.error = "the answer to the batch does not mention it"
            self._look_up(pursuit, now_ns)
            self._schedule(pursuit)

    def _look_up(self, pursuit: Pursuit, now_ns: int) -> None:
        """It may have been cancelled, and nobody says so: ask for its state, and cancel it alone if it rests."""
        pursuit.ambiguous = pursuit.single = True
        self._ask(pursuit, now_ns)
        pursuit.retry_ns = now_ns + self._policy.hedge_ns

    def _query_answered(self, call: Call, answer: RestAnswer, now_ns: int) -> None:
        match answer:
            case RestOrders(orders=orders):
                for pursuit in call.pursuits:
                    pursuit.asking = False
                changed = [row for state in orders if (row := self.resting.apply(state, now_ns)) is not None]
                self._changed(changed, "rest", now_ns)
                told = _named_in(orders)
                for pursuit in call.pursuits:
                    if not pursuit.done:
                        self._queried(pursuit, told, now_ns)
                        self._schedule(pursuit)
            case RestFailed(fault=Fault.NOT_OPEN | Fault.INVALID) if call.form == "query" and len(call.pursuits) > 1:
                # One of the ids is not known, and nobody says which.
                for pursuit in call.pursuits:
                    pursuit.asking = False
                    if not pursuit.done:
                        pursuit.alone = True
                        self._ask(pursuit, now_ns)
            case RestFailed(fault=Fault.NOT_OPEN) if call.form == "query":
                (pursuit,) = call.pursuits
                pursuit.asking = False
                if not pursuit.done:
                    self._queried(pursuit, frozenset(), now_ns)
                    self._schedule(pursuit)
            case _:
                for pursuit in call.pursuits:
                    self._query_failed(pursuit, now_ns, by_rest=True)

    def _queried(self, pursuit: Pursuit, told: Set[Target], now_ns: int) -> None:
        """A query for this pursuit was answered; rows that ended have settled theirs already."""
        if type(pursuit) is Family:
            self._family_queried(pursuit, told, now_ns)
            return
        if pursuit.key not in told:
            pursuit.absent = True
            self._conclude(pursuit, now_ns)
        elif pursuit.denied_ns is not None:
            # Nothing else was waited for where the order that bore the name has ended.
            self._conclude(pursuit, now_ns)
        elif not pursuit.queued and self._gave_up_silence(pursuit, now_ns):
            # It rests: what was lost on its way did not work, and what was accepted did not hold.
            if pursuit.acked_ns is not None:
                self._revoke(pursuit)
            pursuit.retry_ns = FAR_NS
            self._go(pursuit, now_ns)

    def _gave_up_silence(self, pursuit: Pursuit, now_ns: int) -> bool:
        """Whether no request is awaited any more for an order that rests.

        One on REST has a connection of its own: where it was silent for long, and is the only one, the next need not
        wait until it has timed out, by when a deadline may be over. Where there is no REST nothing else is left to try
        than the sessions that were silent.
        """
        silent = [attempt for lane, attempt in pursuit.pending.items() if lane == REST or not self._policy.rest]
        long = all(attempt.sent_ns + self._policy.hedge_ns <= now_ns for attempt in silent)
        if silent and long and len(silent) == len(pursuit.pending):
            for attempt in silent:
                self._close_attempt(pursuit, attempt, now_ns)
            pursuit.ambiguous = True
        return not pursuit.pending

    def _family_queried(self, family: Family, told: Set[Target], now_ns: int) -> None:
        rows = [self.resting.get(str(target.value)) for target in told if target.kind == "order_id"]
        resting = {row.order_id for row in rows if row is not None and not row.ended}
        if family.key.kind == "userref" and family.listed_whole:
            # The list was of everything: what bears another userref, or none, is no business of this family's.
            userref = family.key.value
            resting = {row.order_id for row in rows if row is not None and not row.ended and row.userref == userref}
        if not self._mass:
            self._walk_checked(family, resting, now_ns)
            return
        family.seen_ns = family.listed_ns
        if family.acked_ns is not None:
            if resting:
                family.query_ns = now_ns + self._policy.hedge_ns
            else:
                self._settle(family, family.ending(self.resting), family.listed_by, now_ns)
            return
        if family.children is not None and family.verdict is None:
            news = sorted(resting - family.children.keys())
            if news and family.witnessed and (self._streamed(family) or not family.mute):
                # Nobody knows whether they were placed before its request left, or since: they are neither canceled
                # nor called gone.
                family.seen_ns = 0
                family.query_ns = now_ns + self._policy.hedge_ns
                return
            self._go_on_after(family, news, now_ns)
            self._judge_children(family, family.listed_by, now_ns, now_ns)
            if family.done or family.verdict is None:
                return
        if family.verdict is not None:
            if resting:
                family.query_ns = now_ns + self._policy.hedge_ns
                return
            due = [waiter for waiter in family.waiters if self._window_ns(family, waiter) <= family.listed_ns]
            self._confirm(family, due, family.verdict, family.listed_by, now_ns)
            if not family.done:
                self._verify(family, family.verdict, now_ns, family.listed_by)
        elif resting:
            family.mean(resting)
            self._split(family, now_ns)
        elif family.meant or family.oks:
            # Its request was accepted by a venue of which nobody knew all that it meant, or what it meant is gone.
            self._verify(family, family.ending(self.resting), now_ns, family.listed_by)
        else:
            self._conclude(family, now_ns)

    def _confirm(self, family: Family, due: list[Waiter], verdict: Outcome, route: Route, now_ns: int) -> None:
        """Tell a verdict that a list has borne out: what was only accepted before is now proved to be gone."""
        if isinstance(verdict, Acked) and (proved := [waiter for waiter in due if waiter.proof]):
            due = [waiter for waiter in due if not waiter.proof]
            self._reply(family, proved, Canceled(), route, now_ns, now_ns)
        if not family.done:
            self._reply(family, due, verdict, route, now_ns, now_ns)

    def _listed(self, orders: Iterable[OrderState], asked_ns: int, now_ns: int) -> None:
        """Take in a list of all that is open, which may tell of ended orders too."""
        orders = tuple(orders)
        changed = self._recall(orders, now_ns)
        self._changed(changed + self.resting.vanish({o.order_id for o in orders}, asked_ns), "rest", now_ns)

    def _query_failed(self, pursuit: Pursuit, now_ns: int, *, by_rest: bool = False) -> None:
        if by_rest and type(pursuit) is Family and not pursuit.done and self._relist(pursuit):
            return
        pursuit.asking = False
        if not pursuit.done:
            pursuit.query_ns = now_ns + self._policy.hedge_ns
            self._conclude(pursuit, now_ns)
            self._schedule(pursuit)

    # ---------------------------------------------------------------- time

    @property
    def next_wake_ns(self) -> int:
        """When `on_time` has something to do; FAR_NS when it has not."""
        heap = self._heap
        while heap and (heap[0][2].done or heap[0][0] != heap[0][2].scheduled_ns):
            heapq.heappop(heap)
        due_ns = heap[0][0] if heap else FAR_NS
        reopens_ns = self._lanes.rest_reopens_ns
        return due_ns if due_ns < reopens_ns else reopens_ns

    def on_time(self, now_ns: int) -> None:
        """Do what is due: hedge, retry, query, and answer whoever's deadline has come."""
        if self._lanes.rest_reopened(now_ns) and self.wants_call:
            self.effects.append(RestReady())
        while self.next_wake_ns <= now_ns:
            pursuit = heapq.heappop(self._heap)[2]
            pursuit.scheduled_ns = FAR_NS
            self._due(pursuit, now_ns)
        self._inflight.forget(now_ns)
        self._changed(self.resting.doubt(now_ns), "stream", now_ns)
        while self._bundles and self._inflight.find(next(iter(self._bundles))) is None:
            del self._bundles[next(iter(self._bundles))]
        while self._doubtful and next(iter(self._doubtful.values())).finished_ns + self._policy.late_ns <= now_ns:
            del self._doubtful[next(iter(self._doubtful))]

    def give_up(self, now_ns: int) -> None:
        """Answer everybody now with what can honestly be said: the process is about to end."""
        everyone = [*self._active.values(), *self._families]
        for pursuit in everyone:
            for waiter in pursuit.waiters:
                waiter.deadline_ns = min(waiter.deadline_ns, now_ns)
        for pursuit in everyone:
            self._expire(pursuit, now_ns)

    def withdraw(self, tickets: Iterable[Any], now_ns: int) -> None:
        """Answer these tickets now with what can honestly be said: nothing more is to leave in their names."""
        withdrawn = set(map(id, tickets))
        for pursuit in [*self._active.values(), *self._families]:
            mine = [waiter for waiter in pursuit.waiters if id(waiter.ticket) in withdrawn]
            for waiter in mine:
                waiter.deadline_ns = min(waiter.deadline_ns, now_ns)
            if mine:
                self._expire(pursuit, now_ns)

    def _due(self, pursuit: Pursuit, now_ns: int) -> None:
        if pursuit.deadline_ns <= now_ns:
            self._expire(pursuit, now_ns)
        if not pursuit.done and pursuit.query_ns <= now_ns:
            pursuit.query_ns = FAR_NS
            self._ask(pursuit, now_ns)
        if not pursuit.done and pursuit.retry_ns <= now_ns:
            pursuit.retry_ns = FAR_NS
            if type(pursuit) is Family and pursuit.unwalked:
                self._walk_on(pursuit, now_ns)
                self._schedule(pursuit)
                return
            self._throttled.pop(pursuit, None)
            self.counts.retried += 1
            self._decide("retry", pursuit, None, "the pause after the last try is over")
            self._go(pursuit, now_ns)
        if not pursuit.done and pursuit.silent_ns <= now_ns:
            pursuit.silent_ns = FAR_NS
            self._hedge(pursuit, now_ns)
        self._schedule(pursuit)

    def _schedule(self, pursuit: Pursuit) -> None:
        if pursuit.done:
            return
        due = min(pursuit.deadline_ns, pursuit.silent_ns, pursuit.retry_ns, pursuit.query_ns)
        if due < pursuit.scheduled_ns:
            pursuit.scheduled_ns = due
            self._tick += 1
            heapq.heappush(self._heap, (due, self._tick, pursuit))

    def _expire(self, pursuit: Pursuit, now_ns: int) -> None:
        if type(pursuit) is Family and pursuit.children is not None:
            # Its orders' verdicts are part of its own.
            for order_id, settlement in pursuit.children.items():
                child = self._active.get(Target("order_id", order_id))
                if settlement is None and child is not None:
                    self._expire(child, now_ns)
        if pursuit.done:
            return
        due = [waiter for waiter in pursuit.waiters if waiter.deadline_ns <= now_ns]
        pursuit.waiters = [waiter for waiter in pursuit.waiters if waiter.deadline_ns > now_ns]
        verdicts = [(waiter, self._verdict(pursuit, waiter)) for waiter in due]
        pursuit.answered_unknown += tuple(waiter for waiter, outcome in verdicts if isinstance(outcome, Unknown))
        for waiter, outcome in verdicts:
            self._answer(pursuit, waiter, outcome, "none", None, now_ns)
        # Also when nobody was due: a deadline that stayed behind would be due for ever.
        self._go_on_or_finish(pursuit, now_ns)

    def _verdict(self, pursuit: Pursuit, waiter: Waiter) -> Outcome:
        """What can honestly be said at the deadline."""
        if type(pursuit) is Family and pursuit.children is not None:
            combined = pursuit.combined()
            seen = self._mass or pursuit.seen_for(waiter)
            seen = seen and not self._unlisted(pursuit)
            if waiter.proof and isinstance(combined, Acked):
                pursuit.error = NO_PROOF
                return Unknown(pursuit.routes)
            return combined if seen and not isinstance(combined, SAFE) else Unknown(pursuit.routes)
        if not pursuit.attempts:
            if type(pursuit) is Family and pursuit.listed_ns and not self._mass:
                pursuit.error = "no whole list of what is open could be had"
                return Unknown(("ws",))
            if pursuit.nameless:
                return Refused("invalid", "symbol: name it, the order stream does not show the order it is for")
            if self.mode == "maintenance":
                return Refused("no_route", f"{self.venue} is in maintenance: it takes no cancels")
            nor = f", and {self._rest_error}" if self._policy.rest else ""
            return Refused("no_route", f"no {self.venue} session takes it{nor}")
        if pursuit.acked_ns is not None:
            pursuit.error = NO_PROOF
            return Unknown(pursuit.routes)
        if self._is_denied(pursuit, waiter):
            return self._not_there(pursuit)
        if pursuit.pending or pursuit.ambiguous or pursuit.denied_ns is not None or pursuit.reject_class is None:
            return Unknown(pursuit.routes)
        return Rejected(pursuit.reject_class)

    # ---------------------------------------------------------------- going after it

    def _barred(self, pursuit: Pursuit) -> bool:
        """Whether its own request must not leave again: by userref it could hit orders placed since the first one."""
        if type(pursuit) is not Family:
            return False
        if pursuit.children is not None or pursuit.verdict is not None:
            return True
        # One that was answered by canceling some orders worked, whatever is still to be found out about the others.
        return pursuit.key.kind == "userref" and (bool(pursuit.pending) or pursuit.ambiguous or pursuit.oks > 0)

    def _diverted(self, pursuit: Pursuit, now_ns: int) -> bool:
        """Send it on in another way than by its own request, where that is called for."""
        if pursuit.end is not None:
            self._follow_name(pursuit, now_ns)
            return pursuit.done
        if self._barred(pursuit):
            self._split(pursuit, now_ns)
            return True
        return False

    def _go(self, pursuit: Pursuit, now_ns: int) -> None:
        """Send it by the best route there is now, tried or not; when there is none, try again soon."""
        lanes = self._lanes
        if self.mode == "maintenance":
            self._decide("hold", pursuit, None, "the venue is in maintenance")
            self._held[pursuit] = None
        elif lanes.live and not pursuit.sent and not lanes.stale and not lanes.closed_until and self._any_name:
            self._send(pursuit, lanes.live[0], now_ns)
        elif self._diverted(pursuit, now_ns):
            return
        elif (lane := self._way_for(pursuit, now_ns)) is None or pursuit.attempts >= ATTEMPT_LIMIT:
            self._later(pursuit, now_ns)
        else:
            self._send(pursuit, lane, now_ns)

    def _way_for(self, pursuit: Pursuit, now_ns: int) -> Lane | None:
        """The best route there is now. What has not left at all goes also where a budget was spent by others: they
        would take what comes back of it for as long as they are many, and a budget refuses nobody."""
        lane = next(self._lanes.free_for(pursuit, now_ns), None)
        return lane if lane is not None or pursuit.sent else self._lanes.spent_for(pursuit)

    def _decide(
        self, what: Literal["hedge", "fallback", "retry", "hold"], pursuit: Pursuit, lane: Lane | None, why: str
    ) -> None:
        told = why if pursuit.error is None else f"{why}; last heard: {pursuit.error}"
        self.decisions.append(Decided(what, pursuit.key, lane, told))

    def _elsewhere(self, pursuit: Pursuit, now_ns: int) -> None:
        """An attempt is over without a verdict: on to the next route now, or to any route after a pause."""
        if self._diverted(pursuit, now_ns):
            return
        lane = self._lanes.untried_for(pursuit, now_ns)
        if lane is not None and self.mode != "maintenance":
            self._decide("fallback", pursuit, lane, "the way it had taken was lost")
            self._send(pursuit, lane, now_ns)
        else:
            self._later(pursuit, now_ns)

    def _later(self, pursuit: Pursuit, now_ns: int) -> None:
        pause = RETRY_MS[min(pursuit.retries, len(RETRY_MS) - 1)]
        pursuit.retries += 1
        pursuit.retry_ns = now_ns + pause * MS
        pursuit.stranded = True

    def _send(self, pursuit: Pursuit, lane: Lane, now_ns: int) -> None:
        pursuit.silent_ns = now_ns + self._policy.hedge_ns
        if pursuit.stranded:
            pursuit.stranded = False
        if lane == REST:
            if not pursuit.queued and REST not in pursuit.pending:
                pursuit.queued = True
                self._rest_queue[pursuit] = None
                self.effects.append(RestReady())
            return
        symbol = None
        if self._symbols:
            if type(pursuit) is Family:
                self._walk_from(pursuit, now_ns)
                return
            symbol = self._symbol_of(pursuit)
            if symbol is None:
                self._await_symbol(pursuit, now_ns)
                return
            pursuit.nameless = False
        attempt = self._open(pursuit, lane, now_ns)
        self.effects.append(Send(lane, attempt.reqid, pursuit.key, symbol))

    def _symbol_of(self, pursuit: Pursuit) -> str | None:
        """What the order stream says, else what a client said."""
        row = self.resting.get(str(pursuit.key.value)) if pursuit.key.kind == "order_id" else pursuit.bearer
        return pursuit.symbol if row is None or row.symbol is None else row.symbol

    def _await_symbol(self, pursuit: Pursuit, now_ns: int) -> None:
        """Nothing can leave without the symbol: a look may show it, or the order's first event."""
        pursuit.nameless = True
        pursuit.silent_ns = FAR_NS
        if not pursuit.asked:
            self._ask(pursuit, now_ns)
        self._later(pursuit, now_ns)

    def _named_at_last(self, pursuit: Pursuit, now_ns: int) -> None:
        if pursuit.nameless:
            pursuit.nameless = False
            pursuit.retry_ns = FAR_NS
            self._go(pursuit, now_ns)
            self._schedule(pursuit)

    def _unqueue(self, pursuit: Pursuit) -> None:
        if pursuit.queued:
            pursuit.queued = False
            del self._rest_queue[pursuit]

    def _open(self, pursuit: Pursuit, lane: Lane, now_ns: int) -> Attempt[Pursuit]:
        if type(pursuit) is Family and not pursuit.sent:
            everything = pursuit.key.kind == "all"
            pursuit.witnessed = bool(self._witnesses)
            pursuit.mean(self.resting.open_ids() if everything else self.resting.open_under(int(pursuit.key.value)))
        if type(pursuit) is Family and pursuit.swept:
            self._sweep_left(pursuit, lane, now_ns)
        attempt = self._inflight.open(pursuit, lane, now_ns)
        pursuit.pending[lane] = attempt
        pursuit.sent += (lane,)
        pursuit.silent_ns = now_ns + self._policy.hedge_ns
        if pursuit.first_sent_ns is None:
            pursuit.first_sent_ns = now_ns
        return attempt

    def _wants(self, pursuit: Pursuit, lane: Lane) -> bool:
        return pursuit.acked_ns is None and lane not in pursuit.pending and not self._barred(pursuit)

    def _close_attempt(self, pursuit: Pursuit, attempt: Attempt[Pursuit], now_ns: int) -> None:
        self._inflight.settle(attempt, now_ns)
        if pursuit.pending.get(attempt.lane) is attempt:
            del pursuit.pending[attempt.lane]

    def _hedge(self, pursuit: Pursuit, now_ns: int) -> None:
        """Silence: a second route beside the first. The first is not given up, and nothing is concluded."""
        if type(pursuit) is Family:
            # Nor need a stream live that has told nothing since the request left, whichever session's it is.
            sent_ns, heard = pursuit.first_sent_ns or 0, self._heard_ns
            unheard = [lane for lane in self._witnesses if heard.get(lane, 0) < sent_ns]
            pursuit.mute.update(dict.fromkeys((*pursuit.pending, *unheard), now_ns))
        if self._diverted(pursuit, now_ns):
            return
        lane = self._lanes.untried_for(pursuit, now_ns)
        if lane is not None and self.mode != "maintenance":
            self.counts.hedged += 1
            self._decide("hedge", pursuit, lane, f"no answer in {self._policy.hedge_ns // MS} ms")
            self._send(pursuit, lane, now_ns)
        else:
            # Every route is silent. The order's state may still be had.
            self._ask(pursuit, now_ns)

    def _ask(self, pursuit: Pursuit, now_ns: int) -> None:
        """Have the order's state asked for. By client order id not every venue can be asked."""
        if pursuit.asking or (pursuit.key.kind == "cl_ord_id" and not self._policy.named_queries):
            return
        if self._policy.rest:
            pursuit.asking = pursuit.asked = True
            self._queries[pursuit] = None
            self.effects.append(RestReady())
            return
        # The session that is used least can tell as well as any other, and best when another one has gone mute.
        live = self._lanes.live[::-1]
        if type(pursuit) is Family and live:
            # That nothing is open is to be told by each: one that has lost its stream would say it again and again.
            turn = len(pursuit.clean_looks) % len(live)
            live = live[turn:] + live[:turn]
            pursuit.listed_ns = now_ns
        lane = next((lane for lane in live if lane not in pursuit.pending), live[0] if live else None)
        if lane is None:
            pursuit.query_ns = now_ns + self._policy.hedge_ns
            return
        if type(pursuit) is not Family and len(self._looks) >= LOOK_LIMIT:
            self._look_with_others(pursuit, lane, now_ns)
            return
        pursuit.asking = pursuit.asked = True
        self._look(pursuit, lane, str(pursuit.key.value) if pursuit.key.kind == "order_id" else None)

    # ---------------------------------------------------------------- looks, where no REST call can ask

    def _look_with_others(self, pursuit: Pursuit, lane: Lane, now_ns: int) -> None:
        """Share one look at everything with all who ask in this step; later ones wait until it is over."""
        if not self._crowd:
            self._crowd_ns = now_ns
            self._look(self._crowd, lane, None)
        elif self._crowd_ns != now_ns:
            pursuit.query_ns = now_ns + self._policy.hedge_ns
            return
        pursuit.asking = pursuit.asked = True
        self._crowd.append(pursuit)

    def _look(self, asker: Pursuit | Call | list[Pursuit], lane: Lane, order_id: str | None) -> None:
        self.counts.queries += 1
        reqid = self._reqids.draw()
        self._looks[reqid] = (lane, asker)
        self.effects.append(Look(lane, reqid, order_id))

    def _relist(self, asker: Pursuit | Call) -> bool:
        """Have the least used session list anew what is open, because REST did not tell; False where none can."""
        if not self._policy.relists or not self._lanes.live:
            return False
        if isinstance(asker, Family):
            asker.listed_by, asker.listed_whole = "stream", True
        lane = self._lanes.live[-1]
        # Its stream is ended for this, and tells nobody what is placed before it begins anew with its list.
        self._witnesses.discard(lane)
        self._look(asker, lane, None)
        return True

    def _on_looked(self, looked: Looked, now_ns: int) -> None:
        _, asker = self._looks.pop(looked.reqid, (None, None))
        of_one = isinstance(asker, Pursuit) and type(asker) is not Family
        if looked.complete and not of_one:
            self._listed(looked.orders, looked.asked_ns, now_ns)
        else:
            self._changed(self._recall(looked.orders, now_ns), "stream", now_ns)
        if isinstance(asker, Call):
            assert asker.owner is not None
            if looked.complete:
                states = tuple(state for state in looked.orders if state.status in (None, "open"))
                asker.owner.call_answered(asker, RestOrders(states), now_ns)
            else:
                asker.owner.call_failed(asker, True, "the look at the open orders was not completed", now_ns)
        elif isinstance(asker, list):
            self._crowd = []
            told = _named_in(looked.orders)
            for pursuit in asker:
                if not pursuit.done and pursuit.key in told:
                    pursuit.asking = False
                    self._queried(pursuit, told, now_ns)
                    self._schedule(pursuit)
                else:
                    self._query_failed(pursuit, now_ns)
        elif asker is not None and not looked.complete:
            self._query_failed(asker, now_ns)
        elif asker is not None:
            asker.asking = False
            if asker.done:
                return
            if looked.orders or not of_one:
                self._queried(asker, _named_in(looked.orders), now_ns)
                self._schedule(asker)
            else:
                # Nothing came, which is how the venue may well answer for an order that it does not know, and for one
                # that it is slow to tell of.
                self._query_failed(asker, now_ns)

    def _look_failed(self, reqid: Reqid, now_ns: int) -> None:
        self._on_looked(Looked(reqid, (), False, now_ns), now_ns)

    # ---------------------------------------------------------------- everything, one by one

    def _walk_from(self, family: Family, now_ns: int) -> None:
        """Go after everything that is known to be open, order by order, and look for what is not known of."""
        family.retry_ns = family.silent_ns = FAR_NS
        if family.children is not None:
            return
        family.mean(self.resting.open_ids())
        if family.left:
            family.children = {}
            self._walk_more(family, sorted(family.left), now_ns)
        if not family.done:
            self._ask(family, now_ns)

    def _walk_more(self, family: Family, order_ids: Iterable[str], now_ns: int) -> None:
        assert family.children is not None
        added = [order_id for order_id in order_ids if order_id not in family.children]
        family.children.update(dict.fromkeys(added))
        family.unwalked += added
        family.verdict = None
        family.clean_looks = ()
        self._walk_on(family, now_ns)

    def _walk_on(self, family: Family, now_ns: int) -> None:
        """As many as the pace allows now, and all that are left when the time to wait for their answers has come."""
        assert family.children is not None
        proof = any(waiter.proof for waiter in family.waiters)
        deadline_ns = family.last_deadline_ns
        if family.first_sent_ns is None:
            family.first_sent_ns = now_ns
        hurry_ns = min(w.asked_ns + (w.deadline_ns - w.asked_ns) // 2 for w in family.waiters) if family.waiters else 0
        while family.unwalked and not family.done:
            wait_ns = self._walk.take(now_ns)
            if wait_ns and now_ns < hurry_ns:
                family.retry_ns = min(now_ns + wait_ns, hurry_ns)
                self._schedule(family)
                return
            order_id = family.unwalked.pop(0)
            self.submit(Child(family, order_id), Target("order_id", order_id), proof, deadline_ns, now_ns)

    def _walk_checked(self, family: Family, resting: set[str], now_ns: int) -> None:
        """A list of all that is open came. What is not being gone after yet is; twice nothing, and it is over."""
        family.seen_ns = family.listed_ns
        if family.children is None:
            family.children = {}
        children = family.children
        again = {i for i in resting if i in children and isinstance(getattr(children[i], "outcome", None), SAFE)}
        for order_id in again:
            del children[order_id]
        if news := sorted(i for i in resting if i not in children):
            family.mean(news)
            self._walk_more(family, news, now_ns)
        elif not resting and all(told is not None for told in children.values()):
            family.clean_looks += (family.listed_ns,)
            family.count = sum(isinstance(told.outcome, Acked | Canceled) for told in children.values() if told)
            verdict = family.verdict or (family.combined() if children else Canceled())
            if not isinstance(verdict, ACCEPTED):
                self._give_bad_news(family, verdict, now_ns)
                return
            family.verdict = verdict
            due = [w for w in family.waiters if family.looks_for(w) >= (LOOKS_NEEDED if w.proof else 1)]
            self._confirm(family, due, verdict, "stream", now_ns)
            if not family.done:
                self._ask(family, now_ns)
        elif all(told is not None for told in children.values()) and not isinstance(family.combined(), ACCEPTED):
            self._give_bad_news(family, family.combined(), now_ns)
        else:
            if children and isinstance(family.combined(), Acked):
                self._tell_unproved(family, Acked(), "stream", now_ns)
            family.query_ns = now_ns + self._policy.hedge_ns

    def _give_bad_news(self, family: Family, outcome: Outcome, now_ns: int) -> None:
        """Some of a walk's orders may rest for good. Whoever asked after the last list was asked for waits for one."""
        self._reply(family, self._who_saw(family), outcome, "stream", now_ns, now_ns)
        if not family.done:
            self._ask(family, now_ns)

    def _tell_unproved(self, family: Family, outcome: Outcome, route: Route, now_ns: int) -> None:
        """Answer those who did not ask for proof."""
        self._reply(family, [w for w in self._who_saw(family) if not w.proof], outcome, route, now_ns, now_ns)

    def _who_saw(self, family: Family) -> list[Waiter]:
        """Those for whom no order is missed of which nobody told; all, where the request is the venue's own."""
        return [waiter for waiter in family.waiters if self._mass or family.seen_for(waiter)]

    # ---------------------------------------------------------------- answers

    def _accepted(self, pursuit: Pursuit, attempt: Attempt[Pursuit], now_ns: int) -> None:
        """The venue took the cancel. Whoever waits for proof goes on waiting."""
        route = route_of(attempt.lane)
        pursuit.acked_ns = now_ns
        pursuit.acked_route = route
        pursuit.retry_ns = pursuit.silent_ns = FAR_NS
        if self._held or self._throttled:
            self._held.pop(pursuit, None)
            self._throttled.pop(pursuit, None)
        waiters = pursuit.waiters
        if self._shared:
            pursuit.answered_acked = tuple(waiter for waiter in waiters if not waiter.proof)
            pursuit.accepted = attempt.reqid
        if len(waiters) == 1 and not waiters[0].proof and pursuit.end is None:
            # The plain case, and nearly all of them.
            pursuit.waiters = []
            self._answer(pursuit, waiters[0], Acked(), route, now_ns, now_ns)
            self._finish(pursuit, now_ns)
            return
        if pursuit.end is not None:
            due = [waiter for waiter in waiters if not meant_newer(waiter, attempt)]
            self._reply(pursuit, due, ending(pursuit, pursuit.end), route, now_ns, now_ns)
            if not pursuit.done:
                # These asked after the accepted request had left.
                pursuit.acked_ns = None
                self._go(pursuit, now_ns)
                self._schedule(pursuit)
            return
        self._reply(pursuit, [waiter for waiter in waiters if not waiter.proof], Acked(), route, now_ns, now_ns)
        if pursuit.done:
            return
        pursuit.acked_by = attempt
        if type(pursuit) is not Family or pursuit.left:
            pursuit.query_ns = now_ns + self._policy.hedge_ns
        elif pursuit.meant:
            self._family_over(pursuit, "stream", now_ns)
        else:
            # Nothing was known to rest, so no event is to be waited for.
            self._ask(pursuit, now_ns)
        self._schedule(pursuit)

    def _refused(
        self, pursuit: Pursuit, attempt: Attempt[Pursuit], fault: Fault, error: str, now_ns: int
    ) -> None:
        """The venue answered this request with an error."""
        rule = RULES[fault]
        lane = attempt.lane
        if rule.closes_ms:
            self._lanes.close(lane, now_ns + rule.closes_ms * MS, spent=fault is Fault.ROUTE_BUSY)
            if lane == REST:
                self._rest_error = f"REST is left alone after: {error}"
        if pursuit.acked_ns is not None:
            return
        pursuit.error = error
        if pursuit.end is not None:
            if fault is Fault.NOT_OPEN and not pursuit.pending:
                pursuit.ours = False
            if self._diverted(pursuit, now_ns):
                return
        pursuit.reject_class = rule.reject_class
        pursuit.ambiguous = pursuit.ambiguous or rule.ambiguous
        if type(pursuit) is Family and self._is_of_one(pursuit, fault):
            self._split(pursuit, now_ns)
            return
        if fault is Fault.NOT_OPEN and pursuit.key.kind != "all":
            pursuit.denied_ns = attempt.sent_ns
            pursuit.denied_route = route_of(lane)
            self._resolve(pursuit, now_ns)
            return
        if fault is Fault.THROTTLED:
            # Only an order that is there is weighed: an earlier denial does not hold any more.
            pursuit.denied_ns = None
        match rule.reaction:
            case Reaction.AGAIN:
                if fault is Fault.THROTTLED and self._batch_throttled(pursuit, now_ns):
                    return
                self._again_at(pursuit, now_ns + rule.pause_ms * MS, now_ns)
            case Reaction.ELSEWHERE:
                other = self._lanes.untried_for(pursuit, now_ns)
                if other is not None:
                    self._decide("fallback", pursuit, other, "refused")
                    self._send(pursuit, other, now_ns)
                else:
                    self._again_at(pursuit, now_ns + rule.pause_ms * MS, now_ns)
            case Reaction.NEW_TOKEN if lane != REST and lane not in pursuit.renewed:
                pursuit.renewed |= {lane}
                if self._lanes.renewed_since(lane, attempt.sent_ns):
                    # It left with the token before this one: a burst must not cost a token for each of its refusals.
                    self._go_renewed(pursuit, lane, now_ns)
                elif self._lanes.await_token(lane, pursuit):
                    self.effects.append(RenewToken(lane))
            case _:
                if rule.reaction is Reaction.NEW_TOKEN and lane != REST:
                    self.effects.append(Redial(lane, error))
                pursuit.refused |= {lane}
                other = self._lanes.untried_for(pursuit, now_ns)
                if other is not None:
                    self._decide("fallback", pursuit, other, "refused")
                    self._send(pursuit, other, now_ns)
                else:
                    self._reject_if_final(pursuit, now_ns)

    def _is_of_one(self, family: Family, fault: Fault) -> bool:
        """Whether a refusal may be of one order of a family only, without saying whose: each then goes alone."""
        if family.children is not None:
            return True
        if family.key.kind != "userref":
            return False
        if family.oks or family.ambiguous:
            return True
        return bool(family.meant) if fault is Fault.NOT_OPEN else not RULES[fault].whole

    def _again_at(self, pursuit: Pursuit, at_ns: int, now_ns: int) -> None:
        """Plan one more try, unless nobody will be waiting by then: then the refusal is the answer."""
        if pursuit.pending or pursuit.queued or any(waiter.deadline_ns > at_ns for waiter in pursuit.waiters):
            pursuit.retry_ns = at_ns
            pursuit.silent_ns = FAR_NS
        else:
            self._reject_if_final(pursuit, now_ns)

    def _reject_if_final(self, pursuit: Pursuit, now_ns: int) -> None:
        """Answer with the refusal when it is all that can still come; after an ambiguous attempt it never is."""
        if pursuit.pending or pursuit.queued or pursuit.retry_ns != FAR_NS:
            return
        if self._lanes.awaits_token(pursuit):
            return
        if pursuit.ambiguous or pursuit.denied_ns is not None:
            self._ask(pursuit, now_ns)
            return
        assert pursuit.reject_class is not None
        self._settle(pursuit, Rejected(pursuit.reject_class), route_of(pursuit.sent[-1]), now_ns)

    def _batch_throttled(self, pursuit: Pursuit, now_ns: int) -> bool:
        """Orders over the pair's ceiling go as one REST batch, which the venue takes also then."""
        if pursuit.key.kind != "order_id" or pursuit.batched or not self._lanes.takes(pursuit, REST, now_ns):
            return False
        if pursuit.attempts >= ATTEMPT_LIMIT:
            return False
        self._throttled[pursuit] = None
        if len(self._throttled) < 2 and not any(queued.key.kind == "order_id" for queued in self._rest_queue):
            again_ns = now_ns + RULES[Fault.THROTTLED].pause_ms * MS
            if not pursuit.overdrawn and any(waiter.deadline_ns > again_ns for waiter in pursuit.waiters):
                # A moment's patience may find it company or room; both failing, it goes as a batch of one.
                pursuit.overdrawn = True
                return False
        throttled, self._throttled = self._throttled, {}
        for member in throttled:
            member.overdrawn = True
            # The venue weighs it, so it knows it: this is not the id that spoils a batch.
            member.single = False
            member.retry_ns = FAR_NS
            self._send(member, REST, now_ns)
            self._schedule(member)
        return True

    def _resolve(self, pursuit: Pursuit, now_ns: int) -> None:
        """The venue knows no such open order. Find out which kind of not knowing it is.

        It may have ended, it may never have been, it may not be there yet, and it may have been ended by an attempt of
        ours whose answer we lost. Attempts that are still silent do not hold this up: they can end the order, but they
        cannot make it appear.
        """
        if self._seen_open(pursuit) or not pursuit.asked:
            self._ask(pursuit, now_ns)
        if pursuit.key.kind == "order_id" and not self._seen_open(pursuit):
            self._part_by_name(pursuit, None, now_ns)
        self._conclude(pursuit, now_ns)
        if not pursuit.done:
            self._plan_reask(pursuit, now_ns)

    def _plan_reask(self, pursuit: Pursuit, now_ns: int) -> None:
        pause_ns = REASK_MS[min(pursuit.reasks, len(REASK_MS) - 1)] * MS
        pursuit.reasks += 1
        pursuit.silent_ns = FAR_NS
        if self._seen_open(pursuit):
            # The order stream and the answer contradict each other: one of them is behind.
            pursuit.retry_ns = now_ns + pause_ns
            return
        waiting = [waiter for waiter in pursuit.waiters if not self._is_denied(pursuit, waiter)]
        windows = [self._window_ns(pursuit, waiter) for waiter in waiting]
        # With none left only the query is waited for.
        pursuit.retry_ns = max(now_ns, min(now_ns + pause_ns, *windows)) if windows else FAR_NS

    def _conclude(self, pursuit: Pursuit, now_ns: int) -> None:
        """Tell those who waited long enough that no such order is open, unless its state is still being asked for."""
        if pursuit.denied_ns is not None and not pursuit.asking and not pursuit.done:
            due = [waiter for waiter in pursuit.waiters if self._is_denied(pursuit, waiter)]
            self._reply(pursuit, due, self._not_there(pursuit), pursuit.denied_route, now_ns, now_ns)

    def _window_ns(self, pursuit: Pursuit, waiter: Waiter) -> int:
        """Until when an order that this command is after may still appear; only a denial asked for then is the last."""
        if pursuit.bearer is not None:
            # The order that the name stood for is known, and has ended.
            return waiter.asked_ns
        # A cancel can overtake its own add. A quarter of a short deadline is kept for the last answer to come back.
        return waiter.asked_ns + min(self._policy.overtake_ns, (waiter.deadline_ns - waiter.asked_ns) * 3 // 4)

    def _is_denied(self, pursuit: Pursuit, waiter: Waiter) -> bool:
        denied_ns = pursuit.denied_ns
        if denied_ns is None or denied_ns < self._window_ns(pursuit, waiter):
            return False
        if waiter.target.kind == "cl_ord_id" and pursuit.key.kind == "order_id":
            # The denial was of an order; another one may bear the name.
            return False
        return not self._seen_open(pursuit)

    def _not_there(self, pursuit: Pursuit) -> Outcome:
        """What a last denial means: after an attempt that may have worked, the order was perhaps ended by us."""
        if pursuit.bearer is not None and pursuit.ours:
            return Canceled(pursuit.bearer.filled_qty)
        if (pursuit.ambiguous or pursuit.pending) and not pursuit.absent:
            return Closed(None, None, "unconfirmed")
        if pursuit.bearer is not None:
            return Closed(closed_state(pursuit.bearer), pursuit.bearer.filled_qty)
        return NotOpen()

    # ---------------------------------------------------------------- families

    def _split(self, family: Pursuit, now_ns: int) -> None:
        """Go after each order of a family by its own id, because the family's request must not be sent again."""
        assert type(family) is Family
        if family.children is not None or family.verdict is not None:
            return
        family.retry_ns = family.silent_ns = FAR_NS
        if not family.left:
            if family.meant and not self._unlisted(family):
                self._verify(family, family.ending(self.resting), now_ns)
            else:
                # Nothing is known to rest under it; a list of open orders may tell what it meant.
                self._ask(family, now_ns)
            return
        family.children = {}
        self._go_on_after(family, sorted(family.left), now_ns)
        if not family.done and self._unlisted(family):
            self._ask(family, now_ns)

    def _go_on_after(self, family: Family, order_ids: Sequence[str], now_ns: int) -> None:
        """Go after orders of a split family, each by its own id."""
        assert family.children is not None
        if family.done:
            return
        family.mean(order_ids)
        family.children.update(dict.fromkeys(order_ids))
        proof = any(waiter.proof for waiter in family.waiters)
        deadline_ns = max(waiter.deadline_ns for waiter in family.waiters)
        for order_id in order_ids:
            key = Target("order_id", order_id)
            self.submit(Child(family, order_id), key, proof, deadline_ns, now_ns)
            if key in self._active:
                # The family's own request may have reached it.
                self._active[key].ambiguous = True

    def _child_told(self, child: Child, settlement: Settlement, now_ns: int) -> None:
        """One of a family's orders was settled, in time or late: with the last of them the family is."""
        family = child.parent
        assert family.children is not None
        if family.children[child.order_id] is None:
            family.sent_for += settlement.attempts
        family.children[child.order_id] = settlement
        self._judge_children(family, settlement.route, settlement.answered_ns, now_ns)

    def _judge_children(self, family: Family, route: Route, answered_ns: int | None, now_ns: int) -> None:
        """Once all of a split family's orders are settled, and nothing else can rest under its name, so is the family.

        route, answered_ns: of the news that settled the last of them.
        """
        assert family.children is not None
        if any(told is None for told in family.children.values()):
            return
        outcome = family.combined()
        if not self._mass:
            told_of = [told for told in family.children.values() if told is not None]
            family.count = sum(isinstance(told.outcome, Acked | Canceled) for told in told_of)
        if not family.done:
            family.error = next((s.error for s in family.children.values() if s is not None and s.error), family.error)
            if self._unlisted(family):
                self._ask(family, now_ns)
            elif isinstance(outcome, SAFE):
                self._verify(family, outcome, now_ns)
            else:
                due = [waiter for waiter in self._who_saw(family) if not (waiter.proof and isinstance(outcome, Acked))]
                self._reply(family, due, outcome, route, answered_ns, now_ns)
                if not family.done and isinstance(outcome, Acked):
                    self._verify(family, outcome, now_ns)
        elif isinstance(outcome, Acked | Canceled) and not self._unlisted(family):
            # News only to those who were answered `unknown`; no list has proved more than that it was accepted.
            self._tell_late(family, Acked(), route, now_ns)

    def _verify(self, family: Family, outcome: Outcome, now_ns: int, route: Route = "stream") -> None:
        """Nothing that it is known to have meant rests, but its request may have reached no order nobody told us of.

        A list of open orders must bear that out, asked for when no order can still be on its way in. Who did not ask
        for proof need not wait for it.
        """
        family.verdict = outcome
        if isinstance(outcome, Canceled):
            self._tell_unproved(family, Acked(), route, now_ns)
        if not family.done and not self._mass:
            # Looks are repeated until two in a row show nothing, so the first can be made now.
            self._ask(family, now_ns)
        elif not family.done:
            family.query_ns = max(now_ns, min(self._window_ns(family, waiter) for waiter in family.waiters))
            self._schedule(family)

    # ---------------------------------------------------------------- order states

    def _changed(self, rows: Iterable[Row], route: Route, now_ns: int) -> None:
        for row in rows:
            if row.userref is not None and self._families:
                self._heard_of(row)
            if row.ended:
                self.effects.append(Ended(row))
                self._ended(row, route, now_ns)
            elif row.status == "gone":
                pursuit = self._active.get(Target("order_id", row.order_id))
                if pursuit is not None:
                    self._ask(pursuit, now_ns)
            else:
                self._opened(row, now_ns)

    def _ended(self, row: Row, route: Route, now_ns: int) -> None:
        keys = [Target("order_id", row.order_id)]
        if row.cl_ord_id is not None:
            keys.append(Target("cl_ord_id", row.cl_ord_id))
        for pursuit in [self._active.get(key) for key in keys]:
            if pursuit is not None:
                self._over(pursuit, row, route, now_ns)
        for doubtful in [self._doubtful.get(key) for key in keys]:
            if doubtful is not None:
                self._tell_late(doubtful, ending(doubtful, row), route, now_ns)
        for family in list(self._families):
            if row.order_id in family.left:
                family.left.remove(row.order_id)
                family.otherwise += row.status != "canceled"
                self._family_shrank(family, route, now_ns)

    def _over(self, pursuit: Pursuit, row: Row, route: Route, now_ns: int) -> None:
        """Its order ended. Its name may have been given to a newer order before those who asked by it did.

        Only an accepted cancel says that the order which ended is the one that the name stood for then: it is waited
        for, and when it does not come nothing else must be open under the name.
        """
        by_name = [waiter for waiter in pursuit.waiters if waiter.target.kind == "cl_ord_id"]
        if pursuit.acked_by is not None:
            by_name = [waiter for waiter in by_name if meant_newer(waiter, pursuit.acked_by)]
        asked_by_name = set(by_name)
        others = [waiter for waiter in pursuit.waiters if waiter not in asked_by_name]
        self._reply(pursuit, others, ending(pursuit, row), route, now_ns, now_ns)
        if not by_name:
            return
        pursuit.end = row
        pursuit.ours = row.status == "canceled" and bool(pursuit.pending)
        if not pursuit.ours:
            self._follow_name(pursuit, now_ns)
        self._schedule(pursuit)

    def _follow_name(self, pursuit: Pursuit, now_ns: int) -> None:
        """Go on by client order id for those who asked by it, after the order that bore it has ended."""
        row, pursuit.end = pursuit.end, None
        assert row is not None
        if pursuit.key.kind == "cl_ord_id":
            pursuit.bearer = row
            if not pursuit.pending:
                self._conclude(pursuit, now_ns)
            return
        self._part_by_name(pursuit, row, now_ns)

    def _part_by_name(self, pursuit: Pursuit, row: Row | None, now_ns: int) -> None:
        """Let those who asked by client order id go on by it. row: the order that bore it, if it has ended."""
        by_name = [waiter for waiter in pursuit.waiters if waiter.target.kind == "cl_ord_id"]
        if not by_name:
            return
        pursuit.waiters = [waiter for waiter in pursuit.waiters if waiter.target.kind != "cl_ord_id"]
        # Its deadline was perhaps theirs: left as it is, it would stay due for ever.
        self._go_on_or_finish(pursuit, now_ns)
        named = by_name[0].target
        order_id = self.resting.open_as(str(named.value))
        key = named if order_id is None else Target("order_id", order_id)
        follower = self._active.get(key)
        if follower is None:
            follower = self._active[key] = Pursuit(key, by_name[0])
            follower.waiters = by_name
            follower.deadline_ns = min(waiter.deadline_ns for waiter in by_name)
            if order_id is None:
                follower.bearer, follower.ours = row, pursuit.ours
            self._go(follower, now_ns)
        else:
            for waiter in by_name:
                self._join(follower, waiter, now_ns)
        # What left for them stays known, so that nobody is told that nothing did.
        follower.sent = pursuit.sent + follower.sent
        follower.first_sent_ns = pursuit.first_sent_ns or follower.first_sent_ns
        self._schedule(follower)

    def _family_shrank(self, family: Family, route: Route, now_ns: int) -> None:
        if family.done or family.children is not None:
            return
        if not family.left and family.acked_ns is not None:
            self._family_over(family, route, now_ns)
        elif family.oks and self._accounted(family) and family.acked_ns is None and family.pending:
            self._family_accepted(family, next(iter(family.pending.values())), now_ns)

    def _family_over(self, family: Family, route: Route, now_ns: int) -> None:
        """Nothing rests of what an accepted family is known to have meant.

        An order under its userref that was heard of only since may have been meant too, and may yet be refused.
        """
        known = family.key.kind == "all" or self.resting.open_under(int(family.key.value)) <= family.meant
        if known:
            self._settle(family, family.ending(self.resting), route, now_ns)
        else:
            family.query_ns = now_ns + self._policy.hedge_ns
            self._schedule(family)

    def _opened(self, row: Row, now_ns: int) -> None:
        """An order appeared. If a cancel for it came too early, this is the moment to repeat it."""
        if self.tells_opened:
            self.effects.append(Opened(row))
        order = Target("order_id", row.order_id)
        keys = [order]
        if row.cl_ord_id is not None:
            keys.append(Target("cl_ord_id", row.cl_ord_id))
            self._identify(keys[1], order)
        for key in keys:
            pursuit = self._active.get(key)
            if pursuit is None or pursuit.acked_ns is not None or pursuit.pending:
                continue
            if pursuit.denied_ns is None and not pursuit.nameless:
                continue
            pursuit.nameless = False
            pursuit.retry_ns = FAR_NS
            self._go(pursuit, now_ns)
            self._schedule(pursuit)
        if row.userref is not None:
            for family in list(self._families):
                early = family.denied_ns is not None and family.acked_ns is None and not family.pending
                if early and family.key == Target("userref", row.userref):
                    family.retry_ns = FAR_NS
                    self._go(family, now_ns)
                    self._schedule(family)

    def _identify(self, named: Target, order: Target) -> None:
        """A pursuit by client order id goes on under the order's own id: others join it, and its state can be asked."""
        pursuit = self._active.get(named)
        # One that was accepted already went after whatever bore the name then; this order may be a newer one.
        if pursuit is not None and pursuit.acked_ns is None and order not in self._active:
            del self._active[named]
            self._active[order] = pursuit
            pursuit.key = order
            pursuit.bearer = None
            pursuit.ours = False

    def _seen_open(self, pursuit: Pursuit) -> bool:
        """Whether the order stream says that it rests, or that some of its family does."""
        if pursuit.key.kind == "userref":
            return bool(self.resting.open_under(int(pursuit.key.value)))
        if pursuit.key.kind != "order_id":
            return False
        row = self.resting.get(str(pursuit.key.value))
        return row is not None and row.status == "open"

    # ---------------------------------------------------------------- the one answer

    def _settle(self, pursuit: Pursuit, outcome: Outcome, route: Route, now_ns: int) -> None:
        self._reply(pursuit, pursuit.waiters, outcome, route, now_ns, now_ns)

    def _reply(
        self,
        pursuit: Pursuit,
        due: list[Waiter],
        outcome: Outcome,
        route: Route,
        answered_ns: int | None,
        now_ns: int,
    ) -> None:
        """Answer some of those who wait; with the last of them the pursuit is over."""
        answered = set(due)
        pursuit.waiters = [waiter for waiter in pursuit.waiters if waiter not in answered]
        if isinstance(outcome, Unknown):
            pursuit.answered_unknown += tuple(due)
        for waiter in due:
            self._answer(pursuit, waiter, outcome, route, answered_ns, now_ns)
        self._go_on_or_finish(pursuit, now_ns)

    def _go_on_or_finish(self, pursuit: Pursuit, now_ns: int) -> None:
        if pursuit.waiters:
            pursuit.deadline_ns = min(waiter.deadline_ns for waiter in pursuit.waiters)
        else:
            self._finish(pursuit, now_ns)

    def _finish(self, pursuit: Pursuit, now_ns: int) -> None:
        pursuit.done = True
        if type(pursuit) is Family:
            del self._families[pursuit]
        else:
            del self._active[pursuit.key]
        self._unqueue(pursuit)
        if pursuit.asking:
            self._queries.pop(pursuit, None)
        if self._held or self._throttled:
            self._held.pop(pursuit, None)
            self._throttled.pop(pursuit, None)
        for attempt in list(pursuit.pending.values()):
            self._close_attempt(pursuit, attempt, now_ns)
        if pursuit.answered_unknown and type(pursuit) is not Family:
            self._remember_doubt(pursuit, now_ns)

    def _remember_doubt(self, pursuit: Pursuit, now_ns: int) -> None:
        """Keep those who were answered `unknown` findable by their order, together with those of an earlier pursuit."""
        earlier = self._doubtful.pop(pursuit.key, None)
        if earlier is not None:
            pursuit.answered_unknown = earlier.answered_unknown + pursuit.answered_unknown
            earlier.answered_unknown = ()
        pursuit.finished_ns = now_ns
        self._doubtful[pursuit.key] = pursuit
        if len(self._doubtful) > self._policy.late_limit:
            del self._doubtful[next(iter(self._doubtful))]

    def _answer(
        self,
        pursuit: Pursuit,
        waiter: Waiter,
        outcome: Outcome,
        route: Route,
        answered_ns: int | None,
        now_ns: int,
    ) -> None:
        settlement = self._settlement(pursuit, waiter, outcome, route, answered_ns)
        if type(waiter.ticket) is Child:
            self._child_told(waiter.ticket, settlement, now_ns)
        elif type(waiter.ticket) is not Sweep:
            self.effects.append(Answer(waiter.ticket, settlement))

    def _answer_ended(self, waiter: Waiter, row: Row, now_ns: int) -> None:
        """The order is known to have ended before anybody asked: nothing is sent."""
        pursuit = Pursuit(Target("order_id", row.order_id), waiter)
        self._answer(pursuit, waiter, ending(pursuit, row), "stream", now_ns, now_ns)

    def _settlement(
        self, pursuit: Pursuit, waiter: Waiter, outcome: Outcome, route: Route, answered_ns: int | None
    ) -> Settlement:
        refused = type(outcome) is Refused
        key = pursuit.key
        settlement = Settlement(
            venue=self.venue,
            target=waiter.target,
            outcome=outcome,
            route=route,
            attempts=pursuit.attempts,
            sent_ns=None if refused else pursuit.first_sent_ns,
            answered_ns=answered_ns,
            error=None if refused or type(outcome) is Acked else pursuit.error,
            order_id=str(key.value) if key.kind == "order_id" else None,
        )
        if key.kind != "all":
            return settlement
        assert type(pursuit) is Family
        # At the acceptance the events are still on their way: what was counted as cancelled does not rest.
        counted = isinstance(outcome, Acked) and pursuit.count is not None and pursuit.count >= len(pursuit.meant)
        gone = counted or isinstance(outcome, Canceled)
        # Of one that never got under way nothing is known to be meant, so all that rests is left.
        all_left = not (pursuit.meant or pursuit.attempts)
        residual = () if gone else tuple(i for i in self.resting.open_ids() if all_left or i in pursuit.left)
        return msgspec.structs.replace(settlement, count=pursuit.count, residual=residual)


def _take_back(pursuit: Pursuit) -> None:
    """Its last request by REST failed before a byte had left."""
    at = len(pursuit.sent) - 1 - pursuit.sent[::-1].index(REST)
    pursuit.sent = pursuit.sent[:at] + pursuit.sent[at + 1 :]
    pursuit.unsent |= {REST}
    if not pursuit.sent:
        pursuit.first_sent_ns = None


def _named_in(orders: Iterable[OrderState]) -> set[Target]:
    """Every name under which an answer tells of an order."""
    told: set[Target] = set()
    for state in orders:
        told.add(Target("order_id", state.order_id))
        if state.cl_ord_id is not None:
            told.add(Target("cl_ord_id", state.cl_ord_id))
    return told
