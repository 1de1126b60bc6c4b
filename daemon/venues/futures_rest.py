"""Futures REST: operations to signed requests, HTTP answers to verdicts.

`result: success` only says that a request was understood, so the verdict on each order is read from its own status. No
nonce is sent: the venue does not ask for one, and without it cancels may overtake each other unharmed.
Source of all shapes: Futures REST pages "Cancel order", "Batch order management", "Cancel all orders", "Dead man's
switch", "Get order status", "REST" guide; where a page is silent, the public clients that are named beside it.
"""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import quote

import msgspec

from .. import __version__
from ..contract.evidence import (
    Fault,
    OrderState,
    RestBatch,
    RestCanceled,
    RestEnded,
    RestFailed,
    RestMode,
    RestOrders,
    RestTimer,
    RestUnreadable,
)
from ..contract.ids import Target
from ..contract.outcomes import ClosedState
from ..credentials import Keys
from .faults import TEXT_CHARS, futures_fault_of, most_decisive
from .signing import futures_authent
from .spot_rest import Request
from .spot_values import UNREADABLE, instant_s, why
from .values import NOTHING, decimal_text, error_text, instant_ns, order_id_of, text_of

BATCH_LIMIT: Final = 20
"""Most orders in a batch. The venue publishes no bound; public clients send up to 50 cancels."""

_PREFIX: Final = "/derivatives"
"""Stands before every path in the URL and is not signed."""

_API: Final = "/api/v3"
_USER_AGENT: Final = ("User-Agent", f"canceld/{__version__}")
_CONTENT_TYPE: Final = ("Content-Type", "application/x-www-form-urlencoded")
_to_json: Final = msgspec.json.Encoder().encode

_Verdict: TypeAlias = RestOrders | RestEnded | RestFailed | RestUnreadable


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


class _Order(msgspec.Struct, gc=False):
    """An order inside an event or a status. Triggers name themselves `uid` and `clientId`."""

    orderId: Any = None
    uid: Any = None
    cliOrdId: Any = None
    clientId: Any = None
    symbol: Any = None
    filled: msgspec.Raw = NOTHING
    timestamp: Any = None


class _Event(msgspec.Struct, gc=False):
    """One of the union's events; only a CANCEL is read, the others tell how an order came to be what it was."""

    type: Any = None
    uid: Any = None
    order: _Order | None = None
    orderTrigger: _Order | None = None


class _CancelStatus(msgspec.Struct, gc=False):
    """What became of one cancel, or of a cancel-all. A batch's element may hold another of these."""

    status: Any = None
    order_id: Any = None
    cliOrdId: Any = None
    orderEvents: msgspec.Raw = NOTHING
    cancelStatus: msgspec.Raw = NOTHING
    cancelledOrders: Any = None


class _OpenOrder(msgspec.Struct, gc=False):
    order_id: Any = None
    cliOrdId: Any = None
    cli_ord_id: Any = None
    symbol: Any = None
    filledSize: msgspec.Raw = NOTHING
    receivedTime: Any = None


class _Status(msgspec.Struct, gc=False):
    order: _Order
    status: Any = None
    updateReason: Any = None


class _Time(msgspec.Struct, gc=False):
    serverTime: Any = None


class _Timer(msgspec.Struct, gc=False):
    triggerTime: Any = None


class _Answer(msgspec.Struct, gc=False):
    """Any operation's answer. `status` is the timer's object; in an error body it is the HTTP status, as a number or by
    its name."""

    result: Any = None
    error: Any = None
    errors: Any = None
    errorMessage: Any = None
    Error: Any = None
    success: Any = None
    message: Any = None
    cancelStatus: msgspec.Raw = NOTHING
    batchStatus: msgspec.Raw = NOTHING
    openOrders: msgspec.Raw = NOTHING
    orders: msgspec.Raw = NOTHING
    status: msgspec.Raw = NOTHING
    instruments: msgspec.Raw = NOTHING


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode
_decode_cancel: Final = msgspec.json.Decoder(_CancelStatus).decode
_decode_events: Final = msgspec.json.Decoder(list[_Event]).decode
_decode_elements: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_open: Final = msgspec.json.Decoder(list[_OpenOrder]).decode
_decode_statuses: Final = msgspec.json.Decoder(list[_Status]).decode
_decode_time: Final = msgspec.json.Decoder(_Time).decode
_decode_timer: Final = msgspec.json.Decoder(_Timer).decode
_decode_loosely: Final = msgspec.json.Decoder().decode

