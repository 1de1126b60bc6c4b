"""The simulated exchange as a whole: routes, the control door, and one cancel from REST token to proof."""

from __future__ import annotations

import trio

from tests.sim.callers import Rest, WebSocket, kraken


async def test_a_cancel_runs_from_token_to_proof(autojump_clock: trio.testing.MockClock) -> None:
    venue = kraken()
    txid = venue.place(userref=7)
    async with trio.open_nursery() as nursery:
        rest = Rest.dial(venue, nursery)
        token = await rest.token()
        ws = await WebSocket.dial(venue, nursery)
        status = await ws.ask(
            {"event": "subscribe", "reqid": 1, "subscription": {"name": "openOrders", "token": token}}
        )
        assert status["status"] == "subscribed"
        assert list((await ws.get())[0][0]) == [txid]
        ack = await ws.ask({"event": "cancelOrder", "reqid": 2, "token": token, "txid": [txid]})
        assert ack == {"event": "cancelOrderStatus", "reqid": 2, "status": "ok"}
        [[entry], channel, position] = await ws.get()
        assert channel == "openOrders"
        assert position == {"sequence": 2}
        assert entry[txid]["status"] == "canceled"
        assert venue.resting() == []
        nursery.cancel_scope.cancel()
