"""Which orders a command means: a scope is a list of selectors, and an order is meant when one of them fits whole.

What a client wrote is checked here, as far as that needs no configuration and no book. A refusal names the member by
its path and says the mend; nothing that is odd ever comes to mean every order.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from .ids import CL_ORD_ID_CHARS, ORDER_ID_CHARS, Target, Venue, fault_of

Side: TypeAlias = Literal["buy", "sell"]

SYMBOL_CHARS: Final = 64
STRATEGY_CHARS: Final = 64

OLDEST_MS: Final = 10 * 366 * 86_400_000
"""Ten years: an order older than that is none; a larger number is one in another unit."""

_Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=128)]

_PREFIX: Final = re.compile(r"[\x21-\x7e][\x20-\x7e]*\Z")
_SYMBOL: Final = re.compile(r"[\x21-\x7e]+\Z")


class Selector(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One selector: all the members that are given must fit. `older_than_ms` counts from the order's birth.

    `strategy` stands for the orders that the configuration gives to a strategy: those whose client order id begins
    with its prefix, and those under one of its userrefs.
    """

    venue: Venue | None = None
    order_id: _Text | None = None
    cl_ord_id: _Text | None = None
    userref: int | None = None
    cl_ord_id_prefix: _Text | None = None
    symbol: _Text | None = None
    side: Side | None = None
    older_than_ms: int | None = None
    strategy: _Text | None = None


Scope: TypeAlias = tuple[Selector, ...]

EVERYTHING_SELECTED: Final = Selector()
"""What no client may write: every order there is."""

NAMES: Final = Selector.__struct_fields__
_MEND: Final = f"a selector has {', '.join(NAMES)}"
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)` - at `\$\.(scope\[\d+\])`\Z", re.DOTALL)


def scope_fault(scope: Sequence[Selector], everything: str = "everything: true") -> str | None:
    """Why a scope cannot be taken, naming the member by its path and the mend; None when it can.

    everything: how the command is told that every order is meant.
    """
    if not scope:
        return f"scope: empty; name at least one selector, or say {everything} where every order is meant"
    for number, selector in enumerate(scope):
        fault = selector_fault(selector)
        if fault is not None:
            return f"scope[{number}]{fault}"
    return None


def selector_fault(selector: Selector) -> str | None:
    """Why one selector cannot be taken: the member's name after a dot, and the mend; None when it can."""
    if selector == EVERYTHING_SELECTED:
        return ": empty, which would mean every order; name what is meant, at the least a venue"
    for member, fault in (
        ("order_id", _order_id_fault(selector.order_id)),
        ("cl_ord_id", _cl_ord_id_fault(selector)),
        ("cl_ord_id_prefix", _prefix_fault(selector)),
        ("userref", _userref_fault(selector)),
        ("symbol", _text_fault(selector.symbol, SYMBOL_CHARS, _SYMBOL)),
        ("older_than_ms", _age_fault(selector.older_than_ms)),
        ("strategy", _text_fault(selector.strategy, STRATEGY_CHARS, _PREFIX)),
    ):
        if fault is not None:
            return f".{member}: {fault}"
    return None


def strategies_fault(scope: Sequence[Selector], known: Mapping[str, object]) -> str | None:
    """Why a scope names a strategy of which the configuration does not say which orders are its own; None if not."""
    for number, selector in enumerate(scope):
        if selector.strategy is not None and selector.strategy not in known:
            names = ", ".join(known) or "none"
            mend = f"add [strategies.{selector.strategy}] to the configuration, or name one of it ({names})"
            return f"scope[{number}].strategy: {selector.strategy!r} is not configured; {mend}"
    return None


def mended(error: str) -> str:
    """What the decoder complains of, with the mend where it is a member that no selector has."""
    unknown = _UNKNOWN.match(error)
    return error if unknown is None else f"{unknown[2]}.{unknown[1]}: no such member; {_MEND}"


def market_of(venue: Venue, symbol: str) -> str:
    """A symbol in the one spelling in which a venue's symbols are compared; it is never sent and never shown.

    Spot spells one pair XBT/USD (WebSocket v1), BTC/USD (v2) and XBTUSD (REST); a client may write any of them. The
    slash is dropped, since REST's names are as unambiguous without it: each stands for one pair. Elsewhere only the
    case differs. Source: Spot "Asset Pairs" (`altname`, `wsname`), WebSocket v2 "Instrument"; Futures "Open orders".
    """
    upper = symbol.upper()
    if venue != "spot":
        return upper
    base, slash, quote = upper.partition("/")
    if slash:
        return _AS_V2.get(base, base) + _AS_V2.get(quote, quote)
    for old, new in _AS_V2.items():
        if upper.startswith(old):
            upper = new + upper[len(old) :]
        if upper.endswith(old):
            upper = upper[: -len(old)] + new
    return upper


_AS_V2: Final = {"XBT": "BTC", "XDG": "DOGE"}
"""Assets whose name differs between Spot's versions. Source: WebSocket v2 page, "Symbology"."""


def _order_id_fault(order_id: str | None) -> str | None:
    if order_id is None:
        return None
    # The form of an order id is the same at every venue.
    fault = fault_of("spot", Target("order_id", order_id))
    return None if fault is None else f"expected letters and digits in groups joined by '-', at most {ORDER_ID_CHARS}"


def _name_chars(selector: Selector) -> int:
    return CL_ORD_ID_CHARS[selector.venue] if selector.venue is not None else max(CL_ORD_ID_CHARS.values())


def _cl_ord_id_fault(selector: Selector) -> str | None:
    name = selector.cl_ord_id
    if name is None:
        return None
    limit = _name_chars(selector)
    # Futures takes the longest, so its form is the widest.
    if len(name) > limit or fault_of("futures", Target("cl_ord_id", name)) is not None:
        return f"expected 1..{limit} printable ASCII characters{_at(selector)}"
    prefix = selector.cl_ord_id_prefix
    if prefix is not None and not name.startswith(prefix):
        return "does not begin with cl_ord_id_prefix, so no order could fit; take one of the two out"
    return None


def _prefix_fault(selector: Selector) -> str | None:
    prefix = selector.cl_ord_id_prefix
    if prefix is None:
        return None
    if prefix == "":
        return "empty, which every client order id begins with; name the prefix, or take it out"
    limit = _name_chars(selector)
    if len(prefix) > limit or not _PREFIX.match(prefix):
        return f"expected 1..{limit} printable ASCII characters{_at(selector)}, the first of them no space"
    return None


def _userref_fault(selector: Selector) -> str | None:
    userref = selector.userref
    if userref is None:
        return None
    if selector.venue not in (None, "spot"):
        return f"{selector.venue} orders have none; take it out, or say venue: spot"
    fault = fault_of("spot", Target("userref", userref))
    return None if fault is None else fault.partition(": ")[2]


def _age_fault(older_than_ms: int | None) -> str | None:
    if older_than_ms is None or 1 <= older_than_ms <= OLDEST_MS:
        return None
    return f"expected 1..{OLDEST_MS} ms; leave it out where age does not matter"


def _text_fault(text: str | None, limit: int, form: re.Pattern[str]) -> str | None:
    if text is None or (len(text) <= limit and form.match(text)):
        return None
    return f"expected 1..{limit} printable ASCII characters"


def _at(selector: Selector) -> str:
    return "" if selector.venue is None else f" on {selector.venue}"
