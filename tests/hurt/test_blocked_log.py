"""Whoever should read the daemon's output does not: a pipe that is full and stays full."""

import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import STOP_S, Exchange, Service

ORDERS = 400
PIPE_BYTES = 4_096
WITHIN_S = 8.0
REASON = "nobody reads the log"
GONE = {"acked", "canceled", "closed"}
BOTH_OUTPUTS = 'exec "$@" > "$PIPE" 2>&1'


@pytest.fixture
def pipe(home: Path) -> Iterator[Path]:
    """A named pipe of the smallest size, held open by somebody who does not read."""
    pipe = home / "pipe"
    os.mkfifo(pipe)
    descriptor = os.open(pipe, os.O_RDWR)
    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield pipe
    os.close(descriptor)


def test_cancels_a_kill_and_the_stop_do_not_wait_for_a_reader(
    exchange: Exchange, start: Callable[..., Service], pipe: Path
) -> None:
    environ = {"PIPE": str(pipe)}
    service = start(log={"level": "debug"}, environ=environ, through=("sh", "-c", BOTH_OUTPUTS, "sh"))
    order_ids = exchange.place(ORDERS)
    with Dealer(service.commands) as dealer:
        # An unknown userref each: what is not settled well is what is logged.
        ids = [dealer.send(venue="spot", userref=number + 1, deadline_ms=50) for number in range(ORDERS)]
        ids += [dealer.cancel(order_id) for order_id in order_ids[: ORDERS // 2]]
        replies = dealer.hear_all(ids, WITHIN_S)
        assert {reply["outcome"] for reply in replies[ORDERS:]} <= GONE
        killed = dealer.ask("kill", reason=REASON)
        assert killed["venues"]["spot"]["state"] == "flat"
    assert exchange.resting() == []
    service.program.signal(signal.SIGTERM)
    assert service.program.wait(STOP_S) == 0
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        held = os.read(descriptor, 2 * PIPE_BYTES)
    finally:
        os.close(descriptor)
    # It was full long before the kill, or nothing was shown. How full it gets is the kernel's affair: a write that does
    # not fit as a whole is not begun.
    assert held
    assert REASON.encode() not in held
