"""Clients that know nothing of this project trade on the simulated exchange, unmodified.

Only their addresses and the trusted certificate differ from what they would use against Kraken. What they need and what
they make of the answers is a check on this exchange that none of our own code can give. Each runs in a fresh process,
because HTTP libraries read the trust root from the environment once, at import.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from tests.sim.test_process import running as running  # the fixture, under pytest's eyes here too

Told = dict[str, Any]
CLIENT_S = 60
SYMBOL = "BTC/USD"
PERPETUAL = "BTC/USD:USD"


@pytest.fixture
def apart(running: Told, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Told], Any]], Any]:
    """Run a function on the exchange's whereabouts in a process of its own that trusts its certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", running["ca_file"])
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", running["ca_file"])

    def run(client: Callable[[Told], Any]) -> Any:
        with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as processes:
            return processes.submit(client, running).result(timeout=CLIENT_S)

    return run


# --- ccxt -----------------------------------------------------------------------------------------------------------


def ccxt_exchange(kind: Any, told: Told) -> Any:
    exchange = kind(
        {
            "apiKey": told["credentials"]["spot"]["key"],
            "secret": told["credentials"]["spot"]["secret"],
            "cafile": told["ca_file"],
            # Its own pacing, a second per call, would be most of the test's time and says nothing about the exchange.
            "enableRateLimit": False,
        }
    )
    exchange.urls["api"].update(public=told["spot_rest_url"], private=told["spot_rest_url"])
    return exchange


async def ccxt_rest(told: Told) -> dict[str, Any]:
    import ccxt.async_support

    async with ccxt_exchange(ccxt.async_support.kraken, told) as exchange:
        created = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 30000)
        named = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 30000, {"clientOrderId": "mine"})
        listed = await exchange.fetch_open_orders(SYMBOL)
        fetched = await exchange.fetch_order(created["id"], SYMBOL)
        await exchange.cancel_order(created["id"], SYMBOL)
        left = await exchange.fetch_open_orders(SYMBOL)
        closed = await exchange.fetch_closed_orders(SYMBOL)
        try:
            await exchange.cancel_order(created["id"], SYMBOL)
            again = ""
        except ccxt.OrderNotFound as missing:
            again = str(missing)
        await exchange.cancel_orders([named["id"]])
        await exchange.cancel_all_orders()
        balance = await exchange.fetch_balance()
        return {
            "id": created["id"],
            "named": named["id"],
            "listed": [order["id"] for order in listed],
            "fetched": (fetched["symbol"], fetched["status"], fetched["price"], fetched["amount"]),
            "left": [order["id"] for order in left],
            "closed": [(order["id"], order["status"]) for order in closed],
            "again": again,
            "after": await exchange.fetch_open_orders(SYMBOL),
            "usd": balance["USD"]["total"],
        }


def in_ccxt_rest(told: Told) -> dict[str, Any]:
    return asyncio.run(ccxt_rest(told))


def test_ccxt_places_lists_and_cancels_over_rest(apart: Callable[[Callable[[Told], Any]], Any]) -> None:
    saw = apart(in_ccxt_rest)
    assert sorted(saw["listed"]) == sorted([saw["id"], saw["named"]])
    assert saw["fetched"] == (SYMBOL, "open", 30000.0, 0.01)
    assert saw["left"] == [saw["named"]]
    assert saw["closed"] == [(saw["id"], "canceled")]
    assert "EOrder:Unknown order" in saw["again"]
    assert saw["after"] == []
    assert saw["usd"] > 0


async def ccxt_websocket(told: Told) -> dict[str, Any]:
    import ccxt.pro

    async with ccxt_exchange(ccxt.pro.kraken, told) as exchange:
        exchange.urls["api"]["ws"].update(private=told["spot_ws_url"], privateV2=told["spot_ws_v2_url"])
        news: list[tuple[str, str]] = []
        watched = asyncio.Event()

        async def watch() -> None:
            while True:
                # Without a symbol: the venue's closing frame names none, and this client then wakes no narrower watch.
                news.extend((order["id"], order["status"]) for order in await exchange.watch_orders())
                watched.set()

        first = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 30000)
        watching = asyncio.ensure_future(watch())
        await asyncio.wait_for(watched.wait(), 10)
        created = await exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, 30000)
        canceled = await exchange.cancel_order_ws(created["id"])
        await exchange.cancel_orders_ws([first["id"]])
        while not {(first["id"], "canceled"), (created["id"], "canceled")} <= set(news):
            watched.clear()
            await asyncio.wait_for(watched.wait(), 10)
        watching.cancel()
        return {"first": first["id"], "created": created["id"], "canceled": canceled, "news": news}


