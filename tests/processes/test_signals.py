"""Stop, reload and sudden death, sent to the real process while cancels are in flight."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, until

ORDERS = 50
STOPPED_WITHIN_S = 5.0
"""3 s for what is in flight, the rest for closing and for a busy machine; systemd would wait for 10."""

LATE_S = 0.7
GONE = {"acked", "canceled", "closed"}


def in_flight(exchange: Exchange, dealer: Dealer, **fields: Any) -> list[Any]:
    """Cancels that the venue has received and not answered yet."""
    before = len(exchange.received("cancelOrder"))
    ids = [dealer.cancel(order_id, **fields) for order_id in exchange.place(ORDERS)]
    until(lambda: len(exchange.received("cancelOrder")) >= before + ORDERS, 5.0, "the venue has them")
    return ids


def test_sigterm_answers_what_is_in_flight_and_refuses_the_rest(
    exchange: Exchange, start: Callable[..., Service]
) -> None:
    service = start(spot={"hedge_after_ms": 5000})
    exchange.inject({"kind": "delay_request", "seconds": LATE_S, "match": "cancelOrder"})
    with Dealer(service.commands) as dealer:
        ids = in_flight(exchange, dealer, deadline_ms=10_000)
        began = time.monotonic()
        service.program.signal(signal.SIGTERM)
        until(lambda: service.status()["state"] == "draining", 2.0, "it drains")
        late_id = dealer.cancel(exchange.place(1)[0], deadline_ms=10_000)
        replies = [dealer.hear(5.0) for _ in range(ORDERS + 1)]
        assert service.program.wait() == 0
        assert time.monotonic() - began < STOPPED_WITHIN_S
    by_id = {reply["id"]: reply for reply in replies}
    assert len(by_id) == ORDERS + 1
    late = by_id.pop(late_id)
    assert (late["type"], late["outcome"], late["reason"]) == ("outcome", "refused", "draining")
    assert by_id.keys() == set(ids)
    assert {reply["outcome"] for reply in by_id.values()} <= GONE
    assert len(exchange.resting()) == 1
    assert [line["in_flight"] for line in service.logged("draining")] == [ORDERS]
    assert "Traceback" not in service.program.err


def test_sigterm_with_a_silent_venue_still_answers_and_ends(exchange: Exchange, service: Service) -> None:
    exchange.inject({"kind": "swallow_ack_before_effect"}, {"kind": "rest_delay", "seconds": 60, "request": True})
    with Dealer(service.commands) as dealer:
        ids = in_flight(exchange, dealer, deadline_ms=60_000)
        began = time.monotonic()
        service.program.signal(signal.SIGTERM)
        replies = [dealer.hear(STOPPED_WITHIN_S) for _ in ids]
        assert service.program.wait() == 0
        assert time.monotonic() - began < STOPPED_WITHIN_S
    assert {reply["id"] for reply in replies} == set(ids)
    assert {reply["outcome"] for reply in replies} == {"unknown"}
    assert all("ws" in reply["tried"] for reply in replies)


@pytest.mark.parametrize("seed", range(3))
def test_sigterm_ends_it_with_status_0_whatever_is_connecting(service: Service, seed: int) -> None:
    """Two neighbours send junk and half handshakes to the sockets of strategies and of listeners, as fast as they can,
    while the daemon is told to stop: it ends as always, and nothing aborts it."""
    junk = [
        subprocess.Popen([sys.executable, "-m", "tests.transport.endings", endpoint.removeprefix("ipc://"), str(seed)])
        for endpoint in (service.commands, service.events)
    ]
    try:
        assert {service.status()["state"] for _ in range(100)} == {"serving"}
        assert service.stop() == 0
    finally:
        for one in junk:
            one.kill()
            one.wait()
    assert "Fatal Python error" not in service.program.err


def more_by_rest(exchange: Exchange, before: int) -> int:
    """How many cancels more than before have come by REST."""
    return sum(one["operation"] in ("CancelOrder", "CancelOrderBatch") for one in exchange.log()) - before


def test_an_idle_daemon_at_a_terminal_stops_at_once(service: Service) -> None:
    began = time.monotonic()
    service.program.signal(signal.SIGINT)
    assert service.program.wait() == 0
    assert time.monotonic() - began < STOPPED_WITHIN_S / 2


def test_sighup_changes_the_level_and_disturbs_nobody(exchange: Exchange, start: Callable[..., Service]) -> None:
    service = start(spot={"hedge_after_ms": 5000}, log={"level": "error"})
    exchange.inject({"kind": "delay_request", "seconds": LATE_S, "match": "cancelOrder"})
    with Dealer(service.commands) as dealer:
        ids = in_flight(exchange, dealer, deadline_ms=10_000)
        assert service.log() == []
        service.configure(log={"level": "info"})
        service.program.signal(signal.SIGHUP)
        until(lambda: service.logged("reloaded"), 3.0, "it says so")
        replies = dealer.hear_all(ids, 8.0)
    assert {reply["outcome"] for reply in replies} <= GONE
    assert exchange.resting() == []
    assert {session["lives"] for session in service.status()["venues"]["spot"]["sessions"]} == {1}


def test_sighup_with_a_bad_file_changes_nothing_and_is_told(exchange: Exchange, service: Service) -> None:
    with service.listen(exchange) as subscriber, Dealer(service.commands) as dealer:
        service.config.write_text(service.config.read_text().replace('"info"', '"loud"'))
        service.program.signal(signal.SIGHUP)
        [alert] = subscriber.await_count("alert", 1)
        assert alert["severity"] == "warning"
        assert "log.level" in alert["do"]
        # Lines leave by a thread of their own, so that an event may be there first.
        until(lambda: service.logged("reload refused, nothing changed"), 3.0, "it is logged")
        [reply] = dealer.hear_all([dealer.cancel(exchange.place(1)[0])], 5.0)
        assert reply["outcome"] in GONE
    assert exchange.resting() == []
    assert not service.logged("reloaded")
    assert {session["lives"] for session in service.status()["venues"]["spot"]["sessions"]} == {1}


def test_sighup_takes_new_keys_without_a_new_session(exchange: Exchange, service: Service) -> None:
    secret = Path(exchange.told["credentials_dir"]) / "spot.secret"
    right = secret.read_text()
    secret.write_text("A" * 86 + "==")
    tokens = len(exchange.received("GetWebSocketsToken"))
    service.program.signal(signal.SIGHUP)
    until(lambda: len(exchange.received("GetWebSocketsToken")) > tokens, 5.0, "the new secret is used")
    until(lambda: service.status()["venues"]["spot"]["rest"]["state"] == "closed", 5.0, "the venue refuses it")
    with Dealer(service.commands) as dealer:
        [reply] = dealer.hear_all([dealer.cancel(exchange.place(1)[0])], 5.0)
        assert reply["outcome"] in GONE
        assert reply["route"] in ("ws", "stream")
    secret.write_text(right)
    service.program.signal(signal.SIGHUP)
    # The venue's no was to the other key, and is not waited out.
    until(lambda: service.status()["venues"]["spot"]["rest"]["state"] == "up", 5.0, "the right one is used at once")
    assert {session["lives"] for session in service.status()["venues"]["spot"]["sessions"]} == {1}


def test_sudden_death_in_mid_flight_then_a_restart(exchange: Exchange, service: Service) -> None:
    lives = 2
    for _ in range(lives):
        # Half way through work on both routes: nonces were drawn and not all of them used.
        exchange.inject({"kind": "swallow_ack_before_effect"}, {"kind": "rest_delay", "seconds": 0.2})
        before = more_by_rest(exchange, 0)
        with Dealer(service.commands) as dealer:
            in_flight(exchange, dealer, deadline_ms=10_000)
            until(partial(more_by_rest, exchange, before), 5.0, "REST is tried as well")
            service.kill()
        exchange.clear()
        service.start()
        with Dealer(service.commands) as dealer:
            # What the dead one had in hand may be asked of the new one.
            again = [dealer.cancel(order_id, deadline_ms=5000) for order_id in exchange.resting()]
            assert {reply["outcome"] for reply in dealer.hear_all(again, 8.0)} <= GONE | {"not_open"}
        assert exchange.resting() == []
    nonces = [int(one["body"]["nonce"]) for one in exchange.log() if "nonce" in (one["body"] or {})]
    assert len(nonces) > lives
    assert all(later > earlier for earlier, later in pairwise(nonces))
    reqids = [body["reqid"] for body in exchange.received("cancelOrder")]
    assert len(set(reqids)) == len(reqids)
    assert not [line for line in service.log() if "nonce" in line["event"]]
