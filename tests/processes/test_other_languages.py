"""Bare ZeroMQ sockets against the running daemon: what a client in any other language would see."""

import random
import time
from itertools import pairwise

import pytest

from tests.processes.peers import Dealer, Encoding, Requester
from tests.processes.stage import Exchange, Service

Shared = tuple[Exchange, Service]
ENCODINGS: list[Encoding] = ["json", "msgpack"]

PINGS = 500
CANCELS = 500
LOOKS_AGAIN_NS = 450_000_000
"""Just below the half second after which a daemon that missed the wake-up would look by itself."""


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_dealer_gets_each_reply_in_its_own_encoding(shared: Shared, encoding: Encoding) -> None:
    exchange, service = shared
    [order_id] = exchange.place(1)
    with Dealer(service.commands, encoding) as dealer:
        before_ns = time.monotonic_ns()
        pong = dealer.ask("ping")
        assert pong["type"] == "pong"
        assert before_ns < pong["monotonic_ns"] < time.monotonic_ns()
        [reply] = dealer.hear_all([dealer.cancel(order_id, strategy="other", sent_ns=time.monotonic_ns())], 5.0)
        assert reply["type"] == "outcome"
        assert reply["venue"] == "spot"
        assert reply["order_id"] == order_id
        assert reply["outcome"] in ("acked", "canceled")
        assert reply["attempts"] == 1
        assert before_ns < reply["received_ns"] <= reply["sent_ns"] < reply["answered_ns"] < time.monotonic_ns()
        assert dealer.ask("status")["state"] == "serving"
        refused = dealer.ask("cancel", venue="spot")
        assert (refused["type"], refused["outcome"], refused["reason"]) == ("refused", "refused", "invalid")
    assert exchange.resting() == []


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_req_gets_its_envelope_back(shared: Shared, encoding: Encoding) -> None:
    exchange, service = shared
    [order_id] = exchange.place(1)
    with Requester(service.commands, encoding) as requester:
        assert requester.ask("ping", id=1)["id"] == 1
        reply = requester.ask("cancel", id=2, venue="spot", order_id=order_id, until="proof")
        assert (reply["id"], reply["outcome"], reply["order_id"]) == (2, "canceled", order_id)
        refused = requester.ask("no such type", id="three")
        assert (refused["id"], refused["outcome"], refused["reason"]) == ("three", "refused", "invalid")
        again = requester.ask("cancel", id=2, venue="spot", order_id=order_id, until="proof")
        assert again == {**reply, "replayed": True}
    assert exchange.resting() == []


def test_one_id_in_two_encodings_is_one_command(shared: Shared) -> None:
    exchange, service = shared
    [order_id] = exchange.place(1)
    with Dealer(service.commands, "json") as dealer:
        dealer.cancel(order_id, id="same")
        first = dealer.hear(5.0)
        dealer.encoding = "msgpack"
        dealer.cancel(order_id, id="same")
        assert dealer.hear(5.0) == {**first, "replayed": True}
    sent = [body for body in exchange.received("cancelOrder") if body["txid"] == [order_id]]
    assert len(sent) == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_a_thousand_commands_in_bursts_lose_no_wake_up(shared: Shared, seed: int) -> None:
    exchange, service = shared
    dice = random.Random(seed)
    work = ["ping"] * PINGS + exchange.place(CANCELS, pair="ETH/USD")
    dice.shuffle(work)
    with Dealer(service.commands, "msgpack") as dealer:
        ids = []
        while work:
            # Bursts of every size, read in between or not: sends and receives cross in every way.
            size = dice.choice((1, 1, 2, 5, 40, 100))
            burst, work = work[:size], work[size:]
            ids += [dealer.send("ping") if one == "ping" else dealer.cancel(one) for one in burst]
            for _ in range(dice.choice((0, 1, 3, 30))):
                if len(dealer.replies) < len(ids):
                    dealer.hear(5.0)
        replies = dealer.hear_all(ids, 8.0)
        heard = sorted(dealer.heard_ns(id) for id in ids)
    assert len(replies) == PINGS + CANCELS
    assert {reply["outcome"] for reply in replies if reply["type"] == "outcome"} <= {"acked", "canceled"}
    assert exchange.resting() == []
    # One such pause may be this machine's own; a daemon that misses wake-ups has many.
    assert sum(later - earlier > LOOKS_AGAIN_NS for earlier, later in pairwise(heard)) <= 1


def test_a_batch_and_a_cancel_all_are_answered_as_the_contract_says(shared: Shared) -> None:
    exchange, service = shared
    order_ids = exchange.place(60, pair="SOL/USD")
    with Dealer(service.commands) as dealer:
        orders = [{"order_id": one} for one in order_ids[:50]]
        batch = dealer.ask("cancel_batch", venue="spot", orders=orders, until="proof")
        assert batch["type"] == "batch"
        assert [one["order_id"] for one in batch["outcomes"]] == order_ids[:50]
        assert {one["outcome"] for one in batch["outcomes"]} == {"canceled"}
        everything = dealer.ask("cancel_all", until="proof")
        assert everything["type"] == "all"
        assert everything["venues"]["spot"].items() >= {"outcome": "canceled", "count": 10, "residual": []}.items()
    assert exchange.resting() == []
