"""The page's table of selectors and venues is what the daemon does: it is made here, from a daemon that is asked.

A cell says who tells what the member asks for: the stream as it runs, or a list of open orders where there is none.
"""

from pathlib import Path
from typing import Any

from canceld.contract.selectors import NAMES, Selector, selector_fault
from canceld.venue_table import TRAITS

from ..world import FEED_HOST, UWS_HOST, WS_HOST
from .stages import DIALECTS, SYMBOLS, stage

PAGE = Path(__file__).parents[3] / "daemon" / "pages" / "scopes.md"
STREAMS = {
    "spot v1": (WS_HOST,),
    "spot v2": (WS_HOST,),
    "futures": (FEED_HOST,),
    "futures unified": (FEED_HOST, UWS_HOST),
}


def values(dialect: str, order_id: str) -> dict[str, Any]:
    venue, _ = DIALECTS[dialect]
    return {
        "venue": venue,
        "order_id": order_id,
        "cl_ord_id": "mm1-7",
        "userref": 7,
        "cl_ord_id_prefix": "mm1-",
        "symbol": SYMBOLS[venue][0],
        "side": "sell",
        "older_than_ms": 1,
        "strategy": "mm-1",
    }


async def told_by(dialect: str) -> dict[str, list[str]]:
    """For each member who tells of it, in one dialect."""
    venue, _ = DIALECTS[dialect]
    found: dict[str, list[str]] = {name: [] for name in NAMES}
    for source in ("stream", "list"):
        async with stage(dialect) as world:
            if source == "list":
                if dialect not in STREAMS:
                    continue
                world.cut_off(*STREAMS[dialect])
                await world.passed(1)
            placed = {"pair": SYMBOLS[venue][0], "side": "sell", "cl_ord_id": "mm1-7"}
            [order_id] = await world.place_seen(1, **placed, **({"userref": 7} if venue == "spot" else {}))
            await world.passed(0.2)
            for name, value in values(dialect, order_id).items():
                if selector_fault(Selector(**{"venue": venue, name: value})) is not None:
                    continue
                scope = [{"venue": venue, name: value}]
                reply = await world.strategy().do("what_rests", scope=scope, fresh=source == "list")
                if reply["venues"][venue]["count"] == 1:
                    found[name].append(source)
            world.reconnect()
    return found


def cell(sources: list[str]) -> str:
    return ", ".join(sources) or "refused"


async def test_the_table_is_what_the_daemon_does(autojump_clock: object) -> None:
    told = {dialect: await told_by(dialect) for dialect in DIALECTS}
    rows = [["member", *DIALECTS], ["---"] * (len(DIALECTS) + 1)]
    rows += [[f"`{name}`", *(cell(told[dialect][name]) for dialect in DIALECTS)] for name in NAMES]
    whole = ["its own request" if TRAITS[venue]["markets"] else "by ids" for venue, _ in DIALECTS.values()]
    rows.append(["a whole `symbol` goes", *whole])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    assert table in PAGE.read_text(), f"\n{table}"
