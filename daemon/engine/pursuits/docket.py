"""Which orders and families are pursued at a venue, what is to be done for them, and when the next alarm is due.

The ground that every part stands on. It decides nothing.
"""

import heapq
from typing import Literal

from ...contract.evidence import Mode
from ...contract.ids import Target, Venue
from ..crowd import CROWD
from ..effects import Counts, Decided, Effect
from ..inflight import Attempt, Inflight, Reqids
from ..instants import FAR_NS
from ..lane import Lane
from ..policy import Policy
from ..quiet import Quiet
from ..resting import Resting
from .family import Family
from .lanes import Lanes
from .pursuit import Pursuit


class Docket:
    """The pursuits of one venue, without what is done for them."""

    def __init__(self, venue: Venue, policy: Policy, reqids: Reqids, resting: Resting) -> None:
        self.venue = venue
        self.policy = policy
        self.reqids = reqids
        self.resting = resting
        self.effects: list[Effect] = []
        self.decisions: list[Decided] = []
        self.counts = Counts()
        self.mode: Mode = "unknown"
        self.lanes = Lanes(policy.rest, uuids=policy.uuids)
        self.quiet = Quiet()
        self.inflight: Inflight[Pursuit] = Inflight(reqids, memory_ns=policy.late_ns, limit=policy.late_limit)
        self.pursued: dict[Target, Pursuit] = {}
        self.families: dict[Family, None] = {}
        self.held: dict[Pursuit, None] = {}
        self.throttled: dict[Pursuit, None] = {}
        self.rest_queue: dict[Pursuit, None] = {}
        self.tells_opened = False
        """Whether an Opened follows when an order is open that was not known to be."""
        self.looks_ahead_ns = 0
        """When to look next whether a crowd is to be answered ahead of its deadline."""
        self._heap: list[tuple[int, int, Pursuit]] = []
        self._tick = 0

    @property
    def next_wake_ns(self) -> int:
        """When `on_time` has something to do; FAR_NS when it has not."""
        heap = self._heap
        while heap and (heap[0][2].done or heap[0][0] != heap[0][2].scheduled_ns):
            heapq.heappop(heap)
        due_ns = heap[0][0] if heap else FAR_NS
        if len(self.pursued) >= CROWD and self.looks_ahead_ns < due_ns:
            due_ns = self.looks_ahead_ns
        reopens_ns = self.lanes.rest_reopens_ns
        return due_ns if due_ns < reopens_ns else reopens_ns

    def schedule(self, pursuit: Pursuit) -> None:
        """Set the alarm for what the pursuit has to do next."""
        if pursuit.done:
            return
        due = min(pursuit.deadline_ns, pursuit.silent_ns, pursuit.retry_ns, pursuit.query_ns)
        if due < pursuit.scheduled_ns:
            pursuit.scheduled_ns = due
            self._tick += 1
            heapq.heappush(self._heap, (due, self._tick, pursuit))

    def close_attempt(self, pursuit: Pursuit, attempt: Attempt[Pursuit], now_ns: int) -> None:
        """This request is awaited no longer."""
        self.inflight.settle(attempt, now_ns)
        if pursuit.pending.get(attempt.lane) is attempt:
            del pursuit.pending[attempt.lane]

    def unqueue(self, pursuit: Pursuit) -> None:
        """Take the pursuit out of the queue for the REST lane."""
        if pursuit.queued:
            pursuit.queued = False
            del self.rest_queue[pursuit]

    @property
    def active(self) -> int:
        """How many pursuits are not settled."""
        return len(self.pursued) + len(self.families)

    def decide(
        self, what: Literal["hedge", "fallback", "retry", "hold"], pursuit: Pursuit, lane: Lane | None, why: str
    ) -> None:
        """Note for the record what was decided, and why."""
        told = why if pursuit.error is None else f"{why}; last heard: {pursuit.error}"
        self.decisions.append(Decided(what, pursuit.key, lane, told))

    @property
    def witnessed(self) -> bool:
        """Whether a stream has listed all that is open and tells of it from there on."""
        return bool(self.lanes.witnesses)

    @property
    def live(self) -> tuple[Lane, ...]:
        """The live WebSocket lanes, the active one first."""
        return tuple(self.lanes.live)
