"""Prime: ids that find their way back, the frames we send, and what a row may tell about a cancel of ours."""

import json
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.evidence import (
    CancelAck,
    CancelReject,
    Evidence,
    Fault,
    Hello,
    Irrelevant,
    Orders,
    OrderState,
    OrderTerms,
    Permissions,
    Pong,
    Unattributed,
    Unlisted,
    Unreadable,
)
from canceld.contract.ids import REQID_LIMIT, Reqid, Target
from canceld.venues.prime_ws import Prime
from tests.frames import prime_ws as frames

from .mutations import mutants

TAG = "0123456789abcde"
PRIME = Prime(TAG)
OTHER = Prime("fedcba987654321")
NOW_NS = 1_631_678_982_238_000_999
REQIDS = st.integers(1, REQID_LIMIT).map(Reqid)
OUR_ID = PRIME.cl_ord_id_of(Reqid(13))

STATE = OrderState(
    frames.ORDER_ID,
    "open",
    frames.OWN_NAME,
    symbol="BTC-USD",
    opened_s=1793697175.45705,
    filled_qty="0.10000000",
    event_id="c73fcf77-15da-11ec-b5e7-7f4881f01b7d",
    event_ns=1793697182505519000,
    terms=OrderTerms("BTC-USD", "buy", "0.50000000"),
)


def state(**changes: Any) -> OrderState:
    return msgspec.structs.replace(STATE, **changes)


def told(*states: OrderState, reqid: int = 8, **more: Any) -> Orders:
    return Orders(states, snapshot=False, reqid=Reqid(reqid), **more)


# ------------------------------------------------------------------ ids of cancels


@given(REQIDS)
def test_id_of_a_cancel_is_a_uuid_and_leads_back_to_its_request(reqid: Reqid) -> None:
    text = PRIME.cl_ord_id_of(reqid)
    parsed = uuid.UUID(text)
    assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)
    assert PRIME.reqid_of(text) == reqid
    assert PRIME.reqid_of(text.upper()) == reqid
    assert OTHER.reqid_of(text) is None


@given(REQIDS, REQIDS)
def test_two_cancels_never_bear_the_same_id(one: Reqid, other: Reqid) -> None:
    assert (PRIME.cl_ord_id_of(one) == PRIME.cl_ord_id_of(other)) is (one == other)


@given(st.uuids(version=4))
def test_id_of_somebody_else_is_not_ours(foreign: uuid.UUID) -> None:
    assert PRIME.reqid_of(str(foreign)) is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        13,
        "",
        OUR_ID[:-1],
        OUR_ID + "0",
        OUR_ID.replace("-", " "),
        OUR_ID.replace("-4", "-1"),
        OUR_ID[:-12] + "_" + OUR_ID[-11:],
        OUR_ID[:-12] + "-" + OUR_ID[-11:],
        OUR_ID[:-12] + "0" * 12,
        PRIME.cl_ord_id_of(Reqid(2**59)),
        OUR_ID[:-1] + "\N{KELVIN SIGN}",
    ],
)
def test_what_only_resembles_our_id_is_not_ours(text: object) -> None:
    assert PRIME.reqid_of(text) is None


@pytest.mark.parametrize("tag", ["", TAG[:-1], TAG + "f", TAG.upper(), "0123456789abcdg", TAG[:-1] + "\n"])
def test_tag_of_the_wrong_form_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="tag"):
        Prime(tag)


# ------------------------------------------------------------------ requests


def test_cancel_is_the_documented_request() -> None:
    documented = json.loads(frames.CANCEL_REQUEST)
    target = Target("order_id", "16a55364-4248-4575-aa0b-dddd3f694ca3")
    frame = json.loads(PRIME.cancel_frame(Reqid(13), target, "BTC-USD", NOW_NS))
    assert list(frame["data"][0]) == list(documented["data"][0])
    assert PRIME.reqid_of(frame["data"][0]["ClOrdID"]) == 13
    frame["data"][0]["ClOrdID"] = documented["data"][0]["ClOrdID"]
    assert frame == documented


