"""`canceld cancel`, `cancel-all` and `status` as an operator runs them, against a running daemon."""

import json
import signal
import time

from tests.processes.stage import Exchange, Service, canceld

Shared = tuple[Exchange, Service]

DONE, NOT_DONE, USAGE, UNREACHABLE = 0, 1, 2, 3
NEVER_WAS = "ONEVER-WASXX-ATALLX"
SOON_S = 4.0
"""For a verb that cannot do what it was asked: its 1.5 s of looking for a daemon, and the start of an interpreter."""


def test_cancel_says_what_became_of_the_order(shared: Shared) -> None:
    exchange, service = shared
    [order_id] = exchange.place(1)
    ended = canceld("cancel", "spot", order_id, "--until", "proof", "--endpoint", service.commands)
    assert (ended.returncode, ended.stderr) == (DONE, "")
    [line] = ended.stdout.splitlines()
    assert line.split()[:3] == ["spot", order_id, "canceled"]
    assert exchange.resting() == []


def test_cancel_of_many_sums_up(shared: Shared) -> None:
    exchange, service = shared
    order_ids = exchange.place(3)
    ended = canceld("cancel", "spot", *order_ids, "--until", "proof", "--config", str(service.config))
    assert (ended.returncode, ended.stderr) == (DONE, "")
    lines = ended.stdout.splitlines()
    assert [line.split()[1] for line in lines[:-1]] == order_ids
    assert lines[-1] == "3 asked: 3 canceled"
    assert exchange.resting() == []


def test_cancel_names_orders_by_client_id_and_by_userref(shared: Shared) -> None:
    exchange, service = shared
    exchange.place(1, cl_ord_id="mine-1")
    exchange.place(2, userref=77)
    at = ("--json", "--until", "proof", "--endpoint", service.commands)
    for kind, value in (("cl_ord_id", "mine-1"), ("userref", "77")):
        ended = canceld("cancel", "spot", value, f"--{kind.replace('_', '-')}", *at)
        assert (ended.returncode, ended.stderr) == (DONE, "")
        [reply] = map(json.loads, ended.stdout.splitlines())
        assert reply["outcome"] in ("canceled", "closed")
        assert str(reply[kind]) == value
    assert exchange.resting() == []


def test_cancel_of_what_never_was_is_done_and_says_not_open(shared: Shared) -> None:
    _, service = shared
    ended = canceld("cancel", "spot", NEVER_WAS, "--json", "--deadline-ms", "5000", "--endpoint", service.commands)
    assert (ended.returncode, ended.stderr) == (DONE, "")
    reply = json.loads(ended.stdout)
    assert reply.items() >= {"type": "outcome", "venue": "spot", "order_id": NEVER_WAS, "outcome": "not_open"}.items()


def test_a_cancel_that_the_venue_refuses_is_not_done(shared: Shared) -> None:
    exchange, service = shared
    [order_id] = exchange.place(1)
    exchange.inject(
        {"kind": "ack_error", "error": "EGeneral:Permission denied"},
        {"kind": "rest_error", "error": "EGeneral:Permission denied", "match": "CancelOrder"},
    )
    ended = canceld("cancel", "spot", order_id, "--endpoint", service.commands)
    assert (ended.returncode, ended.stderr) == (NOT_DONE, "")
    assert "it may still rest" in ended.stdout
    assert "EGeneral:Permission denied" in ended.stdout
    assert exchange.resting() == [order_id]
    exchange.clear()
    assert canceld("cancel-all", "--until", "proof", "--endpoint", service.commands).returncode == DONE
    assert exchange.resting() == []


def test_a_cancel_that_nobody_answers_is_not_done_and_called_live(shared: Shared) -> None:
    exchange, service = shared
    [order_id] = exchange.place(1)
    exchange.inject({"kind": "swallow_ack_before_effect"}, {"kind": "rest_delay", "seconds": 3, "match": "CancelOrder"})
    ended = canceld("cancel", "spot", order_id, "--deadline-ms", "300", "--endpoint", service.commands)
    assert (ended.returncode, ended.stderr) == (NOT_DONE, "")
    assert "unknown" in ended.stdout
    assert "treat it as live" in ended.stdout
    exchange.clear()
    assert canceld("cancel-all", "--until", "proof", "--endpoint", service.commands).returncode == DONE
    assert exchange.resting() == []


