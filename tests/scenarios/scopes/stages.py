"""What the stories of scopes share: each venue in each of its dialects, and a book of all kinds of orders."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from msgspec.structs import replace

from canceld.contract.ids import Venue
from canceld.settings import Strategy

from ..world import Stage, settings_for
from ..world import stage as any_stage

DIALECTS: Final[dict[str, tuple[Venue, dict[str, Any]]]] = {
    "spot v1": ("spot", {"protocol": "v1"}),
    "spot v2": ("spot", {"protocol": "v2"}),
    "prime": ("prime", {}),
    "futures": ("futures", {}),
    "futures unified": ("futures", {"uws": True}),
}

STRATEGIES: Final = {"mm-1": Strategy("mm1-", (7,)), "arb": Strategy("arb-", ())}

SYMBOLS: Final[dict[Venue, tuple[str, str]]] = {
    "spot": ("XBT/USD", "ETH/USD"),
    "prime": ("BTC-USD", "ETH-USD"),
    "futures": ("PF_XBTUSD", "PF_ETHUSD"),
}


def stage(dialect: str, seed: int = 1, **options: Any) -> AbstractAsyncContextManager[Stage]:
    """A world with one venue, spoken to in one of its dialects, and two strategies configured."""
    venue, how = DIALECTS[dialect]
    settings = replace(settings_for(venue, uws=how.get("uws", False)), strategies=STRATEGIES)
    more = {"protocol": how["protocol"]} if "protocol" in how else {}
    return any_stage(seed, settings, **more, **options)


async def book(world: Stage) -> dict[str, str]:
    """Every combination of symbol, side and name, and on Spot of userrefs; order ids by what each of them is."""
    placed: dict[str, str] = {}
    venue = world.venue
    for symbol in SYMBOLS[venue]:
        for side in ("buy", "sell"):
            for name in ("mm1-", "mm2-", "arb-"):
                kind = f"{symbol} {side} {name}"
                [placed[kind]] = world.place(1, pair=symbol, side=side, cl_ord_id=f"{name}{len(placed)}")
            if venue == "spot":
                for userref in (7, 8):
                    kind = f"{symbol} {side} {userref}"
                    [placed[kind]] = world.place(1, pair=symbol, side=side, userref=userref)
    await world.passed(0.1)
    return placed
