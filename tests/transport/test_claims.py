"""A name is one process's own, for as long as that lives."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable

import pytest

from canceld.transport import claims
from canceld.transport.claims import UNCLAIMED, Held, Holder, claim

HOLD = "import sys, time; from canceld.transport.claims import claim; c = claim(sys.argv[1]); print(1, flush=True); "


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def test_a_name_is_held_until_it_is_released(name: str) -> None:
    mine = claim(name)
    with pytest.raises(Held) as held:
        claim(name)
    assert held.value.holder == Holder(os.geteuid(), os.getpid())
    assert claim(name + "2") is not None
    mine.release()
    claim(name).release()


def test_a_name_is_free_once_its_process_is_dead_and_held_while_it_is_stopped(name: str) -> None:
    command = [sys.executable, "-c", HOLD + "time.sleep(60)", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"1\n"
            holder.send_signal(signal.SIGSTOP)
            with pytest.raises(Held) as held:
                claim(name)
            assert held.value.holder == Holder(os.geteuid(), holder.pid)
            assert str(held.value) == f"uid {os.geteuid()} pid {holder.pid}"
        finally:
            holder.kill()
    claim(name).release()


def test_who_may_be_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 995)
    assert Holder(995, 1).is_peer
    assert Holder(0, 1).is_peer
    assert not Holder(1000, 1).is_peer
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert Holder(1000, 1).is_peer


def test_a_kernel_without_such_sockets_keeps_nothing_from_anybody(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(claims.socket, "socket", forbidden)
    assert claim(name) is UNCLAIMED
    UNCLAIMED.release()


def test_a_holder_that_is_gone_before_it_is_asked_for_is_nobody(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = claim(name)
    ask: Callable[[bytes], Holder | None] = claims._holder

    def gone(address: bytes) -> Holder | None:
        mine.release()
        return ask(address)

    monkeypatch.setattr(claims, "_holder", gone)
    with pytest.raises(Held) as held:
        claim(name)
    assert held.value.holder is None
