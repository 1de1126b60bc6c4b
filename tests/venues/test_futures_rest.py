"""Futures REST: requests as documented and signed, and what each HTTP answer proves, or does not prove."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld import __version__
from canceld.contract.evidence import (
    Fault,
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
from canceld.contract.ids import Target
from canceld.credentials import Keys, Secret
from canceld.venues.futures_requests import (
    BATCH_LIMIT,
    batch_request,
    cancel_all_request,
    cancel_request,
    instruments_request,
    open_orders_request,
    status_request,
    timer_request,
)
from canceld.venues.futures_rest import (
    decode_batch,
    decode_cancel,
    decode_cancel_all,
    decode_instruments,
    decode_open_orders,
    decode_status,
    decode_timer,
)
from canceld.venues.signing import decode_spot_secret, futures_authent
from canceld.venues.spot_rest import Request
from tests.frames import futures_rest as frames

from .mutations import mutants

# Kraken's published example key. Source: Futures WebSockets guide.
SECRET = "7zxMEF5p/Z8l2p2U7Ghv6x14Af+Fx+92tPgUdVQ748FOIrEoT9bgT+bTRfXc5pz8na+hL/QdrCVG7bh9KpT0eMTm"
KEYS = Keys(Secret("the-public-key"), Secret(decode_spot_secret(SECRET)))
ORDER = Target("order_id", frames.ORDER_ID)
OTHER = Target("order_id", frames.OTHER_ID)
NAMED = Target("cl_ord_id", "s7-000042")
OTHER_NAMED = Target("cl_ord_id", "s7-000043")

Decode = Callable[[int, bytes], RestAnswer]

cancel = partial(decode_cancel, asked=ORDER)
cancel_named = partial(decode_cancel, asked=NAMED)
batch = partial(decode_batch, asked=[ORDER, OTHER_NAMED])

DECODERS: list[Decode] = [
    cancel,
    cancel_named,
    batch,
    decode_cancel_all,
    decode_timer,
    decode_open_orders,
    decode_status,
    decode_instruments,
]

STATE = OrderState(
    frames.ORDER_ID,
    "canceled",
    "1234568",
    symbol="PF_XBTUSD",
    opened_s=1595424356.366,
    filled_qty="0",
    terms=OrderTerms("PF_XBTUSD", "buy", "5500", "8000"),
)


# ------------------------------------------------------------------ requests


def test_cancel_is_the_form_of_the_known_vector() -> None:
    request = cancel_request(KEYS, ORDER)
    assert request.method == "POST"
    assert request.path == "/derivatives/api/v3/cancelorder"
    assert request.body == b"order_id=cb4e34f6-4eb3-4d4b-9724-4c3035b99d47"
    assert dict(request.headers) == {
        "APIKey": "the-public-key",
        "Authent": "RsJUAGKHRANTCXN4yfIJ6YLZxUG3GFenqV/XrSrFYFmxosX9EWvg1P+Ja0kNBx8y/RXW1/tXTYKQmSxWzRH9cw==",
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": f"canceld/{__version__}",
    }


def test_batch_is_the_form_of_the_known_vector() -> None:
    request = batch_request(KEYS, [ORDER])
    assert request.path == "/derivatives/api/v3/batchorder"
    assert dict(request.headers)["Authent"] == (
        "ui6S65hm67tgtBd5ZbJu9YEtuCwdk4PFWfuVlG8uwyiHG/95WUvr0ekkmAYbV+BCEZgYH/9Y1y8rMuhBtWI/fA=="
    )


def test_batch_names_each_order_in_the_field_of_its_kind() -> None:
    hostile = Target("cl_ord_id", 'a&json="+%/\\')
    (form,) = parse_qs(batch_request(KEYS, [ORDER, hostile]).body.decode(), strict_parsing=True).items()
    assert form[0] == "json"
    assert json.loads(form[1][0]) == {
        "batchOrder": [
            {"order": "cancel", "order_id": frames.ORDER_ID},
            {"order": "cancel", "cliOrdId": hostile.value},
        ]
    }


@pytest.mark.parametrize("count", [0, BATCH_LIMIT + 1])
def test_batch_outside_of_its_bounds_is_a_bug(count: int) -> None:
    with pytest.raises(AssertionError):
        batch_request(KEYS, [ORDER] * count)


def test_order_without_a_futures_name_is_a_bug() -> None:
    for build in (cancel_request, status_request):
        with pytest.raises(AssertionError):
            build(KEYS, Target("userref", 5))


@pytest.mark.parametrize(
    ("request_", "path", "body"),
    [
        (cancel_request(KEYS, Target("cl_ord_id", "a b:+&")), "cancelorder", b"cliOrdId=a%20b%3A%2B%26"),
        (
            cancel_request(KEYS, ORDER, process_before="2023-11-08T19:56:35.441Z"),
            "cancelorder",
            b"order_id=cb4e34f6-4eb3-4d4b-9724-4c3035b99d47&processBefore=2023-11-08T19%3A56%3A35.441Z",
        ),
        (cancel_all_request(KEYS), "cancelallorders", b""),
        (cancel_all_request(KEYS, "PF_XBTUSD"), "cancelallorders", b"symbol=PF_XBTUSD"),
        (timer_request(KEYS, 60), "cancelallordersafter", b"timeout=60"),
        (timer_request(KEYS, 0), "cancelallordersafter", b"timeout=0"),
        (status_request(KEYS, ORDER), "orders/status", b"orderIds=cb4e34f6-4eb3-4d4b-9724-4c3035b99d47"),
        (status_request(KEYS, NAMED), "orders/status", b"cliOrdIds=s7-000042"),
    ],
)
def test_private_call_is_signed_over_what_it_sends_and_without_a_nonce(
    request_: Request, path: str, body: bytes
) -> None:
    assert (request_.method, request_.path, request_.body) == ("POST", f"/derivatives/api/v3/{path}", body)
    headers = dict(request_.headers)
    assert headers["Authent"] == futures_authent(KEYS.secret, body, "", f"/api/v3/{path}")
    assert "Nonce" not in headers


def test_list_of_open_orders_is_asked_for_without_parameters() -> None:
    request = open_orders_request(KEYS)
    assert (request.method, request.path, request.body) == ("GET", "/derivatives/api/v3/openorders", b"")
    headers = dict(request.headers)
    assert headers["Authent"] == futures_authent(KEYS.secret, b"", "", "/api/v3/openorders")
    assert "Content-Type" not in headers


def test_public_call_carries_no_credentials() -> None:
    request = instruments_request()
    assert (request.method, request.path, request.body) == ("GET", "/derivatives/api/v3/instruments", b"")
    assert dict(request.headers) == {"User-Agent": f"canceld/{__version__}"}


def test_repr_shows_no_secret() -> None:
    assert repr(cancel_request(KEYS, ORDER)) == "Request(POST /derivatives/api/v3/cancelorder)"


# ------------------------------------------------------------------ answers


@pytest.mark.parametrize(
    ("decode", "body", "answer"),
    [
        (cancel, frames.CANCELED, RestOrders((STATE,), "2020-07-22T13:26:20.806Z")),
        (cancel, frames.FILLED, RestOrders((OrderState(frames.ORDER_ID, "filled"),))),
        (cancel_named, frames.FILLED, RestOrders((OrderState(frames.ORDER_ID, "filled", "s7-000042"),))),
        (cancel, frames.NOT_FOUND, RestFailed(Fault.NOT_OPEN, "notFound")),
        (cancel_named, frames.NOT_FOUND, RestFailed(Fault.NOT_OPEN, "notFound")),
        (
            cancel_named,
            frames.TRIGGER_CANCELED,
            RestOrders(
                (
                    OrderState(
                        frames.ORDER_ID,
                        "canceled",
                        "s7-000042",
                        symbol="PF_XBTUSD",
                        opened_s=1595424356.366,
                        terms=OrderTerms("PF_XBTUSD", "sell", "1"),
                    ),
                )
            ),
        ),
        (
            batch,
            frames.BATCH,
            RestBatch(
                {
                    OTHER_NAMED: RestFailed(Fault.NOT_OPEN, "notFound"),
                    ORDER: RestOrders(
                        (
                            OrderState(
                                frames.ORDER_ID,
                                "canceled",
                                "s7-000042",
                                symbol="PF_XBTUSD",
                                opened_s=1595424356.366,
                                filled_qty="0.0002",
                            ),
                        )
                    ),
                }
            ),
        ),
        (
            decode_cancel_all,
            frames.ALL_CANCELED,
            RestCanceled(
                3,
                pending=False,
                orders=(
                    OrderState("6180adfa-e4b1-4a52-adac-ea5417620dbd", "canceled"),
                    OrderState("89e57b62-19d9-40fe-9d81-1f0b9d4b3f3d", "canceled", "s7-1"),
                    OrderState("9c2e7b62-19d9-40fe-9d81-1f0b9d4b3f3d", "canceled"),
                ),
                received_time="2026-11-03T09:20:00.999Z",
            ),
        ),
        (decode_cancel_all, frames.NOTHING_TO_CANCEL, RestCanceled(0, pending=False)),
        (decode_timer, frames.TIMER_ENABLED, RestTimer(1793697683.839)),
        (decode_timer, frames.TIMER_DISABLED, RestTimer(None)),
        (
            decode_open_orders,
            frames.OPEN_ORDERS,
            RestOrders(
                (
                    OrderState(
                        "59302619-41d2-4f0b-941f-7e7914760ad3",
                        "open",
                        symbol="PI_XBTUSD",
                        opened_s=1567702877.41,
                        filled_qty="0",
                        terms=OrderTerms("PI_XBTUSD", "sell", "304", "10640"),
                    ),
                    OrderState(
                        "022774bc-2c4a-4f26-9317-436c8d85746d",
                        "open",
                        "s7-000042",
                        symbol="pf_xbtusd",
                        opened_s=1567701230.734,
                        filled_qty="0.10",
                        terms=OrderTerms("pf_xbtusd", "buy", "1.00", "1000"),
                    ),
                )
            ),
        ),
        (decode_open_orders, frames.NO_OPEN_ORDERS, RestOrders(())),
        (
            decode_status,
            frames.STATUSES,
            RestOrders(
                (
                    OrderState(
                        frames.ORDER_ID,
                        "canceled",
                        "s7-000042",
                        symbol="PF_XBTUSD",
                        opened_s=1595424356.366,
                        filled_qty="200.0",
                        reason="CANCELLED_BY_USER",
                        terms=OrderTerms("PF_XBTUSD", "buy", "5500", "8000"),
                    ),
                )
            ),
        ),
        (decode_status, frames.NO_STATUSES, RestOrders(())),
        (decode_instruments, frames.INSTRUMENTS, RestMode("unknown")),
    ],
)
def test_documented_answer_is_read_as_what_it_is(decode: Decode, body: bytes, answer: RestAnswer) -> None:
    assert decode(200, body) == answer


def one_cancel(**status: Any) -> bytes:
    return json.dumps({"result": "success", "cancelStatus": status}).encode()


def test_success_may_come_without_its_word() -> None:
    body = b'{"cancelStatus":{"status":"cancelled"}}'
    assert cancel(200, body) == RestOrders((OrderState(frames.ORDER_ID, "canceled"),))


@pytest.mark.parametrize("result", ['"ok"', "true", '""', '"Success"', "[]"])
def test_any_other_result_is_no_verdict(result: str) -> None:
    body = f'{{"result":{result},"cancelStatus":{{"status":"cancelled"}}}}'.encode()
    assert isinstance(cancel(200, body), RestUnreadable)


@pytest.mark.parametrize("word", ["canceled", "Cancelled", "placed", "edited", "", None, 1, True, ["cancelled"]])
def test_status_that_is_not_known_is_no_verdict(word: object) -> None:
    assert isinstance(cancel(200, one_cancel(status=word)), RestUnreadable)
    element = {"status": word, "order_id": frames.ORDER_ID}
    answer = batch(200, json.dumps({"result": "success", "batchStatus": [element]}).encode())
    assert isinstance(answer, RestBatch)
    assert all(isinstance(verdict, RestUnreadable) for verdict in answer.verdicts.values())


def test_answer_about_another_order_settles_nothing() -> None:
    assert isinstance(cancel(200, one_cancel(status="cancelled", order_id=frames.OTHER_ID)), RestUnreadable)
    assert isinstance(cancel_named(200, one_cancel(status="cancelled", cliOrdId="s7-9")), RestUnreadable)
    event = {"type": "CANCEL", "uid": frames.OTHER_ID, "order": {"filled": 1}}
    assert isinstance(cancel(200, one_cancel(status="cancelled", orderEvents=[event])), RestUnreadable)


def test_uuid_in_upper_case_is_the_same_order() -> None:
    answer = cancel(200, one_cancel(status="cancelled", order_id=frames.ORDER_ID.upper()))
    assert answer == RestOrders((OrderState(frames.ORDER_ID, "canceled"),))


def test_order_without_the_venues_id_has_no_state_but_a_verdict() -> None:
    assert cancel_named(200, one_cancel(status="cancelled")) == RestEnded("canceled")
    assert cancel_named(200, one_cancel(status="filled")) == RestEnded("filled")


def test_filled_quantity_is_the_one_of_the_canceled_order() -> None:
    def event(kind: str, uid: str | None, filled: float) -> dict[str, Any]:
        return {"type": kind, "uid": uid, "order": {"filled": filled}}

    events = [event("REJECT", frames.ORDER_ID, 1), event("CANCEL", frames.OTHER_ID, 2), "?"]
    told = one_cancel(status="cancelled", order_id=frames.ORDER_ID, orderEvents=events[:2])
    assert cancel(200, told) == RestOrders((OrderState(frames.ORDER_ID, "canceled"),))
    told = one_cancel(status="cancelled", order_id=frames.ORDER_ID, orderEvents=events)
    assert cancel(200, told) == RestOrders((OrderState(frames.ORDER_ID, "canceled"),))
    events = [*events[:2], event("CANCEL", frames.ORDER_ID, 0.25)]
    told = one_cancel(status="cancelled", order_id=frames.ORDER_ID, orderEvents=events)
    assert cancel(200, told) == RestOrders((OrderState(frames.ORDER_ID, "canceled", filled_qty="0.25"),))


def batch_of(*elements: Any, asked: list[Target] | None = None) -> dict[Target, Any]:
    body = json.dumps({"result": "success", "batchStatus": elements}).encode()
    answer = decode_batch(200, body, asked or [ORDER, OTHER, NAMED])
    assert isinstance(answer, RestBatch)
    return answer.verdicts


def test_batch_is_matched_by_id_and_never_by_position() -> None:
    verdicts = batch_of(
        {"status": "filled", "order_id": frames.OTHER_ID}, {"status": "cancelled", "order_id": frames.ORDER_ID}
    )
    assert verdicts == {
        OTHER: RestOrders((OrderState(frames.OTHER_ID, "filled"),)),
        ORDER: RestOrders((OrderState(frames.ORDER_ID, "canceled"),)),
    }


def test_element_without_an_id_settles_no_order() -> None:
    assert batch_of({"status": "cancelled"}, asked=[ORDER]) == {}
    assert batch_of({"status": "notFound", "orderEvents": []}, asked=[NAMED]) == {}
    assert batch_of({"status": "cancelled", "order_id": "x"}, None, 7, "cancelled", asked=[ORDER]) == {}


def test_element_of_a_stranger_settles_no_order() -> None:
    assert batch_of({"status": "cancelled", "order_id": "11111111-4eb3-4d4b-9724-4c3035b99d47"}) == {}
    assert batch_of({"status": "cancelled", "cliOrdId": frames.ORDER_ID}) == {}


def test_verdict_may_be_nested_in_its_element() -> None:
    nested = {"order_id": frames.ORDER_ID, "cancelStatus": {"status": "cancelled"}}
    assert batch_of(nested) == {ORDER: RestOrders((OrderState(frames.ORDER_ID, "canceled"),))}
    nested = {"cancelStatus": {"status": "notFound", "order_id": frames.ORDER_ID}}
    assert batch_of(nested) == {ORDER: RestFailed(Fault.NOT_OPEN, "notFound")}
    assert batch_of({"status": "cancelled", "order_id": frames.ORDER_ID, "cancelStatus": {"status": "filled"}}) == {}
    assert batch_of({"status": "cancelled", "order_id": frames.ORDER_ID, "cancelStatus": 7}) == {}


def test_two_elements_that_disagree_are_no_verdict() -> None:
    canceled = {"status": "cancelled", "order_id": frames.ORDER_ID}
    assert batch_of(canceled, canceled) == {ORDER: RestOrders((OrderState(frames.ORDER_ID, "canceled"),))}
    (verdict,) = batch_of(canceled, {"status": "notFound", "order_id": frames.ORDER_ID}).values()
    assert isinstance(verdict, RestUnreadable)


def test_one_element_may_answer_for_both_names_of_its_order() -> None:
    verdicts = batch_of({"status": "cancelled", "order_id": frames.ORDER_ID, "cliOrdId": "s7-000042"})
    state = RestOrders((OrderState(frames.ORDER_ID, "canceled", "s7-000042"),))
    assert verdicts == {ORDER: state, NAMED: state}


@pytest.mark.parametrize("elements", ["null", "{}", "7", '""'])
def test_batch_without_a_list_is_no_verdict(elements: str) -> None:
    assert isinstance(batch(200, f'{{"result":"success","batchStatus":{elements}}}'.encode()), RestUnreadable)


def test_orders_of_a_cancel_all_are_counted_whatever_its_word() -> None:
    def told(**status: Any) -> RestAnswer:
        return decode_cancel_all(200, one_cancel(**status))

    assert told(status="noOrdersToCancel", cancelledOrders=[{}, {}]) == RestCanceled(2, pending=False)
    assert told(status="noOrdersToCancel") == RestCanceled(0, pending=False)
    assert isinstance(told(status="cancelled"), RestUnreadable)
    assert isinstance(told(status="cancelled", cancelledOrders=3), RestUnreadable)
    assert isinstance(told(status="filled", cancelledOrders=[]), RestUnreadable)
    assert isinstance(told(cancelledOrders=[]), RestUnreadable)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("ENTERED_BOOK", "open"),
        ("TRIGGER_PLACED", "open"),
        ("FULLY_EXECUTED", "filled"),
        ("CANCELLED", "canceled"),
        ("REJECTED", "expired"),
        ("TRIGGER_ACTIVATION_FAILURE", None),
        ("CANCELED", None),
        ("", None),
        (None, None),
        (["CANCELLED"], None),
    ],
)
def test_only_known_states_say_anything(word: object, status: str | None) -> None:
    row = {"order": {"orderId": frames.ORDER_ID}, "status": word}
    answer = decode_status(200, json.dumps({"result": "success", "orders": [row]}).encode())
    assert answer == RestOrders((OrderState(frames.ORDER_ID, status),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("decode", "body"),
    [
        (decode_open_orders, b'{"result":"success"}'),
        (decode_open_orders, b'{"result":"success","openOrders":null}'),
        (decode_open_orders, b'{"result":"success","openOrders":{}}'),
        (decode_open_orders, b'{"result":"success","openOrders":[{}]}'),
        (decode_open_orders, b'{"result":"success","openOrders":[{"order_id":"4711"}]}'),
        (decode_open_orders, b'{"result":"success","openOrders":[null]}'),
        (decode_status, b'{"result":"success"}'),
        (decode_status, b'{"result":"success","orders":null}'),
        (decode_status, b'{"result":"success","orders":[{"status":"CANCELLED"}]}'),
        (decode_status, b'{"result":"success","orders":[{"order":{},"status":"CANCELLED"}]}'),
        (decode_status, b'{"result":"success","orders":[{"order":null,"status":"CANCELLED"}]}'),
        (decode_timer, b'{"result":"success"}'),
        (decode_timer, b'{"result":"success","status":{}}'),
        (decode_timer, b'{"result":"success","status":{"triggerTime":null}}'),
        (decode_timer, b'{"result":"success","status":{"triggerTime":0}}'),
        (decode_timer, b'{"result":"success","status":{"triggerTime":"soon"}}'),
        (decode_instruments, b'{"result":"success"}'),
        (cancel, b'{"result":"success"}'),
        (cancel, b'{"result":"success","cancelStatus":null}'),
        (cancel, b'{"result":"success","cancelStatus":"cancelled"}'),
    ],
)
def test_damaged_answer_is_no_verdict(decode: Decode, body: bytes) -> None:
    assert isinstance(decode(200, body), RestUnreadable)


def executed(status: str, *fills: tuple[object, object], order_id: str = frames.ORDER_ID, **more: object) -> RestAnswer:
    """The answer to a cancel with an EXECUTION for each (filled before, amount)."""
    events = [
        {"type": "EXECUTION", "amount": amount, "orderPriorExecution": {"orderId": order_id, "filled": before}}
        for before, amount in fills
    ]
    told = {"status": status, "order_id": frames.ORDER_ID, "orderEvents": [*events, *more.get("events", ())]}  # type: ignore[misc]
    return cancel(200, json.dumps({"result": "success", "cancelStatus": told}).encode())


def filled_of(answer: RestAnswer) -> str | None:
    assert isinstance(answer, RestOrders)
    return answer.orders[0].filled_qty


@pytest.mark.parametrize(
    ("fills", "filled_qty"),
    [
        ([(0, 5500)], "5500"),
        ([("0E-11", "0.10000000000")], "0.10000000000"),
        ([(200, 300), (500, 5000)], "5500"),
        ([(0.1, 0.2)], "0.3"),
        ([(None, 300)], None),
        ([(200, "many")], None),
        ([(0, "1e400")], None),
        ([], None),
    ],
)
def test_executions_tell_how_much_of_a_filled_order_filled(
    fills: list[tuple[object, object]], filled_qty: str | None
) -> None:
    assert filled_of(executed("filled", *fills)) == filled_qty


def test_executions_of_another_order_tell_nothing_of_this_one() -> None:
    assert filled_of(executed("filled", (0, 5500), order_id=frames.OTHER_ID)) is None


def test_of_a_cancelled_order_only_the_cancel_itself_tells_what_filled() -> None:
    assert filled_of(executed("cancelled", (0, 200))) is None
    gone = {"type": "CANCEL", "uid": frames.ORDER_ID, "order": {"orderId": frames.ORDER_ID, "filled": 300}}
    assert filled_of(executed("cancelled", (0, 200), events=[gone])) == "300"


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize(
    ("status", "body", "fault", "words"),
    [
        (200, frames.ERROR, Fault.CREDENTIALS, "authenticationError"),
        (200, frames.ERRORS, Fault.INVALID, "invalidArgument"),
        (200, frames.NUMBERED_ERRORS, Fault.UNLISTED, "95: something new"),
        (200, b'{"result":"error","error":"apiLimitExceeded"}', Fault.ROUTE_BUSY, "apiLimitExceeded"),
        (200, b'{"result":"error","error":"notFound"}', Fault.NOT_OPEN, "notFound"),
        (200, b'{"result":"error","errors":["notFound","x"]}', Fault.UNLISTED, "notFound; x"),
        (200, b'{"result":"error","errors":["notFound"],"error":"Unavailable"}', Fault.TRANSIENT, None),
        (200, b'{"result":"success","error":"Server Error"}', Fault.TRANSIENT, "Server Error"),
        (200, b'{"error":"marketUnavailable"}', Fault.UNAVAILABLE, "marketUnavailable"),
        (200, b'{"result":"error","errors":[{"code":7,"message":"notFound"}]}', Fault.NOT_OPEN, "7: notFound"),
        (200, b'{"result":"error","errors":[7]}', Fault.UNLISTED, "an error without words"),
        (400, b'{"result":"error","error":"notFound"}', Fault.NOT_OPEN, "notFound"),
        (401, b'{"result":"error","error":"nonceDuplicate"}', Fault.STALE_NONCE, "nonceDuplicate"),
        (408, b'{"result":"error","error":"unknownError"}', Fault.TRANSIENT, "unknownError"),
        (429, b'{"result":"error","error":"apiLimitExceeded"}', Fault.ROUTE_BUSY, "apiLimitExceeded"),
        (400, frames.HTML, Fault.INVALID, "HTTP 400"),
        # What stands before the API knows no key, whatever its status says.
        (401, b"", Fault.UNAVAILABLE, "HTTP 401"),
        (403, frames.HTML, Fault.ROUTE_BUSY, "HTTP 403"),
        (401, b'{"result":"error"}', Fault.CREDENTIALS, "HTTP 401"),
        (403, b'{"result":"error","error":"no such word"}', Fault.CREDENTIALS, "no such word"),
        # A status inside the body, by name or as a number, that is no result of any operation.
        (400, frames.SENTENCE, Fault.INVALID, "11: Argument invalid: order_id"),
        (200, frames.SENTENCE, Fault.INVALID, "11: Argument invalid: order_id"),
        (400, frames.SENTENCE.replace(b"Argument invalid: order_id", b"of no table"), Fault.INVALID, "11: of no table"),
        (200, b'{"status":"UNAUTHORIZED","result":"error","errors":[{"message":"who"}]}', Fault.CREDENTIALS, "who"),
        (200, b'{"status":"TOO_MANY_REQUESTS","result":"error"}', Fault.ROUTE_BUSY, "HTTP 429"),
        (404, frames.FRAMEWORK, Fault.INVALID, "Not Found"),
        (200, frames.FRAMEWORK, Fault.INVALID, "Not Found"),
        (200, b'{"status":401,"error":"Unauthorized","message":"no key"}', Fault.CREDENTIALS, "Unauthorized; no key"),
        (401, b'{"status":401,"error":"","message":""}', Fault.CREDENTIALS, "HTTP 401"),
        (429, b'{"status":429,"error":"Too Many Requests","message":""}', Fault.ROUTE_BUSY, "Too Many Requests"),
        # Under any other name an error refuses as well.
        (200, b'{"result":"success","Error":"apiLimitExceeded"}', Fault.ROUTE_BUSY, "apiLimitExceeded"),
        (200, b'{"errorMessage":"apiLimitExceeded"}', Fault.ROUTE_BUSY, "apiLimitExceeded"),
        (200, b'{"success":false}', Fault.UNLISTED, "an error without words"),
        # Whoever is turned away at the door is told nothing of an order.
        (401, b'{"status":401,"error":"notFound"}', Fault.CREDENTIALS, "notFound"),
        (404, b"not found", Fault.INVALID, "HTTP 404"),
        (405, b"{}", Fault.INVALID, "HTTP 405"),
        (413, frames.HTML, Fault.INVALID, "HTTP 413"),
        (429, frames.HTML, Fault.ROUTE_BUSY, "HTTP 429"),
        (429, b'{"result":"error"}', Fault.ROUTE_BUSY, "HTTP 429"),
        (400, frames.CANCELED, Fault.INVALID, "HTTP 400"),
        (301, frames.HTML, Fault.UNAVAILABLE, "redirect (HTTP 301)"),
        (307, frames.CANCELED, Fault.UNAVAILABLE, "redirect (HTTP 307)"),
    ],
)
def test_answer_that_proves_the_failure_names_it(
    decode: Decode, status: int, body: bytes, fault: Fault, words: str | None
) -> None:
    answer = decode(status, body)
    assert isinstance(answer, RestFailed)
    assert answer.fault is fault
    assert words in (answer.error, None)


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((status, frames.HTML) for status in (500, 502, 503, 504, 520, 524, 599)),
        (500, frames.CANCELED),
        (503, b'{"result":"error","error":"notFound"}'),
        (200, b'{"status":503,"error":"Service Unavailable","message":""}'),
        (400, b'{"status":"INTERNAL_SERVER_ERROR","result":"error","errors":[{"code":1,"message":"notFound"}]}'),
        (400, b'{"status":500}'),
        (200, frames.HTML),
        (200, b""),
        (200, frames.CANCELED[:-5]),
        (200, b"[]"),
        (200, b"null"),
        (200, b"{}"),
        (200, b"[" * 100_000),
        (200, b'{"cancelStatus":' + b"[" * 100_000),
        (200, b'{"result":"error"}'),
        (200, b'{"result":"error","error":"","errors":[]}'),
        (200, b'{"error":["\xff"]}'),
        (200, b'{"result":"error","error":"notFound","cancelStatus":{"status":"cancelled"}}'),
        (200, b'{"result":"success","error":"notFound","orders":[],"openOrders":[],"batchStatus":[],"status":{}}'),
        (201, frames.CANCELED),
        (204, b""),
        (100, b""),
        (0, b""),
        (408, frames.HTML),
        (409, b""),
        (499, frames.CANCELED),
    ],
)
def test_answer_that_proves_nothing_is_no_verdict(decode: Decode, status: int, body: bytes) -> None:
    assert isinstance(decode(status, body), RestUnreadable)


def test_endless_error_is_cut() -> None:
    body = json.dumps({"result": "error", "errors": ["x" * 10_000, "y" * 10_000]}).encode()
    answer = cancel(200, body)
    assert isinstance(answer, RestFailed)
    assert len(answer.error) == 512


@given(st.sampled_from(DECODERS), st.integers(-1, 700), st.binary() | st.text().map(str.encode))
def test_any_bytes_under_any_status_are_an_answer_and_no_success(decode: Decode, status: int, body: bytes) -> None:
    assert isinstance(decode(status, body), RestFailed | RestUnreadable)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.sampled_from([frames.ORDER_ID, "s7-000043", "cancelled", "filled", "notFound", "success", "CANCEL", "0"])
MEMBERS = ("status", "order_id", "cliOrdId", "orderEvents", "cancelStatus", "cancelledOrders", "triggerTime", "order")
THINGS = WORDS | ANYTHING | st.dictionaries(st.sampled_from(MEMBERS), WORDS | ANYTHING)
TOP = ("result", "error", "errors", "cancelStatus", "batchStatus", "openOrders", "orders", "status", "instruments")


@given(st.dictionaries(st.sampled_from(TOP), THINGS | st.lists(THINGS, max_size=2)))
def test_any_members_are_an_answer_and_a_verdict_is_earned(message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    for decode in DECODERS:
        assert isinstance(decode(200, body), RestAnswer)
    answer = cancel(200, body)
    if isinstance(answer, RestOrders):
        assert message["cancelStatus"]["status"] in ("cancelled", "filled")
        assert not message.get("error")
        assert not message.get("errors")


WHOLE: list[tuple[Decode, bytes]] = [
    (cancel, frames.CANCELED),
    (partial(decode_cancel, asked=Target("cl_ord_id", "1234568")), frames.CANCELED),
    (cancel, frames.FILLED),
    (cancel_named, frames.FILLED),
    (cancel, frames.NOT_FOUND),
    (cancel_named, frames.TRIGGER_CANCELED),
    (batch, frames.BATCH),
    (decode_cancel_all, frames.ALL_CANCELED),
    (decode_cancel_all, frames.NOTHING_TO_CANCEL),
    (decode_timer, frames.TIMER_ENABLED),
    (decode_timer, frames.TIMER_DISABLED),
    (decode_open_orders, frames.OPEN_ORDERS),
    (decode_open_orders, frames.NO_OPEN_ORDERS),
    (decode_status, frames.STATUSES),
    (decode_instruments, frames.INSTRUMENTS),
    *((cancel, body) for body in (frames.ERROR, frames.ERRORS, frames.NUMBERED_ERRORS)),
]


@pytest.mark.parametrize(("decode", "body"), WHOLE)
def test_damaged_answer_never_says_more_than_the_whole_one(decode: Decode, body: bytes) -> None:
    whole = decode(200, body)
    for what, mutant in mutants(body):
        answer = decode(200, json.dumps(mutant).encode())
        assert _claims_no_more(answer, whole), f"{what}: {answer} instead of {whole}"


def _claims_no_more(answer: RestAnswer, whole: RestAnswer) -> bool:
    match answer, whole:
        case (RestUnreadable(), _):
            return True
        case RestFailed(fault=fault), RestFailed():
            return fault is whole.fault or fault is not Fault.NOT_OPEN
        case RestEnded(state=state), RestOrders(orders=(OrderState(status=status),)):
            # The venue's id was lost: how the order ended was not.
            return state == status
        case RestOrders(), RestOrders():
            return len(answer.orders) == len(whole.orders) and all(
                mine.status in (theirs.status, None) and mine.order_id == theirs.order_id
                for mine, theirs in zip(answer.orders, whole.orders, strict=True)
            )
        case RestCanceled(), RestCanceled():
            named = {mine.order_id: mine.status for mine in answer.orders}
            return answer.count == whole.count and named.items() <= {o.order_id: o.status for o in whole.orders}.items()
        case RestBatch(), RestBatch():
            return all(_claims_no_more(verdict, whole.verdicts[of]) for of, verdict in answer.verdicts.items())
        case _:
            return answer == whole