_CANCELS: Final[Mapping[str, ClosedState]] = {"cancelled": "canceled", "filled": "filled"}

_STATES: Final[Mapping[str, Literal["open"] | ClosedState]] = {
    "ENTERED_BOOK": "open",
    "TRIGGER_PLACED": "open",
    "FULLY_EXECUTED": "filled",
    "CANCELLED": "canceled",
    # It never rested; of our three ends "expired" is the one that no cancel brings about.
    "REJECTED": "expired",
}
"""TRIGGER_ACTIVATION_FAILURE is not here: nobody says whether the order is gone after it."""


def decode_cancel(status: int, body: bytes, asked: Target) -> _Verdict:
    """The answer to cancelorder, which was asked about one order.

    Of an order that was cancelled or had filled the state is told: as a RestEnded where neither the answer nor `asked`
    gives the venue's id.
    """
    answer = _answer(status, body)
    if not isinstance(answer, _Answer):
        return answer
    told = _told(answer.cancelStatus)
    if told is None:
        return RestUnreadable("a cancel without its status")
    mine = told.order_id if asked.kind == "order_id" else told.cl_ord_id
    if mine is not None and not _same(asked, mine):
        return RestUnreadable("an answer about another order")
    return _verdict(told, asked)


def decode_batch(status: int, body: bytes, asked: Sequence[Target]) -> RestBatch | RestFailed | RestUnreadable:
    """The answer to batchorder: a verdict for each of `asked` that an element names.

    The elements come in any sequence, so an element without an id says nothing of any order. Two elements that disagree
    about one are no verdict on it.
    """
    answer = _answer(status, body)
    if not isinstance(answer, _Answer):
        return answer
    try:
        elements = _decode_elements(answer.batchStatus)
    except UNREADABLE as error:
        return RestUnreadable(why(error))
    verdicts: dict[Target, _Verdict] = {}
    for told in map(_told, elements):
        if told is None:
            continue
        for target in asked:
            mine = told.order_id if target.kind == "order_id" else told.cl_ord_id
            if mine is None or not _same(target, mine):
                continue
            verdict = _verdict(told, target)
            if verdicts.setdefault(target, verdict) != verdict:
                verdicts[target] = RestUnreadable("two verdicts on one order")
    return RestBatch(verdicts)


def decode_cancel_all(status: int, body: bytes) -> RestCanceled | RestFailed | RestUnreadable:
    """The answer to cancelallorders. The list is counted: the word beside it may say that there was nothing to cancel.

    Where both agree, those in the list have ended. Source: the Kraken adapter of nautechsystems/nautilus_trader.
    """
    answer = _answer(status, body)
    if not isinstance(answer, _Answer):
        return answer
    try:
        told = _decode_cancel(answer.cancelStatus)
    except UNREADABLE as error:
        return RestUnreadable(why(error))
    if told.status not in ("cancelled", "noOrdersToCancel"):
        return RestUnreadable("a cancel-all with a status that is not known")
    canceled = told.cancelledOrders
    if canceled is None and told.status == "noOrdersToCancel":
        canceled = []
    if not isinstance(canceled, list):
        return RestUnreadable("a cancel-all without its list")
    ends = _ends(canceled, told.orderEvents) if told.status == "cancelled" else ()
    return RestCanceled(len(canceled), pending=False, orders=tuple(ends))


