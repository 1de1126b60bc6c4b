"""A market's steps from maintenance back to online, and what they do to its book."""

from __future__ import annotations

import random

from canceld.sim.exchange import Exchange
from canceld.sim.status import MarketStatus


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


def test_maintenance_is_announced_for_three_days_and_until_it_begins() -> None:
    now_s = 100.0
    exchange = Exchange(now=lambda: now_s, rng=random.Random(1))
    market = MarketStatus("spot", exchange=exchange, now=lambda: now_s)
    assert market.announced() == []
    begins_s = now_s + 80 * 3600
    market.schedule([(begins_s, "maintenance"), (begins_s + 600, "online"), (begins_s + 900, "maintenance")])
    assert market.announced() == []
    now_s += 10 * 3600
    assert market.announced() == [(begins_s, begins_s + 600), (begins_s + 900, None)]
    now_s = begins_s
    assert market.announced() == [(begins_s + 900, None)]