def test_cancel_all_counts(shared: Shared) -> None:
    exchange, service = shared
    exchange.place(7)
    ended = canceld("cancel-all", "spot", "--until", "proof", "--endpoint", service.commands)
    assert (ended.returncode, ended.stderr) == (DONE, "")
    assert ended.stdout.split()[:4] == ["spot", "canceled", "7", "canceled"]
    ended = canceld("cancel-all", "--json", "--config", str(service.config))
    assert (ended.returncode, ended.stderr) == (DONE, "")
    reply = json.loads(ended.stdout)
    assert reply["type"] == "all"
    assert reply["venues"]["spot"]["residual"] == []
    assert exchange.resting() == []


def test_what_rests_and_a_part_of_it_go_by_scope(shared: Shared) -> None:
    """The whole way: real sockets, the command line, and the exchange's own book."""
    exchange, service = shared
    [stays] = exchange.place(1)
    at = ("--endpoint", service.commands)
    shown = canceld("rests", "spot", "--fresh", *at)
    assert (shown.returncode, shown.stderr) == (DONE, "")
    assert stays in shown.stdout
    none = canceld("cancel-all", "--scope", "symbol=ZZZ/USD", *at)
    assert none.returncode == DONE
    assert exchange.resting() == [stays]
    dry = canceld("cancel-all", "--scope", f"order_id={stays}", "--dry-run", *at)
    assert "1 would be canceled" in dry.stdout
    assert exchange.resting() == [stays]
    ended = canceld("cancel-all", "--scope", f"order_id={stays}", "--until", "proof", *at)
    assert ended.returncode == DONE
    assert exchange.resting() == []
    refused = canceld("cancel-all", "--scope", "pair=XBT/USD", *at)
    assert refused.returncode == 2
    assert "pair=XBT/USD" in refused.stderr


def test_status_for_eyes_and_for_programs(shared: Shared) -> None:
    _, service = shared
    ended = canceld("status", "--endpoint", service.control)
    assert (ended.returncode, ended.stderr) == (DONE, "")
    assert "serving" in ended.stdout.splitlines()[0]
    assert "kill switch" in ended.stdout
    assert "spot-0 live  spot-1 live" in ended.stdout
    ended = canceld("status", "--json", "--detail", "--config", str(service.config))
    assert (ended.returncode, ended.stderr) == (DONE, "")
    reply = json.loads(ended.stdout)
    assert reply.items() >= {"type": "status", "state": "serving", "in_flight": 0, "leases": []}.items()
    assert reply["venues"]["spot"]["state"] == "up"
    assert [one["state"] for one in reply["venues"]["spot"]["sessions"]] == ["live", "live"]
    assert reply["kill"]["latched"] is False


def test_an_id_that_can_be_none_is_usage(shared: Shared) -> None:
    _, service = shared
    ended = canceld("cancel", "spot", "no/such/id", "--endpoint", service.commands)
    assert (ended.returncode, ended.stdout) == (USAGE, "")
    assert ended.stderr.count("\n") == 1


def test_a_daemon_that_stands_still_is_unreachable_soon(shared: Shared) -> None:
    _, service = shared
    service.program.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        ended = canceld("cancel", "spot", NEVER_WAS, "--deadline-ms", "500", "--endpoint", service.commands)
        took_s = time.monotonic() - began
    finally:
        service.program.signal(signal.SIGCONT)
    assert (ended.returncode, ended.stdout) == (UNREACHABLE, "")
    assert ended.stderr.count("\n") == 1
    assert "nobody answers at it" in ended.stderr
    assert took_s < SOON_S
    service.await_up()


def test_a_venue_that_cannot_be_reached_is_status_3(exchange: Exchange, service: Service) -> None:
    exchange.program.kill()
    ended = canceld("cancel", "spot", NEVER_WAS, "--deadline-ms", "1000", "--endpoint", service.commands)
    assert (ended.returncode, ended.stderr) == (UNREACHABLE, "")
    assert "no_route" in ended.stdout
