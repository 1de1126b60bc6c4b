"""Spot's checks against the simulated exchange, each misfortune by itself."""

from typing import Any, Literal

import pytest
from trio.testing import MockClock

from canceld.checks.spot import nonces_beside
from canceld.engine.nonces import BLOCK_NS, MARGIN_NS, format_mark
from canceld.transport.disk import DiskFailed
from canceld.transport.memory.disk import MemoryDirectory

from .venues import HTML, LEAST, SPOT, spot

ALL_WELL = [
    ("spot", "clock", "ok"),
    ("spot", "mode", "ok"),
    ("spot", "key", "ok"),
    ("spot", "REST cancel", "ok"),
    ("spot", "token", "ok"),
    ("spot", "session", "ok"),
    ("spot", "cancel", "ok"),
]
KEY = {"permissions": list(LEAST), "validUntil": "0", "ipAllowlist": ["203.0.113.7"]}
S = 10**9
NOW_S = 1_800_000_000


def key_info(**members: Any) -> dict[str, Any]:
    return {"error": [], "result": KEY | members}


@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_key_that_just_fits_is_proved_on_both_routes_and_nothing_is_touched(
    protocol: Literal["v1", "v2"], autojump_clock: MockClock
) -> None:
    venues = spot(protocol)
    venues.answer_with("GetApiKeyInfo", key_info())
    order_id = venues.exchange.place()
    assert await venues.check() == ALL_WELL
    assert venues.of("REST cancel").told.startswith("EOrder:Unknown order")
    assert [order.order_id for order in venues.exchange.resting()] == [order_id]
    assert venues.directory.names() == []
    assert ("cancel_order" if protocol == "v2" else "cancelOrder") in venues.operations()


async def test_wrong_secret_is_shown_to_the_venue_once_and_no_more(autojump_clock: MockClock) -> None:
    venues = spot()
    venues.mistake_secret("spot")
    found = await venues.check()
    [failed] = [one for one in venues.found if one.level == "fail"]
    assert "EAPI:Invalid signature" in failed.told
    assert "secret" in failed.mend
    assert not failed.unreachable
    assert [level for _, check, level in found if check in ("REST cancel", "session", "cancel")] == ["skip"] * 3
    private = [one for one in venues.operations() if one not in ("Time", "SystemStatus")]
    assert len(private) == 1


@pytest.mark.parametrize(
    ("missing", "failing"),
    [
        ("close-trades", {"key", "REST cancel", "cancel"}),
        ("create-ws-token", {"key", "token"}),
        ("query-open-trades", {"key", "session"}),
    ],
)
async def test_missing_right_is_named_and_shows_where_it_is_needed(
    missing: str, failing: set[str], autojump_clock: MockClock
) -> None:
    venues = spot(rights=[right for right in LEAST if right != missing])
    found = await venues.check()
    assert {check for _, check, level in found if level == "fail"} == failing
    [lack] = [one.told for one in venues.found if one.check == "key" and one.level == "fail"]
    assert missing in lack


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"permissions": [*LEAST, "withdraw-funds"]}, "move money"),
        ({"permissions": [*LEAST, "modify-trades"]}, "place orders"),
        ({"validUntil": str(NOW_S + 20 * 86_400)}, "ends in 20.0 days"),
        ({"ipAllowlist": []}, "every address"),
    ],
)
async def test_key_that_is_too_strong_or_near_its_end_is_warned_of(
    members: dict[str, Any], told: str, autojump_clock: MockClock
) -> None:
    venues = spot()
    venues.answer_with("GetApiKeyInfo", key_info(**members))
    assert await venues.check() == [*ALL_WELL[:2], ("spot", "key", "warn"), *ALL_WELL[3:]]
    assert told in venues.of("key").told
    assert venues.of("key").mend


async def test_venue_that_tells_nothing_of_the_key_leaves_the_judgement_to_the_cancels(
    autojump_clock: MockClock,
) -> None:
    venues = spot()
    venues.answer_with("GetApiKeyInfo", {"error": ["EGeneral:Unknown method"]})
    assert await venues.check() == [*ALL_WELL[:2], ("spot", "key", "warn"), *ALL_WELL[3:]]


@pytest.mark.parametrize(("ahead_s", "side"), [(40.0, "ahead of"), (-40.0, "behind")])
async def test_clock_that_is_40_s_off_fails(ahead_s: float, side: str, autojump_clock: MockClock) -> None:
    venues = spot(ahead_s=ahead_s)
    await venues.check()
    found = venues.of("clock")
    assert found.level == "fail"
    assert f" s {side} the venue" in found.told
    assert "NTP" in found.mend
    assert venues.of("cancel").level == "ok"


async def test_maintenance_is_told_for_what_it_is(autojump_clock: MockClock) -> None:
    venues = spot()
    venues.inject("market_status", mode="maintenance")
    await venues.check()
    assert venues.of("mode").level == "fail"
    assert "maintenance" in venues.of("mode").told


