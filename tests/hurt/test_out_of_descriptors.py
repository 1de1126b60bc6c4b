"""The daemon may open no more files: who is connected is served, who is not is not, and nobody is lied to."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, until

ORDERS = 10
WITHIN_S = 8.0
GONE = {"acked", "canceled", "closed"}
NEWCOMERS = 20
CPU_SHARE = 0.8
LOOK_S = 1.0


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


def test_newcomers_at_the_door_do_not_end_it(exchange: Exchange, service: Service) -> None:
    pid = service.program.pid
    with Dealer(service.commands) as dealer:
        dealer.fence()
        newcomers: list[Dealer] = []
        try:
            with no_more_files(pid):
                newcomers += [Dealer(service.commands) for _ in range(NEWCOMERS)]
                for newcomer in newcomers:
                    newcomer.send("ping")
                order_ids = exchange.place(ORDERS)
                replies = dealer.hear_all([dealer.cancel(order_id) for order_id in order_ids], WITHIN_S)
                assert {reply["outcome"] for reply in replies} <= GONE, replies
                until(lambda: True, LOOK_S, "")
                assert service.program.process.poll() is None
            for newcomer in newcomers:
                assert newcomer.hear(WITHIN_S)["type"] == "pong"
        finally:
            for newcomer in newcomers:
                newcomer.close()
    assert exchange.resting() == []