def in_ccxt_websocket(told: Told) -> dict[str, Any]:
    return asyncio.run(ccxt_websocket(told))


def test_ccxt_pro_places_watches_and_cancels_over_websocket(apart: Callable[[Callable[[Told], Any]], Any]) -> None:
    saw = apart(in_ccxt_websocket)
    assert saw["news"][0] == (saw["first"], "open")
    assert saw["news"][-1] == (saw["first"], "canceled")
    assert (saw["created"], "canceled") in saw["news"]
    assert saw["canceled"]["result"] == {"order_id": saw["created"]}


async def ccxt_futures(told: Told) -> dict[str, Any]:
    import ccxt.async_support

    exchange = ccxt.async_support.krakenfutures(
        {
            "apiKey": told["credentials"]["futures"]["key"],
            "secret": told["credentials"]["futures"]["secret"],
            "cafile": told["ca_file"],
            "enableRateLimit": False,
        }
    )
    api = told["futures_rest_url"].removesuffix("v3")
    exchange.urls["api"].update(public=api, private=api)
    async with exchange:
        created = await exchange.create_order(PERPETUAL, "limit", "buy", 0.01, 30000)
        named = await exchange.create_order(PERPETUAL, "limit", "sell", 0.02, 90000, {"clientOrderId": "mine"})
        listed = await exchange.fetch_open_orders(PERPETUAL)
        canceled = await exchange.cancel_order(created["id"], PERPETUAL)
        fetched = await exchange.fetch_order(created["id"], PERPETUAL)
        try:
            await exchange.cancel_order(created["id"], PERPETUAL)
            again = ""
        except ccxt.OrderNotFound as missing:
            again = str(missing)
        more = [await exchange.create_order(PERPETUAL, "limit", "buy", 0.01, 30000) for _ in range(2)]
        batch = await exchange.cancel_orders([named["id"], more[0]["id"]])
        try:
            await exchange.create_order(PERPETUAL, "limit", "buy", 0.01, 30000, {"clientOrderId": "x" * 101})
            long_id = ""
        except ccxt.BadRequest as refused:
            long_id = str(refused)
        armed = await exchange.cancel_all_orders_after(60_000)
        every = await exchange.cancel_all_orders()
        return {
            "ids": [created["id"], named["id"]],
            "more": [order["id"] for order in more],
            "listed": [(order["id"], order["clientOrderId"], order["status"], order["amount"]) for order in listed],
            "canceled": (canceled["id"], canceled["status"]),
            "fetched": (fetched["status"], fetched["amount"]),
            "again": again,
            "batch": sorted((order["id"], order["status"]) for order in batch),
            "long_id": long_id,
            "armed": armed["status"]["triggerTime"],
            "every": len(every),
            "after": await exchange.fetch_open_orders(PERPETUAL),
            "positions": await exchange.fetch_positions(),
            "usd": (await exchange.fetch_balance())["USD"]["total"],
            "last": (await exchange.fetch_ticker(PERPETUAL))["last"],
        }


def in_ccxt_futures(told: Told) -> dict[str, Any]:
    return asyncio.run(ccxt_futures(told))


def test_ccxt_places_lists_and_cancels_futures(apart: Callable[[Callable[[Told], Any]], Any]) -> None:
    saw = apart(in_ccxt_futures)
    first, second = saw["ids"]
    assert saw["listed"] == [(first, None, "open", 0.01), (second, "mine", "open", 0.02)]
    assert saw["canceled"] == (first, "canceled")
    assert saw["fetched"] == ("canceled", 0.01)
    assert "notFound" in saw["again"]
    assert saw["batch"] == sorted([(second, "canceled"), (saw["more"][0], "canceled")])
    assert "clientOrderIdTooLong" in saw["long_id"]
    assert saw["armed"].endswith("Z")
    assert saw["every"] == 1
    assert saw["after"] == saw["positions"] == []
    assert saw["usd"] > 0
    assert saw["last"] > 0


