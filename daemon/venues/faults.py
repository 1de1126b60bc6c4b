"""The tables of venue error texts: what each means for a cancel. The only place that knows their words."""

import re
from collections.abc import Callable, Iterable, Sequence
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
_CANCEL_PAGE = 'Futures "Cancel order", Error'
_SENTENCE = "btschwertfeger/python-kraken-sdk issues, ccxt pull 20437: sentences in a list of errors"
_PHRASE = "HTTP's own phrase, which is the `error` of the web framework's body: roq-kraken-futures, tests"
_FEED = "Futures feed: open_orders page, btschwertfeger/python-kraken-sdk issue 179"
_FIX_102 = "Prime FIX order cancel reject, CxlRejReason (102)"
_WORDED = "the same reason in words; the WebSocket's own spelling is not published"
_INFERRED = "inferred from Spot's texts: Prime publishes none for this"

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

FUTURES: Final[tuple[Row, ...]] = (
    Row("notFound", Fault.NOT_OPEN, _CANCEL_PAGE, alone=True),
    Row("apiLimitExceeded", Fault.ROUTE_BUSY, _CANCEL_PAGE),
    Row("Rate limit exceeded", Fault.ROUTE_BUSY, "an alert on the feed, seen by public clients"),
    Row("authenticationError", Fault.CREDENTIALS, _CANCEL_PAGE),
    Row("accountInactive", Fault.CREDENTIALS, _CANCEL_PAGE),
    Row("insufficientPrivileges", Fault.PERMISSION, "krakenfx/kraken-cli"),
    # We send no nonce, so these speak of somebody else's request or of a proxy that adds one.
    Row("nonceBelowThreshold", Fault.STALE_NONCE, _CANCEL_PAGE),
    Row("nonceDuplicate", Fault.STALE_NONCE, _CANCEL_PAGE),
    Row("invalidArgument", Fault.INVALID, _CANCEL_PAGE),
    Row("requiredArgumentMissing", Fault.INVALID, _CANCEL_PAGE),
    Row("Json Parse Error", Fault.INVALID, _CANCEL_PAGE),
    Row("Argument invalid", Fault.INVALID, _SENTENCE),
    Row("invalid order type", Fault.INVALID, _SENTENCE),
    # "Not Found" is missing on purpose: it speaks of the path, and the dialect asks the status beside it.
    Row("Bad Request", Fault.INVALID, _PHRASE),
    Row("Unauthorized", Fault.CREDENTIALS, _PHRASE),
    Row("Forbidden", Fault.CREDENTIALS, _PHRASE),
    Row("Too Many Requests", Fault.ROUTE_BUSY, _PHRASE),
    Row("Internal Server Error", Fault.TRANSIENT, _PHRASE),
    Row("Service Unavailable", Fault.TRANSIENT, _PHRASE),
    Row("marketUnavailable", Fault.UNAVAILABLE, _CANCEL_PAGE),
    # Its name notwithstanding: the page does not say that the endpoint was left before the order was touched.
    Row("Unavailable", Fault.TRANSIENT, _CANCEL_PAGE),
    Row("Server Error", Fault.TRANSIENT, _CANCEL_PAGE),
    Row("unknownError", Fault.TRANSIENT, _CANCEL_PAGE),
    # Transfers: nothing that we asked for can be answered so.
    Row("insufficientFunds", Fault.UNLISTED, _CANCEL_PAGE),
    Row("invalidAccount", Fault.UNLISTED, _CANCEL_PAGE),
    Row("invalidAmount", Fault.UNLISTED, _CANCEL_PAGE),
    Row("invalidUnit", Fault.UNLISTED, _CANCEL_PAGE),
    # Said of a wrong key, a wrong signature and a challenge that was used before.
    Row("Failed to subscribe to authenticated feed", Fault.CREDENTIALS, _FEED),
    Row("Bad websocket message", Fault.INVALID, _FEED),
    Row("Invalid feed", Fault.INVALID, _FEED),
    Row("Json Error", Fault.INVALID, _FEED),
)
"""Every text of Futures REST and of its feed."""

UNIFIED: Final[tuple[Row, ...]] = (*SPOT, *FUTURES)
"""The Unified WebSocket publishes no texts of its own: it speaks Spot's dialect about the orders of Futures."""

