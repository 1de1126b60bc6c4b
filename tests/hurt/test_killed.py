"""`kill -9`, and what comes after it: a start on a machine that was switched off and on, and on one full of faults."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import START_S, Exchange, Service, until
from tests.processes.venue_day import await_up

ORDERS = 40
DEADLINE_MS = 15_000
WITHIN_S = 20.0
TTL_MS = 2_000
LEASE_S = 12.0
OFF_S = 86_400
GONE = {"acked", "canceled", "closed", "not_open"}


def cannot_restart_time() -> str:
    """Why the monotonic clock cannot begin anew for a process here; empty where it can."""
    if os.geteuid() != 0:
        return "only root can give a process a monotonic clock of its own"
    if shutil.which("unshare") is None:
        return "not installed here: unshare"
    tried = subprocess.run([*another_boot(OFF_S), "true"], capture_output=True, text=True)
    return tried.stderr.strip()


def another_boot(off_s: int) -> tuple[str, ...]:
    """A command whose monotonic clock is this much ahead."""
    return ("unshare", "--time", f"--monotonic={off_s}", f"--boottime={off_s}")


reboots = pytest.mark.skipif(bool(cannot_restart_time()), reason=cannot_restart_time() or "can restart")


@reboots
@pytest.mark.parametrize("later", [False, True], ids=["earlier", "later"])
def test_a_monotonic_clock_of_another_boot_confuses_neither_what_was_in_flight_nor_a_lease(
    exchange: Exchange, start: Callable[..., Service], later: bool
) -> None:
    off_s = OFF_S if later else -int(time.monotonic() / 2)
    service = start(spot={"hedge_after_ms": DEADLINE_MS})
    leased = exchange.place(ORDERS, userref=7)
    order_ids = exchange.place(ORDERS)
    exchange.inject({"kind": "swallow_ack_before_effect", "match": "cancelOrder"})
    with Dealer(service.commands) as dealer:
        scope = [{"venue": "spot", "userref": 7}]
        dealer.ask("lease", strategy="alpha", ttl_ms=TTL_MS, on_expiry="cancel", scope=scope)
        until((service.state / "leases").exists, WITHIN_S, "the lease is stored")
        ids = [dealer.cancel(order_id, deadline_ms=DEADLINE_MS) for order_id in order_ids]
        until(lambda: len(exchange.received("cancelOrder")) == ORDERS, WITHIN_S, "all are in flight")
        service.kill()
        exchange.clear()
        service.start(through=another_boot(off_s))
        began_s = time.monotonic()
        for id, order_id in zip(ids, order_ids, strict=True):
            dealer.cancel(order_id, id=id, deadline_ms=DEADLINE_MS)
        replies = dealer.hear_all(ids, WITHIN_S)
        assert {reply["outcome"] for reply in replies} <= {"canceled", "closed"}, replies
        assert all(reply["replayed"] for reply in replies)
        until(lambda: not set(leased) & set(exchange.resting()), LEASE_S, "the lease ran out, as on any day")
        assert time.monotonic() - began_s < LEASE_S
    assert exchange.resting() == []
    assert service.status()["in_flight"] == 0
    assert "Traceback" not in service.program.err


def test_three_venues_and_several_deaths_leave_no_order_behind(
    exchange: Exchange, start: Callable[..., Service]
) -> None:
    told = exchange.told
    service = start(
        prime={"enabled": True, "ws_url": told["prime_ws_url"]},
        futures={"enabled": True, "rest_url": told["futures_rest_url"], "ws_url": told["futures_ws_url"]},
    )
    venues = ("spot", "prime", "futures")
    for venue in venues:
        await_up(service, venue)
    orders = {venue: exchange.place(8, venue=venue) for venue in venues}
    asked = [(venue, order_id) for venue in venues for order_id in orders[venue]]
    with Dealer(service.commands, "msgpack") as dealer:
        for number, (venue, order_id) in enumerate(asked):
            dealer.send(venue=venue, order_id=order_id, id=f"k{number}", deadline_ms=DEADLINE_MS)
            if number % 7 == 6:
                service.kill()
                service.launch()
        ids = [f"k{number}" for number in range(len(asked))]
        until(lambda: dealer.ask("ping"), START_S, "it answers")
        while dealer.socket.poll(1_000):
            dealer.hear(1.0)
        for number in [number for number, id in enumerate(ids) if id not in dealer.replies]:
            venue, order_id = asked[number]
            dealer.send(venue=venue, order_id=order_id, id=ids[number], deadline_ms=DEADLINE_MS)
        replies = dealer.hear_all(ids, WITHIN_S)
        assert {reply["outcome"] for reply in replies} <= GONE, replies
    until(lambda: not any(exchange.book().values()), WITHIN_S, "nothing rests")
    until(lambda: service.status()["in_flight"] == 0, WITHIN_S, "nothing is in flight")
