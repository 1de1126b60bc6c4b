"""A ccxt.pro strategy as people have it, but that it cancels through the daemon.

`python -m tests.processes.ccxt_strategy COMMANDS COUNT`, with what the exchange told on stdin as one line of JSON.
A line is printed once its orders rest; it cancels when it reads another line, and prints what came of it as JSON.
"""

import asyncio
import json
import sys
from typing import Any

import ccxt.pro

from canceld.client import connect
from tests.sim.test_independent_clients import SYMBOL, ccxt_exchange


async def trade(told: dict[str, Any], commands: str, count: int) -> dict[str, Any]:
    """Place orders over its own connection, cancel them through the daemon, and see them go on its own stream."""
    seen: dict[str, str] = {}
    news = asyncio.Event()

    async def watch(exchange: Any) -> None:
        while True:
            seen.update((order["id"], order["status"]) for order in await exchange.watch_orders())
            news.set()

    async with ccxt_exchange(ccxt.pro.kraken, told) as exchange:
        exchange.urls["api"]["ws"].update(private=told["spot_ws_url"], privateV2=told["spot_ws_v2_url"])
        watching = asyncio.create_task(watch(exchange))
        placed = [(await exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, 30000))["id"] for _ in range(count)]
        print("placed", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        async with connect(commands, strategy="ccxt", deadline_ms=5000) as canceld:
            results = await asyncio.gather(
                *(canceld.cancel("spot", order_id=order_id, until="proof") for order_id in placed)
            )
        while any(seen.get(order_id) != "canceled" for order_id in placed):
            news.clear()
            await news.wait()
        watching.cancel()
    return {"outcomes": [result.name for result in results], "placed": placed, "rescues": canceld.rescues}


def main() -> None:
    """Run it, for a bounded time."""
    told = json.loads(sys.stdin.readline())
    print(json.dumps(asyncio.run(asyncio.wait_for(trade(told, sys.argv[1], int(sys.argv[2])), 60))))


if __name__ == "__main__":
    main()
