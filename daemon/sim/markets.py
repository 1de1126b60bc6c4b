"""The Spot pairs this exchange trades, in the spellings its three wire fronts use.

Three spellings of one pair are in use at the venue: REST keys (`XXBTZUSD`, alternative `XBTUSD`), WebSocket v1
(`XBT/USD`) and WebSocket v2 (`BTC/USD`). The order book keeps the v1 spelling.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset: its REST key, its short name, the v2 ticker, and the decimals shown."""

    key: str
    altname: str
    ticker: str
    decimals: int
    display_decimals: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One Spot pair. last_price: what a market order fills at; no market moves here."""

    key: str
    base: Asset
    quote: Asset
    price_decimals: int
    quantity_decimals: int
    minimum_quantity: Decimal
    last_price: Decimal

    @property
    def altname(self) -> str:
        return self.base.altname + self.quote.altname

    @property
    def wsname(self) -> str:
        return f"{self.base.altname}/{self.quote.altname}"

    @property
    def ticker(self) -> str:
        return f"{self.base.ticker}/{self.quote.ticker}"


_XBT = Asset("XXBT", "XBT", "BTC", 10, 5)
_ETH = Asset("XETH", "ETH", "ETH", 10, 5)
_SOL = Asset("SOL", "SOL", "SOL", 10, 5)
_ADA = Asset("ADA", "ADA", "ADA", 8, 6)
_USD = Asset("ZUSD", "USD", "USD", 4, 2)
_EUR = Asset("ZEUR", "EUR", "EUR", 4, 2)

ASSETS: tuple[Asset, ...] = (_XBT, _ETH, _SOL, _ADA, _USD, _EUR)
PAIRS: tuple[Pair, ...] = (
    Pair("XXBTZUSD", _XBT, _USD, 1, 8, Decimal("0.00005"), Decimal("60000.0")),
    Pair("XXBTZEUR", _XBT, _EUR, 1, 8, Decimal("0.00005"), Decimal("55000.0")),
    Pair("XETHZUSD", _ETH, _USD, 2, 8, Decimal("0.001"), Decimal("3000.00")),
    Pair("SOLUSD", _SOL, _USD, 2, 8, Decimal("0.02"), Decimal("150.00")),
    Pair("ADAUSD", _ADA, _USD, 6, 8, Decimal("4.4"), Decimal("0.500000")),
)

BY_WSNAME: dict[str, Pair] = {pair.wsname: pair for pair in PAIRS}
BY_TICKER: dict[str, Pair] = {pair.ticker: pair for pair in PAIRS}
# REST takes either of its own two spellings, and the v1 one.
BY_REST_NAME: dict[str, Pair] = {name: pair for pair in PAIRS for name in (pair.key, pair.altname, pair.wsname)}
