"""The simulated exchange's control door: puts orders on the book, makes things go wrong, and tells what rests."""

import json
import ssl
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from ..contract.ids import Venue

CONTROL_S: Final = 5.0
SETTLE_S: Final = 1.0
LOOK_S: Final = 0.02


class Exchange:
    """One door, asked over the exchange's own TLS."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        """told: what the exchange printed when it began to listen."""
        self._url: str = told["control_url"]
        self._context = ssl.create_default_context(cafile=told["ca_file"])

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, method=method, data=content)
        with urllib.request.urlopen(request, context=self._context, timeout=CONTROL_S) as answer:
            return json.loads(answer.read())

    def place(self, count: int, venue: Venue = "spot", **fields: Any) -> list[str]:
        """Put orders on the book; their ids."""
        return [self._ask("POST", "/sim/orders", {"venue": venue, **fields})["order_id"] for _ in range(count)]

    def resting(self, venue: Venue) -> int:
        """How many orders rest at a venue."""
        return len(self._ask("GET", "/sim/orders")[venue])

    def resting_after(self, venue: Venue, wanted: int) -> int:
        """How many orders rest, once it is as many as wanted: an accepted cancel may need a moment to take effect."""
        give_up = time.monotonic() + SETTLE_S
        while (resting := self.resting(venue)) != wanted and time.monotonic() < give_up:
            time.sleep(LOOK_S)
        return resting

    def received(self) -> list[dict[str, Any]]:
        """Every message and request that it got, in wire order: `at_s` in Unix seconds, `body`, and more."""
        return list(self._ask("GET", "/sim/log")["received"])

    def inject(self, *faults: Mapping[str, Any]) -> None:
        """Make things go wrong."""
        self._ask("POST", "/sim/faults", list(faults))

    def clear(self) -> None:
        """Lift every fault."""
        self._ask("DELETE", "/sim/faults")

    def fill(self, order_id: str) -> None:
        """Let the market take an order."""
        self._ask("POST", "/sim/fill", {"order_id": order_id})
