"""Libzmq asserts at the edges of its life: nobody who connects may make it abort a process that closes its sockets."""

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from .test_zeromq import HOUSE

ENDINGS = 2_000
WITHIN_S = 300.0


@pytest.mark.timeout(WITHIN_S + 20)
def test_no_end_of_the_sockets_ends_the_process_whatever_is_connecting(tell: Callable[[str], None]) -> None:
    """Peers that send junk, old greetings and half handshakes come and go while sockets are bound, used and closed,
    thousands of times over, in a process of its own: libzmq must not abort it."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.transport.endings", str(ENDINGS)],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tell(f"{done.stdout.strip()} in {time.monotonic() - began:.0f} s")