# --- python-kraken-sdk ----------------------------------------------------------------------------------------------


def sdk_rest(told: Told) -> dict[str, Any]:
    from kraken.exceptions import KrakenUnknownOrderError
    from kraken.spot import Trade, User

    trading = told["credentials"]["spot"] | {"url": told["spot_rest_url"]}
    trade, user = Trade(**trading), User(**trading)
    created = trade.create_order(ordertype="limit", side="buy", pair="XBTUSD", volume=0.01, price=30000, userref=7)
    more = [
        trade.create_order(ordertype="limit", side="buy", pair="XBTUSD", volume=0.01, price=30000)["txid"][0]
        for _ in range(3)
    ]
    [txid] = created["txid"]
    listed = user.get_open_orders()["open"]
    canceled = trade.cancel_order(txid=txid)
    try:
        trade.cancel_order(txid=txid)
        again = "canceled twice"
    except KrakenUnknownOrderError:
        again = "unknown"
    return {
        "txids": [txid, *more],
        "listed": list(listed),
        "userref": listed[txid]["userref"],
        "canceled": canceled,
        "again": again,
        "info": user.get_orders_info(txid=txid)[txid]["status"],
        "closed": list(user.get_closed_orders()["closed"]),
        "batch": trade.cancel_order_batch(orders=more[:2]),
        "all": trade.cancel_all_orders(),
        "armed": trade.cancel_all_orders_after_x(timeout=60),
    }


def test_python_kraken_sdk_places_lists_and_cancels_over_rest(apart: Callable[[Callable[[Told], Any]], Any]) -> None:
    saw = apart(sdk_rest)
    assert saw["listed"] == saw["txids"]
    assert saw["userref"] == 7
    assert saw["canceled"] == {"count": 1}
    assert saw["again"] == "unknown"
    assert saw["info"] == "canceled"
    assert saw["closed"] == saw["txids"][:1]
    assert saw["batch"] == {"count": 2}
    assert saw["all"] == {"count": 1}
    assert saw["armed"]["triggerTime"].endswith("Z")


