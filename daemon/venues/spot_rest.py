"""Spot REST: operations to signed requests, HTTP answers to verdicts.

What an HTTP status may prove is decided here and nowhere else: only an answer that says so proves that a cancel was
not carried out. Retries, nonces and the connection are other rooms' business.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from .. import __version__
from ..contract.evidence import (
    Fault,
    Listing,
    OrderState,
    RestAnswer,
    RestCanceled,
    RestFailed,
    RestKey,
    RestMode,
    RestOrders,
    RestTime,
    RestTimer,
    RestToken,
    RestUnreadable,
    Window,
)
from ..contract.ids import Target
from ..credentials import Keys
from .faults import TEXT_CHARS, fault_of, fault_of_all, most_decisive, retry_at_s
from .pieces import answer_in_pieces, under
from .signing import spot_signature
from .spot_values import UNREADABLE, Order, count_of, instant_s, mode_of, number_of, order_state, why
from .values import refusal_in, unplain

BATCH_LIMIT: Final = 50
"""Most ids in a batch. Source: REST "Cancel Order Batch"."""

QUERY_LIMIT: Final = 50
"""Most txids in one order query. Source: REST "Query Orders Info"."""

TOKEN_EXPIRES_S: Final = 900.0
"""How long a token is good for when the answer does not say. Source: REST "Get Websockets Token"."""

TOKEN_CHARS: Final = 1024
"""Longest token taken; Kraken's have about 45 characters."""

_USER_AGENT: Final = ("User-Agent", f"canceld/{__version__}")
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"


class Request(msgspec.Struct, frozen=True):
    """One REST call, ready to send but for Host and Content-Length. Its repr shows neither headers nor body."""

    method: Literal["GET", "POST"]
    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return f"Request({self.method} {self.path})"


def cancel_request(keys: Keys, nonce: int, target: Target) -> Request:
    """Cancel one order, or by userref every order that bears it. Exempt from the REST call counter."""
    field = "cl_ord_id" if target.kind == "cl_ord_id" else "txid"
    return _form(keys, "CancelOrder", nonce, f"nonce={nonce}&{field}={_quoted(target.value)}")


def cancel_batch_request(keys: Keys, nonce: int, targets: Sequence[Target]) -> Request:
    """Cancel 1..BATCH_LIMIT different orders in one call, which the pair's rate counter never refuses.

    A single one is for an order whose own cancel that counter refuses. The page names no least number of ids; the
    WebSocket v2 page of the same call says 2, so an "invalid arguments" must be expected there.

    The page's schema asks for objects (`{"txid": …}`), the sample on the same page has plain strings: plain strings are
    sent, as every public client does, and userrefs as numbers among them. Client order ids go into the list that the
    page gives them, `cl_ord_ids`; some clients put them into `orders`, so that a refusal of the form must be expected,
    and each then goes alone.
    """
    assert 1 <= len(targets) <= BATCH_LIMIT, f"{len(targets)} ids in one batch"
    named = {"orders": ("order_id", "userref"), "cl_ord_ids": ("cl_ord_id",)}
    lists = {name: [target.value for target in targets if target.kind in kinds] for name, kinds in named.items()}
    body = msgspec.json.encode({"nonce": nonce, **{name: values for name, values in lists.items() if values}})
    return _signed(keys, "CancelOrderBatch", nonce, body, _JSON)


def cancel_all_request(keys: Keys, nonce: int) -> Request:
    """Cancel every order of the account."""
    return _form(keys, "CancelAll", nonce, f"nonce={nonce}")


def timer_request(keys: Keys, nonce: int, timeout_s: int) -> Request:
    """Arm or renew the account's cancel-all timer (1..86399 s), or with 0 disarm it."""
    return _form(keys, "CancelAllOrdersAfter", nonce, f"nonce={nonce}&timeout={timeout_s}")


def token_request(keys: Keys, nonce: int) -> Request:
    """Ask for a WebSocket token."""
    return _form(keys, "GetWebSocketsToken", nonce, f"nonce={nonce}")