def _ends(listed: list[Any], events: msgspec.Raw) -> Iterator[OrderState]:
    described = {event_id or _order_id(order): order for event_id, order in _canceled(events)}
    for one in listed:
        order_id = order_id_of(one.get("order_id")) if isinstance(one, dict) else None
        if order_id is not None:
            yield _state(order_id, "canceled", text_of(one.get("cliOrdId")), described.get(order_id), None)


def decode_timer(status: int, body: bytes) -> RestTimer | RestFailed | RestUnreadable:
    """The answer to cancelallordersafter. Off is `triggerTime` "0"."""
    answer = _answer(status, body)
    if not isinstance(answer, _Answer):
        return answer
    try:
        trigger = _decode_timer(answer.status).triggerTime
    except UNREADABLE as error:
        return RestUnreadable(why(error))
    if trigger == "0":
        return RestTimer(None)
    trigger_s = instant_s(trigger)
    return RestUnreadable("a timer without its time") if trigger_s is None else RestTimer(trigger_s)


def decode_open_orders(status: int, body: bytes) -> RestOrders | RestFailed | RestUnreadable:
    """The answer to openorders: all that rests. A row is open because it is listed, whatever its own status says."""
    answer = _answer(status, body)
    if not isinstance(answer, _Answer):
        return answer
    try:
        rows = _decode_open(answer.openOrders)
    except UNREADABLE as error:
        return RestUnreadable(why(error))
    states: list[OrderState] = []
    for row in rows:
        order_id = order_id_of(row.order_id)
        if order_id is None:
            return RestUnreadable("an order whose id is no order id")
        states.append(
            OrderState(
                order_id,
                "open",
                text_of(row.cliOrdId) or text_of(row.cli_ord_id),
                symbol=text_of(row.symbol),
                opened_s=instant_s(row.receivedTime),
                filled_qty=decimal_text(row.filledSize),
            )
        )
    return RestOrders(tuple(states))


def decode_status(status: int, body: bytes) -> RestOrders | RestFailed | RestUnreadable:
    """The answer to orders/status. An order that is missing is not open, and ended more than 5 s ago if it ever was."""
    answer = _answer(status, body)
    if not isinstance(answer, _Answer):
        return answer
    try:
        rows = _decode_statuses(answer.orders)
    except UNREADABLE as error:
        return RestUnreadable(why(error))
    states: list[OrderState] = []
    for row in rows:
        order_id = _order_id(row.order)
        if order_id is None:
            return RestUnreadable("an order whose id is no order id")
        state = _STATES.get(row.status) if isinstance(row.status, str) else None
        states.append(_state(order_id, state, _cl_ord_id(row.order), row.order, text_of(row.updateReason)))
    return RestOrders(tuple(states))


def decode_instruments(status: int, body: bytes) -> RestMode | RestFailed | RestUnreadable:
    """The answer to instruments: that the venue answers, and nothing of its mode."""
    answer = _answer(status, body)
    if not isinstance(answer, _Answer):
        return answer
    return RestUnreadable("no list of contracts") if _absent(answer.instruments) else RestMode("unknown")


def server_time_ns(body: bytes) -> int | None:
    """The venue's clock as an answer tells it, Unix nanoseconds; None where it does not."""
    try:
        return instant_ns(_decode_time(body).serverTime)
    except UNREADABLE:
        return None


class _Told(NamedTuple):
    """What an answer says of one order, wherever in it that stands."""

    word: str
    order_id: str | None
    cl_ord_id: str | None
    order: _Order | None


