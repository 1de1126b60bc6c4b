"""Strategies as processes of their own that hold leases: one is stopped in its tracks, one is killed, one ends well."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.processes.stage import ROOT, Exchange, Service, until

TTL_MS = 1500


@contextmanager
def holder(service: Service, name: str, userref: int) -> Iterator[subprocess.Popen[str]]:
    """A strategy that holds a lease on every order of a userref."""
    scope = json.dumps([{"venue": "spot", "userref": userref}])
    strategy = subprocess.Popen(
        [sys.executable, "-m", "tests.processes.lease_holder", service.commands, name, str(TTL_MS), scope],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert strategy.stdout is not None
        assert strategy.stdout.readline() == "held\n"
        yield strategy
    finally:
        strategy.kill()
        strategy.communicate(timeout=5)


def leases(service: Service) -> set[str]:
    """The strategies that hold one."""
    return {lease["strategy"] for lease in service.status()["leases"]}


def test_sigstop_cancels_its_orders_and_nobody_elses(exchange: Exchange, service: Service) -> None:
    with holder(service, "stopped", 7) as stopped, holder(service, "alive", 8) as alive:
        assert leases(service) == {"stopped", "alive"}
        doomed, kept = exchange.place(5, userref=7), exchange.place(5, userref=8)
        # It renews in the background: nothing happens for several ttl.
        time.sleep(2.5 * TTL_MS / 1000)
        assert set(exchange.resting()) == {*doomed, *kept}
        began = time.monotonic()
        stopped.send_signal(signal.SIGSTOP)
        until(lambda: sorted(exchange.resting()) == sorted(kept), 10.0, "its orders are gone")
        assert time.monotonic() - began < TTL_MS / 1000 + 1.5
        until(lambda: leases(service) == {"alive"}, 2.0, "its lease is settled")
        assert alive.poll() is None
        assert sorted(exchange.resting()) == sorted(kept)
        # Continued, it renews as if nothing had been: the lease is its own again.
        stopped.send_signal(signal.SIGCONT)
        until(lambda: leases(service) == {"stopped", "alive"}, 5.0, "it renews again")


def test_killed_its_orders_go_and_ended_well_they_stay(exchange: Exchange, service: Service) -> None:
    doomed, kept = exchange.place(3, userref=7), exchange.place(3, userref=8)
    with holder(service, "killed", 7) as killed, holder(service, "done", 8) as done:
        killed.kill()
        done.communicate(timeout=10)
        assert done.returncode == 0
        until(lambda: not set(doomed) & set(exchange.resting()), 10.0, "its orders are gone")
        until(lambda: leases(service) == set(), 2.0, "its lease is settled")
        time.sleep(TTL_MS / 1000 + 0.5)
        assert sorted(exchange.resting()) == sorted(kept)


def test_a_daemon_that_was_killed_goes_on_with_its_leases(exchange: Exchange, service: Service) -> None:
    doomed, kept = exchange.place(3, userref=7), exchange.place(3, userref=8)
    with holder(service, "dead", 7) as dead, holder(service, "alive", 8):
        time.sleep(0.3)
        service.kill()
        dead.kill()
        service.start()
        until(lambda: not set(doomed) & set(exchange.resting()), 10.0, "the dead one's orders are gone")
        time.sleep(TTL_MS / 1000)
        until(lambda: leases(service) == {"alive"}, 2.0, "one is settled and one goes on")
        assert sorted(exchange.resting()) == sorted(kept)
