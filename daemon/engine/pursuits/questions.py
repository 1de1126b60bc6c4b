"""Questions about orders leave here: queries and lists by REST, looks on a session where REST cannot tell."""

from typing import Any

from ...contract.ids import EVERYTHING, Reqid
from ..calls import Call
from ..effects import Look, RestReady
from ..lane import Lane
from .docket import Docket
from .family import Family
from .pursuit import Pursuit
from .said import ACCEPTED

LOOK_LIMIT = 100
"""Most looks at single orders that are under way: a venue may bear few subscriptions, and each is one. Whoever asks
beyond shares a look at everything."""


class Questions:
    """Questions on their way out."""

    def __init__(self, docket: Docket) -> None:
        self._docket = docket
        self.queries: dict[Pursuit, None] = {}
        self.looks: dict[Reqid, tuple[Lane, Pursuit | Call | list[Pursuit]]] = {}
        self.crowd: list[Pursuit] = []
        self._crowd_ns = 0

    def ask(self, pursuit: Pursuit, now_ns: int) -> None:
        """Have the order's state asked for. By client order id not every venue can be asked."""
        if pursuit.asking or (self._by_name(pursuit) and not self._by_end(pursuit)):
            return
        if self._docket.policy.rest:
            pursuit.asks()
            self.queries[pursuit] = None
            self._docket.effects.append(RestReady())
            return
        # The session used least tells as well as any other, and better where the busy one has gone mute.
        live = self._docket.lanes.live[::-1]
        quiet = self._docket.quiet
        if live and not (live := [lane for lane in live if not quiet.holds(lane, now_ns)]):
            pursuit.asks_at(quiet.ends_ns(now_ns))
            return
        if live:
            live = pursuit.askers(live, now_ns)
        lane = next((lane for lane in live if lane not in pursuit.pending), live[0] if live else None)
        if lane is None:
            pursuit.asks_at(now_ns + self._docket.policy.hedge_ns)
            return
        if not pursuit.lists and len(self.looks) >= LOOK_LIMIT:
            self._look_with_others(pursuit, lane, now_ns)
            return
        pursuit.asks()
        self.look(pursuit, lane, str(pursuit.key.value) if pursuit.key.kind == "order_id" else None)

    def _by_name(self, pursuit: Pursuit) -> bool:
        """Whether it goes by a client order id, by which no order's state can be asked for."""
        return pursuit.key.kind == "cl_ord_id" and not self._docket.policy.named_queries

    def _by_end(self, pursuit: Pursuit) -> bool:
        """Whether a list of what has ended may name its order: the venue took the cancel, and proof is waited for."""
        return self._docket.policy.named_ends and pursuit.said is ACCEPTED and pursuit.acked_by is not None

    def _look_with_others(self, pursuit: Pursuit, lane: Lane, now_ns: int) -> None:
        """Share one look at everything with all who ask in this step; later ones wait until it is over."""
        if not self.crowd:
            self._crowd_ns = now_ns
            self.look(self.crowd, lane, None)
        elif self._crowd_ns != now_ns:
            pursuit.asks_at(now_ns + self._docket.policy.hedge_ns)
            return
        pursuit.asks()
        self.crowd.append(pursuit)

    def look(self, asker: Pursuit | Call | list[Pursuit], lane: Lane, order_id: str | None) -> None:
        """Ask on a session for one order's state, or (order_id None) for all that is open."""
        self._docket.counts.queries += 1
        reqid = self._docket.reqids.draw()
        self.looks[reqid] = (lane, asker)
        self._docket.effects.append(Look(lane, reqid, order_id))

    def relist(self, asker: Pursuit | Call) -> bool:
        """REST did not tell: have the least used session list anew what is open. False where no session can.

        For a kill the one that was heard last: a mute one would keep its answer back until it is given up.
        """
        lanes = self._docket.lanes
        if not self._docket.policy.relists or not lanes.live:
            return False
        lane = lanes.live[-1]
        if isinstance(asker, Call):
            lane = max(reversed(lanes.live), key=lambda one: lanes.heard_ns.get(one, 0))
        # Its stream is ended for this: orders placed before it begins anew are not told.
        self._docket.lanes.witnesses.pop(lane, None)
        self.look(asker, lane, None)
        return True

    def next_query(self, now_ns: int) -> Call | None:
        """The next question for REST: one list for all families, or as many orders as one query may name."""
        asked: list[Pursuit] = []
        for pursuit in list(self.queries):
            if pursuit.lists:
                if not asked:
                    return self._next_list(now_ns)
            elif self._by_name(pursuit):
                if not self._by_end(pursuit):
                    # Its acceptance was taken back since it asked.
                    del self.queries[pursuit]
                    pursuit.asking = False
                elif not asked:
                    return self._next_ended(pursuit, now_ns)
            elif len(asked) < self._docket.policy.query_limit and not (asked and pursuit.alone):
                del self.queries[pursuit]
                asked.append(pursuit)
                if pursuit.alone:
                    break
        if not asked:
            return None
        self._docket.counts.queries += 1
        return Call(form="query", targets=tuple(p.key for p in asked), pursuits=tuple(asked), asked_ns=now_ns)

    def _next_list(self, now_ns: int) -> Call:
        """One list of open orders for all the families that want one; of its own userref where it is one alone."""
        families = [pursuit for pursuit in self.queries if type(pursuit) is Family]
        for family in families:
            del self.queries[family]
            family.listed_ns, family.listed_by, family.listed_whole = now_ns, "rest", len(families) > 1
        key = families[0].key if len(families) == 1 else EVERYTHING
        self._docket.counts.queries += 1
        return Call(form="open_orders", targets=(key,), pursuits=tuple(families), asked_ns=now_ns)

    def _next_ended(self, first: Pursuit, now_ns: int) -> Call:
        """One list of what has ended since the cancel left, for all whose cancels left in the same request.

        An end from before that is another order's which bore the name earlier.
        """
        assert first.acked_by is not None
        since_ns = first.acked_by.sent_ns
        # One that the venue called pending may rest yet, while an earlier order of its name has just ended.
        surely = first.pending_told
        together = [one for one in self.queries if self._left_at(one) == since_ns and one.pending_told == surely]
        for pursuit in together:
            del self.queries[pursuit]
        key = first.key if len(together) == 1 else EVERYTHING
        self._docket.counts.queries += 1
        asked: dict[str, Any] = {"asked_ns": now_ns, "since_ns": since_ns, "surely": surely}
        return Call(form="ended", targets=(key,), pursuits=tuple(together), **asked)

    def _left_at(self, pursuit: Pursuit) -> int | None:
        """When the cancel left whose effect a list of ends is to name; None where none is."""
        if not self._by_name(pursuit) or not self._by_end(pursuit) or pursuit.acked_by is None:
            return None
        return pursuit.acked_by.sent_ns

    def look_up(self, pursuit: Pursuit, now_ns: int) -> None:
        """The answer leaves open whether it was cancelled: ask for its state, and cancel it alone if it rests."""
        pursuit.doubted()
        pursuit.single = True
        self.ask(pursuit, now_ns)
        pursuit.retries_at(now_ns + self._docket.policy.hedge_ns)