def open_orders_request(keys: Keys, nonce: int, *, userref: int | None = None, cl_ord_id: str | None = None) -> Request:
    """Ask for all open orders, or for those under one userref or client order id."""
    body = f"nonce={nonce}"
    if userref is not None:
        body += f"&userref={userref}"
    if cl_ord_id is not None:
        body += f"&cl_ord_id={_quoted(cl_ord_id)}"
    return _form(keys, "OpenOrders", nonce, body)


def query_orders_request(keys: Keys, nonce: int, order_ids: Sequence[str]) -> Request:
    """Ask for 1..QUERY_LIMIT orders, open or ended."""
    assert 1 <= len(order_ids) <= QUERY_LIMIT, f"{len(order_ids)} ids in one query"
    return _form(keys, "QueryOrders", nonce, f"nonce={nonce}&txid={_quoted(','.join(order_ids))}")


def closed_orders_request(keys: Keys, nonce: int, *, cl_ord_id: str | None = None) -> Request:
    """Ask for the latest 50 orders that have ended, or for those under one client order id."""
    named = "" if cl_ord_id is None else f"&cl_ord_id={_quoted(cl_ord_id)}"
    return _form(keys, "ClosedOrders", nonce, f"nonce={nonce}{named}")


def key_info_request(keys: Keys, nonce: int) -> Request:
    """Ask what the key may do; needs no permission."""
    return _form(keys, "GetApiKeyInfo", nonce, f"nonce={nonce}")


def system_status_request() -> Request:
    """Ask for the trading mode; public."""
    return Request("GET", "/0/public/SystemStatus", b"", (_USER_AGENT,))


def time_request() -> Request:
    """Ask for the venue's clock; public."""
    return Request("GET", "/0/public/Time", b"", (_USER_AGENT,))


def _form(keys: Keys, operation: str, nonce: int, body: str) -> Request:
    return _signed(keys, operation, nonce, body.encode(), _FORM)


def _signed(keys: Keys, operation: str, nonce: int, body: bytes, content_type: str) -> Request:
    path = f"/0/private/{operation}"
    headers = (
        ("API-Key", keys.key.reveal()),
        ("API-Sign", spot_signature(keys.secret, path, str(nonce), body)),
        ("Content-Type", content_type),
        _USER_AGENT,
    )
    return Request("POST", path, body, headers)


def _quoted(value: str | int) -> str:
    return quote(str(value), safe="")


def decode_cancel(status: int, body: bytes) -> RestCanceled | RestFailed | RestUnreadable:
    """The answer to CancelOrder, CancelOrderBatch or CancelAll. A count that is no number is no verdict."""
    result = _result(status, body)
    if not isinstance(result, dict):
        return result
    count = count_of(result.get("count"))
    if count is None:
        return RestUnreadable("a cancel without its count")
    # Only a plain false, or no word of it, makes a cancel final: anything else is the weaker claim.
    return RestCanceled(count, result.get("pending", False) is not False)


def decode_token(status: int, body: bytes) -> RestToken | RestFailed | RestUnreadable:
    """The answer to GetWebSocketsToken. The token is checked to need no escaping: frames are made by concatenation."""
    result = _result(status, body)
    if not isinstance(result, dict):
        return result
    token = result.get("token")
    if not isinstance(token, str) or len(token) > TOKEN_CHARS or not _TOKEN.match(token):
        return RestUnreadable("no token that could go into a frame")
    return RestToken(token, number_of(result.get("expires")) or TOKEN_EXPIRES_S)


def decode_orders(status: int, body: bytes) -> RestOrders | RestFailed | RestUnreadable:
    """The answer to OpenOrders or QueryOrders.

    "No order is open" is believed only from an `open` member that is there and empty: a query that finds nothing
    answers with an error, so an empty result without that member is not an answer.
    """
    result = _result(status, body)
    if not isinstance(result, dict):
        return result
    if not result:
        return RestUnreadable("neither a list of open orders nor an order")
    return _orders(result.get("open", result))


