"""The table of venue error texts: what each means for a cancel. The only place that knows their words."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from ..contract.evidence import Fault

TEXT_CHARS: Final = 512
"""Longest error text passed on. Kraken's have under 100 characters; what is longer is a page that went astray."""

CACHED_TEXTS: Final = 256
"""Most texts whose meaning is remembered; a venue says the same few again and again."""


class Row(NamedTuple):
    """One error text. `alone`: further words would make it another message, punctuation and what follows would not."""

    prefix: str
    fault: Fault
    source: str
    alone: bool = False


_ERRORS = 'Spot "Errors" guide'
_LIMITS = 'Spot REST "Rate limits" guide'
_SDK = "krakenfx/kraken-api-sdk, error guide"
_SEEN = "public clients of WebSocket v1"

SPOT: Final[tuple[Row, ...]] = (
    Row("EOrder:Unknown order", Fault.NOT_OPEN, 'WebSocket v1 "Cancel Order"; live tests of purple-goctopus'),
    # Nothing but punctuation may follow, because a text such as "Invalid order type" would speak of an order that
    # lives, and NOT_OPEN is the one verdict after which nobody looks again.
    Row("EOrder:Invalid order", Fault.NOT_OPEN, _SDK, alone=True),
    Row("EOrder:Rate limit exceeded", Fault.THROTTLED, 'Spot "Rate limits" guide, trading engine'),
    Row("EOrder:Domain rate limit exceeded", Fault.THROTTLED, _ERRORS),
    Row("EAPI:Rate limit exceeded", Fault.ROUTE_BUSY, _LIMITS),
    Row("EAuth:Rate limit exceeded", Fault.ROUTE_BUSY, _ERRORS),
    Row("EAuth:Too many requests", Fault.ROUTE_BUSY, _ERRORS),
    Row("EGeneral:Too many requests", Fault.ROUTE_BUSY, _ERRORS),
    Row("EService:Throttled", Fault.ROUTE_BUSY, _LIMITS),
    Row("Exceeded msg rate", Fault.ROUTE_BUSY, "Spot WebSocket FAQ"),
    Row("ESession:Invalid session", Fault.STALE_TOKEN, "knowm/XChange issue 3683"),
    Row("EAPI:Invalid token", Fault.STALE_TOKEN, _SDK),
    Row("EAPI:Invalid nonce", Fault.STALE_NONCE, _ERRORS),
    Row("EAPI:Invalid key", Fault.CREDENTIALS, _ERRORS),
    Row("EAPI:Invalid signature", Fault.CREDENTIALS, _ERRORS),
    Row("EAPI:Feature disabled", Fault.CREDENTIALS, _ERRORS),
    Row("EAuth:", Fault.CREDENTIALS, _ERRORS),
    Row("EGeneral:Temporary lockout", Fault.LOCKOUT, _ERRORS),
    Row("EGeneral:Permission denied", Fault.PERMISSION, _ERRORS),
    Row("EAPI:Permission denied", Fault.PERMISSION, _ERRORS),
    Row("EAccount:Invalid permissions", Fault.PERMISSION, _ERRORS),
    Row("EGeneral:Invalid arguments", Fault.INVALID, _ERRORS),
    Row("EGeneral:Unknown method", Fault.INVALID, _ERRORS),
    Row("EAPI:Bad request", Fault.INVALID, _ERRORS),
    Row("ETrade:Invalid request", Fault.INVALID, _ERRORS),
    Row("Malformed request", Fault.INVALID, _SEEN),
    Row("Event(s) not found", Fault.INVALID, _SEEN),
    Row("Already subscribed", Fault.INVALID, _SEEN),
    Row("Subscription name invalid", Fault.INVALID, _SEEN),
    Row("Public channels not available in this endpoint", Fault.INVALID, "bitrich-info/xchange-stream issue 485"),
    Row("EService:Unavailable", Fault.UNAVAILABLE, _ERRORS),
    Row("EService:Busy", Fault.TRANSIENT, _ERRORS),
    Row("EService:Timeout", Fault.TRANSIENT, _ERRORS),
    Row("EService:Deadline elapsed", Fault.TRANSIENT, _ERRORS),
    Row("EService:Market in cancel_only mode", Fault.TRANSIENT, _ERRORS),
    Row("EService:Market in post_only mode", Fault.TRANSIENT, _ERRORS),
    Row("EService:Market in limit_only mode", Fault.TRANSIENT, _ERRORS),
    Row("EGeneral:Internal error", Fault.TRANSIENT, _ERRORS),
    Row("EDatabase:Internal error", Fault.TRANSIENT, _ERRORS),
)
"""Every text that Spot is known to answer a cancel with. The longest prefix wins, so rows may stand in any order."""

