"""The checks of Futures against the simulated exchange, each misfortune by itself."""

import msgspec
import pytest
from trio.testing import MockClock

from .venues import HTML, UWS, futures

ALL_WELL = [("futures", "REST cancel", "ok"), ("futures", "feed", "ok")]
UNIFIED_WELL = [
    ("futures", "unified token", "ok"),
    ("futures", "unified session", "ok"),
    ("futures", "unified cancel", "ok"),
]


async def test_key_that_may_cancel_is_proved_and_nothing_that_rests_is_touched(autojump_clock: MockClock) -> None:
    venues = futures(UWS)
    order_id = venues.exchange.place("futures")
    assert await venues.check() == [*ALL_WELL, *UNIFIED_WELL]
    assert venues.of("REST cancel").told.startswith("notFound")
    assert [order.order_id for order in venues.exchange.resting("futures")] == [order_id]


async def test_wrong_secret_fails_on_both_routes(autojump_clock: MockClock) -> None:
    venues = futures()
    venues.mistake_secret("futures")
    assert await venues.check() == [("futures", "REST cancel", "fail"), ("futures", "feed", "fail")]
    assert "authenticationError" in venues.of("REST cancel").told
    assert "Failed to subscribe" in venues.of("feed").told


async def test_key_that_only_reads_has_its_feed_and_cannot_cancel(autojump_clock: MockClock) -> None:
    venues = futures()
    venues.grant("futures", "read-only")
    assert await venues.check() == [("futures", "REST cancel", "fail"), ALL_WELL[1]]


async def test_html_in_place_of_an_answer_proves_nothing(autojump_clock: MockClock) -> None:
    venues = futures()
    venues.answer_with("cancelorder", HTML)
    assert await venues.check() == [("futures", "REST cancel", "fail"), ALL_WELL[1]]


@pytest.mark.parametrize(("host", "check"), [("rest", "REST cancel"), ("ws", "feed")])
async def test_route_that_is_down_leaves_the_other(host: str, check: str, autojump_clock: MockClock) -> None:
    venues = futures()
    venues.unreachable.add(f"{host}.futures.invalid")
    found = await venues.check()
    assert [name for _, name, level in found if level != "ok"] == [check]
    assert venues.of(check).unreachable


async def test_mute_feed_fails_in_time(autojump_clock: MockClock) -> None:
    venues = futures()
    venues.inject("half_open", match="subscribe", route="futures_feed")
    await venues.check()
    assert "not confirmed" in venues.of("feed").told


async def test_unified_route_without_a_spot_key_says_what_it_needs(autojump_clock: MockClock) -> None:
    venues = futures(UWS)
    venues.credentials = msgspec.structs.replace(venues.credentials, spot=None)
    found = await venues.check()
    assert [level for _, _, level in found] == ["ok", "ok", "fail", "skip", "skip"]
    assert "spot.key" in venues.of("unified token").mend


async def test_unified_route_wants_the_snapshot_too(autojump_clock: MockClock) -> None:
    venues = futures(UWS)
    venues.inject("drop_event", match="snapshot", route="unified_ws")
    await venues.check()
    assert "not confirmed" in venues.of("unified session").told