def decode_list(status: int, body: bytes) -> RestAnswer | Listing:
    """The answer to OpenOrders; a long list piece by piece, as pieces.py tells."""
    return answer_in_pieces(body, _LIST, lambda text: decode_orders(status, text))


_LIST: Final = under("result", "open")


def decode_closed(status: int, body: bytes, since_ns: int | None) -> RestOrders | RestFailed | RestUnreadable:
    """The answer to ClosedOrders: the orders that ended at `since_ns` or later, Unix nanoseconds by the venue's clock.

    A name outlives its order: without that time an end from before a cancel would pass for what the cancel brought
    about. None, where the venue's time is not known, makes the answer unreadable.
    """
    result = _result(status, body)
    if not isinstance(result, dict):
        return result
    closed = result.get("closed")
    if since_ns is None or not isinstance(closed, dict):
        return RestUnreadable("the venue's time is not known" if since_ns is None else "no list of closed orders")
    return _orders(closed, (since_ns - _CLOSED_NS) / 1e9)


_CLOSED_NS: Final = 1_000_000
"""What `closetm` leaves open: it is told to a tenth of a millisecond. Source: REST "Get Closed Orders"."""


def _orders(told: object, since_s: float | None = None) -> RestOrders | RestUnreadable:
    try:
        records = msgspec.convert(told, dict[str, Order])
    except UNREADABLE as error:
        return RestUnreadable(why(error))
    states: list[OrderState] = []
    for order_id, record in records.items():
        if since_s is not None and (number_of(record.closetm) or 0.0) < since_s:
            continue
        state = order_state(order_id, record, with_symbol=False)
        if state is None:
            return RestUnreadable("an order whose id is no order id")
        states.append(state)
    return RestOrders(tuple(states))


def decode_timer(status: int, body: bytes) -> RestTimer | RestFailed | RestUnreadable:
    """The answer to CancelAllOrdersAfter. Off is `triggerTime` "0", or (seen) a `currentTime` all alone."""
    result = _result(status, body)
    if not isinstance(result, dict):
        return result
    trigger = result.get("triggerTime")
    if trigger == "0" or result.keys() == {"currentTime"}:
        return RestTimer(None)
    trigger_s = instant_s(trigger)
    return RestUnreadable("a timer without its time") if trigger_s is None else RestTimer(trigger_s)


def decode_mode(status: int, body: bytes) -> RestMode | RestFailed | RestUnreadable:
    """The answer to SystemStatus."""
    result = _result(status, body)
    if not isinstance(result, dict):
        return result
    mode = result.get("status")
    if not isinstance(mode, str):
        return RestUnreadable("no status")
    return RestMode(mode_of(mode), _windows(result.get("upcoming_maintenance")))


_BEGINS: Final = ("scheduled_for", "start_time", "starts_at", "start")
_ENDS: Final = ("scheduled_until", "end_time", "ends_at", "end")
"""The page describes the list and not its members: the words of the status page that it repeats, and the usual ones."""


def _windows(announced: object) -> tuple[Window, ...]:
    """Announced maintenance; a member that tells no beginning is no window."""
    windows = []
    for event in announced if isinstance(announced, list) else ():
        if isinstance(event, dict):
            begins_s = _first_instant_s(event, _BEGINS)
            if begins_s is not None:
                windows.append(Window(begins_s, _first_instant_s(event, _ENDS)))
    return tuple(windows)


def _first_instant_s(event: dict[str, Any], names: tuple[str, ...]) -> float | None:
    return next((told_s for name in names if (told_s := instant_s(event.get(name))) is not None), None)


def decode_time(status: int, body: bytes) -> RestTime | RestFailed | RestUnreadable:
    """The answer to Time."""
    result = _result(status, body)
    if not isinstance(result, dict):
        return result
    unix_s = number_of(result.get("unixtime"))
    return RestUnreadable("no time") if unix_s is None else RestTime(unix_s)


