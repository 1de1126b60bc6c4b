"""What the stories of the kill share: all three venues, an operator, and what the wire log says of who was first."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from canceld.contract.ids import VENUES, Venue

from .. import wirelog
from ..world import CONTROL, Stage, Strategy, settings_for
from ..world import stage as any_stage

DEADLINE_MS: Final = 10_000
"""How long a `kill` that names no deadline waits."""

MASS: Final[dict[Venue, frozenset[str]]] = {
    "spot": frozenset({"cancelAll", "cancel_all", "CancelAll"}),
    "prime": frozenset({"OrderCancelRequest"}),
    "futures": frozenset({"cancelallorders", "cancel_all"}),
}
"""What cancels everything at a venue; on Prime nothing does, and its orders are cancelled one by one."""

LOOKS: Final[dict[Venue, frozenset[str]]] = {
    "spot": frozenset({"OpenOrders"}),
    "prime": frozenset({"subscribe"}),
    "futures": frozenset({"openorders"}),
}


def stage(
    seed: int = 1, venues: Sequence[Venue] = VENUES, *, uws: bool = False, **options: Any
) -> AbstractAsyncContextManager[Stage]:
    """The world with these venues. uws: Futures may also be reached over the Unified WebSocket."""
    return any_stage(seed, settings_for(*venues, uws=uws), **options)


def operator(world: Stage) -> Strategy:
    """Somebody at the control socket."""
    return world.strategy(endpoint=CONTROL)


def ask_kill(asker: Strategy, **fields: Any) -> Any:
    """Pull the switch by a command; its id."""
    return asker.ask("kill", **{"reason": "drill of the story", "deadline_ms": DEADLINE_MS, **fields})


async def kill(asker: Strategy, **fields: Any) -> dict[str, Any]:
    """The same, and its reply."""
    asked = ask_kill(asker, **fields)
    reply = await asker.hear()
    while reply["id"] != asked:
        reply = await asker.hear()
    assert reply["type"] == "killed", reply
    return reply


async def status(asker: Strategy) -> dict[str, Any]:
    """The `kill` member of the status reply."""
    told: dict[str, Any] = (await asker.do("status"))["kill"]
    return told


async def rearm(asker: Strategy, **fields: Any) -> dict[str, Any]:
    """Both steps."""
    code = (await asker.do("rearm"))["code"]
    return await asker.do("rearm", confirm=code, reason="the story is over", **fields)


async def place_everywhere(world: Stage, count: int, venues: Sequence[Venue] = VENUES) -> dict[Venue, list[str]]:
    """Orders at every venue that the daemon has seen."""
    placed = {venue: world.place(count, venue) for venue in venues}
    await world.passed(0.05)
    return placed


def book(world: Stage, venues: Sequence[Venue] = VENUES) -> dict[Venue, list[str]]:
    """What rests, by venue."""
    return {venue: world.resting_at(venue) for venue in venues}


def empty(venues: Sequence[Venue] = VENUES) -> dict[Venue, list[str]]:
    return {venue: [] for venue in venues}


def operations(world: Stage, venue: Venue, since: int = 0) -> list[str]:
    """What a venue received, by name and in wire order, leaving out the first `since` of everything received."""
    return [
        received.operation or "" for received in world.exchange.received[since:] if wirelog.venue_of(received) == venue
    ]


def states(reply: Mapping[str, Any]) -> dict[str, str]:
    """The state of each venue in a `killed` reply."""
    return {venue: part["state"] for venue, part in reply["venues"].items()}


def assert_flat(reply: Mapping[str, Any], venues: Sequence[Venue] = VENUES) -> None:
    """Every one of these venues is called flat."""
    assert states(reply) == dict.fromkeys(venues, "flat"), f"{reply['venues']}"
