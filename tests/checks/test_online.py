"""All venues at once: none holds up another, every check has its line, and no line holds a secret."""

import msgspec
from trio.testing import MockClock

from canceld.checks.findings import FAILED, PASSED, UNREACHED, exit_status
from canceld.checks.online import TOTAL_S
from canceld.settings import Settings, State

from .venues import FUTURES, PRIME, SPOT, UWS, Venues


def everything() -> Venues:
    unified = msgspec.structs.replace(FUTURES, uws_url=UWS)
    return Venues(Settings(spot=SPOT, prime=PRIME, futures=unified, state=State(dir="/state")))


async def test_every_venue_is_asked_and_each_check_has_a_line(autojump_clock: MockClock) -> None:
    venues = everything()
    found = await venues.check()
    assert {venue for venue, _, _ in found} == {"spot", "prime", "futures"}
    assert {level for _, _, level in found} == {"ok", "warn"}
    assert len({(venue, check) for venue, check, _ in found}) == 7 + 4 + 5
    assert exit_status(venues.found) == PASSED
    # Spot's session and the Unified WebSocket share one key, whose nonces must come in order.
    nonces = [int(one.body["nonce"]) for one in venues.exchange.received if "nonce" in (one.body or {})]
    assert nonces == sorted(set(nonces))


async def test_venue_that_hangs_holds_up_no_other(autojump_clock: MockClock) -> None:
    venues = everything()
    venues.inject("stall_handshake", route="spot_ws")
    await venues.check()
    assert [one.check for one in venues.found if one.level == "fail"] == ["session"]
    assert exit_status(venues.found) == UNREACHED
    assert venues.took_s < TOTAL_S


async def test_venues_that_dribble_are_given_up_at_the_total_bound(autojump_clock: MockClock) -> None:
    venues = everything()
    # Each answer is just in time, and all of them together are not.
    venues.inject("rest_delay", seconds=2.4, route="spot_rest")
    venues.inject("delay", seconds=4.5)
    venues.inject("delay_events", seconds=4.5)
    await venues.check()
    assert venues.took_s < TOTAL_S + 2
    assert all(one.told for one in venues.found)


async def test_nothing_reachable_is_told_as_unreachable(autojump_clock: MockClock) -> None:
    venues = everything()
    venues.inject("refuse_connections")
    await venues.check()
    assert exit_status(venues.found) == UNREACHED
    assert {one.level for one in venues.found} == {"fail", "skip"}


async def test_what_venues_say_of_secrets_and_to_terminals_is_not_repeated(autojump_clock: MockClock) -> None:
    venues = everything()
    key = venues.credentials.spot
    assert key is not None
    venues.answer_with("CancelOrder", {"error": [f"EOrder:\x1b[2J\n{key.key.reveal()}"]})
    await venues.check()
    said = venues.of("REST cancel", "spot").told
    assert said == "EOrder: [2J [secret]"
    assert exit_status(venues.found) == FAILED
    everything_said = str(venues.found)
    for keys in venues.credentials.all_keys():
        assert keys.key.reveal() not in everything_said