def _told(raw: msgspec.Raw) -> _Told | None:
    """One cancel's status, on its own or nested in a batch's element; None where there is no single one."""
    try:
        outer = _decode_cancel(raw)
        inner = outer if _absent(outer.cancelStatus) else _decode_cancel(outer.cancelStatus)
    except UNREADABLE:
        return None
    words = {error_text(part.status) for part in (outer, inner) if part.status is not None}
    order_ids = {order_id for part in (outer, inner) if (order_id := order_id_of(part.order_id)) is not None}
    if len(words) != 1 or len(order_ids) > 1:
        return None
    canceled = [order for part in (outer, inner) for order in _canceled(part.orderEvents)]
    by_event = {order_id for event_id, order in canceled if (order_id := event_id or _order_id(order)) is not None}
    if not order_ids and len(by_event) == 1:
        order_ids = by_event
    order_id = order_ids.pop() if order_ids else None
    order = next((order for event_id, order in canceled if (event_id or _order_id(order)) == order_id), None)
    name = text_of(outer.cliOrdId) or text_of(inner.cliOrdId) or (None if order is None else _cl_ord_id(order))
    return _Told(words.pop(), order_id, name, order)


def _canceled(events: msgspec.Raw) -> Iterator[tuple[str | None, _Order]]:
    """The orders of CANCEL events with the id that each event gives. Events only describe: odd ones are left out."""
    try:
        read = _decode_events(events)
    except UNREADABLE:
        return
    for event in read:
        order = event.order or event.orderTrigger
        if event.type == "CANCEL" and order is not None:
            yield order_id_of(event.uid), order


def _verdict(told: _Told, asked: Target) -> _Verdict:
    by_order_id = asked.kind == "order_id"
    order_id = str(asked.value) if by_order_id else told.order_id
    cl_ord_id = told.cl_ord_id if by_order_id else str(asked.value)
    state = _CANCELS.get(told.word)
    if told.word == "notFound":
        return RestFailed(Fault.NOT_OPEN, told.word)
    if state is None:
        return RestUnreadable("a cancel with a status that is not known")
    if order_id is None:
        return RestEnded(state, None if told.order is None else decimal_text(told.order.filled))
    return RestOrders((_state(order_id, state, cl_ord_id, told.order, None),))


def _same(asked: Target, told: str) -> bool:
    """Whether an id in an answer is the one that was asked about. Order ids are UUIDs, whose case means nothing."""
    value = str(asked.value)
    return value == told or (asked.kind == "order_id" and value.lower() == told.lower())


def _state(
    order_id: str,
    state: Literal["open"] | ClosedState | None,
    cl_ord_id: str | None,
    order: _Order | None,
    reason: str | None,
) -> OrderState:
    if order is None:
        return OrderState(order_id, state, cl_ord_id, reason=reason)
    return OrderState(
        order_id,
        state,
        cl_ord_id,
        symbol=text_of(order.symbol),
        opened_s=instant_s(order.timestamp),
        filled_qty=decimal_text(order.filled),
        reason=reason,
    )


def _order_id(order: _Order) -> str | None:
    return order_id_of(order.orderId) or order_id_of(order.uid)


def _cl_ord_id(order: _Order) -> str | None:
    return text_of(order.cliOrdId) or text_of(order.clientId)


_UNREAD: Final[Mapping[int, Fault]] = {
    400: Fault.INVALID,
    401: Fault.CREDENTIALS,
    403: Fault.CREDENTIALS,
    404: Fault.INVALID,
    405: Fault.INVALID,
    413: Fault.INVALID,
    429: Fault.ROUTE_BUSY,
}
"""4xx that a server answers before it looks at what was asked; others (408, 409, 499, …) leave it open.

Source: for 401 and 403 the Kraken adapter of nautechsystems/nautilus_trader.
"""

_EDGE: Final[Mapping[int, Fault]] = {**_UNREAD, 401: Fault.UNAVAILABLE, 403: Fault.ROUTE_BUSY}
"""The same without a body of the API: what stands before the API has turned the address away, and knows no key."""

_REFUSING: Final[Mapping[object, int]] = {
    spelled: status.value for status in HTTPStatus if status >= 400 for spelled in (status.name, status.value)
}
"""The HTTP statuses that an error body can tell of itself."""


