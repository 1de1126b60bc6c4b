"""The shapes of frames and bodies that people captured from the venues: members, types, sequence and nulls as seen.

The values are made up. Each shape names where its like was seen; what nobody showed in public so far has None there,
and is built from the pages alone.
"""

from typing import Any, NamedTuple


class Shape(NamedTuple):
    """One kind of frame or body. told: what the parser has to make of it. status: of HTTP, for bodies."""

    kind: str
    seen: str | None
    text: str
    told: Any
    status: int = 200


ASYNC_RS = "kraken-async-rs, tests (2023 and 2024)"
SDK_GUIDES = "krakenfx/kraken-api-sdk, guides (what its authors met)"
FIELD = "reports of users, without a public capture"
ROQ_SPOT = "roq-kraken, tests (January 2026)"
ROQ_FUTURES = "roq-kraken-futures, tests (2021)"
KRAKEN_NET = "JKorf/Kraken.Net, Kraken.Net.UnitTests/Endpoints"
NAUTILUS = "nautechsystems/nautilus_trader, crates/adapters/kraken/test_data"
SDK = "btschwertfeger/python-kraken-sdk, issues"
XCHANGE = "knowm/XChange issue 3683, bitrich-info/xchange-stream issue 502"
GCT = "thrasher-corp/gocryptotrader, exchanges/kraken, tests"
CCXT = "ccxt/ccxt, pulls 19638 and 20437"
