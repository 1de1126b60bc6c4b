"""A daemon that says whatever a test wants: a ROUTER on real ipc, served by a thread."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import zmq

Command = dict[str, Any]
Reply = dict[str, Any] | bytes
Answer = Callable[[Command], Iterable[Reply]]

STOP_S = 5.0


def acked(command: Command, **more: Any) -> dict[str, Any]:
    """What a daemon answers to a `cancel` that went well."""
    return {
        "type": "outcome",
        "id": command["id"],
        "venue": command["venue"],
        "outcome": "acked",
        "route": "ws",
        "attempts": 1,
        "received_ns": 10,
        "sent_ns": 20,
        "answered_ns": 30,
        **more,
    }


def refused(command: Command, reason: str, **more: Any) -> dict[str, Any]:
    """A refusal, of whatever was asked."""
    return {
        "type": "refused",
        "id": command["id"],
        "outcome": "refused",
        "reason": reason,
        "detail": "as the test wants",
        **more,
    }


class StubDaemon:
    """Answers each command with what `answer` returns for it, in that order. `received` keeps every command."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.endpoint = f"ipc://{path}"
        self.received: list[Command] = []
        self._answer = answer
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        # Like the daemon's: it may be started where a killed one has left its file.
        path.unlink(missing_ok=True)
        self._socket.bind(self.endpoint)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            if not self._socket.poll(20):
                continue
            identity, payload = self._socket.recv_multipart()
            command = msgspec.msgpack.decode(payload)
            with self._news:
                self.received.append(command)
                self._news.notify_all()
            for reply in self._answer(command):
                body = reply if isinstance(reply, bytes) else msgspec.msgpack.encode(reply)
                self._socket.send_multipart([identity, body])

    def wait_for(self, count: int) -> None:
        """Block until so many commands have come."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.received) >= count, STOP_S)

    def stop(self) -> None:
        """End it, as a daemon that was killed: connections break, nothing more is answered. Again, it does nothing."""
        self._stop.set()
        self._thread.join(STOP_S)
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
