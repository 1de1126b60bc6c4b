"""`python -m tests.verbs.watch_picture`: draws the picture of `canceld watch` that README shows, into daemon/pages/.

A usual moment with one thing wrong: Spot's second session is being dialled anew, and somebody cancels.
"""

import re
from io import StringIO
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from canceld.verbs.paint import print_with_rich
from canceld.verbs.view import Line, View

PICTURE: Final = Path(__file__).parents[2] / "daemon" / "pages" / "watch.svg"
WIDTH: Final = 100
CLOCK: Final = "2027-01-15 08:00:00 UTC"
NOW_S: Final = 100.0
LIVE: Final[dict[str, Any]] = {"state": "live", "round_trip_us": 900.0, "token_expires_in_s": 861}
STATUS: Final[dict[str, Any]] = {
    "version": "0.1.0",
    "state": "serving",
    "in_flight": 2,
    "venues": {
        "spot": {
            "state": "degraded",
            "mode": "online",
            "sessions": [{"name": "spot-0", **LIVE}, {"name": "spot-1", "state": "down", "why": "close code 1012"}],
            "rest": {"state": "up"},
            "open_orders": 214,
        },
        "prime": {
            "state": "up",
            "mode": "online",
            "sessions": [{"name": name, "state": "live", "round_trip_us": 1400.0} for name in ("prime-0", "prime-1")],
            "open_orders": 31,
        },
        "futures": {
            "state": "up",
            "mode": "online",
            "sessions": [{"name": "futures-feed", "state": "live", "round_trip_us": 1100.0}],
            "rest": {"state": "up"},
            "open_orders": 88,
        },
    },
    "kill": {"latched": False, "drill": {"age_s": 2 * 86_400}},
    "leases": [{"strategy": "mm-1", "state": "held", "expires_in_ms": 1700}],
    "deadman": {"spot": {"state": "armed", "fires_in_ms": 52_000, "timeout_s": 60}},
    "alerts": [
        {"severity": "warning", "ts": CLOCK, "what": "spot-1 is down", "do": "cancels go by spot-0; it is dialled anew"}
    ],
}  # fmt: skip
WENT: Final = (
    *(("spot", "acked", "ws", ms) for ms in (1, 1, 2, 2, 3, 9)),
    *(("prime", "canceled", "stream", ms) for ms in (4, 5)),
    *(("futures", "canceled", "rest", ms) for ms in (7, 8, 40)),
    ("spot", "unknown", "none", 1000),
)


def lines() -> list[Line]:
    """The picture, a line each."""
    view = View(bar="█")
    view.answered(STATUS, NOW_S)
    for number, (venue, outcome, route, ms) in enumerate(WENT):
        event = {
            "type": "outcome",
            "venue": venue,
            "outcome": outcome,
            "route": route,
            "order_id": f"O{number:05d}-EXMPL-ORDERS",
            "received_ns": 0,
            "answered_ns": ms * 1_000_000,
            "ts": "2027-01-15T08:00:00.123456Z",
        }
        view.heard(f"outcome.{venue}", event, NOW_S)
    return view.picture(WIDTH, 34, NOW_S, CLOCK)


def svg() -> str:
    """The same as an image that fetches nothing from anywhere."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    print_with_rich(console, lines())
    drawn = console.export_svg(title="canceld watch", unique_id="watch")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)


if __name__ == "__main__":
    PICTURE.write_text(svg())