_DECISIVE: Final = (
    Fault.LOCKOUT,
    Fault.CREDENTIALS,
    Fault.PERMISSION,
    Fault.STALE_NONCE,
    Fault.STALE_TOKEN,
    Fault.ROUTE_BUSY,
    Fault.THROTTLED,
    Fault.UNAVAILABLE,
    Fault.TRANSIENT,
    Fault.INVALID,
    Fault.UNLISTED,
    Fault.NOT_OPEN,
)
"""Which of several errors in one answer speaks for it: first what forbids going on, and "not open" only when nothing
else was said, because it is the only one that lets a caller believe that nothing rests."""


def fault_of(error: str) -> Fault:
    """What a Spot error text means. Total: a text in no row is UNLISTED.

    Case, spaces and a final period do not matter: the texts are no part of the API's contract.
    """
    return _fault_of(error[:TEXT_CHARS])


def fault_of_all(errors: Sequence[str]) -> Fault | None:
    """What a REST answer's `error` array means; None when it is empty or holds only warnings."""
    faults = {fault_of(error) for error in errors if not _WARNING.match(error)}
    return next((fault for fault in _DECISIVE if fault in faults), None)


def retry_at_s(error: str) -> float | None:
    """The Unix time before which `EService:Throttled: <time>` asks to be left alone; None for any other text."""
    match = _THROTTLED_UNTIL.match(error[:TEXT_CHARS])
    return None if match is None else float(match[1])


# Severity letter, category, colon. A bare leading W is not enough: "WebSocket …" would pass for a harmless warning.
_WARNING: Final = re.compile(r"\s*W[A-Za-z]+\s*:")

# Ten digits are seconds in this century; a longer or shorter number is not a time in the unit we know.
_THROTTLED_UNTIL: Final = re.compile(
    r"\s*EService\s*:\s*Throttled\s*:\s*(\d{10}(?:\.\d{1,9})?)\s*\.?\s*\Z", re.I | re.A
)


def _plain(text: str) -> str:
    """`text` as the table is compared: lower case, single spaces, none around the first colon, no final period."""
    head, colon, tail = " ".join(text.lower().split()).partition(":")
    return (head.rstrip() + colon + tail.lstrip()).rstrip(".").rstrip()


_ROWS: Final = tuple((_plain(row.prefix), row) for row in sorted(SPOT, key=lambda row: len(row.prefix), reverse=True))


@lru_cache(maxsize=CACHED_TEXTS)
def _fault_of(error: str) -> Fault:
    plain = _plain(error)
    for prefix, row in _ROWS:
        if plain.startswith(prefix) and _ends(plain[len(prefix) :], row):
            return row.fault
    # Kraken words a dead token in several ways and publishes none of them.
    # Source: knowm/XChange pull 3697 (support mail), krakenfx/kraken-api-sdk.
    if ("token" in plain or "session" in plain) and ("invalid" in plain or "expired" in plain):
        return Fault.STALE_TOKEN
    return Fault.UNLISTED


def _ends(rest: str, row: Row) -> bool:
    """Whether the row's text ends where the prefix does, rather than inside a word."""
    if row.prefix.endswith(":") or not rest:
        return True
    return rest[0] in ":;,.([" or (rest[0] == " " and not row.alone)
