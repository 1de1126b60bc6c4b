"""A day at any venue over real TLS and ZeroMQ: every form of a cancel, judged by the exchange's own book."""

from typing import Any, Final

from tests.processes.peers import Dealer
from tests.processes.stage import START_S, Exchange, Service, until

WITHIN_S: Final = 10.0
PROOF_MS: Final = 6_000
"""For a cancel of everything with proof: Prime has no such request, and its streams must stay empty for a while."""

BATCH: Final = 45
"""More than one request of any venue takes."""

RESTING: Final = 12
ANSWERED: Final = {"acked", "canceled"}


def await_up(service: Service, venue: str) -> None:
    """Return once every connection to the venue is live."""
    until(lambda: service.status()["venues"][venue]["state"] == "up", START_S, f"{venue} is up")


def place_known(exchange: Exchange, service: Service, venue: str, count: int) -> list[str]:
    """Put orders on the book, and return once the daemon has heard of them: streams are a moment behind the book."""
    order_ids = exchange.place(count, venue=venue)
    open_orders = len(exchange.book()[venue])
    until(lambda: service.status()["venues"][venue]["open_orders"] == open_orders, WITHIN_S, "the streams told of all")
    return order_ids


def await_flat(exchange: Exchange, venue: str) -> None:
    """Return once nothing rests: an accepted cancel may need a moment to take effect."""
    until(lambda: exchange.book()[venue] == [], WITHIN_S, f"nothing rests on {venue}")


def ask_each(dealer: Dealer, venue: str, order_ids: list[str], **fields: Any) -> list[Any]:
    """One command for each order, all at once; their ids."""
    return [dealer.send(venue=venue, order_id=order_id, **fields) for order_id in order_ids]


def live_through(exchange: Exchange, service: Service, venue: str) -> None:
    """Single cancels by either name and to either certainty, a batch, and everything at once."""
    with Dealer(service.commands) as dealer:
        accepted, proved, left = place_known(exchange, service, venue, 3)
        reply = dealer.ask("cancel", venue=venue, order_id=accepted)
        assert (reply["outcome"] in ANSWERED, reply["order_id"]) == (True, accepted), reply
        reply = dealer.ask("cancel", venue=venue, order_id=proved, until="proof")
        assert reply["outcome"] == "canceled", reply
        # Proof is proof: the book is not given a moment.
        assert proved not in exchange.book()[venue]
        until(lambda: exchange.book()[venue] == [left], WITHIN_S, "the accepted cancel took effect")

        name = "5cb0e5a8-6a4b-4d2e-9a3b-3f1e6d1c7b20"
        [named] = exchange.place(1, venue=venue, cl_ord_id=name)
        reply = dealer.ask("cancel", venue=venue, cl_ord_id=name, until="proof")
        assert (reply["outcome"], reply["order_id"]) == ("canceled", named), reply
        assert exchange.book()[venue] == [left]

        batch = place_known(exchange, service, venue, BATCH)
        orders = [{"order_id": order_id} for order_id in batch]
        reply = dealer.ask("cancel_batch", venue=venue, orders=orders, until="proof")
        assert [one["order_id"] for one in reply["outcomes"]] == batch
        assert {one["outcome"] for one in reply["outcomes"]} == {"canceled"}, reply
        assert exchange.book()[venue] == [left]

        place_known(exchange, service, venue, RESTING)
        reply = dealer.ask("cancel_all", venue=venue, until="proof", deadline_ms=PROOF_MS)
        told = reply["venues"][venue]
        assert (told["outcome"], told["count"], told["residual"]) == ("canceled", RESTING + 1, []), told
        assert exchange.book()[venue] == []
        assert service.status()["in_flight"] == 0
