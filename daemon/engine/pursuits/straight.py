"""The plain cancel and its plain ack, judged and written down without a detour: the engine's half of the straight line.

Nothing here decides anything that the long way (`front`, `sessions`) would not: `lane_for` and `plain_ack` say yes
only where the long way has no choice, and `left` and `accepted` leave every table as it would. Whatever is odd is not
ours. tests/tasks/test_straight.py drives both ways with the same histories and compares all that is left behind.
"""

from collections.abc import Callable
from typing import Any

from ...contract.evidence import CancelAck, Evidence
from ...contract.ids import Reqid, Target
from ..effects import Send
from ..inflight import Attempt
from ..lane import Lane, route_of
from .docket import Docket
from .pursuit import Pursuit, Waiter
from .said import NOTHING


class Straight:
    """One venue's. `lane_for` is asked before a frame leaves and changes nothing; `left` is told after it has."""

    def __init__(self, docket: Docket) -> None:
        self.on = True
        """Off, nothing is plain: for tests that compare the two ways."""
        self.draw: Callable[[], Reqid] = docket.reqids.draw
        """The id of the request that is about to leave."""
        self._docket = docket
        policy = docket.policy
        # A cancel that has to name a symbol may have to wait for it, and answers told on every session come twice.
        self._plain_venue = not policy.symbols and not policy.shared
        self._any_name = not policy.uuids

    def lane_for(self, target: Target) -> Lane | None:
        """The session by which the cancel of this order (by order id) would leave now; None where anything is odd."""
        docket = self._docket
        lanes = docket.lanes
        if not (self.on and self._plain_venue and lanes.live) or lanes.stale or lanes.closed_until:
            return None
        # Somebody is after the order; or there is something to be done first, in the sequence in which it was asked.
        if target in docket.pursued or docket.effects or docket.decisions or docket.mode == "maintenance":
            return None
        order_id = str(target.value)
        row = docket.resting.get(order_id)
        if (row is not None and row.ended) or not (self._any_name or lanes.knows(order_id)):
            return None
        return lanes.live[0]

    def left(
        self,
        ticket: Any,
        target: Target,
        symbol: str | None,
        lane: Lane,
        reqid: Reqid,
        deadline_ns: int,
        now_ns: int,
    ) -> None:
        """A plain cancel was written, or died on the way: enter what `Pursuits.submit` would have entered before.

        now_ns: as when `lane_for` was asked.
        """
        docket = self._docket
        pursuit = docket.pursued[target] = Pursuit(target, Waiter(ticket, target, False, deadline_ns, now_ns))
        if symbol is not None:
            pursuit.symbol = symbol
        attempt = docket.inflight.enter(reqid, pursuit, lane, now_ns)
        pursuit.leaves(attempt, now_ns + docket.policy.hedge_ns, docket.resting, False)
        docket.schedule(pursuit)

    def leaves(self, lane: Lane, reqid: Reqid, target: Target) -> None:
        """A plain cancel was entered by `left` before its frame, as something odd has come: it leaves with all else."""
        self._docket.effects.append(Send(lane, reqid, target))

    def plain_ack(self, lane: Lane, evidence: Evidence) -> "Attempt[Pursuit] | None":
        """The request that this accepts, where its order has one waiter, who wants no proof, and there was nothing else
        about it; None where anything is odd. Changes nothing."""
        docket = self._docket
        if type(evidence) is not CancelAck or evidence.event_id is not None or not (self.on and self._plain_venue):
            return None
        attempt = docket.inflight.find(evidence.reqid)
        if attempt is None or attempt.lane != lane:
            return None
        pursuit = attempt.of
        if type(pursuit) is not Pursuit or pursuit.said is not NOTHING or len(pursuit.waiters) != 1 or pursuit.done:
            return None
        # Nothing is out for it but this request, no question is asked about it, and it waits in no queue.
        if len(pursuit.pending) != 1 or pursuit.pending.get(lane) is not attempt or pursuit.asking or pursuit.queued:
            return None
        if docket.held or docket.throttled or docket.effects or docket.decisions or pursuit.answered_unknown:
            return None
        key, (waiter,) = pursuit.key, pursuit.waiters
        if waiter.proof or key.kind != "order_id" or waiter.target != key or pursuit.pending_told:
            return None
        if evidence.order_id is not None:
            row = docket.resting.get(evidence.order_id)
            if evidence.order_id != key.value or (row is not None and row.ended):
                return None
        told = pursuit.end is not None or pursuit.received_told is not None
        return None if told or pursuit.first_sent_ns is None else attempt

    def accepted(self, attempt: Attempt[Pursuit], now_ns: int) -> None:
        """The waiter of a request that `plain_ack` gave was answered: its pursuit is over. now_ns: of the ack."""
        docket, pursuit, lane = self._docket, attempt.of, attempt.lane
        docket.lanes.heard_ns[lane] = now_ns
        docket.close_attempt(pursuit, attempt, now_ns)
        pursuit.accepted(route_of(lane), now_ns)
        pursuit.waiters = []
        pursuit.done = True
        del docket.pursued[pursuit.key]