@pytest.mark.parametrize("name", [frames.OWN_NAME, 'a "quoted" \\ one', "{[0]}"])
def test_cancel_by_client_id_carries_that_id_alone_and_escaped(name: str) -> None:
    (data,) = json.loads(PRIME.cancel_frame(Reqid(7), Target("cl_ord_id", name), 'B"T', NOW_NS))["data"]
    assert data == {
        "Symbol": 'B"T',
        "ClOrdID": PRIME.cl_ord_id_of(Reqid(7)),
        "OrigClOrdID": name,
        "TransactTime": "2021-09-15T04:09:42.238000Z",
    }


def test_cancel_of_what_prime_has_no_name_for_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        PRIME.cancel_frame(Reqid(7), Target("userref", 5), "BTC-USD", NOW_NS)


@pytest.mark.parametrize(
    ("frame", "request_"),
    [
        (PRIME.user_frame(Reqid(3)), {"reqid": 3, "type": "subscribe", "streams": [{"name": "User"}]}),
        (
            PRIME.orders_frame(Reqid(7), NOW_NS),
            {
                "reqid": 7,
                "type": "subscribe",
                "streams": [{"name": "Order", "StartDate": "2021-09-15T04:09:42.238000Z"}],
            },
        ),
        (PRIME.orders_frame(Reqid(7)), {"reqid": 7, "type": "subscribe", "streams": [{"name": "Order"}]}),
        (
            PRIME.reports_frame(Reqid(8), 0),
            {
                "reqid": 8,
                "type": "subscribe",
                "streams": [{"name": "ExecutionReport", "StartDate": "1970-01-01T00:00:00.000000Z"}],
            },
        ),
        (
            PRIME.query_frame(Reqid(9), frames.ORDER_ID),
            {"reqid": 9, "type": "subscribe", "streams": [{"name": "Order", "OrderID": frames.ORDER_ID}]},
        ),
        (PRIME.unsubscribe_frame(Reqid(7)), {"reqid": 7, "type": "cancel"}),
        (
            PRIME.ping_frame(Reqid(2), NOW_NS),
            {"reqid": 2, "type": "Ping", "ts": "2021-09-15T04:09:42.238000Z", "data": [{}]},
        ),
    ],
)
def test_other_requests_are_the_documented_ones(frame: bytes, request_: dict[str, Any]) -> None:
    assert json.loads(frame) == request_


# ------------------------------------------------------------------ answers


@pytest.mark.parametrize(
    ("frame", "evidence"),
    [
        (frames.HELLO, Hello("1109RQ13KXR00")),
        (frames.PONG, Pong(Reqid(2))),
        (frames.PING_ERROR, CancelReject(Reqid(2), Fault.INVALID, "missing Ping data")),
        (frames.NAMELESS_ERROR, Unattributed(Fault.UNLISTED, "no")),
        (frames.USER, Permissions(("read::orders", "write::orders"))),
        (frames.CANCELED, told(state(status="canceled"), reqid=7)),
        ('{"type":"something new","reqid":4}', Irrelevant()),
    ],
)
def test_documented_message_is_read_as_what_it_is(frame: str, evidence: Evidence) -> None:
    assert PRIME.decode(frame) == (evidence,)
    assert PRIME.decode(frame.encode()) == (evidence,)


EVENT = STATE.event_id
ACK = CancelAck(Reqid(13), frames.ORDER_ID, frames.OWN_NAME, event_id=EVENT)


def refused(
    fault: Fault, error: str, reqid: int = 13, event_id: str | None = EVENT, order_id: str | None = frames.ORDER_ID
) -> CancelReject:
    return CancelReject(Reqid(reqid), fault, error, event_id=event_id, order_id=order_id)


@pytest.mark.parametrize(
    ("row", "evidence"),
    [
        (frames.OUR_PENDING, (ACK, told(STATE))),
        (frames.OUR_CANCELED, (told(state(status="canceled")), ACK)),
        (frames.OUR_FILLED, (told(state(status="filled")),)),
        (frames.REFUSED_UNKNOWN, (told(), refused(Fault.NOT_OPEN, "1: no such order", order_id=None))),
        (
            frames.REFUSED_LATE,
            (told(state(status="filled", cl_ord_id=None, terms=None)), refused(Fault.TRANSIENT, "0")),
        ),
        (
            frames.REFUSED_OPEN,
            (told(state(cl_ord_id=None, terms=None)), refused(Fault.UNAVAILABLE, "Broker option")),
        ),
    ],
)
def test_row_that_bears_our_id_answers_our_cancel(row: str, evidence: tuple[Evidence, ...]) -> None:
    assert PRIME.decode(frames.borne_by(row, OUR_ID)) == evidence


