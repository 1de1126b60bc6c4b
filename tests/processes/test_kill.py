"""The kill on real processes: three venues to flat, SIGKILL in between, panic beside a live daemon, and out again."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

import pytest

from canceld.contract.ids import VENUES
from canceld.engine.latch import parse_latch
from tests.processes.peers import Dealer
from tests.processes.stage import ROOT, Exchange, Service, canceld, until
from tests.processes.venue_day import await_up, place_known

ORDERS: Final = 100
WITHIN_S: Final = 20.0
EMPTY: Final[dict[str, list[str]]] = {venue: [] for venue in VENUES}


@pytest.fixture
def service(exchange: Exchange, start: Callable[..., Service]) -> Service:
    """A daemon that serves every venue, all of it up."""
    told = exchange.told
    service = start(
        prime={"enabled": True, "ws_url": told["prime_ws_url"]},
        futures={"enabled": True, "rest_url": told["futures_rest_url"], "ws_url": told["futures_ws_url"]},
    )
    for venue in VENUES:
        await_up(service, venue)
    return service


def place(exchange: Exchange, service: Service) -> None:
    for venue in VENUES:
        place_known(exchange, service, venue, ORDERS)


def states(told: dict[str, Any]) -> dict[str, str]:
    return {venue: part["state"] for venue, part in told["venues"].items()}


def latched(service: Service) -> bool:
    content = (service.state / "latch").read_bytes() if (service.state / "latch").exists() else None
    return parse_latch(content) is not None


def rearm(service: Service) -> None:
    """Both steps, as the verb makes them away from a terminal."""
    first = canceld("rearm", "--config", str(service.config), "--json")
    assert first.returncode == 1, first.stderr
    code = json.loads(first.stdout)["code"]
    done = canceld("rearm", "--config", str(service.config), "--confirm", code, "--reason", "the test is over")
    assert (done.returncode, "re-armed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_three_hundred_orders_at_three_venues_are_gone_and_the_switch_can_be_re_armed(
    exchange: Exchange, service: Service
) -> None:
    place(exchange, service)
    ended = canceld("kill", "--config", str(service.config), "--reason", "enough", "--json")
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["latched"]) == (0, True), ended.stdout + ended.stderr
    assert exchange.book() == EMPTY
    assert states(told) == dict.fromkeys(VENUES, "flat")
    assert {part["canceled"] for part in told["venues"].values()} == {ORDERS}
    assert latched(service)
    # What appears while it is latched is cancelled on sight.
    for venue in VENUES:
        exchange.place(2, venue=venue)
    until(lambda: exchange.book() == EMPTY, WITHIN_S, "new orders are cancelled too")
    until(lambda: states(service.status()["kill"]) == dict.fromkeys(VENUES, "flat"), WITHIN_S, "flat again")
    rearm(service)
    assert not latched(service)
    assert service.status()["kill"]["latched"] is False
    assert "Traceback" not in service.program.err


def test_killed_in_the_middle_it_starts_latched_and_finishes_the_sweep(exchange: Exchange, service: Service) -> None:
    place(exchange, service)
    exchange.inject({"kind": "swallow_ack_before_effect", "match": "cancelAll"})
    exchange.inject({"kind": "rest_close_before_answer", "match": "CancelAll"})
    exchange.inject({"kind": "swallow_ack_before_effect", "match": "OrderCancelRequest"})
    exchange.inject({"kind": "rest_close_before_answer", "match": "cancelallorders"})
    exchange.inject({"kind": "rest_close_before_answer", "match": "OpenOrders"})
    exchange.inject({"kind": "rest_close_before_answer", "match": "openorders"})
    with Dealer(service.commands) as dealer:
        dealer.send("kill", reason="the machine is on fire")
        until(lambda: latched(service), WITHIN_S, "the latch is there")
    service.kill()
    left = exchange.book()
    assert all(left.values()), {venue: len(ids) for venue, ids in left.items()}
    exchange.clear()
    service.launch()
    until(lambda: exchange.book() == EMPTY, WITHIN_S, "the next life finishes it")
    until(service._serves, WITHIN_S, "it serves")
    until(lambda: states(service.status()["kill"]) == dict.fromkeys(VENUES, "flat"), WITHIN_S, "and proves it")
    assert service.status()["kill"]["reason"] == "the machine is on fire"
    rearm(service)


def test_panic_beside_the_daemon_latches_it_and_it_goes_on(exchange: Exchange, service: Service) -> None:
    place(exchange, service)
    ended = canceld("panic", "--config", str(service.config), "--reason", "no time", "--json", within_s=60.0)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert exchange.book() == EMPTY
    until(lambda: service.status()["kill"]["latched"], WITHIN_S, "the daemon has heard of it")
    told = service.status()["kill"]
    assert (told["trigger"], told["reason"]) == ("panic", "no time")
    # Its nonces were overtaken; it recovers, sweeps on and can still look.
    until(lambda: states(service.status()["kill"]) == dict.fromkeys(VENUES, "flat"), WITHIN_S, "it proves flat itself")
    for venue in VENUES:
        exchange.place(2, venue=venue)
    until(lambda: exchange.book() == EMPTY, WITHIN_S, "new orders are cancelled")
    until(lambda: states(service.status()["kill"]) == dict.fromkeys(VENUES, "flat"), WITHIN_S, "flat again")
    rearm(service)


def test_a_drill_cancels_nothing_and_a_terminal_asks_for_reason_and_code(exchange: Exchange, service: Service) -> None:
    place(exchange, service)
    before = exchange.book()
    ended = canceld("kill", "--drill", "--config", str(service.config))
    assert (ended.returncode, "drill good" in ended.stdout) == (0, True), ended.stdout + ended.stderr
    assert exchange.book() == before
    assert service.status()["kill"]["drill"]["age_s"] < 60
    assert canceld("kill", "--config", str(service.config), "--reason", "for real").returncode == 0
    # The two questions, answered as a person at a terminal would.
    controller, terminal = pty.openpty()
    asking = subprocess.Popen(
        [sys.executable, "-m", "canceld", "rearm", "--config", str(service.config)],
        cwd=ROOT, stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    try:
        shown = read_until(controller, "trade again?")
        os.write(controller, b"it was a test\n")
        shown = read_until(controller, "to re-arm:")
        code = shown.rsplit("Type ", 1)[1].split()[0]
        os.write(controller, f"{code}\n".encode())
        read_until(controller, "re-armed")
        assert asking.wait(10) == 0
    finally:
        asking.kill()
        os.close(controller)
    assert service.status()["kill"]["latched"] is False
    assert not latched(service)


def read_until(terminal: int, text: str) -> str:
    """What the terminal shows, up to and with this text."""
    shown = ""
    while text not in shown:
        more = os.read(terminal, 1024).decode()
        assert more, shown
        shown += more
    return shown
