"""A strategy on asyncio beside the real daemon: it cancels, holds a lease, and hears what happens, all in one loop."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from canceld.client import AsyncEvents, Event, KillEvent, OrderEnded, OrderRef, connect
from canceld.contract.outcomes import Canceled
from tests.processes.stage import ROOT, Exchange, Service

WITHIN_S = 20.0
ORDERS = 50


async def until(events: AsyncEvents, kind: type[Event], **members: Any) -> Event:
    """The first event of this type with these members."""
    async for event in events:
        if isinstance(event, kind) and all(getattr(event, name) == value for name, value in members.items()):
            return event
    raise AssertionError("events never end")


async def joined(events: AsyncEvents, exchange: Exchange) -> None:
    """Return once the subscription surely stands: orders are filled, which is told, until it hears of one."""
    heard = asyncio.create_task(until(events, OrderEnded))
    while not heard.done():
        [order_id] = await asyncio.to_thread(exchange.place, 1)
        await asyncio.to_thread(exchange.fill, order_id)
        await asyncio.wait([heard], timeout=0.05)


def test_it_cancels_and_hears_everything_in_one_loop(exchange: Exchange, service: Service) -> None:
    """Fifty orders of an asyncio strategy are cancelled side by side over one socket, by their own commands and in a
    batch. It hears of each order's end, and of the kill that an operator pulls, with nothing missing in between."""

    async def strategy() -> None:
        async with connect(service.commands, strategy="mm-1", deadline_ms=5000) as client, client.events() as events:
            await joined(events, exchange)
            one_by_one = await asyncio.to_thread(exchange.place, ORDERS)
            bundled = await asyncio.to_thread(exchange.place, ORDERS)
            async with client.holding("mm-1", 5000) as lease:
                results = await asyncio.gather(
                    *(client.cancel("spot", order_id=order_id, until="proof") for order_id in one_by_one)
                )
                results += await client.cancel_batch(
                    "spot", [OrderRef(order_id=order_id) for order_id in bundled], until="proof"
                )
                assert lease.held
            assert {type(result.outcome) for result in results} == {Canceled}
            resting = {*one_by_one, *bundled}
            while resting:
                event = await until(events, OrderEnded, missed=0)
                resting.discard(event.body["order_id"])
            killed = await client.kill("enough", deadline_ms=10_000)
            assert killed.venues["spot"].state == "flat"
            assert isinstance(await until(events, KillEvent), KillEvent)

    asyncio.run(asyncio.wait_for(strategy(), WITHIN_S))
    assert exchange.resting() == []


def test_a_ccxt_pro_strategy_cancels_through_it(home: Path, exchange: Exchange) -> None:
    """A strategy written with ccxt.pro places its orders over its own connection and in its own loop. Its cancels go
    through the daemon's asyncio client instead, in that same loop, and its own order stream sees each order go."""
    service = Service(home, exchange.told)
    strategy = subprocess.Popen(
        [sys.executable, "-m", "tests.processes.ccxt_strategy", service.commands, str(ORDERS)],
        cwd=ROOT,
        env={**os.environ, "SSL_CERT_FILE": exchange.told["ca_file"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert strategy.stdin is not None
        assert strategy.stdout is not None
        strategy.stdin.write(json.dumps(exchange.told) + "\n")
        strategy.stdin.flush()
        assert strategy.stdout.readline() == "placed\n"
        # The strategy has its token by now. One key for two programs is no good: one's nonces overtake the other's.
        service.start()
        out, _ = strategy.communicate("cancel\n", timeout=60)
    finally:
        strategy.kill()
        strategy.wait()
        service.end()
    told = json.loads(out)
    assert told["outcomes"] == ["canceled"] * ORDERS
    assert told["rescues"] == 0
    assert exchange.resting() == []