async def sdk_websocket(told: Told) -> list[dict[str, Any]]:
    from kraken.spot import SpotWSClient

    heard: list[dict[str, Any]] = []
    arrived = asyncio.Event()

    async def on_message(message: dict[str, Any]) -> None:
        heard.append(message)
        arrived.set()

    async def until(wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            for message in heard:
                if wanted(message):
                    return message
            arrived.clear()
            await asyncio.wait_for(arrived.wait(), 10)

    client = SpotWSClient(
        **told["credentials"]["spot"],
        callback=on_message,
        no_public=True,
        rest_url=told["spot_rest_url"],
        auth_ws_url=told["spot_ws_url"],
    )
    await client.start()
    await client.subscribe(params={"channel": "executions"})
    await until(lambda message: message.get("type") == "snapshot")
    order = {"order_type": "limit", "side": "buy", "symbol": SYMBOL, "order_qty": 0.01, "limit_price": 30000.0}
    await client.send_message({"method": "add_order", "params": order})
    added = await until(lambda message: message.get("method") == "add_order")
    txid = added["result"]["order_id"]
    await client.send_message({"method": "cancel_order", "params": {"order_id": [txid]}})
    await until(lambda message: message.get("method") == "cancel_order")
    await until(
        lambda message: (
            message.get("channel") == "executions" and message["data"] and message["data"][0]["exec_type"] == "canceled"
        )
    )
    await client.close()
    return heard


def in_sdk_websocket(told: Told) -> list[dict[str, Any]]:
    return asyncio.run(sdk_websocket(told))


def test_python_kraken_sdk_places_watches_and_cancels_over_websocket(
    apart: Callable[[Callable[[Told], Any]], Any],
) -> None:
    heard = apart(in_sdk_websocket)
    answers = {message["method"]: message for message in heard if "method" in message}
    assert answers["add_order"]["success"] is True
    assert answers["cancel_order"]["result"] == {"order_id": answers["add_order"]["result"]["order_id"]}
    states = [
        row["exec_type"] for message in heard if message.get("channel") == "executions" for row in message["data"]
    ]
    assert states == ["pending_new", "new", "canceled"]


def sdk_futures(told: Told) -> dict[str, Any]:
    from kraken.exceptions import KrakenAuthenticationError
    from kraken.futures import Trade, User

    base = told["futures_rest_url"].removesuffix("/derivatives/api/v3")
    trading = told["credentials"]["futures"] | {"url": base}
    trade, user = Trade(**trading), User(**trading)
    order = {"orderType": "lmt", "size": 1, "symbol": "PF_ETHUSD", "side": "buy", "limitPrice": 1000}
    created = trade.create_order(**order, cliOrdId="mine")["sendStatus"]
    more = [trade.create_order(**order)["sendStatus"]["order_id"] for _ in range(3)]
    listed = user.get_open_orders()["openOrders"]
    canceled = trade.cancel_order(cliOrdId="mine")["cancelStatus"]
    again = trade.cancel_order(order_id=created["order_id"])["cancelStatus"]
    status = trade.get_orders_status(orderIds=[created["order_id"], more[0]])["orders"]
    batch = trade.create_batch_order([{"order": "cancel", "order_id": order_id} for order_id in more[:2]])
    try:
        Trade(**(trading | {"secret": "d3Jvbmc="})).cancel_all_orders()
        refused = "accepted"
    except KrakenAuthenticationError:
        refused = "refused"
    return {
        "ids": [created["order_id"], *more],
        "listed": [row["order_id"] for row in listed],
        "canceled": canceled,
        "again": again,
        "status": {row["order"]["orderId"]: row["status"] for row in status},
        "batch": {row["order_id"]: row["status"] for row in batch["batchStatus"]},
        "refused": refused,
        "armed": trade.dead_mans_switch(timeout=60)["status"]["triggerTime"],
        "all": [row["order_id"] for row in trade.cancel_all_orders()["cancelStatus"]["cancelledOrders"]],
    }


def test_python_kraken_sdk_places_lists_and_cancels_futures(apart: Callable[[Callable[[Told], Any]], Any]) -> None:
    saw = apart(sdk_futures)
    ids = saw["ids"]
    assert saw["listed"] == ids
    assert (saw["canceled"]["status"], saw["canceled"]["order_id"]) == ("cancelled", ids[0])
    assert saw["again"] == {"status": "notFound"}
    assert saw["status"] == {ids[0]: "CANCELLED", ids[1]: "ENTERED_BOOK"}
    assert saw["batch"] == {ids[1]: "cancelled", ids[2]: "cancelled"}
    assert saw["refused"] == "refused"
    assert saw["armed"].endswith("Z")
    assert saw["all"] == ids[3:]


async def sdk_feed(told: Told) -> dict[str, Any]:
    from kraken.futures import FuturesWSClient, Trade

    heard: list[dict[str, Any]] = []
    arrived = asyncio.Event()

    async def on_message(message: dict[str, Any]) -> None:
        heard.append(message)
        arrived.set()

    async def until(wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            for message in heard:
                if wanted(message):
                    return message
            arrived.clear()
            await asyncio.wait_for(arrived.wait(), 10)

    keys = told["credentials"]["futures"]
    trade = Trade(**keys, url=told["futures_rest_url"].removesuffix("/derivatives/api/v3"))
    client = FuturesWSClient(**keys, url=told["futures_ws_url"].removeprefix("wss://"), callback=on_message)
    await client.start()
    await client.subscribe(feed="open_orders")
    await until(lambda message: message.get("feed") == "open_orders_snapshot")
    order = {"orderType": "lmt", "size": 1, "symbol": "PF_ETHUSD", "side": "buy", "limitPrice": 1000}
    sent = await asyncio.to_thread(trade.create_order, **order)
    order_id = sent["sendStatus"]["order_id"]
    placed = await until(lambda message: message.get("is_cancel") is False)
    await asyncio.to_thread(trade.cancel_order, order_id=order_id)
    gone = await until(lambda message: message.get("is_cancel") is True)
    await client.close()
    return {"order_id": order_id, "placed": placed, "gone": gone}


def in_sdk_feed(told: Told) -> dict[str, Any]:
    return asyncio.run(sdk_feed(told))


def test_python_kraken_sdk_watches_the_futures_feed(apart: Callable[[Callable[[Told], Any]], Any]) -> None:
    saw = apart(in_sdk_feed)
    assert saw["placed"]["order"]["order_id"] == saw["order_id"]
    assert (saw["gone"]["order_id"], saw["gone"]["reason"]) == (saw["order_id"], "cancelled_by_user")
