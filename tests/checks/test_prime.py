"""Prime's checks against the simulated exchange, each misfortune by itself."""

from typing import Any

import pytest
from trio.testing import MockClock

from .venues import prime

ALL_WELL = [
    ("prime", "session", "ok"),
    ("prime", "permissions", "ok"),
    ("prime", "order streams", "ok"),
    ("prime", "cancel", "ok"),
]


def cancels(venues: Any) -> list[Any]:
    return [one.body["data"][0] for one in venues.exchange.operations("OrderCancelRequest")]


async def test_trader_is_proved_without_touching_what_rests(autojump_clock: MockClock) -> None:
    venues = prime()
    assert await venues.check() == ALL_WELL
    [cancel] = cancels(venues)
    assert cancel["Symbol"] == "BTC-USD"
    assert venues.took_s < 1


async def test_cancel_names_a_symbol_of_the_account(autojump_clock: MockClock) -> None:
    venues = prime()
    order_id = venues.exchange.place("prime", pair="ETH-USD")
    assert await venues.check() == ALL_WELL
    [cancel] = cancels(venues)
    assert cancel["Symbol"] == "ETH-USD"
    assert [order.order_id for order in venues.exchange.resting("prime")] == [order_id]


async def test_viewer_cannot_cancel(autojump_clock: MockClock) -> None:
    venues = prime()
    venues.grant("prime", "read::orders")
    found = await venues.check()
    assert found == [ALL_WELL[0], ("prime", "permissions", "fail"), ALL_WELL[2], ("prime", "cancel", "fail")]
    assert "write::orders" in venues.of("permissions").told


async def test_key_without_any_right_sees_no_stream(autojump_clock: MockClock) -> None:
    venues = prime()
    venues.grant("prime")
    await venues.check()
    assert venues.of("permissions").level == "warn"
    assert "permission denied" in venues.of("order streams").told


@pytest.mark.parametrize("wrong", ["secret", "clock"])
async def test_upgrade_that_is_refused_names_key_and_clock(wrong: str, autojump_clock: MockClock) -> None:
    venues = prime(ahead_s=300.0 if wrong == "clock" else 0.0)
    if wrong == "secret":
        venues.mistake_secret("prime")
    found = await venues.check()
    assert found == [("prime", "session", "fail"), *[(venue, check, "skip") for venue, check, _ in ALL_WELL[1:]]]
    assert "401" in venues.of("session").told
    assert "clock" in venues.of("session").mend
    assert not venues.of("session").unreachable


async def test_silence_after_a_cancel_is_told_as_silence(autojump_clock: MockClock) -> None:
    venues = prime()
    venues.inject("drop_event", match="CancelRejected")
    assert await venues.check() == [*ALL_WELL[:3], ("prime", "cancel", "fail")]
    assert "proves nothing" in venues.of("cancel").told


async def test_venue_that_does_not_answer_the_ping_has_no_streams(autojump_clock: MockClock) -> None:
    venues = prime()
    venues.inject("half_open", match="Ping")
    await venues.check()
    assert venues.of("order streams").level == "fail"
    assert venues.took_s < 20


async def test_venue_that_is_down_is_unreachable(autojump_clock: MockClock) -> None:
    venues = prime()
    venues.unreachable.add("ws.prime.invalid")
    await venues.check()
    assert venues.of("session").unreachable
