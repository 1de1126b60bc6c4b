"""Other ways to cancel an order at the bench's venue, each in its caller's own process: ccxt.pro and httpx.

Run as a process: `python -m tests.bench.rivals NAME PORT CA_FILE`. A library that is not installed says so in its hello
(`{"missing": …}`) and the process ends.
"""

import asyncio
import importlib.util
import json
import sys
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from . import lines

NAMES: Final = ("ccxt", "httpx")
NUMBERS: Final = {"ccxt": 90_001, "httpx": 90_002}
"""Order ids of a rival, kept apart from those of the askers."""

IDLE_S: Final = 1.0
"""Well below the time after which the library misses a ping."""

T = TypeVar("T")


class _Orders:
    """Order ids that count up."""

    def __init__(self, rival: str) -> None:
        self._number = NUMBERS[rival]
        self._count = 0

    def next(self) -> str:
        self._count += 1
        return f"OBENCH-{self._number:05}-{self._count:07}"


class Ccxt:
    """ccxt.pro's `cancel_order_ws` (the v2 dialect) with its throttle off."""

    def __init__(self, port: int, ca_file: str) -> None:
        import ccxt.pro  # type: ignore[import-untyped]  # it ships no types

        self.version: str = ccxt.__version__
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._orders = _Orders("ccxt")
        self._exchange = ccxt.pro.kraken(
            {"apiKey": "BENCH", "secret": "QkVOQ0g=" * 8, "enableRateLimit": False, "newUpdates": True}
        )
        self._exchange.cafile = ca_file
        address = f"localhost:{port}"
        api = self._exchange.urls["api"]
        for name in ("public", "private"):
            api[name] = f"https://{address}"
        for name in api["ws"]:
            api["ws"][name] = f"wss://{address}" + ("/v2" if name.endswith("V2") else "")
        self._exchange.set_markets([])
        # Markets that are there already, so that a cancel does not fetch them.
        self._exchange.markets = {"-": {}}
        self._exchange.markets_by_id = {"-": []}
        self._gone = ccxt.NetworkError
        self._idle_since_s = 0.0
        self._loop.run_until_complete(self._cancel())

    def paced(self, count: int, gap_s: float) -> list[tuple[str, int, int]]:
        """One at a time: order id, asked ns, answered ns of each."""

        async def run() -> list[tuple[str, int, int]]:
            asked = []
            for _ in range(count):
                asked.append(await self._cancel())
                await asyncio.sleep(gap_s)
            return asked

        return self._run(run())

    def windowed(self, count: int, window: int) -> float:
        """`count` cancels, `window` in flight; seconds."""
        left = count

        async def one_of_many() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                await self._cancel()

        async def run() -> float:
            begun = time.monotonic()
            await asyncio.gather(*(one_of_many() for _ in range(window)))
            return time.monotonic() - begun

        return self._run(run())

    def burst(self, count: int) -> int:
        """Ask for `count` cancels at once by gather; the moment of the asking, in CLOCK_MONOTONIC ns."""

        async def run() -> int:
            begun_ns = time.monotonic_ns()
            await asyncio.gather(*(self._cancel() for _ in range(count)))
            return begun_ns

        return self._run(run())

    def _run(self, turn: Coroutine[Any, Any, T]) -> T:
        """One turn. Its loop stands still between them, and it takes a pause for a dead connection: it dials anew."""
        if time.monotonic() - self._idle_since_s > IDLE_S:
            try:
                self._loop.run_until_complete(self._cancel())
            except self._gone:
                self._loop.run_until_complete(self._cancel())
        told = self._loop.run_until_complete(turn)
        self._idle_since_s = time.monotonic()
        return told

    async def _cancel(self) -> tuple[str, int, int]:
        order_id = self._orders.next()
        asked_ns = time.monotonic_ns()
        await self._exchange.cancel_order_ws(order_id)
        return order_id, asked_ns, time.monotonic_ns()


class Httpx:
    """httpx's REST call to CancelOrder on a warm connection, unsigned."""

    def __init__(self, port: int, ca_file: str) -> None:
        import ssl

        # In no list of ours: the row is there for whoever has it installed.
        import httpx  # type: ignore[import-not-found]

        self.version: str = httpx.__version__
        self._orders = _Orders("httpx")
        self._client = httpx.Client(
            base_url=f"https://localhost:{port}", verify=ssl.create_default_context(cafile=ca_file)
        )
        self.paced(5, 0.0)

    def paced(self, count: int, gap_s: float) -> list[tuple[str, int, int]]:
        """One at a time: order id, asked ns, answered ns of each."""
        asked = []
        for _ in range(count):
            order_id = self._orders.next()
            asked_ns = time.monotonic_ns()
            answer = self._client.post("/0/private/CancelOrder", data={"nonce": asked_ns, "txid": order_id}).json()
            asked.append((order_id, asked_ns, time.monotonic_ns()))
            assert answer["result"]["count"] == 1
            time.sleep(gap_s)
        return asked


def main() -> None:
    name, port, ca_file = sys.argv[1:4]
    if importlib.util.find_spec(name) is None:
        print(json.dumps({"missing": f"{name} is not installed"}), flush=True)
        return
    if name == "ccxt":
        ccxt = Ccxt(int(port), ca_file)
        verbs: dict[str, Any] = {"paced": ccxt.paced, "windowed": ccxt.windowed, "burst": ccxt.burst}
        version = ccxt.version
    else:
        httpx = Httpx(int(port), ca_file)
        verbs, version = {"paced": httpx.paced}, httpx.version
    lines.serve({"version": version}, verbs)


if __name__ == "__main__":
    main()
