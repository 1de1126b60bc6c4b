"""The dead man's timer with real processes: a killed daemon leaves it to the venue, one that ends takes it away."""

import time
from collections.abc import Callable

from tests.processes.stage import Exchange, Service, until

TIMEOUT_S = 5


def test_kill_9_and_the_venue_cancels_within_the_timeout(exchange: Exchange, start: Callable[..., Service]) -> None:
    service = start(deadman={"spot": True, "timeout_s": TIMEOUT_S, "refresh_s": 1})
    orders = exchange.place(5)
    until(lambda: service.status()["deadman"]["spot"]["state"] == "armed", 5.0, "the timer is armed")
    time.sleep(TIMEOUT_S + 1)
    assert sorted(exchange.resting()) == sorted(orders)
    began = time.monotonic()
    service.kill()
    until(lambda: exchange.resting() == [], TIMEOUT_S + 3, "the venue's own timer fires")
    assert TIMEOUT_S - 2 < time.monotonic() - began < TIMEOUT_S + 2


def test_sigterm_switches_it_off(exchange: Exchange, start: Callable[..., Service]) -> None:
    service = start(deadman={"spot": True, "timeout_s": TIMEOUT_S, "refresh_s": 1})
    orders = exchange.place(5)
    until(lambda: service.status()["deadman"]["spot"]["state"] == "armed", 5.0, "the timer is armed")
    assert service.stop() == 0
    assert exchange.received("cancelAllOrdersAfter")[-1]["timeout"] == 0
    time.sleep(TIMEOUT_S + 1)
    assert sorted(exchange.resting()) == sorted(orders)
