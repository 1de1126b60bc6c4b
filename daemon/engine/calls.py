"""REST calls that the engine wants made, and the two kinds of asker beside the pursuits that hear of the answer."""

from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from ..contract.evidence import Fault, RestAnswer
from ..contract.ids import Target
from .lane import Lane

Form: TypeAlias = Literal["cancel", "batch", "all", "market", "query", "open_orders", "ended"]
"""Cancel one target, a batch of orders, everything, or all orders of one symbol; ask for the states of orders, for all
that is open, or for what has ended."""


class CallOwner(Protocol):
    """Who asked for a call beside the pursuits, and is told what it came to."""

    def call_answered(self, call: "Call", answer: RestAnswer, now_ns: int) -> None:
        """An HTTP answer, readable or not."""
        ...

    def call_failed(self, call: "Call", left: bool, why: str, now_ns: int) -> None:
        """No answer. left: whether any byte of it may have reached the venue."""
        ...


class FireOwner(Protocol):
    """Who had a cancel-all sent past every queue, and is told what came of it on its lane."""

    def fired_answered(self, lane: Lane, count: int | None, now_ns: int) -> None:
        """The venue took it. count: how many orders it says it cancelled, where it says so."""
        ...

    def fired_failed(self, lane: Lane, why: str, now_ns: int, fault: Fault | None = None) -> None:
        """It was refused, as the fault tells, or (None) its answer is lost."""
        ...


class Call(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One REST call for `targets`. deadline_ns: when the last of those who asked stops waiting; None for nobody's.

    since_ns: of what has ended, nothing from before then is wanted. CLOCK_MONOTONIC. surely: nor what may be from
    before, as far as the venue's clock is known.
    """

    form: Form
    targets: tuple[Target, ...]
    attempts: tuple[Any, ...] = ()
    pursuits: tuple[Any, ...] = ()
    owner: CallOwner | None = None
    asked_ns: int = 0
    deadline_ns: int | None = None
    since_ns: int = 0
    surely: bool = False

    @property
    def order_ids(self) -> tuple[str, ...]:
        """The ids of its orders, all of which are named by the venue's own."""
        return tuple(str(target.value) for target in self.targets)
