"""The Futures contracts this exchange trades."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract. symbol: in capitals, as answers spell it. last_price: what a market order fills at.

    kind: as the instruments page has it. trade_digits: decimals of a quantity; below zero, tens.
    """

    symbol: str
    kind: str
    pair: str
    tick: Decimal
    trade_digits: int
    last_price: Decimal


CONTRACTS: tuple[Contract, ...] = (
    Contract("PF_XBTUSD", "flexible_futures", "XBT:USD", Decimal("1"), 4, Decimal("60000")),
    Contract("PF_ETHUSD", "flexible_futures", "ETH:USD", Decimal("0.1"), 3, Decimal("3000")),
    Contract("PF_SOLUSD", "flexible_futures", "SOL:USD", Decimal("0.01"), 2, Decimal("150")),
    Contract("PI_XBTUSD", "futures_inverse", "XBT:USD", Decimal("0.5"), 0, Decimal("60000")),
)
_BY_SYMBOL = {contract.symbol: contract for contract in CONTRACTS}


def contract_of(symbol: str) -> Contract | None:
    """The contract of this symbol, in capitals or small letters: the venue takes and prints both."""
    return _BY_SYMBOL.get(symbol.upper())
