"""Futures REST: HTTP answers to verdicts. What is asked is in futures_requests.py.

`result: success` only says that a request was understood, so the verdict on each order is read from its own status.
Source of all shapes: Futures REST pages "Cancel order", "Batch order management", "Cancel all orders", "Dead man's
switch", "Get order status", "REST" guide; where a page is silent, the public clients that are named beside it.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Context, Decimal
from http import HTTPStatus
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from ..contract.evidence import (
    Fault,
    Listing,
    OrderState,
    OrderTerms,
    RestAnswer,
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
from .faults import TEXT_CHARS, futures_fault_of, most_decisive
from .pieces import LONG_CHARS, answer_in_pieces, under
from .spot_values import UNREADABLE, instant_s, is_legible, terms_of, why
from .values import NOTHING, decimal_text, error_text, instant_ns, order_id_of, text_of, total

QUANTITY_CHARS: Final = 60
"""Longest quantity that is told; what the venue's own numbers add up to has under 30."""

_EXACT: Final = Context(prec=70)

_Verdict: TypeAlias = RestOrders | RestEnded | RestFailed | RestUnreadable


class _Order(msgspec.Struct, gc=False):
    """An order inside an event or a status. Triggers name themselves `uid` and `clientId`."""

    orderId: Any = None
    uid: Any = None
    cliOrdId: Any = None
    clientId: Any = None
    symbol: Any = None
    side: Any = None
    quantity: msgspec.Raw = NOTHING
    filled: msgspec.Raw = NOTHING
    limitPrice: msgspec.Raw = NOTHING
    timestamp: Any = None


class _Event(msgspec.Struct, gc=False):
    """One of the union's events: a CANCEL tells of the order that it took off the book, an EXECUTION how much filled.
    The others tell how an order came to be what it was."""

    type: Any = None
    uid: Any = None
    order: _Order | None = None
    orderTrigger: _Order | None = None
    amount: msgspec.Raw = NOTHING
    orderPriorExecution: _Order | None = None


class _CancelStatus(msgspec.Struct, gc=False):
    """What became of one cancel, or of a cancel-all. A batch's element may hold another of these."""

    status: Any = None
    order_id: Any = None
    cliOrdId: Any = None
    orderEvents: msgspec.Raw = NOTHING
    cancelStatus: msgspec.Raw = NOTHING
    cancelledOrders: Any = None
    receivedTime: Any = None


class _OpenOrder(msgspec.Struct, gc=False):
    order_id: Any = None
    cliOrdId: Any = None
    cli_ord_id: Any = None
    symbol: Any = None
    side: Any = None
    unfilledSize: msgspec.Raw = NOTHING
    filledSize: msgspec.Raw = NOTHING
    limitPrice: msgspec.Raw = NOTHING
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
    return RestCanceled(len(canceled), False, tuple(ends), _received(told))


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


def decode_list(status: int, body: bytes) -> RestAnswer | Listing:
    """The answer to openorders; a long list piece by piece, as pieces.py tells."""
    return answer_in_pieces(body, _LIST, lambda text: decode_open_orders(status, text))


_LIST: Final = under("openOrders")


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
                terms=_terms(row),
            )
        )
    return RestOrders(tuple(states))


def _terms(row: _OpenOrder) -> OrderTerms | None:
    if not is_legible(row.cliOrdId) or not is_legible(row.cli_ord_id):
        return None
    quantity = total(decimal_text(row.filledSize), decimal_text(row.unfilledSize))
    # Stops were seen without quantities; a row of the list is whole all the same.
    return terms_of(row.symbol, row.side, quantity, decimal_text(row.limitPrice), whole=True)


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
    """The venue's clock as an answer tells it, Unix nanoseconds; None where it does not, and of a long list."""
    if len(body) > LONG_CHARS:
        return None
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
    filled_qty: str | None
    received_time: str | None


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
    filled_qty = None if order is None else decimal_text(order.filled)
    if filled_qty is None:
        filled_qty = _executed([*_read(outer.orderEvents), *_read(inner.orderEvents)], order_id)
    return _Told(words.pop(), order_id, name, order, filled_qty, _received(outer) or _received(inner))


def _received(told: _CancelStatus) -> str | None:
    """When the venue took the cancel in, as it wrote it; None for what is no time."""
    return None if instant_s(told.receivedTime) is None else text_of(told.receivedTime)


def _read(events: msgspec.Raw) -> list[_Event]:
    """The events beside a status. They only describe, so that odd ones are left out."""
    try:
        return _decode_events(events)
    except UNREADABLE:
        return []


def _executed(events: list[_Event], order_id: str | None) -> str | None:
    """How much of an order had filled after the last of its EXECUTIONs, each of which tells what had before it."""
    filled: list[Decimal] = []
    for event in events:
        prior = event.orderPriorExecution
        if event.type != "EXECUTION" or prior is None or (order_id is not None and _order_id(prior) != order_id):
            continue
        before, amount = decimal_text(prior.filled), decimal_text(event.amount)
        if before is not None and amount is not None:
            filled.append(_EXACT.add(Decimal(before), Decimal(amount)))
    told = f"{max(filled):f}" if filled else ""
    return told if 0 < len(told) <= QUANTITY_CHARS else None


def _canceled(events: msgspec.Raw) -> Iterator[tuple[str | None, _Order]]:
    """The orders of CANCEL events with the id that each event gives."""
    for event in _read(events):
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
    # Of a cancelled order only the CANCEL tells the last of it; what its EXECUTIONs tell may be less.
    filled_qty = told.filled_qty if state == "filled" or told.order is not None else None
    if order_id is None:
        return RestEnded(state, filled_qty, told.received_time)
    ended = _state(order_id, state, cl_ord_id, told.order, None)
    return RestOrders((msgspec.structs.replace(ended, filled_qty=filled_qty),), told.received_time)


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
        terms=terms_of(order.symbol, order.side, decimal_text(order.quantity), decimal_text(order.limitPrice))
        if is_legible(order.cliOrdId) and is_legible(order.clientId)
        else None,
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
