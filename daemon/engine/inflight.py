"""The correlation table: which request is waiting for its answer on which lane, and which was answered lately."""

from collections import deque
from typing import Generic, TypeVar

from ..contract.ids import REQID_LIMIT, Reqid
from .lane import Lane

P = TypeVar("P")


class Attempt(Generic[P]):
    """One request towards the venue for one pursuit `of`. `waiting` until it is answered, lost or given up."""

    __slots__ = ("lane", "of", "reqid", "sent_ns", "waiting")

    def __init__(self, reqid: Reqid, of: P, lane: Lane, sent_ns: int) -> None:
        self.reqid = reqid
        self.of = of
        self.lane = lane
        self.sent_ns = sent_ns
        self.waiting = True


class Reqids:
    """Request ids: strictly increasing, never used twice in a process's life, kept exact by every JSON reader."""

    def __init__(self, first: int) -> None:
        if not 0 < first < REQID_LIMIT:
            raise ValueError("the first reqid lies outside 1..2^53-2")
        self._next = first

    def draw(self) -> Reqid:
        """The next one."""
        drawn = self._next
        assert drawn <= REQID_LIMIT, "out of request ids"
        self._next = drawn + 1
        return Reqid(drawn)


class Inflight(Generic[P]):
    """Attempts by reqid. Answered ones stay findable for a while, so that a late or second answer is known as such."""

    def __init__(self, reqids: Reqids, *, memory_ns: int, limit: int) -> None:
        self._reqids = reqids
        self._memory_ns = memory_ns
        self._limit = limit
        self._by_reqid: dict[Reqid, Attempt[P]] = {}
        self._by_lane: dict[Lane, dict[Reqid, Attempt[P]]] = {}
        self._settled: deque[tuple[int, Reqid]] = deque()

    @property
    def waiting(self) -> int:
        """How many attempts wait for an answer."""
        return sum(map(len, self._by_lane.values()))

    def open(self, of: P, lane: Lane, now_ns: int) -> Attempt[P]:
        """Enter a request that is about to leave."""
        return self.enter(self._reqids.draw(), of, lane, now_ns)

    def enter(self, reqid: Reqid, of: P, lane: Lane, now_ns: int) -> Attempt[P]:
        """Enter a request under an id that was drawn for it."""
        attempt = self._by_reqid[reqid] = Attempt(reqid, of, lane, now_ns)
        on_lane = self._by_lane.get(lane)
        if on_lane is None:
            on_lane = self._by_lane[lane] = {}
        on_lane[reqid] = attempt
        return attempt

    def find(self, reqid: Reqid) -> Attempt[P] | None:
        """The attempt with this id, waiting or lately settled; None for one that is foreign or long gone."""
        return self._by_reqid.get(reqid)

    def settle(self, attempt: Attempt[P], now_ns: int) -> None:
        """Nobody waits for this attempt any more; it stays findable for a while."""
        if not attempt.waiting:
            return
        attempt.waiting = False
        del self._by_lane[attempt.lane][attempt.reqid]
        settled = self._settled
        settled.append((now_ns + self._memory_ns, attempt.reqid))
        while len(settled) > self._limit or settled[0][0] <= now_ns:
            del self._by_reqid[settled.popleft()[1]]

    def lost(self, lane: Lane, now_ns: int) -> list[Attempt[P]]:
        """The lane died: settle everything that waited on it, and return it."""
        attempts = list(self._by_lane.get(lane, {}).values())
        for attempt in attempts:
            self.settle(attempt, now_ns)
        return attempts

    def forget(self, now_ns: int) -> None:
        """Drop what was settled too long ago; called now and then, so that an idle table empties too."""
        settled = self._settled
        while settled and settled[0][0] <= now_ns:
            del self._by_reqid[settled.popleft()[1]]
