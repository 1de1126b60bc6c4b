"""Holds what strategies are told against the exchange's own book, as it stands at that moment."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from canceld.contract.ids import Venue
from canceld.sim.exchange import Order, State
from canceld.sim.server import DEFAULT_ACCOUNT, SimulatedKraken
from canceld.transport.clock import VirtualClock

from .meaning import is_meant


class Judge:
    """Every outcome is judged by the book of the venue that it names; one that the book contradicts fails the story."""

    def __init__(
        self, exchange: SimulatedKraken, clock: VirtualClock, strategies: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        """strategies: as configured."""
        self._strategies = strategies or {}
        self._exchange = exchange
        self._book = exchange.exchange
        self._clock = clock
        self.fills_get_lost = False
        """Whether the Futures feed may lose a fill: it numbers no events, and the end of an order bears no amount."""

    def hear(self, reply: Mapping[str, Any], asked_ns: int, scope: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Judge one reply. asked_ns: when it was asked for, monotonic. scope: what its command was narrowed to."""
        if reply["type"] == "outcome" and "outcome" in reply:
            self._outcome(reply, asked_ns)
        for outcome in reply.get("outcomes", ()):
            self._outcome(outcome, asked_ns)
        if reply.get("dry_run"):
            return
        if reply["type"] == "all":
            for venue, told in reply["venues"].items():
                self._all(venue, told, asked_ns, scope)
        if reply["type"] == "killed":
            for venue, told in reply["venues"].items():
                assert told["state"] != "flat" or not self._left(venue, asked_ns, scope), f"{told} on {venue}"

    def _outcome(self, told: Mapping[str, Any], asked_ns: int) -> None:
        venue: Venue = told["venue"]
        # It is not told where the clock of an earlier life read it.
        received_ns = told.get("received_ns", asked_ns)
        if told["outcome"] in ("unknown", "rejected", "refused"):
            return
        if told["outcome"] == "not_open":
            for bearer in self._bearers(venue, told):
                # An order placed since the asking may bear the same name; one that was there then may not.
                assert self._placed_after(bearer, received_ns), f"{told} while {bearer.order_id} rests"
        if "order_id" not in told:
            return
        order = self._book.order(DEFAULT_ACCOUNT, venue, told["order_id"])
        if order is None:
            assert told["outcome"] == "not_open" or "cause" in told, f"{told} for an order that never was"
            return
        none_was_known = told["outcome"] == "not_open" or "cause" in told
        if none_was_known and self._placed_after(order, received_ns):
            return
        if told["outcome"] == "acked" and self._pending(order):
            return
        assert order.state is not State.OPEN, f"{told} for an order that rests"
        if told["outcome"] == "canceled":
            assert order.state is State.CANCELED, f"{told} for an order that is {order.state}"
        if "state" in told:
            assert told["state"] == order.state.value, told
        if "filled_qty" in told:
            behind = self.fills_get_lost and venue == "futures" and told["route"] == "stream"
            assert Decimal(told["filled_qty"]) == order.filled or behind, told

    def _all(
        self, venue: Venue, told: Mapping[str, Any], asked_ns: int, scope: Sequence[Mapping[str, Any]] | None
    ) -> None:
        for order_id in told.get("order_ids", ()) if scope is not None else ():
            order = self._book.order(DEFAULT_ACCOUNT, venue, order_id)
            assert order is not None, f"{order_id} was told to be cancelled and never was"
            assert self._means(order, asked_ns, scope), f"{order_id} is outside of {scope}"
            # An accepted cancel can be overtaken by a fill.
            assert order.state is not State.OPEN or self._pending(order), f"{told} while {order_id} rests"
        if scope is not None and told["outcome"] == "acked":
            # Of an order that no stream has told of yet only a list tells, and that is had for proof.
            return
        if told["outcome"] in ("acked", "canceled", "not_open", "closed"):
            for order in self._left(venue, asked_ns, scope):
                admitted = order.order_id in told["residual"] or (told["outcome"] == "acked" and self._pending(order))
                assert admitted, f"{told} while {order.order_id} rests"

    def _bearers(self, venue: Venue, told: Mapping[str, Any]) -> list[Order]:
        """The open orders that bear the client's name in an outcome."""
        by_client_id = self._book.open_by_client_id(DEFAULT_ACCOUNT, venue, told.get("cl_ord_id", ""))
        by_userref = self._book.open_by_userref(DEFAULT_ACCOUNT, venue, told["userref"]) if "userref" in told else []
        return by_userref if by_client_id is None else [by_client_id, *by_userref]

    def _left(self, venue: Venue, asked_ns: int, scope: Sequence[Mapping[str, Any]] | None = None) -> list[Order]:
        """What rests at a venue and did so at the time of asking, as far as a scope means it."""
        resting = self._exchange.resting(venue, DEFAULT_ACCOUNT)
        left = [order for order in resting if not self._placed_after(order, asked_ns)]
        return left if scope is None else [order for order in left if self._means(order, asked_ns, scope)]

    def _means(self, order: Order, asked_ns: int, scope: Sequence[Mapping[str, Any]] | None) -> bool:
        asked_s = (asked_ns + self._clock.utc_ns() - self._clock.monotonic_ns()) / 1e9
        return scope is None or is_meant(order, scope, self._strategies, asked_s)

    def _placed_after(self, order: Order, monotonic_ns: int) -> bool:
        utc_ahead_ns = self._clock.utc_ns() - self._clock.monotonic_ns()
        return order.opened_s * 1e9 - utc_ahead_ns > monotonic_ns

    def _pending(self, order: Order) -> bool:
        """Whether the venue has accepted a cancel that it has yet to carry out: Prime alone says so."""
        return order.venue == "prime" and any(
            report.row["OrderID"] == order.order_id and report.row["OrdStatus"] == "PendingCancel"
            for report in self._exchange.prime.states(order.account)
        )
