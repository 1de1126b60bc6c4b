"""Clients without this package, in three languages: built, and run against a daemon that is there, stopped and down."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes.conftest import exchange, home, service, shared, start
from tests.processes.stage import Exchange, Service

__all__ = ["exchange", "home", "service", "shared", "start"]

HERE = Path(__file__).parent
BUILD_S = 100.0
DOWN_S = 2.0
"""What a strategy waits at most for a daemon that does not answer."""

BOUND_S = 20.0
OTHER = "OQCLML-BW3P3-BUCMWZ"

Command = list[str]


def _compiler(name: str) -> str:
    """Skips where the compiler or libzmq's header is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing")
    if not any(Path(folder, "zmq.h").exists() for folder in ("/usr/include", "/usr/local/include")):
        pytest.skip("libzmq's header zmq.h is missing")
    return found


@pytest.fixture(scope="module", params=["bare.py", "cancel.cpp", "cancel.go"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command line of one example, built where it has to be."""
    source = HERE / request.param
    if source.suffix == ".py":
        return [sys.executable, str(source)]
    folder = tmp_path_factory.mktemp("built")
    program, environ = str(folder / "cancel"), dict(os.environ)
    if source.suffix == ".cpp":
        build = [_compiler("g++"), "-std=c++17", "-Wall", "-Wextra", "-Werror", "-o", program, str(source), "-lzmq"]
    else:
        _compiler("gcc")
        build = [_compiler("go"), "build", "-o", program, str(source)]
        environ |= {"CGO_ENABLED": "1", "GO111MODULE": "off", "GOCACHE": str(folder / "cache"), "GOFLAGS": ""}
    done = subprocess.run(build, env=environ, capture_output=True, text=True, timeout=BUILD_S)
    assert done.returncode == 0, done.stderr
    return [program]


def run(client: Command, endpoint: str, order_id: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*client, endpoint, order_id], capture_output=True, text=True, timeout=BOUND_S)


def test_an_order_is_cancelled_and_its_outcome_printed(shared: tuple[Exchange, Service], client: Command) -> None:
    exchange, service = shared
    [order_id, other] = exchange.place(2)
    done = run(client, service.commands, order_id)
    assert (done.returncode, done.stderr) == (0, "")
    # An event can be there before the ack.
    assert done.stdout in ("acked\n", "canceled\n")
    assert exchange.resting() == [other]
    assert run(client, service.commands, other).returncode == 0
    assert exchange.resting() == []


def test_an_order_that_is_not_there_is_told_as_such(shared: tuple[Exchange, Service], client: Command) -> None:
    _, service = shared
    done = run(client, service.commands, OTHER)
    assert (done.returncode, done.stdout, done.stderr) == (0, "not_open\n", "")


def test_a_daemon_that_is_down_ends_it_soon_and_one_that_comes_later_never_hears_of_it(
    exchange: Exchange, start: Callable[..., Service], client: Command
) -> None:
    """First the daemon is stopped in the middle of its work, as a debugger would: nobody answers. Then it is gone, with
    its socket file left behind. Each time the program ends with one line, and the order rests on, also when a daemon is
    there again: a cancel of a minute ago is not what the strategy wants now."""
    service = start()
    [order_id] = exchange.place(1)
    service.program.signal(signal.SIGSTOP)
    _ends_with_one_line(client, service.commands, order_id)
    service.kill()
    _ends_with_one_line(client, service.commands, order_id)
    service.start()
    assert run(client, service.commands, OTHER).stdout == "not_open\n"
    assert exchange.resting() == [order_id]


def _ends_with_one_line(client: Command, endpoint: str, order_id: str) -> None:
    began_s = time.monotonic()
    done = run(client, endpoint, order_id)
    took_s = time.monotonic() - began_s
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert took_s < DOWN_S
