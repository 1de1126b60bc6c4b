"""`kill -9` while cancels are in flight: the next process settles them, and whoever asks again hears the truth."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from canceld.engine.intents import Found, read
from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, until

ORDERS = 400
IN_FLIGHT = 100
WINDOW = 60
"""In flight all the time under load."""

DEADLINE_MS = 20_000
WITHIN_S = 20.0
QUIET_S = 1.5
SETTLED_S = 20.0
SLOW = {"kind": "delay", "match": "cancelOrder", "seconds": 0.02}
SWALLOWED_EARLY = {"kind": "swallow_ack_before_effect", "match": "cancelOrder"}
SWALLOWED_LATE = {"kind": "swallow_ack_after_effect", "match": "cancelOrder"}
STREAM_LATE = {"kind": "delay_events", "seconds": 6.0}

GONE = {"acked", "canceled", "closed", "not_open"}


def recorded(service: Service) -> Found:
    return read((service.state / "inflight").read_bytes())


def listen(dealer: Dealer) -> None:
    """Take every reply that still comes by itself."""
    try:
        while True:
            dealer.hear(QUIET_S)
    except TimeoutError:
        pass


def settle(service: Service) -> None:
    until(lambda: recorded(service) == Found(), SETTLED_S, "the record is empty")


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([SWALLOWED_EARLY], id="the venue had not carried them out"),
        pytest.param([SWALLOWED_LATE, STREAM_LATE], id="the venue had carried them out"),
    ],
)
def test_a_hundred_in_flight_are_settled_by_the_next_process(
    exchange: Exchange, start: Callable[..., Service], faults: list[dict[str, Any]]
) -> None:
    service = start(spot={"hedge_after_ms": 10_000})
    order_ids = exchange.place(IN_FLIGHT)
    exchange.inject(*faults)
    with Dealer(service.commands) as dealer:
        ids = [dealer.cancel(order_id, deadline_ms=DEADLINE_MS) for order_id in order_ids]
        until(lambda: len(exchange.received("cancelOrder")) == IN_FLIGHT, 5.0, "all cancels are in flight")
        service.kill()
        found = recorded(service)
        assert [intent.command.id for intent in found.intents] == ids
        assert found.torn == ()
        exchange.clear()
        service.start()
        for id, order_id in zip(ids, order_ids, strict=True):
            dealer.cancel(order_id, id=id, deadline_ms=DEADLINE_MS)
        replies = dealer.hear_all(ids, WITHIN_S)
        assert {reply["outcome"] for reply in replies} <= {"canceled", "closed"}
        assert all(reply["replayed"] for reply in replies)
        assert [reply["order_id"] for reply in replies] == order_ids
        assert exchange.resting() == []
        settle(service)
        told = service.logged("settled after a crash")
        assert sorted(line["id"] for line in told) == sorted(ids)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_under_load_no_order_stays_and_none_is_told_of_wrongly(
    exchange: Exchange, start: Callable[..., Service], tell: Callable[[str], None], seed: int
) -> None:
    rng = random.Random(seed)
    service = start()
    order_ids = exchange.place(ORDERS)
    exchange.inject(SLOW)
    killed_at = rng.randrange(ORDERS // 8, ORDERS // 2)
    with Dealer(service.commands, "msgpack") as dealer:
        ids: list[Any] = []

        def ask() -> None:
            ids.append(dealer.cancel(order_ids[len(ids)], id=f"{seed}-{len(ids)}", deadline_ms=DEADLINE_MS))

        while len(dealer.replies) < killed_at:
            while len(ids) < len(dealer.replies) + WINDOW:
                ask()
            dealer.hear(WITHIN_S)
        service.kill()
        found = recorded(service)
        assert found.torn == ()
        service.launch()
        while len(ids) < ORDERS:
            ask()
        until(lambda: dealer.ask("status")["state"] == "serving", WITHIN_S, "the next process serves")
        exchange.clear()
        listen(dealer)
        held = {intent.command.id for intent in found.intents}
        unheard = [id for id in ids if id not in dealer.replies]
        for id in unheard:
            dealer.cancel(order_ids[ids.index(id)], id=id, deadline_ms=DEADLINE_MS)
        replies = dealer.hear_all(ids, WITHIN_S)
        assert {reply["outcome"] for reply in replies} <= GONE
        assert exchange.resting() == []
        again = dict(zip(ids, replies, strict=True))
        # What died with the process before it was recorded, and what had been answered, is in no record.
        assert all(again[id].get("replayed", False) for id in held & set(unheard))
        settle(service)
        told = service.logged("settled after a crash")
        assert {line["id"] for line in told} == held
        assert all(line["outcome"] in ("canceled", "closed", "not_open") for line in told)
        tell(f"seed {seed}: killed after {killed_at} cancels, {len(held)} recorded, {len(unheard)} asked again")