@pytest.mark.parametrize("row", frames.OURS)
@pytest.mark.parametrize("borne", [frames.OTHERS_CANCEL, OTHER.cl_ord_id_of(Reqid(13)), "", "13"])
def test_row_that_bears_anybody_elses_id_answers_nobody(row: str, borne: str) -> None:
    (orders,) = PRIME.decode(frames.borne_by(row, borne))
    assert isinstance(orders, Orders)


def rows(*rows: dict[str, Any], **message: Any) -> str:
    return json.dumps({"type": "Order", "reqid": 7, "data": rows, **message})


def row(**fields: Any) -> dict[str, Any]:
    return {"OrderID": frames.ORDER_ID, "ExecType": "New", "OrdStatus": "New", **fields}


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Filled", "filled"),
        ("Canceled", "canceled"),
        ("Cancelled", "canceled"),
        ("Expired", "expired"),
        ("DoneForDay", "expired"),
        ("Rejected", "expired"),
        *((word, "open") for word in ("New", "PartiallyFilled", "PendingNew", "PendingCancel", "PendingReplace")),
        *((word, "open") for word in ("Replaced", "Suspended", "filled", "CANCELED", "")),
        *((word, None) for word in (None, 4, ["Canceled"])),
    ],
)
def test_only_the_known_ends_are_ends(word: object, status: str | None) -> None:
    (orders,) = PRIME.decode(rows(row(OrdStatus=word)))
    assert isinstance(orders, Orders)
    assert orders.orders[0].status == status


@pytest.mark.parametrize("exec_type", ["CancelRejected", "ReplaceRejected"])
def test_refusal_for_an_unknown_order_does_not_end_one(exec_type: str) -> None:
    (orders,) = PRIME.decode(rows(row(ExecType=exec_type, OrdStatus="Rejected")))
    assert orders == told(reqid=7)


@pytest.mark.parametrize("order_id", ["NONE", None])
@pytest.mark.parametrize("exec_type", ["CancelRejected", "ReplaceRejected", "Rejected"])
def test_report_about_no_order_leaves_the_others_in_its_message_readable(exec_type: str, order_id: object) -> None:
    (orders,) = PRIME.decode(rows(row(OrderID=order_id, ExecType=exec_type, OrdStatus="Rejected"), row()))
    assert orders == told(OrderState(frames.ORDER_ID, "open"), reqid=7)


@pytest.mark.parametrize("exec_type", ["New", "Trade", "Replaced", "ReplaceRejected", "pendingcancel", None])
def test_other_reports_on_an_order_with_our_cancel_are_no_ack(exec_type: object) -> None:
    (orders,) = PRIME.decode(rows(row(ExecType=exec_type, OrdStatus="PendingCancel", ClOrdID=OUR_ID)))
    assert isinstance(orders, Orders)


def test_canceled_event_of_an_order_that_is_not_canceled_is_no_ack() -> None:
    (orders,) = PRIME.decode(rows(row(ExecType="Canceled", OrdStatus="New", ClOrdID=OUR_ID)))
    assert orders == told(OrderState(frames.ORDER_ID, "open"), reqid=7)


def test_refusal_is_found_by_either_id() -> None:
    report = row(ExecType="CancelRejected", ClOrdID=frames.OWN_NAME, OrigClOrdID=OUR_ID, CxlRejReason="3")
    assert PRIME.decode(rows(report))[1:] == (refused(Fault.TRANSIENT, "3", event_id=None),)


def test_second_refusal_is_of_the_request_that_the_report_is_about() -> None:
    later = PRIME.cl_ord_id_of(Reqid(14))
    report = row(ExecType="CancelRejected", ClOrdID=later, OrigClOrdID=OUR_ID)
    assert PRIME.decode(rows(report))[1:] == (refused(Fault.UNLISTED, "CancelRejected", 14, event_id=None),)