def decode_key_info(status: int, body: bytes) -> RestKey | RestFailed | RestUnreadable:
    """The answer to GetApiKeyInfo.

    The page spells its members in camelCase, an observed answer in snake_case: both are read. An open allow-list was
    seen as no entry and as one empty entry. Source: REST "Get API Key Info"; JKorf/Kraken.Net.
    """
    result = _result(status, body)
    if not isinstance(result, dict):
        return result
    members = {name.replace("_", "").lower(): value for name, value in result.items()}
    permissions = _texts(members.get("permissions"))
    if permissions is None:
        return RestUnreadable("no list of permissions")
    nonce = members.get("nonce")
    return RestKey(
        permissions,
        int(nonce) if isinstance(nonce, str | int) and _NONCE.match(str(nonce)) else None,
        number_of(members.get("validuntil")),
        tuple(address for address in _texts(members.get("ipallowlist")) or () if address),
    )


_TOKEN: Final = re.compile(r"[A-Za-z0-9+/=_.~-]+\Z")
_NONCE: Final = re.compile(r"[0-9]{1,20}\Z")

# 4xx that a server answers before it looks at what was asked; others (408, 409, 499, …) leave it open.
# 401 and 403 without the API's own words come from the edge in front of it, which knows nothing of keys.
_UNREAD: Final[Mapping[int, Fault]] = {
    400: Fault.INVALID,
    401: Fault.ROUTE_BUSY,
    403: Fault.ROUTE_BUSY,
    404: Fault.INVALID,
    405: Fault.INVALID,
    413: Fault.INVALID,
    429: Fault.ROUTE_BUSY,
}

_decode_json: Final = msgspec.json.Decoder().decode


def _result(status: int, body: bytes) -> dict[str, Any] | RestFailed | RestUnreadable:
    """The `result` of an answer that reports success, else what the answer proves.

    Non-200 statuses come from in front of Kraken's servers: 3xx and the 4xx of the table stopped the request there; a
    5xx may stand for a request that was carried out, whatever its body says. Source: Spot REST "Introduction"; knowm/
    XChange issue 1899, npm-kraken-api issue 37.
    """
    if 300 <= status < 400:
        return RestFailed(Fault.UNAVAILABLE, f"redirect (HTTP {status})")
    if status != 200 and not 400 <= status < 500:
        return RestUnreadable(f"HTTP {status}")
    try:
        answer = _decode_json(body)
    except UNREADABLE as error:
        answer, unread = None, f"HTTP {status}: {why(error)}"
    else:
        unread = f"HTTP {status}: not an answer of the API"
    errors, fault = _refused(answer) if isinstance(answer, dict) else (None, None)
    if fault is not None and errors is not None:
        if answer.get("result"):
            return RestUnreadable("an error beside a result")
        return _failed(fault, errors)
    if status in _UNREAD:
        return RestFailed(_UNREAD[status], f"HTTP {status}")
    if status == 200 and errors is not None and isinstance(result := answer.get("result"), dict):
        return result
    return RestUnreadable(unread)


def _failed(fault: Fault, errors: Sequence[str]) -> RestFailed:
    times = [at_s for error in errors if (at_s := retry_at_s(error)) is not None]
    return RestFailed(fault, "; ".join(errors)[:TEXT_CHARS], max(times, default=None))


def _refused(answer: dict[str, Any]) -> tuple[tuple[str, ...] | None, Fault | None]:
    """The errors that an answer lists, with what they mean; None for either where it has none.

    An error in any other form than the documented list of texts refuses as well.
    """
    errors = _texts(answer.get("error"))
    text = refusal_in(answer if errors is None else {**answer, "error": None})
    if text is None:
        return errors, None if errors is None else fault_of_all(errors)
    text = text or "an error without words"
    fault = unplain(fault_of(text))
    return (*(errors or ()), text), most_decisive((fault, fault_of_all(errors or ()) or fault))


def _texts(value: object) -> tuple[str, ...] | None:
    """A list of nothing but texts, else None."""
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        return None
    return tuple(value)
