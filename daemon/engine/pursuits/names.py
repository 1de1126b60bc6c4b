"""Waiters by client order id: a name outlives its order, and a newer order may bear it."""

from ...contract.ids import Target
from ..resting import Row
from .answers import Answers
from .docket import Docket
from .ports import Chase
from .pursuit import Pursuit
from .said import ACCEPTED


class Names:
    """Pursuits by client order id."""

    def __init__(self, docket: Docket, answers: Answers) -> None:
        self._docket = docket
        self._answers = answers
        self.chase: Chase

    def follow(self, pursuit: Pursuit, now_ns: int) -> None:
        """Go on by client order id for those who asked by it, after the order that bore it has ended."""
        row = pursuit.follows_name()
        if pursuit.key.kind == "cl_ord_id":
            pursuit.bearer = row
            if not pursuit.pending:
                self._answers.conclude(pursuit, now_ns)
            return
        self.part(pursuit, row, now_ns)

    def part(self, pursuit: Pursuit, row: Row | None, now_ns: int) -> None:
        """Let those who asked by client order id go on by it. row: the order that bore it, if it has ended."""
        by_name = [waiter for waiter in pursuit.waiters if waiter.target.kind == "cl_ord_id"]
        if not by_name:
            return
        pursuit.waiters = [waiter for waiter in pursuit.waiters if waiter.target.kind != "cl_ord_id"]
        # The earliest deadline may have been of a waiter who left.
        self._answers.go_on_or_finish(pursuit, now_ns)
        named = by_name[0].target
        order_id = self._docket.resting.open_as(str(named.value))
        key = named if order_id is None else Target("order_id", order_id)
        follower = self._docket.pursued.get(key)
        if follower is None:
            follower = self._docket.pursued[key] = Pursuit(key, by_name[0])
            follower.waiters = by_name
            follower.deadline_ns = min(waiter.deadline_ns for waiter in by_name)
            if order_id is None:
                follower.bearer, follower.ours = row, pursuit.ours
            self.chase.go(follower, now_ns)
        else:
            for waiter in by_name:
                self.chase.join(follower, waiter, now_ns)
        # Requests that left before count for the follower too: `refused` would claim that none did.
        follower.sent = pursuit.sent + follower.sent
        follower.first_sent_ns = pursuit.first_sent_ns or follower.first_sent_ns
        self._docket.schedule(follower)

    def identify(self, named: Target, order: Target) -> None:
        """A pursuit by client order id goes on under the order's own id: others join it, and its state can be asked."""
        pursuit = self._docket.pursued.get(named)
        # An accepted cancel hit whichever order bore the name then; this may be a newer order.
        if pursuit is not None and pursuit.said is not ACCEPTED and order not in self._docket.pursued:
            del self._docket.pursued[named]
            self._docket.pursued[order] = pursuit
            pursuit.identified(order)

    def is_named(self, pursuit: Pursuit, order_id: str) -> bool:
        """Whether an ack that names its order can be this pursuit's; one by client order id learns its order so."""
        order = Target("order_id", order_id)
        if pursuit.key.kind == "cl_ord_id" and not pursuit.done:
            self.identify(pursuit.key, order)
        return pursuit.key == order or pursuit.key.kind == "cl_ord_id"
