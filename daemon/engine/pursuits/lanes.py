"""Which routes can take a request now: the sessions in the order in which they are used, and REST."""

import re
from collections.abc import Iterator
from typing import Final

from ..instants import FAR_NS
from ..lane import REST, Lane
from .pursuit import Pursuit
from .spacing import may_leave_ns

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.I | re.A)


class Lanes:
    """The lanes of one venue. `live` holds the sessions that are up, the active one first.

    A lane is `stale` while it waits for a new token, together with the pursuits that wait with it, and closed while the
    venue wants it left alone.
    """

    def __init__(self, rest: bool, *, uuids: bool = False) -> None:
        self.live: list[Lane] = []
        self.stale: dict[Lane, dict[Pursuit, None]] = {}
        self.closed_until: dict[Lane, int] = {}
        self.rest_reopens_ns = FAR_NS
        self.rest_error = "REST was not reached yet"
        self.witnesses: dict[Lane, int] = {}
        """Lanes whose stream has listed all that is open, and when it had."""
        self.heard_ns: dict[Lane, int] = {}
        """When each lane was heard from last."""
        self._spent_until: dict[Lane, int] = {}
        self._rest = rest
        self._uuids = uuids
        self._renewed_ns: dict[Lane, int] = {}

    def up(self, lane: Lane) -> dict[Pursuit, None]:
        """A session is up, with a token and a reputation of its own; who waited for the old one's token."""
        if lane not in self.live:
            self.live.append(lane)
        self.closed_until.pop(lane, None)
        return self.stale.pop(lane, {})

    def down(self, lane: Lane) -> dict[Pursuit, None]:
        """A session is lost; who waited for its token."""
        if lane in self.live:
            self.live.remove(lane)
        return self.stale.pop(lane, {})

    def others_told(self, lane: Lane, listed_ns: int) -> bool:
        """Whether another stream would have told of what ended before this lane's list, which was received then.

        One that has not listed what is open itself knows nothing of what ended before it began.
        """
        return any(other != lane and since_ns <= listed_ns for other, since_ns in self.witnesses.items())

    # ---------------------------------------------------------------- closed for a while

    def close(self, lane: Lane, until_ns: int, *, spent: bool = False) -> None:
        """Leave a lane alone until then; a milder refusal never shortens what a harder one asked for.

        spent: nothing is wrong but that a budget has nothing left.
        """
        self.closed_until[lane] = max(until_ns, self.closed_until.get(lane, 0))
        if spent:
            self._spent_until[lane] = until_ns
        if lane == REST:
            self.rest_reopens_ns = self.closed_until[lane]

    def answered(self, lane: Lane) -> None:
        """A closed lane was used all the same, and works: whoever waits for it may go on."""
        if lane in self.closed_until:
            self.closed_until[lane] = 0
            if lane == REST:
                self.rest_reopens_ns = 0

    def reopen(self) -> None:
        """Open every lane now."""
        self.closed_until.clear()
        self.rest_reopens_ns = FAR_NS

    def usable(self, lane: Lane, now_ns: int) -> bool:
        """Whether a lane is not closed; REST only where the venue has it."""
        if lane == REST and not self._rest:
            return False
        if lane not in self.closed_until:
            return True
        if self.closed_until[lane] > now_ns:
            return False
        del self.closed_until[lane]
        return True

    def rest_reopened(self, now_ns: int) -> bool:
        """Whether REST has reopened since it was asked last."""
        if self.rest_reopens_ns > now_ns:
            return False
        self.rest_reopens_ns = FAR_NS
        return True

    # ---------------------------------------------------------------- tokens

    def await_token(self, lane: Lane, pursuit: Pursuit) -> bool:
        """Let a pursuit wait for the lane's new token; True for the first, who has to ask for it."""
        waiting = self.stale.get(lane)
        if waiting is None:
            self.stale[lane] = {pursuit: None}
            return True
        waiting[pursuit] = None
        return False

    def awaits_token(self, pursuit: Pursuit) -> bool:
        """Whether a pursuit waits for some lane's new token."""
        return any(pursuit in waiting for waiting in self.stale.values())

    def renewed_since(self, lane: Lane, sent_ns: int) -> bool:
        """Whether the lane's token is newer than a request that left then, and is not known to be dead too."""
        return lane not in self.stale and sent_ns <= self._renewed_ns.get(lane, -1)

    def token_renewed(self, lane: Lane, now_ns: int) -> dict[Pursuit, None]:
        """The lane has a new token; who waited for it."""
        self._renewed_ns[lane] = now_ns
        return self.stale.pop(lane, {})

    def token_failed(self, lane: Lane) -> dict[Pursuit, None]:
        """The lane gets no new token; who waited for it."""
        return self.stale.pop(lane, {})

    # ---------------------------------------------------------------- the plan

    def takes(self, pursuit: Pursuit, lane: Lane, now_ns: int) -> bool:
        """Whether a request of this pursuit could leave on this lane, now or as soon as its last one there is past."""
        return self._is_for(pursuit, lane) and self.usable(lane, now_ns)

    def spaced_until(self, pursuit: Pursuit, now_ns: int) -> int:
        """When the first lane takes it that does not yet, only because the last request there has just left."""
        lanes = [lane for lane in (*self.live, REST) if self.takes(pursuit, lane, now_ns)]
        return min((at_ns for lane in lanes if (at_ns := may_leave_ns(pursuit.tries, lane)) > now_ns), default=FAR_NS)

    def _is_for(self, pursuit: Pursuit, lane: Lane) -> bool:
        if lane in pursuit.pending or lane in pursuit.refused or lane in self.stale:
            return False
        return self.fits(pursuit, lane)

    def fits(self, pursuit: Pursuit, lane: Lane) -> bool:
        """Whether the lane knows such a name: on some sessions an order id that is no UUID could be anybody's."""
        return lane == REST or pursuit.key.kind != "order_id" or self.knows(str(pursuit.key.value))

    def knows(self, order_id: str) -> bool:
        """Whether the sessions take such an order id."""
        return not self._uuids or _UUID.match(order_id) is not None

    def free_for(self, pursuit: Pursuit, now_ns: int) -> Iterator[Lane]:
        """The routes of the plan that could take a request for it now: active session, other sessions, REST."""
        for lane in self.live:
            if self.takes(pursuit, lane, now_ns) and may_leave_ns(pursuit.tries, lane) <= now_ns:
                yield lane
        if self.takes(pursuit, REST, now_ns) and not pursuit.queued and may_leave_ns(pursuit.tries, REST) <= now_ns:
            yield REST

    def spent_for(self, pursuit: Pursuit) -> Lane | None:
        """The first of them that is closed only because a budget was spent."""
        for lane in self.live if pursuit.queued else (*self.live, REST):
            if self._spent_until.get(lane) == self.closed_until.get(lane, 0) and self._is_for(pursuit, lane):
                return lane
        return None

    def untried_for(self, pursuit: Pursuit, now_ns: int) -> Lane | None:
        """The first of them that was not tried for it yet."""
        for lane in self.free_for(pursuit, now_ns):
            if lane not in pursuit.sent and lane not in pursuit.unsent:
                return lane
        return None
