"""How the bench's processes are driven: one JSON line in, one JSON line out, over stdin and stdout."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
"""The project: every process of the bench is a module of it."""

DISMISS_S: Final = 15.0


def serve(hello: Mapping[str, Any], verbs: Mapping[str, Callable[..., Any]]) -> None:
    """Say hello, then obey each line `{"verb": …, arguments}` until stdin ends. Each gets one line back."""
    print(json.dumps(hello), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(verbs[order.pop("verb")](**order)), flush=True)


def end_with_parent() -> None:
    """End this process when stdin does: for one that serves no orders and would outlive the bench."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


class WorkerGone(Exception):
    """A process of the bench ended in the middle; what it wrote to stderr has been printed there."""


class Worker:
    """One process of the bench. `hello` is what it said when it was ready."""

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self._name = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.bench.{module}", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.hello: dict[str, Any] = self.hear()

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, verb: str, **arguments: Any) -> None:
        """Give an order; `hear` waits for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"verb": verb, **arguments}) + "\n")
        self._process.stdin.flush()

    def ask(self, verb: str, **arguments: Any) -> Any:
        """Give an order and wait for its answer. Raises WorkerGone."""
        self.tell(verb, **arguments)
        return self.hear()

    def kill(self) -> None:
        """End the process at once; calling it on an ended one does nothing."""
        self._process.kill()
        self._process.wait()

    def dismiss(self) -> None:
        """End a process that has something to put away: it is given the end of its orders, and time."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(DISMISS_S)
        finally:
            self.kill()

    def hear(self) -> Any:
        """The answer to the oldest order that was not heard yet. Raises WorkerGone."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerGone(f"{self._name} ended with status {self._process.wait()}")
        return json.loads(line)
