"""The daemon may open no more files: who is connected is served, who is not is not, and nobody is lied to."""

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, until

ORDERS = 10
WITHIN_S = 8.0
GONE = {"acked", "canceled", "closed"}
LIMIT = 2_048
CROWD_S = 1.5
LOOK_S = 0.001


@contextmanager
def no_more_files(pid: int) -> Iterator[None]:
    """Let a process open nothing while the block lasts. A limit below what is open takes nothing away."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_live_sessions_go_on_and_the_lost_ones_come_back_with_the_files(exchange: Exchange, service: Service) -> None:
    pid = service.program.pid
    with Dealer(service.commands) as dealer:
        dealer.fence()
        with no_more_files(pid):
            order_ids = exchange.place(ORDERS)
            replies = dealer.hear_all([dealer.cancel(order_id) for order_id in order_ids], WITHIN_S)
            assert {reply["outcome"] for reply in replies} <= GONE, replies
            # Lost, and nothing to dial with.
            exchange.inject({"kind": "reset_sockets", "route": "spot_ws"})
            until(lambda: "live" not in service.sessions().values(), WITHIN_S, "the sessions are lost")
            order_ids = exchange.place(ORDERS)
            replies = dealer.hear_all([dealer.cancel(order_id) for order_id in order_ids], WITHIN_S)
            resting = set(exchange.resting())
            for order_id, reply in zip(order_ids, replies, strict=True):
                # The warm REST connections are open and need no new file.
                assert (reply["outcome"] in GONE) is (order_id not in resting), reply
            exchange.inject({"kind": "reset_sockets", "route": "spot_rest"})
        exchange.clear()
        service.await_up(20.0)
        [reply] = dealer.hear_all([dealer.cancel(exchange.place(1)[0])], WITHIN_S)
        assert reply["outcome"] in GONE
    assert "Traceback" not in service.program.err


@pytest.fixture
def many_files() -> Iterator[None]:
    """Files for all the newcomers in this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 2 * LIMIT:
        pytest.skip(f"this process may have no {2 * LIMIT} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 2 * LIMIT), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def come_in(path: str) -> socket.socket | None:
    """A connection that says nothing; None where nobody listens."""
    newcomer = socket.socket(socket.AF_UNIX)
    newcomer.settimeout(WITHIN_S)
    while True:
        try:
            newcomer.connect(path)
        except FileNotFoundError:
            newcomer.close()
            return None
        except BlockingIOError:
            time.sleep(LOOK_S)  # the line of those who wait is full
        else:
            return newcomer


def crowded(service: Service) -> bool:
    return "descriptors run short" in str(service.status()["alerts"])


@pytest.mark.usefixtures("many_files")
def test_newcomers_are_turned_away_before_they_take_what_the_venues_need(
    exchange: Exchange, start: Callable[..., Service]
) -> None:
    service = start(through=("sh", "-c", f'ulimit -n {LIMIT}; exec "$@"', "sh"))
    path = service.commands.removeprefix("ipc://")
    newcomers: list[socket.socket] = []
    turned_away = 0
    with Dealer(service.commands) as dealer:
        dealer.fence()
        try:
            until_s = time.monotonic() + CROWD_S
            while time.monotonic() < until_s:
                if (newcomer := come_in(path)) is None:
                    turned_away += 1
                    time.sleep(LOOK_S)
                else:
                    newcomers.append(newcomer)
                if len(newcomers) > LIMIT:
                    # Whoever says nothing is shown out after a while.
                    newcomers.pop(0).close()
            assert turned_away
            assert crowded(service)
            # Lost now, each session needs a descriptor, and there are some.
            exchange.inject({"kind": "reset_sockets", "route": "spot_ws"})
            order_ids = exchange.place(ORDERS)
            replies = dealer.hear_all([dealer.cancel(order_id) for order_id in order_ids], WITHIN_S)
            assert {reply["outcome"] for reply in replies} <= GONE, replies
            service.await_up()
        finally:
            for newcomer in newcomers:
                newcomer.close()
        until(lambda: not crowded(service), WITHIN_S, "the crowd is gone")
    with Dealer(service.commands) as dealer:
        [reply] = dealer.hear_all([dealer.cancel(exchange.place(1)[0])], WITHIN_S)
        assert reply["outcome"] in GONE
    assert exchange.resting() == []
    assert Path(path).stat().st_mode & 0o777 == 0o660
    assert "Traceback" not in service.program.err
    assert service.stop() == 0