def _answer(status: int, body: bytes) -> _Answer | RestFailed | RestUnreadable:
    """An answer that reports success, else what the answer proves.

    A named error is believed under 200 and under any 4xx, a success under 200 alone, and nothing under a 5xx: the
    request may have been carried out. A status that an error body has inside counts as that of the answer. Redirects
    are what the retired test environment answers with; they are never followed.
    Source: btschwertfeger/python-kraken-sdk pull 448; for statuses inside a body its issues, ccxt pull 20437, and the
    tests of roq-kraken-futures.
    """
    if 300 <= status < 400:
        return RestFailed(Fault.UNAVAILABLE, f"redirect (HTTP {status})")
    if status != 200 and not 400 <= status < 500:
        return RestUnreadable(f"HTTP {status}")
    try:
        answer = _decode_answer(body)
    except UNREADABLE as error:
        return _of_the_edge(status, why(error))
    inside = _status_inside(answer)
    words = _words(answer)
    if words or inside is not None or answer.success is False:
        return _failure(answer, words, status if inside is None else inside)
    # Some successes come without `result`. Source: thrasher-corp/gocryptotrader.
    if status == 200 and answer.result in ("success", None):
        return answer
    if status in _UNREAD and answer.result == "error":
        return RestFailed(_UNREAD[status], f"HTTP {status}")
    return _of_the_edge(status, "not an answer of the API")


def _of_the_edge(status: int, unread: str) -> RestFailed | RestUnreadable:
    """What is proved by an answer without a body of the API."""
    if status in _EDGE:
        return RestFailed(_EDGE[status], f"HTTP {status}")
    return RestUnreadable(f"HTTP {status}: {unread}")


def _failure(answer: _Answer, words: Mapping[str, str], status: int) -> RestFailed | RestUnreadable:
    """What an error body proves. words: as `_words` gives them. status: what it says inside, else that of HTTP."""
    if status != 200 and not 400 <= status < 500:
        return RestUnreadable(f"HTTP {status} in the answer")
    if not _bare(answer):
        return RestUnreadable("an error beside a result")
    told = "; ".join(filter(None, words.values()))[:TEXT_CHARS]
    fault = most_decisive(map(futures_fault_of, words)) or Fault.UNLISTED
    by_status = _UNREAD.get(status, Fault.UNLISTED)
    # A text in no table means what its status means. Whoever was turned away at the door was told nothing of orders.
    if fault is Fault.UNLISTED or (fault is Fault.NOT_OPEN and by_status in (Fault.CREDENTIALS, Fault.ROUTE_BUSY)):
        fault = by_status
    return RestFailed(fault, told or (f"HTTP {status}" if status != 200 else "an error without words"))


def _words(answer: _Answer) -> dict[str, str]:
    """What an answer says of errors, by the text that the table is asked for: as that is told to people.

    One word, a list of words, or (JKorf/Kraken.Net) a list of numbered messages; the web framework's `error` is the
    phrase of its status, with a `message` beside it.
    """
    listed = answer.errors if isinstance(answer.errors, list) else (answer.errors,)
    words: dict[str, str] = {}
    for error in filter(None, (answer.error, *listed, answer.errorMessage, answer.Error)):
        if isinstance(error, dict):
            code, message = error.get("code"), error_text(error.get("message"))
            words[message] = f"{code}: {message}" if isinstance(code, int | str) else message
        else:
            words[error_text(error)] = error_text(error)
    if words and (message := error_text(answer.message)):
        words[message] = message
    return words


def _status_inside(answer: _Answer) -> int | None:
    """The HTTP status that an error body tells of itself, as a number or by name; None where it tells none."""
    try:
        told = _decode_loosely(answer.status)
    except UNREADABLE:
        return None
    return _REFUSING.get(told) if type(told) in (str, int) else None


def _bare(answer: _Answer) -> bool:
    """Whether an answer holds no result of any operation. A result is an object or a list, whatever its name."""
    results = (answer.cancelStatus, answer.batchStatus, answer.openOrders, answer.orders, answer.status)
    return not any(bytes(raw)[:1] in (b"{", b"[") for raw in (*results, answer.instruments))


def _absent(raw: msgspec.Raw) -> bool:
    return bytes(raw) in (b"", b"null")
