"""Trouble at two venues while a third is measured: Prime and Futures of the simulated exchange, made to misbehave.

Run as a process, so that what the trouble itself costs is not the asker's: `python -m tests.bench.trouble HOME`. It
starts the exchange below HOME, says what the exchange told, and then begins and ends one kind of trouble at a time.
"""

import http.client
import itertools
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import zmq

from . import lines

Fault = Mapping[str, Any]

CONTROL_S: Final = 10.0
ROUTES: Final = ("prime_ws", "futures_feed")
ORDERS: Final = 100
"""Resting at each of the two; a stalled venue is asked to cancel them again and again."""

ASK_EVERY_S: Final = 0.005
"""One at a time and evenly, so that some 200 are in flight: a burst would measure the burst."""

ASK_DEADLINE_MS: Final = 1000
RESET_EVERY_S: Final = 0.05
GARBAGE_EVERY_S: Final = 0.01
GARBAGE: Final = 5
"""Unreadable frames at a time and connection: five hundred a second on each."""

FUTURES_CALLS: Final = ("cancelorder", "batchorder", "openorders", "orders/status")
STALLED_S: Final = 30.0


class Exchange:
    """The simulated exchange's process and its control door. One thread at a time."""

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "canceld", "sim", "--tier", "unlimited", "--dir", str(home)],
            cwd=lines.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.told: dict[str, Any] = json.loads(self._process.stdout.readline())
        where = urlsplit(self.told["control_url"])
        assert where.hostname is not None
        context = ssl.create_default_context(cafile=self.told["ca_file"])
        self._door = http.client.HTTPSConnection(where.hostname, where.port, timeout=CONTROL_S, context=context)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        self._door.request(method, path, None if body is None else json.dumps(body))
        return json.loads(self._door.getresponse().read())

    def inject(self, *faults: Fault) -> None:
        self.ask("POST", "/sim/faults", faults)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(CONTROL_S)


class Trouble:
    """One kind at a time, in a thread of its own."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._over = threading.Event()
        self._struck = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, kind: str, endpoint: str) -> None:
        """Return once it has struck. kind: `stall`, `storm` or `garbage`.

        endpoint: the daemon's, for whoever goes on asking a stalled venue.
        """
        run = {"stall": self._stall, "storm": self._storm, "garbage": self._garbage}[kind]
        self._over.clear()
        self._struck.clear()
        self._thread = threading.Thread(target=run, args=(endpoint,))
        self._thread.start()
        if not self._struck.wait(CONTROL_S):
            raise TimeoutError(f"{kind} did not begin in {CONTROL_S} s")

    def end(self) -> None:
        """Lift it."""
        assert self._thread is not None
        self._over.set()
        self._thread.join()
        self._exchange.ask("DELETE", "/sim/faults")

    def _stall(self, endpoint: str) -> None:
        """Every connection goes mute, every new one is left standing, and cancels keep coming in for both venues."""
        orders = [
            {"venue": venue, "order_id": self._exchange.ask("POST", "/sim/orders", {"venue": venue})["order_id"]}
            for venue in ("prime", "futures")
            for _ in range(ORDERS)
        ]
        self._exchange.inject(
            *({"kind": "stall_handshake", "route": route} for route in ROUTES),
            *({"kind": "rest_delay", "match": call, "seconds": STALLED_S, "request": True} for call in FUTURES_CALLS),
            *({"kind": "half_open", "both": True, "route": route} for route in ROUTES),
        )
        asker: zmq.Socket[bytes]
        with zmq.Context.instance().socket(zmq.DEALER) as asker:
            asker.setsockopt(zmq.LINGER, 0)
            asker.connect(endpoint)
            for id, order in enumerate(itertools.cycle(orders)):
                if self._over.wait(ASK_EVERY_S):
                    return
                command = {"type": "cancel", "id": id, "deadline_ms": ASK_DEADLINE_MS, **order}
                asker.send(json.dumps(command).encode())
                self._struck.set()
                while asker.poll(0):
                    asker.recv()

    def _storm(self, _: str) -> None:
        self._again(RESET_EVERY_S, [{"kind": "reset_sockets", "route": route} for route in (*ROUTES, "futures_rest")])

    def _garbage(self, _: str) -> None:
        self._again(GARBAGE_EVERY_S, [{"kind": "garbage_frame", "route": route} for route in ROUTES] * GARBAGE)

    def _again(self, every_s: float, faults: Sequence[Fault]) -> None:
        while not self._over.wait(every_s):
            self._exchange.inject(*faults)
            self._struck.set()


def main() -> None:
    exchange = Exchange(Path(sys.argv[1]))
    trouble = Trouble(exchange)
    try:
        lines.serve(exchange.told, {"begin": trouble.begin, "end": trouble.end})
    finally:
        exchange.end()


if __name__ == "__main__":
    main()