@pytest.mark.parametrize(
    ("reason", "text", "fault", "error"),
    [
        (1, "Too late to cancel", Fault.NOT_OPEN, "1: Too late to cancel"),
        (0, "Unknown order", Fault.TRANSIENT, "0: Unknown order"),
        ("UnknownOrder", None, Fault.NOT_OPEN, "UnknownOrder"),
        (None, "Unknown order.", Fault.NOT_OPEN, "Unknown order."),
        (99, "Unknown order", Fault.UNLISTED, "99: Unknown order"),
        ("Pending", "Already pending cancel", Fault.TRANSIENT, "Pending: Already pending cancel"),
        (True, None, Fault.UNLISTED, "CancelRejected"),
        (1.0, None, Fault.UNLISTED, "CancelRejected"),
        ([1], "something new", Fault.UNLISTED, "something new"),
    ],
)
def test_reason_decides_and_text_only_where_there_is_none(
    reason: object, text: object, fault: Fault, error: str
) -> None:
    report = row(ExecType="CancelRejected", ClOrdID=OUR_ID, CxlRejReason=reason, Text=text)
    assert PRIME.decode(rows(report))[1:] == (refused(fault, error, event_id=None),)


@pytest.mark.parametrize(
    ("cl_ord_id", "orig", "name"),
    [
        ("mine", None, "mine"),
        ("mine", "", "mine"),
        ("replace", "mine", "mine"),
        (OUR_ID, "mine", "mine"),
        (OUR_ID, None, None),
        (OUR_ID, PRIME.cl_ord_id_of(Reqid(12)), None),
        ("mine", OUR_ID, "mine"),
        (None, None, None),
        (7, ["x"], None),
    ],
)
def test_order_keeps_the_clients_own_name(cl_ord_id: object, orig: object, name: str | None) -> None:
    (orders, *_) = PRIME.decode(rows(row(ClOrdID=cl_ord_id, OrigClOrdID=orig)))
    assert isinstance(orders, Orders)
    assert orders.orders[0].cl_ord_id == name


def test_reason_of_a_refusal_is_not_the_reason_of_the_orders_end() -> None:
    ended = row(OrdStatus="Canceled", Text="User requested")
    (orders,) = PRIME.decode(rows(ended))
    assert orders == told(OrderState(frames.ORDER_ID, "canceled", reason="User requested"), reqid=7)
    (orders,) = PRIME.decode(rows({**ended, "ExecType": "CancelRejected", "Text": "Too late to cancel"}))
    assert orders == told(OrderState(frames.ORDER_ID, "canceled"), reqid=7)


def test_row_that_is_no_longer_listed_is_not_an_ended_order() -> None:
    removed = row(ExecType="Canceled", OrdStatus="Canceled", ClOrdID=OUR_ID)
    assert PRIME.decode(rows(removed, action="Remove")) == (Unlisted((frames.ORDER_ID,)),)


def test_first_messages_of_a_subscription_are_no_snapshot_by_themselves() -> None:
    assert PRIME.decode(rows(row(), initial=True)) == (
        told(OrderState(frames.ORDER_ID, "open"), reqid=7, initial=True),
    )
    assert PRIME.decode(rows(initial=True)) == (told(reqid=7, initial=True),)
    assert PRIME.decode(rows(initial=True, next="page2")) == (told(reqid=7, initial=True, truncated=True),)
    assert PRIME.decode(rows(initial=True, total_count=3)) == (told(reqid=7, initial=True, total=3),)
    for unreadable in ("3", 3.0, True, None):
        assert PRIME.decode(rows(initial=True, total_count=unreadable)) == (told(reqid=7, initial=True),)
    assert PRIME.decode(rows(initial="true")) == (told(reqid=7),)


def test_one_message_may_answer_several_cancels() -> None:
    other = "16a55364-4248-4575-aa0b-dddd3f694ca3"
    evidence = PRIME.decode(
        rows(
            row(ExecType="Canceled", OrdStatus="Canceled", ClOrdID=OUR_ID),
            row(OrderID=other, ExecType="PendingCancel", ClOrdID=PRIME.cl_ord_id_of(Reqid(14))),
        )
    )
    assert evidence == (
        CancelAck(Reqid(14), other),
        told(OrderState(frames.ORDER_ID, "canceled"), OrderState(other, "open"), reqid=7),
        CancelAck(Reqid(13), frames.ORDER_ID),
    )


