"""The record of a real daemon: who asked, read while it is written, whole after SIGKILL in the middle of a flood."""

import json
import os
import signal
import socket
from typing import Any

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, canceld, until

PATIENCE_S = 10.0


def journal(service: Service, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
    """What `canceld journal --json` prints."""
    found = canceld("journal", "--config", str(service.config), "--json", *arguments)
    # 1: nothing matches.
    assert found.returncode == (status if found.stdout else 1), found.stdout + found.stderr
    return [json.loads(line) for line in found.stdout.splitlines()]


def test_a_cancel_is_on_record_with_who_asked_for_it_while_the_daemon_runs(
    exchange: Exchange, service: Service
) -> None:
    [order] = exchange.place(1)
    with Dealer(service.commands) as dealer:
        [reply] = dealer.hear_all([dealer.cancel(order, strategy="alpha")], PATIENCE_S)
    outcome = reply["outcome"]
    until(lambda: journal(service, "--order", order, "--outcome", outcome), PATIENCE_S, "the outcome is on record")
    kinds = [record["kind"] for record in journal(service, "--order", order)]
    # The order stream had told of the order before anybody asked.
    assert [kind for kind in kinds if kind != "frame_in"] == ["command", "frame_out", "outcome"]
    assert "frame_in" in kinds
    [command, _] = journal(service, "--strategy", "alpha")
    assert (command["uid"], command["pid"], command["door"]) == (os.getuid(), os.getpid(), "commands")
    [verdict] = journal(service, "--verify")
    assert verdict["ok"]
    service.program.signal(signal.SIGTERM)
    assert service.program.wait() == 0
    [start, *_, stop] = journal(service)
    assert (start["kind"], stop["kind"]) == ("start", "stop")
    assert start["version"]


def test_a_record_that_was_cut_off_by_sigkill_goes_on_and_holds(exchange: Exchange, service: Service) -> None:
    lives = 3
    for _ in range(lives):
        orders = exchange.place(50)
        with Dealer(service.commands) as dealer:
            for order in orders:
                dealer.cancel(order)
            dealer.hear(PATIENCE_S)
            service.kill()
        service.start()
    [verdict] = journal(service, "--verify")
    assert (verdict["ok"], verdict["faults"]) == (True, [])
    until(
        lambda: len([r for r in journal(service) if r["kind"] == "start"]) == lives + 1, PATIENCE_S, "each life began"
    )


def test_who_pulled_it_is_on_record_with_command_line_and_unit_and_the_start_names_the_host(service: Service) -> None:
    """Two people share an account. Whose kill it was the uid does not tell; the command line and the session may."""
    ended = canceld("kill", "--config", str(service.config), "--reason", "fat finger")
    assert ended.returncode == 0, ended.stdout + ended.stderr

    def who() -> list[dict[str, Any]]:
        return [record for record in journal(service) if record["kind"] == "who"]

    until(who, PATIENCE_S, "who it was is on record")
    [line] = who()
    assert (line["of"], line["uid"]) == ("kill", os.getuid())
    assert "canceld kill --config" in line["command"]
    assert "fat finger" in line["command"]
    [command] = [record for record in journal(service) if record["kind"] == "command" and record["type"] == "kill"]
    assert (command["id"], command["pid"]) == (line["id"], line["pid"])
    start = journal(service)[0]
    assert (start["kind"], start["host"], start["pid"]) == ("start", socket.gethostname(), service.program.pid)
    assert "canceld run --config" in start["command"]
