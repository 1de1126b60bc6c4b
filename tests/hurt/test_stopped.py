"""A process that stands still for longer than anybody waits, and goes on: the daemon, and the exchange."""

import signal
import time
from collections.abc import Callable

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, until

SHORT_S = 6.5
"""Above every deadline asked for here, and the silence after which a session is given up."""

ORDERS = 20
DEADLINE_MS = 2_000
GRACE_MS = 50
WITHIN_S = 8.0
GONE = {"acked", "canceled", "closed"}
SETTLED_S = 10.0


def test_a_daemon_that_was_stopped_hears_what_came_meanwhile_before_it_judges(
    exchange: Exchange, service: Service
) -> None:
    order_ids = exchange.place(ORDERS)
    exchange.inject({"kind": "delay", "match": "cancelOrder", "seconds": 0.3})
    with Dealer(service.commands) as dealer:
        ids = [dealer.cancel(order_id, deadline_ms=DEADLINE_MS) for order_id in order_ids]
        until(lambda: len(exchange.received("cancelOrder")) == ORDERS, 2.0, "all cancels are in flight")
        service.program.signal(signal.SIGSTOP)
        waiting = exchange.place(ORDERS)
        expired = [
            dealer.cancel(order_id, deadline_ms=DEADLINE_MS, sent_ns=time.monotonic_ns()) for order_id in waiting
        ]
        fresh_order = exchange.place(1)[0]
        fresh = dealer.cancel(fresh_order, deadline_ms=DEADLINE_MS)
        time.sleep(SHORT_S)
        exchange.clear()
        service.program.signal(signal.SIGCONT)
        went_on_ns = time.monotonic_ns()
        replies = dealer.hear_all([*ids, *expired, fresh], WITHIN_S)
        # Their deadlines are long over: none of them waits for anything.
        assert max(dealer.heard_ns(id) for id in [*ids, *expired]) - went_on_ns < 1_000_000_000
        resting = set(exchange.resting())
        for order_id, reply in zip(order_ids, replies, strict=False):
            assert reply["outcome"] in GONE | {"unknown"}, reply
            assert reply["outcome"] == "unknown" or order_id not in resting
        assert {(one["outcome"], one["reason"]) for one in replies[ORDERS:-1]} == {("refused", "expired")}
        assert replies[-1]["outcome"] in GONE, replies[-1]
        assert resting == set(waiting)
    # The heartbeats that had piled up were read first.
    assert service.sessions() == {"spot-0": "live", "spot-1": "live"}
    assert {one["lives"] for one in service.status()["venues"]["spot"]["sessions"]} == {1}
    assert "Traceback" not in service.program.err


def test_an_exchange_that_was_stopped_is_given_up_and_found_again(
    exchange: Exchange, start: Callable[..., Service]
) -> None:
    service = start()
    order_ids = exchange.place(ORDERS)
    with Dealer(service.commands) as dealer:
        exchange.program.signal(signal.SIGSTOP)
        try:
            began_s = time.monotonic()
            ids = [dealer.cancel(order_id, deadline_ms=DEADLINE_MS) for order_id in order_ids]
            replies = dealer.hear_all(ids, WITHIN_S)
            for id, reply in zip(ids, replies, strict=True):
                assert reply["outcome"] == "unknown", reply
                assert (dealer.heard_ns(id) - reply["received_ns"]) / 1e6 <= DEADLINE_MS + GRACE_MS
            until(lambda: "live" not in service.sessions().values(), SHORT_S, "no session is believed live")
            silent_s = time.monotonic() - began_s
            # Nobody hears, and a cancel says so: no frame of this one could have left.
            [reply] = dealer.hear_all([dealer.cancel(order_ids[0], deadline_ms=200)], WITHIN_S)
            assert reply["outcome"] in ("refused", "unknown"), reply
        finally:
            exchange.program.signal(signal.SIGCONT)
        service.await_up()
        assert silent_s < SHORT_S
        replies = dealer.hear_all([dealer.cancel(order_id) for order_id in order_ids], WITHIN_S)
        assert {reply["outcome"] for reply in replies} <= GONE | {"not_open"}, replies
    assert exchange.resting() == []
