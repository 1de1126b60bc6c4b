"""README's strategies that cancel by scopes and hold a lease, as they stand there but for the socket."""

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Final

from tests.processes.stage import ROOT, Exchange, Service, until

BOUND_S: Final = 20.0
README: Final = (ROOT / "README.md").read_text()
LEASES: Final = (ROOT / "daemon" / "pages" / "leases.md").read_text()
COMMANDS: Final = "ipc:///run/canceld/commands.sock"
USERREF: Final = 7
"""Of the orders that both programs take for those of `mm-1`."""

TRADE: Final = """
import os, signal
def trade(canceld, lease):
    assert lease.held
    print("trading", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def program_of(page: str, heading: str) -> str:
    section = page.partition(f"# {heading}\n")[2].partition("\n## ")[0]
    [program] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return str(program)


SCOPES = program_of(README, "Cancel what you mean")
LEASE = program_of(README, "When a strategy or the daemon dies")


def run(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BOUND_S)


def test_by_scopes_nothing_goes_but_what_is_meant(exchange: Exchange, start: Callable[..., Service]) -> None:
    service = start(**{"strategies.mm-1": {"userrefs": [USERREF]}})
    program = SCOPES.replace(COMMANDS, service.commands)
    assert program != SCOPES
    ids = exchange.place(2, userref=USERREF) + exchange.place(1)
    careful, everything, _ = program.partition("    canceld.cancel_all(everything=True)")
    assert everything
    done = run(careful)
    assert done.returncode == 0, done.stderr
    assert exchange.resting() == ids, "a look, a dry run, and nothing is a minute old"
    done = run(program)
    assert done.returncode == 0, done.stderr
    until(lambda: not exchange.resting(), BOUND_S, "everything is canceled")


def test_a_lease_cancels_what_a_killed_strategy_left(exchange: Exchange, start: Callable[..., Service]) -> None:
    assert program_of(LEASES, "Leases: when a strategy dies") == LEASE, "the page shows the same"
    service = start()
    program = LEASE.replace('Client(strategy="mm-1")', f'Client("{service.commands}", strategy="mm-1")')
    assert program != LEASE
    exchange.place(2, userref=USERREF)
    kept = exchange.place(1)
    done = run(TRADE + program)
    assert (done.returncode, done.stdout) == (-9, "trading\n"), done.stderr
    until(lambda: exchange.resting() == kept, BOUND_S, "the lease's orders are gone, and no other")
