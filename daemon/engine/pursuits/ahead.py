"""A crowd that shares a deadline is answered slice by slice, begun early enough for its last to be in time."""

from operator import attrgetter

from ..crowd import CROWD, LOOK_NS, to_begin
from .answers import Answers
from .docket import Docket
from .pursuit import Pursuit

_deadline_ns = attrgetter("deadline_ns")


class Ahead:
    """Those of a crowd whose answers are begun; see ../crowd.py for when."""

    def __init__(self, docket: Docket, answers: Answers) -> None:
        self._docket = docket
        self._answers = answers
        self._begun: list[Pursuit] = []
        self._until_ns = 0

    def look(self, now_ns: int) -> None:
        """Begin, where the last could not be answered in time otherwise."""
        docket = self._docket
        if len(docket.pursued) < CROWD or docket.looks_ahead_ns > now_ns:
            return
        docket.looks_ahead_ns = now_ns + LOOK_NS
        if not self._begun:
            crowd = sorted(docket.pursued.values(), key=_deadline_ns)
            begun = to_begin(list(map(_deadline_ns, crowd)), now_ns)
            if begun:
                self._begun = crowd[:begun][::-1]
                self._until_ns = crowd[begun - 1].deadline_ns
        if self._begun:
            docket.looks_ahead_ns = now_ns

    def step(self, now_ns: int) -> bool:
        """Answer those who wait for one pursuit with what can honestly be said before their deadline; False for none
        left."""
        if not self._begun:
            return False
        pursuit = self._begun.pop()
        for waiter in pursuit.waiters:
            if waiter.deadline_ns <= self._until_ns:
                waiter.deadline_ns = min(waiter.deadline_ns, now_ns)
        if not pursuit.done:
            self._answers.expire(pursuit, now_ns)
            self._docket.schedule(pursuit)
        return True
