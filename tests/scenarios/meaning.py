"""What a scope means, written once more from the contract's words and the exchange's own orders."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from canceld.sim.exchange import Order

_SPELLINGS: Final = {"XBT": "BTC", "XDG": "DOGE"}


def is_meant(
    order: Order, scope: Sequence[Mapping[str, Any]], strategies: Mapping[str, Mapping[str, Any]], at_s: float
) -> bool:
    """Whether one selector fits whole. at_s: Unix seconds, when ages count."""
    return any(_fits(order, selector, strategies, at_s) for selector in scope)


def _fits(order: Order, selector: Mapping[str, Any], strategies: Mapping[str, Mapping[str, Any]], at_s: float) -> bool:
    name = order.cl_ord_id or ""
    tests = {
        "venue": lambda value: order.venue == value,
        "order_id": lambda value: order.order_id.lower() == value.lower(),
        "cl_ord_id": lambda value: name == value,
        "userref": lambda value: order.venue == "spot" and order.userref == value,
        "cl_ord_id_prefix": lambda value: name.startswith(value),
        "symbol": lambda value: _pair(order.symbol) == _pair(value),
        "side": lambda value: order.side == value,
        "older_than_ms": lambda value: (at_s - order.opened_s) * 1000 >= value,
        "strategy": lambda value: _belongs(order, strategies[value]),
    }
    return all(tests[member](value) for member, value in selector.items())


def _belongs(order: Order, own: Mapping[str, Any]) -> bool:
    prefix = own.get("cl_ord_id_prefix")
    by_name = bool(prefix) and (order.cl_ord_id or "").startswith(prefix)
    return by_name or (order.venue == "spot" and order.userref in own.get("userrefs", ()))


def _pair(symbol: str) -> str:
    base, slash, quote = symbol.upper().partition("/")
    return f"{_SPELLINGS.get(base, base)}{slash}{_SPELLINGS.get(quote, quote)}" if slash else symbol.upper()
