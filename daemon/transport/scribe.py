"""A program of ours in a process of its own that is handed bytes through a pipe, in order, and tells of them.

What the pipe has is written down even when this process is killed: the other one goes on until the pipe is empty. It
inherits no environment, no file and no signal meant for this process, which it outlives by a bounded time.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Final, Protocol

import trio

PIPE_BYTES: Final = 1 << 20
"""The most that Linux gives everybody; where it gives less, bytes wait here."""

READ_BYTES: Final = 64 << 10
END_S: Final = 1.0
"""How long it may take to end after it closed its output."""

LOOK_S: Final = 0.01

DEAF_TO: Final = frozenset({
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGABRT, signal.SIGUSR1, signal.SIGUSR2,
})  # fmt: skip
"""What a service manager sends to every process of a service, and a terminal to every process of a job: it is for us,
and the scribe must work on until we have ended. SIGKILL ends it at once, and SIGALRM is its own."""


class ScribeFailed(Exception):
    """It could not be started; the text says why."""


class Scribe(Protocol):
    """Whoever takes the bytes: another process, or an object of this one."""

    why: str
    """How the last one ended."""

    async def start(self, first: bytes) -> None:
        """Start one, anew after the last one ended, and hand it `first`. Raises ScribeFailed."""

    def put(self, data: bytes) -> None:
        """Hand it more. Never waits."""

    def finish(self) -> None:
        """That was all: it is to end once it is done."""

    async def news(self) -> bytes:
        """What it tells, in pieces of any length; empty when it has ended."""

    async def pump(self) -> None:
        """Keep things moving until all is handed on. May be cancelled and called again."""


class ChildScribe:
    """`python -m MODULE ARGUMENTS` as a scribe."""

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self.why = ""
        self._argv = [sys.executable, "-I", "-m", module, *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = bytearray()
        self._more = trio.Event()
        self._is_finishing = False

    @property
    def pid(self) -> int | None:
        """The one that runs."""
        return None if self._process is None else self._process.pid

    async def start(self, first: bytes) -> None:
        self._forget()
        try:
            self._process = await trio.to_thread.run_sync(self._spawn)
        except OSError as error:
            raise ScribeFailed(f"its process could not be started: {error.strerror}") from None
        self.put(first)

    def put(self, data: bytes) -> None:
        waits = bool(self._rest)
        self._rest += data
        if not waits:
            self._hand_on()
        if self._rest:
            self._more.set()

    def finish(self) -> None:
        self._is_finishing = True
        self._more.set()

    async def news(self) -> bytes:
        process = self._process
        if process is None or process.stdout is None:
            return b""
        while True:
            await trio.lowlevel.wait_readable(process.stdout)
            with contextlib.suppress(BlockingIOError):
                data = os.read(process.stdout.fileno(), READ_BYTES)
                break
        if not data:
            await self._ended(process)
        return data

    async def pump(self) -> None:
        while True:
            process = self._process
            if process is None or process.stdin is None:
                return
            if not self._rest and self._is_finishing:
                process.stdin.close()
                return
            if not self._rest:
                self._more = trio.Event()
                await self._more.wait()
            else:
                await trio.lowlevel.wait_writable(process.stdin)
                self._hand_on()

    def _hand_on(self) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdin.closed:
            return
        try:
            while self._rest:
                del self._rest[: os.write(process.stdin.fileno(), self._rest)]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            # It has ended; `news` tells.
            self._rest.clear()

    def _spawn(self) -> "subprocess.Popen[bytes]":
        # A child starts with the mask of the thread that starts it, from its very first instruction on. This thread's
        # own is put back: it goes on to other work.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, DEAF_TO)
        try:
            process = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                bufsize=0,
                # Not a session of its own: Linux shares a machine out by sessions first, and where many wait for a core
                # the scribe would fall behind what this process hands it.
                process_group=0,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        for end in (process.stdin, process.stdout):
            os.set_blocking(end.fileno(), False)
        return process

    async def _ended(self, process: "subprocess.Popen[bytes]") -> None:
        with trio.move_on_after(END_S):
            while process.poll() is None:  # noqa: ASYNC110 - a process that ends wakes nobody
                await trio.sleep(LOOK_S)
        status = process.poll()
        if status is None:
            process.kill()
            self.why = "its process closed its output and was killed"
        elif status < 0:
            self.why = f"its process was ended by signal {-status}"
        else:
            self.why = f"its process ended with status {status}"

    def _forget(self) -> None:
        """Let go of one that has ended."""
        process, self._process = self._process, None
        self._rest.clear()
        if process is not None:
            for end in (process.stdin, process.stdout):
                if end is not None:
                    end.close()
            # Reaped, also where it had to be killed and the disk keeps it.
            threading.Thread(target=process.wait, daemon=True).start()
