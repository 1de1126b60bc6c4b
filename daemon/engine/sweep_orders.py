"""The orders that a sweep believes to rest, and what a look does to that belief.

What a stream or a list told of is believed until an end is told of it, or until a look that was begun late enough to
show it does not. Times are monotonic nanoseconds.
"""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Final

from .instants import MS
from .resting import FRESH_NS

KNOWN_LIMIT: Final = 10_000
"""Most orders whose ids are kept. More are counted, so the venue is not flat, and seen by id once others are gone."""

SINGLES_LIMIT: Final = 100
"""Most cancels of single orders in a second; beyond it the cancel-all of the next round has to do."""


class Believed:
    """An order believed to rest: since when, when somebody last told of it, in how many looks it was shown, and whether
    it was asked for singly."""

    __slots__ = ("asked", "shown", "since_ns", "told_ns")

    def __init__(self, since_ns: int, told_ns: int) -> None:
        self.since_ns = since_ns
        self.told_ns = told_ns
        self.shown = 0
        self.asked = False

    def wants_single(self, now_ns: int, *, mass: bool, accepted: bool) -> bool:
        """Whether cancelling everything has had its chance with this order: a cancel-all may be broken for some."""
        if not mass:
            # What the caller walks is what the stream told; what only looks show has to be named.
            return self.shown > 0
        return self.shown > (1 if accepted else 0) or now_ns - self.since_ns >= FRESH_NS


class BelievedOrders:
    """The orders of one venue by id, the one asked for longest ago first.

    vanished: how many went by a cancel or between two looks. single_took: an order that was asked for singly went so.
    """

    def __init__(self, now_ns: int) -> None:
        self.vanished = 0
        self.single_took = False
        self._orders: dict[str, Believed] = {}
        self._beyond = 0
        self._singles = 0
        self._singles_since_ns = now_ns

    def __len__(self) -> int:
        """How many rest, those counted and not kept included."""
        return len(self._orders) + self._beyond

    def __iter__(self) -> Iterator[str]:
        return iter(self._orders)

    @property
    def named(self) -> bool:
        """Whether the id of any is known."""
        return bool(self._orders)

    def items(self) -> list[tuple[str, Believed]]:
        """All that are kept, to be asked for in this sequence."""
        return list(self._orders.items())

    def get(self, order_id: str) -> Believed | None:
        """The order with this id."""
        return self._orders.get(order_id)

    def believe(self, order_id: str, now_ns: int, told_ns: int) -> None:
        """It rests, as far as is known."""
        if order_id in self._orders:
            return
        if len(self._orders) < KNOWN_LIMIT:
            self._orders[order_id] = Believed(now_ns, told_ns)
        else:
            self._beyond += 1

    def ended(self, order_id: str, *, canceled: bool) -> bool:
        """A stream told of its end; whether it was believed to rest."""
        order = self._orders.pop(order_id, None)
        if order is None:
            return False
        self.vanished += canceled
        self.single_took |= canceled and order.asked
        return True

    def ask(self, order_id: str, order: Believed, now_ns: int) -> bool:
        """Whether it may be cancelled singly now; then it stands last. Not once this second's singles are spent: the
        next round goes on where this one ended."""
        if now_ns - self._singles_since_ns >= 1000 * MS:
            self._singles_since_ns, self._singles = now_ns, 0
        if self._singles >= SINGLES_LIMIT:
            return False
        self._singles += 1
        order.asked = True
        self._orders[order_id] = self._orders.pop(order_id)
        return True

    def take_in(self, open_ids: Collection[str], begun_ns: int) -> int | None:
        """The orders of a look replace those believed in, except what it was begun too early to show.

        Gives when a look is sure to show those, where they alone are left; else None.
        """
        listed: dict[str, None] = dict.fromkeys(open_ids)
        old_ns = 0
        for order_id, order in list(self._orders.items()):
            if order_id in listed:
                order.shown += 1
                del listed[order_id]
            elif order.shown or begun_ns >= order.told_ns + FRESH_NS:
                del self._orders[order_id]
                self.vanished += 1
                self.single_took |= order.asked
            else:
                old_ns = max(old_ns, order.told_ns + FRESH_NS)
        self._shown(listed, begun_ns)
        return old_ns if old_ns and not listed else None

    def _shown(self, listed: Collection[str], begun_ns: int) -> None:
        """They rest, though none of them is known yet."""
        room = max(KNOWN_LIMIT - len(self._orders), 0)
        for order_id in islice(listed, room):
            order = self._orders[order_id] = Believed(begun_ns, begun_ns)
            order.shown = 1
        self._beyond = max(len(listed) - room, 0)
