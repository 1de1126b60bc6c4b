"""What a crowd that shares a deadline will be told at it, made ready slice by slice while there is time.

Nothing is answered here, and nothing changes for a pursuit: at its deadline the foreseen answer is given if nothing has
happened to the pursuit since, and else the answer is made as for anybody.
"""

from operator import attrgetter

from ...contract.outcomes import Unknown
from ..crowd import CROWD, LOOK_NS, may_begin, to_begin
from ..effects import Foreseen
from .answers import Answers
from .docket import Docket
from .family import Child, StandIn
from .judgement import Judgement
from .pursuit import Foresight, Pursuit
from .said import NOTHING

_deadline_ns = attrgetter("deadline_ns")


class Ahead:
    """Those of a crowd whose answers are being foreseen; see ../crowd.py for when."""

    def __init__(self, docket: Docket, judgement: Judgement, answers: Answers) -> None:
        self._docket = docket
        self._judgement = judgement
        self._answers = answers
        self._begun: list[Pursuit] = []

    def look(self, now_ns: int) -> None:
        """Begin, where the last could not be answered in time otherwise."""
        docket = self._docket
        if len(docket.pursued) < CROWD or docket.looks_ahead_ns > now_ns:
            return
        docket.looks_ahead_ns = now_ns + LOOK_NS
        if not self._begun:
            crowd = [one for one in docket.pursued.values() if not one.looked_ahead]
            if len(crowd) < CROWD or not may_begin(min(map(_deadline_ns, crowd)), len(crowd), now_ns):
                return
            crowd.sort(key=_deadline_ns)
            self._begun = crowd[: to_begin(list(map(_deadline_ns, crowd)), now_ns)][::-1]
        if self._begun:
            docket.looks_ahead_ns = now_ns

    def step(self) -> bool:
        """Foresee what one pursuit will come to; False for none left."""
        if not self._begun:
            return False
        pursuit = self._begun.pop()
        pursuit.looked_ahead = True
        if pursuit.done:
            return True
        # What is not foreseen now is made at the deadline: more than one waiter, an order that is about to be denied.
        plain = type(pursuit) is Pursuit and pursuit.sent and pursuit.said is NOTHING and pursuit.denied_ns is None
        if plain and len(pursuit.waiters) == 1 and not self._docket.policy.symbols:
            [waiter] = pursuit.waiters
            outcome = self._judgement.verdict(pursuit, waiter)
            if type(outcome) is Unknown and type(waiter.ticket) not in (Child, StandIn):
                settlement = self._answers.settlement(pursuit, waiter, outcome, "none", None)
                pursuit.foreseen = Foresight(settlement, waiter, pursuit.key, pursuit.sent)
                self._docket.effects.append(Foreseen(waiter.ticket, settlement))
        return True
