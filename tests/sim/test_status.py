"""A market's steps from maintenance back to online, and what they do to its book."""

from __future__ import annotations

import random

from daemon.sim.exchange import Exchange
from daemon.sim.status import MarketStatus


def test_maintenance_freezes_one_venues_countdowns_and_thaws_them_by_steps() -> None:
    now_s = 100.0
    exchange = Exchange(now=lambda: now_s, rng=random.Random(1))
    market = MarketStatus("futures", exchange=exchange, now=lambda: now_s)
    for venue in ("spot", "futures"):
        exchange.place("alice", venue, symbol="any")  # type: ignore[arg-type]
        exchange.arm("alice", venue, 5)  # type: ignore[arg-type]
    market.maintain(10, 3)
    assert (market.now, market.next_due_s()) == ("maintenance", 110)
    now_s = 106.0
    exchange.advance()
    assert [order.venue for order in exchange.open_orders()] == ["futures"]
    now_s = 110.0
    market.advance()
    assert (market.now, market.next_due_s()) == ("cancel_only", 113)
    assert exchange.open_orders() == [], "an armed countdown fires when the engine is back"
    now_s = 113.0
    market.advance()
    assert (market.now, market.next_due_s()) == ("online", None)
