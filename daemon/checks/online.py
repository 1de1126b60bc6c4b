"""`canceld check --online`: signs in at every enabled venue and proves the right to cancel. Touches nothing that rests.

The proof is a cancel of an order that cannot exist, on every route a real one would take. Nothing is written, neither
at the venues nor in the state directory, so this may run beside a daemon.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
import trio

from ..contract.ids import Venue
from ..credentials import Credentials
from ..settings import Settings
from ..transport.network import DialFailed
from ..transport.websocket import HandshakeRefused, SessionEnded
from ..transport.world import World
from .findings import Finding, unreached, upgrade_verdict
from .futures import FEED_CHECKS, FUTURES_REST_CHECKS, UNIFIED_CHECKS, Futures
from .prime import PRIME_CHECKS, PrimeRoute
from .report import Report
from .routes import KeyRefused, NoAnswer
from .spot import SPOT_CHECKS, SPOT_REST_CHECKS, Spot, SpotKey

TOTAL_S: Final = 20.0
"""For one route altogether; all routes of all venues are asked at the same time."""

HIDDEN: Final = "[secret]"


async def check_online(settings: Settings, credentials: Credentials, world: World) -> list[Finding]:
    """Ask every enabled venue; ends within TOTAL_S and a moment, whatever they do. Never empty, and free of secrets."""
    key = SpotKey(settings, credentials, world)
    reports: list[Report] = []
    async with trio.open_nursery() as routes:

        def ask(venue: Venue, checks: Sequence[str], on_route: Callable[[Report], Awaitable[None]]) -> None:
            report = Report(venue, checks)
            reports.append(report)
            routes.start_soon(_ask_in_time, report, on_route, name=f"check of {venue} {checks[-1]}")

        if settings.spot.enabled:
            spot = Spot(settings, key, world)
            ask("spot", SPOT_REST_CHECKS, spot.ask_rest)
            ask("spot", SPOT_CHECKS, spot.ask_session)
        if settings.prime.enabled:
            assert credentials.prime is not None
            ask("prime", PRIME_CHECKS, PrimeRoute(settings, credentials.prime, world).ask)
        if settings.futures.enabled:
            assert credentials.futures is not None
            futures = Futures(settings, credentials.futures, key, world)
            ask("futures", FUTURES_REST_CHECKS, futures.ask_rest)
            ask("futures", FEED_CHECKS, futures.ask_feed)
            if settings.futures.uws_url:
                ask("futures", UNIFIED_CHECKS, futures.ask_unified)
    await key.aclose()
    secrets = [keys.key.reveal() for keys in credentials.all_keys()] + [token.reveal() for token in key.tokens]
    return [_shown(finding, secrets) for report in reports for finding in report.findings]


async def _ask_in_time(report: Report, on_route: Callable[[Report], Awaitable[None]]) -> None:
    """A route that cannot be had or is lost ends what is done on it, and is told under the check that was on."""
    with trio.move_on_after(TOTAL_S) as bound:
        try:
            await on_route(report)
        except KeyRefused:
            pass  # told where it was refused
        except HandshakeRefused as refused:
            report.end(upgrade_verdict(refused.status))
        except (NoAnswer, DialFailed, SessionEnded) as lost:
            report.end(unreached(str(lost)))
    if bound.cancelled_caught:
        report.end(unreached(f"not done within {TOTAL_S:.0f} s"))
    report.close()


def _shown(finding: Finding, secrets: Sequence[str]) -> Finding:
    """A finding fit to be printed: venues' own words may quote a secret, or steer a terminal."""
    told = finding.told
    for secret in secrets:
        told = told.replace(secret, HIDDEN)
    printable = "".join(char if char.isprintable() else " " for char in told)
    return msgspec.structs.replace(finding, told=printable)
