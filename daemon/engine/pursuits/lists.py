"""Lists of all that is open: what they show is taken in, and what they lack is gone.

Of a long list the parts come first, and each says what rests. What must never happen here: that anything is called gone
before the whole list is there.
"""

from collections.abc import Iterable, Set

from ...contract.evidence import Looked, OrderState, RestOrders
from ...contract.ids import Reqid
from ..calls import Call
from ..lane import Lane
from ..resting import Row
from .docket import Docket
from .pursuit import Pursuit
from .questions import Questions
from .states import Named, States


class Lists:
    """What lists tell, and who is told of them."""

    def __init__(self, docket: Docket, questions: Questions, states: States) -> None:
        self._docket = docket
        self._questions = questions
        self._states = states

    def part(self, orders: Iterable[OrderState], now_ns: int) -> None:
        """Take in some of the orders that a list shows, which is not whole yet."""
        self._states.changed(self._states.recall(orders, now_ns, by_list=True), "rest", now_ns)

    def listed(self, told: RestOrders | Looked, asked_ns: int, now_ns: int) -> None:
        """Take in a list of all that is open, which may tell of ended orders too."""
        changed: list[Row] = []
        listed = told.taken
        if listed is None:
            changed = self._states.recall(told.orders, now_ns, by_list=True)
            listed = {order.order_id for order in told.orders}
        self._states.changed(changed + self._docket.resting.vanish(listed, asked_ns), "rest", now_ns)

    def absent(self, listed: Set[str], asked_ns: int, lane: Lane | None = None) -> list[Row]:
        """What a whole list lacks and what is gone by it, to be told to `gone` in pieces before the list itself.

        lane: whose stream gave it, unasked; then other streams may know better.
        """
        if lane is not None and self._docket.lanes.others_told(lane, asked_ns):
            return []
        return self._docket.resting.absent(listed, asked_ns)

    def gone(self, rows: Iterable[Row], asked_ns: int, now_ns: int) -> None:
        """Some of what `absent` gave, unless something was heard of it since."""
        self._states.changed(self._docket.resting.let_go(rows, asked_ns), "rest", now_ns)

    def looked(self, looked: Looked, now_ns: int) -> None:
        """A look on a session is over, whole or not."""
        states = self._states
        _, asker = self._questions.looks.pop(looked.reqid, (None, None))
        of_one = type(asker) is Pursuit
        if looked.complete and not of_one:
            self.listed(looked, looked.asked_ns, now_ns)
        elif looked.taken is None:
            states.changed(states.recall(looked.orders, now_ns), "stream", now_ns)
        if isinstance(asker, Call):
            assert asker.owner is not None
            if looked.complete:
                rest = tuple([state for state in looked.orders if state.status in (None, "open")])
                asker.owner.call_answered(asker, RestOrders(rest), now_ns)
            else:
                asker.owner.call_failed(asker, True, "the look at the open orders was not completed", now_ns)
        elif isinstance(asker, list):
            self._questions.crowd = []
            told = Named(looked.orders, looked.taken)
            for pursuit in asker:
                if not pursuit.done and pursuit.key in told:
                    pursuit.asking = False
                    states.queried(pursuit, told, now_ns)
                    self._docket.schedule(pursuit)
                else:
                    states.query_failed(pursuit, now_ns)
        elif asker is not None and not looked.complete:
            states.query_failed(asker, now_ns)
        elif asker is not None:
            asker.asking = False
            if asker.done:
                return
            if looked.orders or not of_one:
                states.queried(asker, Named(looked.orders, looked.taken), now_ns)
                self._docket.schedule(asker)
            else:
                # An empty answer: the venue does not know the order, or is slow to tell of it.
                states.query_failed(asker, now_ns)

    def look_failed(self, reqid: Reqid, now_ns: int) -> None:
        """A look on a session came to nothing."""
        self.looked(Looked(reqid, (), False, now_ns), now_ns)
