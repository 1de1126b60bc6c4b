"""The clients that README and the clients' page show, run as they stand there but for the socket and the order."""

import re
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.processes.stage import ROOT, Exchange, Service

Shared = tuple[Exchange, Service]

README = (ROOT / "README.md").read_text().partition("## Cancel an order")[2].partition("\n## ")[0]
PAGE = (ROOT / "daemon" / "pages" / "clients.md").read_text().partition("\n## ")[0]
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ORDER = "OQCLML-BW3P3-BUCMWZ"
COMMANDS = "ipc:///run/canceld/commands.sock"
NAMES = ("blocking", "asyncio", "bare")
BOUND_S = 20.0


def run(program: str, commands: str, order_id: str) -> subprocess.CompletedProcess[str]:
    assert COMMANDS in program
    assert ORDER in program
    program = program.replace(COMMANDS, commands).replace(ORDER, order_id)
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BOUND_S)


def test_every_program_of_the_section_is_run() -> None:
    assert len(PROGRAMS) == len(NAMES)
    assert re.findall(r"```python\n(.*?)```", README, re.DOTALL) == PROGRAMS[:1], "README shows the first of them"


@pytest.mark.parametrize("name", NAMES)
def test_it_cancels(shared: Shared, name: str) -> None:
    exchange, service = shared
    [order_id] = exchange.place(1)
    done = run(PROGRAMS[NAMES.index(name)], service.commands, order_id)
    assert done.returncode == 0, done.stderr
    # The first one prints only what is not gone yet, and an event can be there before the ack.
    assert set(done.stdout.split()[:1]) <= {"acked", "canceled"}
    assert exchange.resting() == []


@pytest.mark.parametrize("name", NAMES)
def test_without_a_daemon_it_ends_soon_and_nothing_of_it_is_carried_out_later(
    exchange: Exchange, start: Callable[..., Service], name: str
) -> None:
    """The daemon is down. The program ends within its deadline, and the daemon that comes later never hears of it."""
    service = start()
    service.stop()
    [order_id] = exchange.place(1)
    began = time.monotonic()
    done = run(PROGRAMS[NAMES.index(name)], service.commands, order_id)
    assert done.returncode != 0
    assert time.monotonic() - began < BOUND_S / 2
    assert ("Again" if name == "bare" else "DaemonUnreachable") in done.stderr
    service.start()
    assert exchange.resting() == [order_id]