@pytest.mark.parametrize("quantity", ["0.10000000", "1E-7", "0", "123456789012345678901234567890.1"])
def test_filled_quantity_keeps_its_decimals_quoted_or_not(quantity: str) -> None:
    for spelled in (quantity, f'"{quantity}"'):
        frame = f'{{"type":"Order","data":[{{"OrderID":"{frames.ORDER_ID}","CumQty":{spelled}}}]}}'
        (orders,) = PRIME.decode(frame)
        assert isinstance(orders, Orders)
        assert orders.orders[0].filled_qty == quantity


@pytest.mark.parametrize("order_id", [None, "", "NONE", 7, "x y-z", "4711", 'O"-B'])
def test_row_without_an_order_makes_the_message_unreadable(order_id: object) -> None:
    (evidence,) = PRIME.decode(rows(row(), row(OrderID=order_id)))
    assert isinstance(evidence, Unreadable)


@pytest.mark.parametrize(
    ("error", "fault", "words"),
    [
        ({"msg": "Rate limit exceeded"}, Fault.ROUTE_BUSY, "Rate limit exceeded"),
        ({"msg": "Unknown order"}, Fault.INVALID, "Unknown order"),
        ({"code": 1}, Fault.INVALID, "error 1"),
        ({"code": "1", "msg": ""}, Fault.INVALID, "error 1"),
        ({"code": ["1"]}, Fault.INVALID, "error"),
        (None, Fault.INVALID, "error"),
        ("Unknown order", Fault.INVALID, "Unknown order"),
        ({"msg": "x" * 10_000}, Fault.INVALID, "x" * 512),
    ],
)
def test_error_message_refuses_a_request_and_never_says_that_an_order_is_gone(
    error: object, fault: Fault, words: str
) -> None:
    frame = json.dumps({"type": "error", "reqid": 13, "error": error})
    assert PRIME.decode(frame) == (CancelReject(Reqid(13), fault, words),)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"type": "subscribe", "error": {"code": 1, "msg": "Too many requests"}}, "Too many requests"),
        ({"type": "OrderCancelRequest", "errorMessage": "Too many requests"}, "Too many requests"),
        ({"Error": "Too many requests"}, "Too many requests"),
        ({"type": "Pong", "error": "Too many requests"}, "Too many requests"),
        ({"type": "something new", "success": False}, "error"),
    ],
)
def test_error_of_any_other_message_refuses_its_request(message: dict[str, object], words: str) -> None:
    fault = Fault.INVALID if words == "error" else Fault.ROUTE_BUSY
    assert PRIME.decode(json.dumps({**message, "reqid": 13})) == (CancelReject(Reqid(13), fault, words),)
    (evidence,) = PRIME.decode(json.dumps(message))
    assert isinstance(evidence, Unattributed)


def test_error_beside_rows_does_not_hide_them() -> None:
    frame = json.loads(rows(row())) | {"error": {"msg": "Too many requests"}}
    assert any(isinstance(one, Orders) for one in PRIME.decode(json.dumps(frame)))


@pytest.mark.parametrize("reqid", [0, -1, REQID_LIMIT + 1, True, 13.0, "13", None])
def test_error_that_names_no_request_refuses_none(reqid: object) -> None:
    (evidence,) = PRIME.decode(json.dumps({"type": "error", "reqid": reqid, "error": {"msg": "x"}}))
    assert evidence == Unattributed(Fault.UNLISTED, "x")


def test_of_several_users_only_what_all_may_do_is_believed() -> None:
    users = [{"Permissions": ["write::orders", "read::orders"]}, {"Permissions": ["read::orders"]}]
    assert PRIME.decode(json.dumps({"type": "User", "data": users})) == (Permissions(("read::orders",)),)


@pytest.mark.parametrize("users", [[], [{}], {}, None, [{"Permissions": "write::orders"}], [{"Permissions": [1]}]])
def test_user_without_permissions_is_unreadable(users: object) -> None:
    (evidence,) = PRIME.decode(json.dumps({"type": "User", "data": users}))
    assert isinstance(evidence, Unreadable)


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"type":7}',
        '{"type":null,"reqid":7}',
        '{"type":"Order"}',
        '{"type":"Order","data":null}',
        '{"type":"Order","data":{}}',
        '{"type":"Order","data":[null]}',
        frames.CANCELED[:-1],
        frames.CANCELED + "x",
        "[" * 100_000,
        '{"type":"Order","data":' + "[" * 100_000,
        '{"type":"Order","data":[{"OrderID":' + "[" * 100_000,
        '{"type":"error","reqid":7,"error":{"code":' + "9" * 5_000 + "}}",
        b"\xff\xfe",
        b'{"type":"hello\xff"}',
        b'{"type":"Order","data":[{"OrderID":"b35b1c3b-a304","Text":"\xff"}]}',
        "\ud800",
        "<html>",
    ],
)
def test_what_is_no_message_is_unreadable(frame: str | bytes) -> None:
    (evidence,) = PRIME.decode(frame)
    assert isinstance(evidence, Unreadable)
    assert len(evidence.why) <= 200


