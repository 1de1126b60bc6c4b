"""Busy polling in a real daemon: it takes its core and goes on doing everything else."""

import time
from collections.abc import Callable

from canceld.client import Client
from tests.processes.stage import Exchange, Service, until
from tests.processes.test_keep_warm import cpu_ticks

WITHIN_S = 12.0
SHARE = 0.06
"""Of a core, over that time: a daemon that sleeps takes 0.03, one that does not as much as a busy machine leaves it."""


def test_it_waits_without_sleeping_and_cancels(exchange: Exchange, start: Callable[..., Service]) -> None:
    service = start(gateway={"busy_poll": True})
    before = cpu_ticks(service.program.pid)
    wanted = WITHIN_S * SHARE * 100
    until(lambda: cpu_ticks(service.program.pid) - before >= wanted, WITHIN_S, "it is busy all the time")
    order_ids = exchange.place(20)
    with Client(service.commands) as client:
        for order_id in order_ids:
            assert client.cancel("spot", order_id=order_id, until="proof", deadline_ms=5000).gone
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < WITHIN_S
    assert exchange.resting() == []
