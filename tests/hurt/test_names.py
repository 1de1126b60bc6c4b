"""Names that nobody resolves, and an address that nobody answers at, each on a machine that the daemon alone sees."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, until

ORDERS = 10
WITHIN_S = 8.0
GONE = {"acked", "canceled", "closed"}
KNOWN = "127.0.0.1 localhost\n"
BOTH = f"::1 localhost\n{KNOWN}"
NAMESERVER = "127.99.99.99"
"""An address of the loopback network at which somebody listens and says nothing."""

DNS_PORT = 53
FIRST_TRY_S = 8.0
HEAD_START_AND_SLACK_S = 1.5

PRIVATE = """
mount --bind "$ETC/hosts" /etc/hosts && mount --bind "$ETC/resolv.conf" /etc/resolv.conf &&
mount --bind "$ETC/nsswitch.conf" /etc/nsswitch.conf && exec "$@"
"""


def cannot_hide() -> str:
    """Why there can be no private /etc here; empty where there can."""
    if os.geteuid() != 0:
        return "only root can give a process an /etc of its own"
    if missing := [tool for tool in ("unshare", "mount") if shutil.which(tool) is None]:
        return f"not installed here: {', '.join(missing)}"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    return tried.stderr.strip()


pytestmark = pytest.mark.skipif(bool(cannot_hide()), reason=cannot_hide() or "can hide")


class Names:
    """What names mean to one process."""

    def __init__(self, home: Path) -> None:
        self._etc = home / "etc"
        self._etc.mkdir()
        self.know(KNOWN)
        (self._etc / "resolv.conf").write_text(f"nameserver {NAMESERVER}\noptions timeout:1 attempts:1\n")
        (self._etc / "nsswitch.conf").write_text("hosts: files dns\n")
        self.environ = {"ETC": str(self._etc)}
        self.through = ("unshare", "--mount", "sh", "-c", PRIVATE, "sh")

    def know(self, hosts: str) -> None:
        """Let only these be resolved without the nameserver."""
        # In place: what is bound over /etc/hosts is this file and not its name.
        (self._etc / "hosts").write_text(hosts)


@pytest.fixture
def names(home: Path) -> Names:
    return Names(home)


@contextmanager
def dead_nameserver() -> Iterator[None]:
    """A resolver that takes every question."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nameserver:
        try:
            nameserver.bind((NAMESERVER, DNS_PORT))
        except OSError as error:
            pytest.skip(f"no nameserver at {NAMESERVER}: {error.strerror}")
        yield


@contextmanager
def black_hole(port: int) -> Iterator[None]:
    """An IPv6 address at which connections are neither taken nor refused: its line of those who wait is full."""
    with ExitStack() as ending:
        hole = ending.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
        try:
            hole.bind(("::1", port))
        except OSError as error:
            pytest.skip(f"no IPv6 here: {error.strerror}")
        hole.listen(0)
        while True:
            one = ending.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
            one.settimeout(0.2)
            try:
                one.connect(("::1", port))
            except TimeoutError:
                break
        yield


def by_name(exchange: Exchange) -> dict[str, str]:
    """Spot's section of the configuration, with a host that has to be resolved."""
    return {key: exchange.told[f"spot_{key}"].replace("127.0.0.1", "localhost") for key in ("ws_url", "rest_url")}


def reconnected(service: Service) -> bool:
    return all(one["lives"] > 1 and one["state"] == "live" for one in service.status()["venues"]["spot"]["sessions"])


def cancels(exchange: Exchange, service: Service) -> None:
    with Dealer(service.commands) as dealer:
        order_ids = exchange.place(ORDERS)
        replies = dealer.hear_all([dealer.cancel(order_id) for order_id in order_ids], WITHIN_S)
        assert {reply["outcome"] for reply in replies} <= GONE, replies
    assert exchange.resting() == []


def test_a_resolver_that_dies_later_keeps_nobody_from_reconnecting(
    exchange: Exchange, start: Callable[..., Service], names: Names
) -> None:
    service = start(environ=names.environ, through=names.through, spot=by_name(exchange))
    cancels(exchange, service)
    with dead_nameserver():
        names.know("")
        exchange.inject({"kind": "reset_sockets", "route": "spot_ws"}, {"kind": "reset_sockets", "route": "spot_rest"})
        cancels(exchange, service)
        until(lambda: reconnected(service), WITHIN_S, "every session is in its second life")
        # By the addresses that were good before.
        cancels(exchange, service)
    assert "Traceback" not in service.program.err


def test_a_resolver_that_is_dead_at_the_start_delays_no_command(home: Path, exchange: Exchange, names: Names) -> None:
    service = Service(home, exchange.told, spot=by_name(exchange))
    names.know("")
    try:
        with dead_nameserver():
            service.launch(environ=names.environ, through=names.through)
            with Dealer(service.commands) as dealer:
                until(lambda: dealer.ask("ping"), WITHIN_S, "it answers")
                for _ in range(3):
                    reply = dealer.ask("cancel", venue="spot", order_id=exchange.place(1)[0], deadline_ms=300)
                    assert (reply["outcome"], reply["reason"]) == ("refused", "no_route")
                pong_ns = dealer.ask("ping")["monotonic_ns"]
                assert time.monotonic_ns() - pong_ns < 50_000_000
                until(lambda: service.status()["state"] == "serving", 2 * FIRST_TRY_S, "it serves what it can")
                assert "resolve" in str(service.status()["venues"]["spot"]["sessions"])
                names.know(KNOWN)
        service.await_up()
        with Dealer(service.commands) as dealer:
            reply = dealer.ask("cancel_all", venue="spot", until="proof")
        assert reply["venues"]["spot"]["residual"] == []
        assert exchange.resting() == []
    finally:
        service.end()
        print(service.program.err)


def test_an_ipv6_that_is_a_black_hole_costs_a_quarter_of_a_second(
    exchange: Exchange, start: Callable[..., Service], names: Names
) -> None:
    port = urlsplit(exchange.told["spot_ws_url"]).port
    assert port is not None
    names.know(BOTH)
    with black_hole(port):
        service = start(environ=names.environ, through=names.through, spot=by_name(exchange))
        cancels(exchange, service)
        exchange.inject({"kind": "reset_sockets", "route": "spot_ws"})
        began_s = time.monotonic()
        until(lambda: reconnected(service), WITHIN_S, "every session is in its second life")
        assert time.monotonic() - began_s < HEAD_START_AND_SLACK_S
        cancels(exchange, service)
    assert "Traceback" not in service.program.err