@given(st.binary() | st.text())
def test_any_bytes_are_evidence_of_no_cancel(frame: bytes | str) -> None:
    (evidence,) = PRIME.decode(frame)
    assert isinstance(evidence, Unreadable | Irrelevant)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.sampled_from(
    [OUR_ID, frames.ORDER_ID, "NONE", "PendingCancel", "CancelRejected", "Canceled", "Filled", "Rejected", 1, "0.5"]
)
FIELDS = ("OrderID", "ClOrdID", "OrigClOrdID", "ExecType", "OrdStatus", "ExecID", "CumQty", "CxlRejReason", "Text")


@given(
    st.sampled_from(["Order", "ExecutionReport", "User", "Pong", "hello", "error"]) | ANYTHING,
    st.lists(st.dictionaries(st.sampled_from(FIELDS), WORDS | ANYTHING, max_size=9), max_size=3) | ANYTHING,
    st.dictionaries(st.sampled_from(["reqid", "initial", "action", "next", "error", "session_id"]), ANYTHING),
)
def test_any_members_are_evidence_and_an_ack_is_earned(kind: object, data: object, more: dict[str, Any]) -> None:
    evidence = PRIME.decode(json.dumps({**more, "type": kind, "data": data}))
    assert evidence
    assert len([one for one in evidence if isinstance(one, Orders)]) <= 1
    for one in evidence:
        if isinstance(one, CancelAck):
            assert isinstance(data, list)
            mine = [r for r in data if r.get("ClOrdID") == OUR_ID and r.get("OrderID") == one.order_id]
            assert any(r.get("ExecType") in ("PendingCancel", "Canceled") for r in mine)


SILENT = Unreadable | Unattributed | Irrelevant
"""Evidence on which nobody acts."""


@pytest.mark.parametrize("frame", [*frames.EVERY, *(frames.borne_by(row, OUR_ID) for row in frames.OURS)])
def test_damaged_message_never_says_more_than_the_whole_one(frame: str) -> None:
    whole = PRIME.decode(frame)
    for what, mutant in mutants(frame):
        for evidence in PRIME.decode(json.dumps(mutant)):
            assert any(_claims_no_more(evidence, one) for one in whole), f"{what}: {evidence} instead of {whole}"


def _claims_no_more(evidence: Evidence, whole: Evidence) -> bool:
    match evidence, whole:
        case _ if isinstance(evidence, SILENT) or evidence == whole:
            return True
        case CancelAck(reqid=reqid, order_id=order_id), CancelAck():
            return (reqid, order_id) == (whole.reqid, whole.order_id)
        case CancelReject(reqid=reqid, fault=fault), CancelReject():
            # Its reason lost: still a refusal of the same request, and not one that makes an order gone.
            return reqid == whole.reqid and fault in (whole.fault, Fault.UNLISTED, Fault.INVALID)
        case (Hello(session_id=None), Hello()) | (Pong(reqid=None), Pong()):
            return True
        case Orders(), Orders():
            return _orders_claim_no_more(evidence, whole)
        case _:
            return False


def _orders_claim_no_more(evidence: Orders, whole: Orders) -> bool:
    if evidence.snapshot or evidence.initial or len(evidence.orders) > len(whole.orders):
        return False
    for order, original in zip(evidence.orders, whole.orders, strict=False):
        # The name of another program's cancel can pass for the order's when the order's own is lost.
        names = (original.cl_ord_id, frames.OTHERS_CANCEL, frames.OWN_NAME, None)
        if order.cl_ord_id not in names or order.status not in (original.status, None):
            return False
        if order.order_id != original.order_id or order.filled_qty not in (original.filled_qty, None):
            return False
    return True