PRIME: Final[tuple[Row, ...]] = (
    # Gone or going, the venue does not say which: only the order's own state ends the waiting.
    Row("0", Fault.TRANSIENT, _FIX_102, alone=True),
    Row("TooLateToCancel", Fault.TRANSIENT, _WORDED),
    Row("Too late to cancel", Fault.TRANSIENT, _WORDED),
    Row("1", Fault.NOT_OPEN, _FIX_102, alone=True),
    Row("UnknownOrder", Fault.NOT_OPEN, _WORDED, alone=True),
    Row("Unknown order", Fault.NOT_OPEN, _WORDED, alone=True),
    Row("2", Fault.UNAVAILABLE, _FIX_102, alone=True),
    Row("BrokerOption", Fault.UNAVAILABLE, _WORDED),
    Row("Broker option", Fault.UNAVAILABLE, _WORDED),
    Row("BrokerExchangeOption", Fault.UNAVAILABLE, _WORDED),
    Row("Broker / Exchange option", Fault.UNAVAILABLE, _WORDED),
    Row("Broker or exchange option", Fault.UNAVAILABLE, _WORDED),
    # Another request on the order is under way; when it was a replace the order rests on after it.
    Row("3", Fault.TRANSIENT, _FIX_102, alone=True),
    Row("AlreadyPending", Fault.TRANSIENT, _WORDED),
    Row("AlreadyPendingCancel", Fault.TRANSIENT, _WORDED),
    Row("Already pending cancel", Fault.TRANSIENT, _WORDED),
    Row("OrderAlreadyInPendingCancelOrPendingReplaceStatus", Fault.TRANSIENT, _WORDED),
    Row("Order already in Pending Cancel or Pending Replace status", Fault.TRANSIENT, _WORDED),
)
"""Why Prime refuses to cancel an order, in FIX's numbers or in words."""

PRIME_ERRORS: Final[tuple[Row, ...]] = (
    Row("missing Ping data", Fault.INVALID, 'Prime WebSocket "Ping"'),
    Row("Rate limit exceeded", Fault.ROUTE_BUSY, _INFERRED),
    Row("Too many requests", Fault.ROUTE_BUSY, _INFERRED),
    Row("Permission denied", Fault.PERMISSION, _INFERRED),
)
"""The texts of Prime's error messages, which are about a request and not about an order: one is documented."""

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
    return _spot(error[:TEXT_CHARS])


def futures_fault_of(error: str) -> Fault:
    """What an error text of Futures REST or of its feed means; total as fault_of."""
    return _futures(error[:TEXT_CHARS])


def unified_fault_of(error: str) -> Fault:
    """What an error text of the Unified WebSocket means; total as fault_of."""
    return _unified(error[:TEXT_CHARS])


def prime_fault_of(reason: str) -> Fault:
    """What Prime's reason for refusing a cancel means, in digits or in words; total as fault_of."""
    return _prime(reason[:TEXT_CHARS])


def prime_error_fault_of(error: str) -> Fault:
    """What the text of a Prime error message means; total as fault_of."""
    return _prime_errors(error[:TEXT_CHARS])


def fault_of_all(errors: Sequence[str]) -> Fault | None:
    """What a Spot REST answer's `error` array means; None when it is empty or holds only warnings."""
    return most_decisive(fault_of(error) for error in errors if not _WARNING.match(error))


def most_decisive(faults: Iterable[Fault]) -> Fault | None:
    """The one of several errors in one answer that speaks for it; None when there is none."""
    told = set(faults)
    return next((fault for fault in _DECISIVE if fault in told), None)


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


# No venue publishes all its words for it, and each of them means that this way in is to be used less.
_RATE: Final = re.compile(r"\brates?\b.*\b(?:limit|exceed)|\b(?:limit|exceed)\w*\b.*\brates?\b|\btoo many requests\b")


def _plain(text: str) -> str:
    """`text` as the table is compared: lower case, single spaces, none around the first colon, no final period."""
    head, colon, tail = " ".join(text.lower().split()).partition(":")
    return (head.rstrip() + colon + tail.lstrip()).rstrip(".").rstrip()


def _reader(rows: Iterable[Row], *, tokens: bool) -> Callable[[str], Fault]:
    """The reader of one table. tokens: whether a dead WebSocket token is something that this venue speaks of."""
    ordered = [(_plain(row.prefix), row) for row in sorted(rows, key=lambda row: len(row.prefix), reverse=True)]

    @lru_cache(maxsize=CACHED_TEXTS)
    def read(error: str) -> Fault:
        plain = _plain(error)
        for prefix, row in ordered:
            if plain.startswith(prefix) and _ends(plain[len(prefix) :], row):
                return row.fault
        # Kraken words a dead token in several ways and publishes none of them.
        # Source: knowm/XChange pull 3697 (support mail), krakenfx/kraken-api-sdk.
        if tokens and ("token" in plain or "session" in plain) and ("invalid" in plain or "expired" in plain):
            return Fault.STALE_TOKEN
        return Fault.ROUTE_BUSY if _RATE.search(plain) else Fault.UNLISTED

    return read


def _ends(rest: str, row: Row) -> bool:
    """Whether the row's text ends where the prefix does, rather than inside a word."""
    if row.prefix.endswith(":") or not rest:
        return True
    return rest[0] in ":;,.([" or (rest[0] == " " and not row.alone)


_spot: Final = _reader(SPOT, tokens=True)
_futures: Final = _reader(FUTURES, tokens=False)
_unified: Final = _reader(UNIFIED, tokens=True)
_prime: Final = _reader(PRIME, tokens=False)
_prime_errors: Final = _reader(PRIME_ERRORS, tokens=False)
