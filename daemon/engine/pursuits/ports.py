"""The two ways up in this package: what the lower floors ask of the ones above them."""

from typing import Any, Protocol

from ...contract.ids import Target
from ...contract.outcomes import Settlement
from .family import Child
from .pursuit import Pursuit, Waiter


class Parent(Protocol):
    """Hears what became of one order of a family."""

    def child_told(self, child: Child, settlement: Settlement, now_ns: int) -> None:
        """One of a family's orders was settled, in time or late: with the last of them the family is."""
        ...


class Chase(Protocol):
    """Goes after one order more, or lets a ticket join in."""

    def submit(
        self, ticket: Any, target: Target, proof: bool, deadline_ns: int, now_ns: int, symbol: str | None = None
    ) -> None:
        """Go after `target` for `ticket`: exactly one Answer follows, at the deadline at the latest."""
        ...

    def join(self, pursuit: Pursuit, waiter: Waiter, now_ns: int) -> None:
        """Let a waiter share what is under way for the order that it asked for."""
        ...

    def go(self, pursuit: Pursuit, now_ns: int) -> None:
        """Send it by the best route there is now, tried or not; when there is none, try again soon."""
        ...
