"""`canceld check --online` as an operator runs it, over real TLS, alone and beside a running daemon."""

import json
import shutil
import signal
from pathlib import Path

import pytest

from tests.processes.stage import Exchange, Program, Service, canceld, until

PASSED, FAILED, USAGE, UNREACHED, INTERRUPTED = 0, 1, 2, 3, 130


@pytest.fixture
def config(home: Path, exchange: Exchange) -> Path:
    """A configuration that no daemon runs with."""
    return Service(home, exchange.told).config


def test_good_key_passes_and_no_line_holds_a_secret(home: Path, exchange: Exchange, config: Path) -> None:
    [order_id] = exchange.place(1)
    ended = canceld("check", "--config", str(config), "--online")
    assert (ended.returncode, ended.stderr) == (PASSED, "")
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert ["ok", "spot", "cancel", "EOrder:Unknown"] in [words[:4] for words in lines]
    assert {words[0] for words in lines if words[1:2] == ["spot"]} == {"ok", "warn"}
    assert not any(value in ended.stdout for value in exchange.told["credentials"]["spot"].values())
    assert exchange.resting() == [order_id]
    assert list((home / "state").iterdir()) == []


def test_json_holds_the_findings_beside_what_would_run(config: Path) -> None:
    ended = canceld("check", "--config", str(config), "--online", "--json")
    assert (ended.returncode, ended.stderr) == (PASSED, "")
    [line] = ended.stdout.splitlines()
    told = json.loads(line)
    assert "spot" in told["venues"]
    by_check = {finding["check"]: finding for finding in told["online"]}
    assert by_check.keys() == {"clock", "mode", "key", "REST cancel", "token", "session", "cancel"}
    assert by_check["cancel"].keys() == {"venue", "check", "level", "told", "mend", "unreachable"}


def test_wrong_secret_is_a_failed_check(home: Path, exchange: Exchange) -> None:
    keys = home / "mistaken"
    shutil.copytree(exchange.told["credentials_dir"], keys)
    (keys / "spot.secret").write_text((keys / "futures.secret").read_text())
    config = Service(home, exchange.told, credentials={"dir": str(keys)}).config
    ended = canceld("check", "--config", str(config), "--online")
    assert (ended.returncode, ended.stderr) == (FAILED, "")
    assert "EAPI:Invalid signature" in ended.stdout


def test_venue_that_is_gone_is_unreachable(exchange: Exchange, config: Path) -> None:
    exchange.program.kill()
    ended = canceld("check", "--config", str(config), "--online")
    assert (ended.returncode, ended.stderr) == (UNREACHED, "")
    assert "refused" in ended.stdout


def test_trust_root_that_is_none_is_bad_configuration(home: Path, exchange: Exchange) -> None:
    (home / "ca.pem").write_text("nothing")
    config = Service(home, exchange.told, tls={"ca_file": str(home / "ca.pem")}).config
    ended = canceld("check", "--config", str(config), "--online")
    assert (ended.returncode, ended.stdout) == (USAGE, "")
    assert "tls.ca_file" in ended.stderr


def test_interrupted_check_ends_in_one_line(home: Path, exchange: Exchange, config: Path) -> None:
    exchange.inject({"kind": "rest_delay", "seconds": 60})
    program = Program(["check", "--config", str(config), "--online"], home, "check")
    try:
        until(lambda: exchange.received("Time") or exchange.received("GetWebSocketsToken"), 10.0, "it asks the venue")
        program.signal(signal.SIGINT)
        assert program.wait() == INTERRUPTED
        assert program.err.count("\n") == 1
    finally:
        program.kill()


def test_daemon_that_runs_beside_it_goes_on(exchange: Exchange, service: Service) -> None:
    ended = canceld("check", "--config", str(service.config), "--online")
    assert (ended.returncode, ended.stderr) == (PASSED, "")
    # Its next call over REST may find its nonce overtaken.
    exchange.inject({"kind": "swallow_ack_before_effect", "match": "cancelOrder"})
    [order_id] = exchange.place(1)
    ended = canceld("cancel", "spot", order_id, "--until", "proof", "--endpoint", service.commands)
    assert (ended.returncode, ended.stderr) == (PASSED, "")
    assert exchange.resting() == []