@pytest.mark.parametrize("host", [SPOT.rest_url, SPOT.ws_url])
async def test_route_that_is_down_is_unreachable_and_the_other_is_asked_all_the_same(
    host: str, autojump_clock: MockClock
) -> None:
    venues = spot()
    venues.unreachable.add(host.partition("//")[2])
    found = await venues.check()
    failed = [one for one in venues.found if one.level == "fail"]
    assert all(one.unreachable and "connection refused" in one.told for one in failed)
    if host == SPOT.ws_url:
        assert [one.check for one in failed] == ["session"]
        assert ("spot", "REST cancel", "ok") in found
    else:
        # Without REST there is no token, so there is nothing a session could be asked.
        assert [one.check for one in failed] == ["clock", "token"]


async def test_mute_rest_is_given_up_after_one_call(autojump_clock: MockClock) -> None:
    venues = spot()
    venues.inject("rest_delay", seconds=100)
    await venues.check()
    assert all(one.unreachable for one in venues.found if one.level == "fail")
    assert len(venues.operations()) == 1
    assert venues.took_s < 5


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ({"kind": "stall_handshake"}, "session"),
        ({"kind": "stall_subscribe"}, "session"),
        ({"kind": "swallow_ack_before_effect", "match": "cancelOrder"}, "cancel"),
    ],
)
async def test_mute_session_fails_where_it_fell_silent(
    fault: dict[str, Any], check: str, autojump_clock: MockClock
) -> None:
    venues = spot()
    venues.inject(**fault)
    await venues.check()
    assert venues.of(check).level == "fail"
    assert [one.check for one in venues.found if one.level == "fail"] == [check]
    assert venues.took_s < 20


async def test_session_that_is_lost_is_told_under_the_check_that_was_on(autojump_clock: MockClock) -> None:
    venues = spot()
    venues.inject("reset_sockets", match="cancelOrder")
    await venues.check()
    assert venues.of("session").level == "ok"
    assert (venues.of("cancel").level, venues.of("cancel").unreachable) == ("fail", True)


async def test_html_in_place_of_answers_proves_nothing(autojump_clock: MockClock) -> None:
    venues = spot()
    venues.inject("rest_status", status=200, body=HTML)
    found = await venues.check()
    assert [level for _, check, level in found if check in ("clock", "mode", "key", "REST cancel", "token")] == [
        "fail"
    ] * 5
    assert "cannot be read" in venues.of("REST cancel").told


async def test_nonces_of_a_daemon_are_respected(autojump_clock: MockClock) -> None:
    venues = spot()
    now_ns = venues.clock.utc_ns()
    mark = now_ns + 2 * BLOCK_NS
    venues.directory.replace_now("nonce-spot", format_mark(mark))
    venues.answer_with("GetApiKeyInfo", key_info())
    assert await venues.check() == ALL_WELL
    used = [int(one.body["nonce"]) for one in venues.exchange.received if "nonce" in (one.body or {})]
    assert used == [mark + 1, mark + 2, mark + 3]
    assert venues.directory.read("nonce-spot") == format_mark(mark)


async def test_nonce_that_is_refused_is_jumped_over_once_and_told(autojump_clock: MockClock) -> None:
    venues = spot()
    key = venues.exchange.keys.find("spot", venues.exchange.credentials["spot"]["key"])
    assert key is not None
    key.last_nonce = venues.clock.utc_ns() + 3600 * S
    found = await venues.check()
    assert ("spot", "cancel", "ok") in found
    assert any("ahead of the clock" in one.told for one in venues.found if one.check == "key")
    key.last_nonce = venues.clock.utc_ns() + 10 * MARGIN_NS
    await venues.check()
    assert "another program" in venues.of("REST cancel").mend


class _Locked(MemoryDirectory):
    def read(self, name: str, *, limit_bytes: int = 0) -> bytes | None:
        raise DiskFailed(self.root / name, "permission denied")


async def test_nonce_mark_that_cannot_be_read_is_warned_of(autojump_clock: MockClock) -> None:
    venues = spot()
    venues.directory = _Locked("/state")
    venues.answer_with("GetApiKeyInfo", key_info())
    await venues.check()
    [_, warned] = [one for one in venues.found if one.check == "key"]
    assert (warned.level, "permission denied" in warned.told) == ("warn", True)


@pytest.mark.parametrize("mark", [None, NOW_S * S - S, NOW_S * S + BLOCK_NS])
def test_nonces_follow_the_clock_beside_a_daemon_whose_own_do(mark: int | None) -> None:
    nonces = nonces_beside(mark, NOW_S * S)
    assert [nonces.draw(NOW_S * S), nonces.draw(NOW_S * S + 7)] == [NOW_S * S, NOW_S * S + 7]


def test_nonces_count_on_from_a_mark_that_has_left_the_clock() -> None:
    mark = NOW_S * S + MARGIN_NS
    nonces = nonces_beside(mark, NOW_S * S)
    assert [nonces.draw(NOW_S * S), nonces.draw(NOW_S * S + 7)] == [mark + 1, mark + 2]
