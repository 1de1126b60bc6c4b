"""Futures REST: operations to signed requests. No nonce is sent: the venue does not ask for one, and without it cancels
may overtake each other unharmed.

Source of all shapes: Futures REST pages "Cancel order", "Batch order management", "Cancel all orders", "Dead man's
switch", "Get order status", "REST" guide.
"""

from collections.abc import Sequence
from typing import Final, Literal
from urllib.parse import quote

import msgspec

from .. import __version__
from ..contract.ids import Target
from ..credentials import Keys
from .signing import futures_authent
from .spot_rest import Request

BATCH_LIMIT: Final = 20
"""Most orders in a batch. The venue publishes no bound; public clients send up to 50 cancels."""

_PREFIX: Final = "/derivatives"
"""Stands before every path in the URL and is not signed."""

_API: Final = "/api/v3"
_USER_AGENT: Final = ("User-Agent", f"canceld/{__version__}")
_CONTENT_TYPE: Final = ("Content-Type", "application/x-www-form-urlencoded")
_to_json: Final = msgspec.json.Encoder().encode


def cancel_request(keys: Keys, target: Target, *, process_before: str | None = None) -> Request:
    """Cancel one order. process_before: an RFC 3339 time after which the venue is to refuse it unread.

    One id only: what both together would do is not described.
    """
    body = _named(target, "order_id", "cliOrdId")
    if process_before is not None:
        body += f"&processBefore={_quoted(process_before)}"
    return _post(keys, "cancelorder", body)


def batch_request(keys: Keys, targets: Sequence[Target]) -> Request:
    """Cancel 1..BATCH_LIMIT different orders in one call. It is not atomic: each order has its own verdict."""
    assert 1 <= len(targets) <= BATCH_LIMIT, f"{len(targets)} orders in one batch"
    orders = [{"order": "cancel", _field(target, "order_id", "cliOrdId"): target.value} for target in targets]
    # Under any other name the list is not found. Source: ccxt issue 19646.
    return _post(keys, "batchorder", f"json={_quoted(_to_json({'batchOrder': orders}).decode())}")


def cancel_all_request(keys: Keys, symbol: str | None = None) -> Request:
    """Cancel every order of the account, or those of one contract."""
    return _post(keys, "cancelallorders", "" if symbol is None else f"symbol={_quoted(symbol)}")


def timer_request(keys: Keys, timeout_s: int) -> Request:
    """Arm or renew the account's cancel-all timer, or with 0 disarm it."""
    return _post(keys, "cancelallordersafter", f"timeout={timeout_s}")


def open_orders_request(keys: Keys) -> Request:
    """Ask for all open orders."""
    return _signed(keys, "GET", "openorders", b"")


def status_request(keys: Keys, target: Target) -> Request:
    """Ask for the state of one order, which the venue tells while it is open and for 5 s after its end.

    One id per call: how the page's list would be spelled in a form is not shown.
    """
    return _post(keys, "orders/status", _named(target, "orderIds", "cliOrdIds"))


def instruments_request() -> Request:
    """Ask for the list of contracts: public and free, so it keeps a connection warm."""
    return Request("GET", f"{_PREFIX}{_API}/instruments", b"", (_USER_AGENT,))


def _post(keys: Keys, operation: str, body: str) -> Request:
    return _signed(keys, "POST", operation, body.encode())


def _signed(keys: Keys, method: Literal["GET", "POST"], operation: str, body: bytes) -> Request:
    path = f"{_API}/{operation}"
    headers: tuple[tuple[str, str], ...] = (
        ("APIKey", keys.key.reveal()),
        ("Authent", futures_authent(keys.secret, body, "", path)),
        _USER_AGENT,
    )
    if method == "POST":
        headers += (_CONTENT_TYPE,)
    return Request(method, _PREFIX + path, body, headers)


def _named(target: Target, by_order_id: str, by_cl_ord_id: str) -> str:
    return f"{_field(target, by_order_id, by_cl_ord_id)}={_quoted(str(target.value))}"


def _field(target: Target, by_order_id: str, by_cl_ord_id: str) -> str:
    assert target.kind in ("order_id", "cl_ord_id"), f"no Futures order is named by {target.kind}"
    return by_order_id if target.kind == "order_id" else by_cl_ord_id


def _quoted(value: str) -> str:
    # A space as %20 and never as "+": both ends must sign the same bytes.
    return quote(value, safe="")


# The venue's shapes. A word that decides is judged where it is used; everything else may be of any type.
