"""Spot REST: requests as documented and signed, and what each HTTP answer proves, or does not prove."""

import json
from collections.abc import Callable
from functools import partial
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
from canceld.contract.ids import Target
from canceld.credentials import Keys, Secret
from canceld.venues.signing import decode_spot_secret, spot_signature
from canceld.venues.spot_rest import (
    TOKEN_EXPIRES_S,
    Request,
    cancel_all_request,
    cancel_batch_request,
    cancel_request,
    closed_orders_request,
    decode_cancel,
    decode_closed,
    decode_key_info,
    decode_mode,
    decode_orders,
    decode_time,
    decode_timer,
    decode_token,
    key_info_request,
    open_orders_request,
    query_orders_request,
    system_status_request,
    time_request,
    timer_request,
    token_request,
)
from tests.frames import spot_rest as frames

from .mutations import mutants

# Kraken's published example key. Source: Spot REST "Authentication".
SECRET = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
KEYS = Keys(Secret("the-public-key"), Secret(decode_spot_secret(SECRET)))
NONCE = 1616492376594
TXID = "OHYO67-6LP66-HMQ437"
IDS = ["OP5V2Y-RYKVL-ET3V3B", "OP5V2Y-7YKVL-ET3V3B"]

DECODERS: list[Callable[[int, bytes], RestAnswer]] = [
    decode_cancel,
    decode_token,
    decode_orders,
    decode_timer,
    decode_mode,
    decode_time,
    decode_key_info,
    partial(decode_closed, since_ns=0),
]


def headers_of(request: Request) -> dict[str, str]:
    return dict(request.headers)


def test_cancel_is_the_form_of_the_known_vector() -> None:
    request = cancel_request(KEYS, NONCE, Target("order_id", TXID))
    assert request.method == "POST"
    assert request.path == "/0/private/CancelOrder"
    assert request.body == b"nonce=1616492376594&txid=OHYO67-6LP66-HMQ437"
    assert headers_of(request) == {
        "API-Key": "the-public-key",
        "API-Sign": "fQFa1ZX8+ZpQnIRLCJoDl4VBmI2UuIar6lhBQbfJlG18dfOGQ+2nu7TUq/bqJ+mKXb4jmFz5Si4GndEVvNy/mQ==",
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": f"canceld/{__version__}",
    }


def test_batch_is_the_json_of_the_known_vector_with_plain_strings() -> None:
    request = cancel_batch_request(KEYS, NONCE, [Target("order_id", one) for one in IDS])
    assert request.body == b'{"nonce":1616492376594,"orders":["OP5V2Y-RYKVL-ET3V3B","OP5V2Y-7YKVL-ET3V3B"]}'
    assert headers_of(request)["Content-Type"] == "application/json"
    assert headers_of(request)["API-Sign"] == (
        "GqbaY5YcWQnIphtqzRcLBUP8mWkDYgR/MVn98NiTGv3dZkATqyp7WPvdhNEBp6HUI2zz4/dgVA6z910JbmSHUg=="
    )


@pytest.mark.parametrize("count", [0, 51])
def test_batch_outside_of_its_bounds_is_a_bug(count: int) -> None:
    with pytest.raises(AssertionError):
        cancel_batch_request(KEYS, NONCE, [Target("order_id", TXID)] * count)


def test_client_order_ids_of_a_batch_have_a_list_of_their_own() -> None:
    targets = [Target("cl_ord_id", 'a "1"'), Target("order_id", TXID), Target("cl_ord_id", "b-2")]
    body = json.loads(cancel_batch_request(KEYS, NONCE, targets).body)
    assert body == {"nonce": NONCE, "orders": [TXID], "cl_ord_ids": ['a "1"', "b-2"]}
    assert "orders" not in json.loads(cancel_batch_request(KEYS, NONCE, targets[:1]).body)


def test_cancel_names_its_order_in_the_field_of_its_kind() -> None:
    assert cancel_request(KEYS, 1, Target("userref", -42)).body == b"nonce=1&txid=-42"
    hostile = "a&txid=OHYO67 +%/\"'"
    body = cancel_request(KEYS, 1, Target("cl_ord_id", hostile)).body
    assert parse_qs(body.decode(), strict_parsing=True) == {"nonce": ["1"], "cl_ord_id": [hostile]}


@pytest.mark.parametrize(
    ("request_", "path", "body"),
    [
        (cancel_all_request(KEYS, 5), "/0/private/CancelAll", b"nonce=5"),
        (timer_request(KEYS, 5, 60), "/0/private/CancelAllOrdersAfter", b"nonce=5&timeout=60"),
        (timer_request(KEYS, 5, 0), "/0/private/CancelAllOrdersAfter", b"nonce=5&timeout=0"),
        (token_request(KEYS, 5), "/0/private/GetWebSocketsToken", b"nonce=5"),
        (open_orders_request(KEYS, 5), "/0/private/OpenOrders", b"nonce=5"),
        (open_orders_request(KEYS, 5, userref=7), "/0/private/OpenOrders", b"nonce=5&userref=7"),
        (open_orders_request(KEYS, 5, cl_ord_id="a b"), "/0/private/OpenOrders", b"nonce=5&cl_ord_id=a%20b"),
        (
            query_orders_request(KEYS, 5, IDS),
            "/0/private/QueryOrders",
            b"nonce=5&txid=OP5V2Y-RYKVL-ET3V3B%2COP5V2Y-7YKVL-ET3V3B",
        ),
        (key_info_request(KEYS, 5), "/0/private/GetApiKeyInfo", b"nonce=5"),
    ],
)
def test_private_call_is_signed_over_what_it_sends(request_: Request, path: str, body: bytes) -> None:
    assert (request_.method, request_.path, request_.body) == ("POST", path, body)
    assert headers_of(request_)["API-Sign"] == spot_signature(KEYS.secret, path, "5", body)


def test_public_calls_carry_no_credentials() -> None:
    for request, path in (
        (system_status_request(), "/0/public/SystemStatus"),
        (time_request(), "/0/public/Time"),
    ):
        assert (request.method, request.path, request.body) == ("GET", path, b"")
        assert headers_of(request) == {"User-Agent": f"canceld/{__version__}"}


def test_repr_shows_no_secret() -> None:
    request = cancel_request(KEYS, NONCE, Target("order_id", TXID))
    assert repr(request) == "Request(POST /0/private/CancelOrder)"
    assert "the-public-key" not in repr(KEYS)
    assert SECRET[:10] not in repr(KEYS)
    assert "1Dwc4" not in repr(decode_token(200, frames.TOKEN))


@pytest.mark.parametrize(
    ("decode", "body", "answer"),
    [
        (decode_cancel, frames.CANCELED, RestCanceled(1, pending=False)),
        (decode_cancel, frames.PENDING, RestCanceled(1, pending=True)),
        (decode_cancel, frames.BATCH_CANCELED, RestCanceled(2, pending=False)),
        (decode_cancel, frames.UNKNOWN_ORDER, RestFailed(Fault.NOT_OPEN, "EOrder:Unknown order")),
        (decode_timer, frames.TIMER_ENABLED, RestTimer(1679679776.0)),
        (decode_timer, frames.TIMER_DISABLED, RestTimer(None)),
        (decode_timer, frames.TIMER_DISABLED_SHORT, RestTimer(None)),
        (decode_token, frames.TOKEN, RestToken("1Dwc4lzSwNWOAwkMdqhssNNFhs1ed606d1WcF3XfEMw", 900.0)),
        (decode_orders, frames.NO_OPEN_ORDERS, RestOrders(())),
        (
            decode_orders,
            frames.OPEN_ORDERS,
            RestOrders(
                (
                    OrderState(
                        "OQCLML-BW3P3-BUCMWZ",
                        "open",
                        opened_s=1688666559.8974,
                        filled_qty="0.37500000",
                        terms=OrderTerms("XBTUSD", "buy", "1.25000000", "30010.0"),
                    ),
                    OrderState(
                        "OB5VMB-B4U2U-DK2WRW",
                        "open",
                        userref=45326,
                        opened_s=1688665899.5699,
                        filled_qty="0.00000000",
                        terms=OrderTerms("XBTUSD", "buy", "0.27500000", "14500.0"),
                    ),
                )
            ),
        ),
        (
            decode_orders,
            frames.QUERIED,
            RestOrders(
                (
                    OrderState(
                        "OBCMZD-JIEE7-77TH3F",
                        "canceled",
                        opened_s=1688148493.7708,
                        filled_qty="0.12500000",
                        reason="User requested",
                        terms=OrderTerms("XBTUSD", "buy", "0.50000000", "26500.0"),
                    ),
                )
            ),
        ),
        (decode_mode, frames.SYSTEM_STATUS, RestMode("cancel_only")),
        (decode_time, frames.TIME, RestTime(1688669448.0)),
        (
            decode_key_info,
            frames.KEY_INFO,
            RestKey(
                ("query-open-trades", "close-trades", "create-ws-token"),
                nonce=1763630000000,
                ip_allowlist=("203.0.113.7",),
            ),
        ),
        (
            decode_key_info,
            frames.KEY_INFO_SNAKE,
            RestKey(("close-trades",), nonce=1763630000000000000, valid_until_s=1795166000.0),
        ),
    ],
)
def test_documented_answer_is_read_as_what_it_is(
    decode: Callable[[int, bytes], RestAnswer], body: bytes, answer: RestAnswer
) -> None:
    assert decode(200, body) == answer


@pytest.mark.parametrize("count", ["-1", "1.0", "true", "null", '"one"', '""', "[1]", "{}", '"-1"'])
def test_count_that_is_no_number_is_no_verdict(count: str) -> None:
    body = f'{{"error":[],"result":{{"count":{count}}}}}'.encode()
    assert isinstance(decode_cancel(200, body), RestUnreadable)


def test_count_is_never_invented() -> None:
    assert isinstance(decode_cancel(200, b'{"error":[],"result":{}}'), RestUnreadable)
    assert decode_cancel(200, b'{"error":[],"result":{"count":0}}') == RestCanceled(0, pending=False)
    assert decode_cancel(200, b'{"error":[],"result":{"count":"2"}}') == RestCanceled(2, pending=False)


@pytest.mark.parametrize("pending", ["true", "null", "1", '"false"', "[]"])
def test_cancel_is_final_only_when_plainly_not_pending(pending: str) -> None:
    body = f'{{"error":[],"result":{{"count":1,"pending":{pending}}}}}'.encode()
    assert decode_cancel(200, body) == RestCanceled(1, pending=True)


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (200, b'{"error":["EAPI:Invalid nonce"]}', Fault.STALE_NONCE),
        (200, b'{"error":["EAPI:Invalid nonce"],"result":{}}', Fault.STALE_NONCE),
        (200, b'{"error":["EAPI:Invalid nonce"],"result":null}', Fault.STALE_NONCE),
        (200, b'{"error":["WGeneral:Danger","EOrder:Unknown order","EGeneral:Temporary lockout"]}', Fault.LOCKOUT),
        (200, b'{"error":["something new"]}', Fault.UNLISTED),
        (400, b'{"error":["EOrder:Unknown order"]}', Fault.NOT_OPEN),
        (400, b'{"error":["EGeneral:Invalid arguments"]}', Fault.INVALID),
        (403, b'{"error":["EGeneral:Permission denied"]}', Fault.PERMISSION),
        (429, b'{"error":["EAPI:Rate limit exceeded"]}', Fault.ROUTE_BUSY),
        (408, b'{"error":["EService:Timeout"]}', Fault.TRANSIENT),
        (400, frames.HTML, Fault.INVALID),
        (401, b"", Fault.ROUTE_BUSY),
        (403, frames.HTML, Fault.ROUTE_BUSY),
        (404, b"not found", Fault.INVALID),
        (405, b"{}", Fault.INVALID),
        (413, frames.HTML, Fault.INVALID),
        (429, frames.HTML, Fault.ROUTE_BUSY),
        # In other forms than the documented one an error refuses as well, but never says that nothing is open.
        (200, b'{"error":"EOrder:Unknown order"}', Fault.UNLISTED),
        (200, b'{"error":"EAPI:Rate limit exceeded"}', Fault.ROUTE_BUSY),
        (200, b'{"Error":"Exceeded msg rate"}', Fault.ROUTE_BUSY),
        (200, b'{"errorMessage":"EAPI:Invalid key"}', Fault.CREDENTIALS),
        (200, b'{"error":[],"success":false}', Fault.UNLISTED),
        (200, b'{"error":[7]}', Fault.UNLISTED),
        (200, b'{"error":["EOrder:Unknown order"],"errorMessage":"EAPI:Invalid key"}', Fault.CREDENTIALS),
        (301, frames.HTML, Fault.UNAVAILABLE),
        (302, b"", Fault.UNAVAILABLE),
        (307, b'{"error":[],"result":{"count":1}}', Fault.UNAVAILABLE),
    ],
)
def test_answer_that_proves_the_failure_names_it(
    decode: Callable[[int, bytes], RestAnswer], status: int, body: bytes, fault: Fault
) -> None:
    answer = decode(status, body)
    assert isinstance(answer, RestFailed)
    assert answer.fault is fault
    assert answer.error


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((status, frames.HTML) for status in (500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 599)),
        (503, b'{"error":["EOrder:Unknown order"]}'),
        (500, frames.CANCELED),
        (200, frames.HTML),
        (200, b""),
        (200, frames.CANCELED[:-5]),
        (200, frames.UNKNOWN_ORDER[:-1]),
        (200, b'{"error":["EService:Busy"],"result":{"count":1}}'),
        (400, b'{"error":["EService:Busy"],"result":{"count":1}}'),
        (200, b'{"result":{"count":1,"status":"online"}}'),
        (200, b'{"error":null,"result":{"count":1}}'),
        (200, b'{"error":[7],"result":{"count":1}}'),
        (200, b'{"error":[]}'),
        (200, b'{"error":[],"result":null}'),
        (200, b'{"error":[],"result":[]}'),
        (200, b'{"error":[],"result":"ok"}'),
        (200, b"[]"),
        (200, b"null"),
        (200, b"[" * 100_000),
        (200, b'{"error":["\xff"]}'),
        (201, frames.CANCELED),
        (202, frames.CANCELED),
        (204, b""),
        (206, frames.CANCELED),
        (100, b""),
        (0, b""),
        (408, frames.HTML),
        (409, b""),
        (499, b""),
    ],
)
def test_answer_that_proves_nothing_is_no_verdict(
    decode: Callable[[int, bytes], RestAnswer], status: int, body: bytes
) -> None:
    assert isinstance(decode(status, body), RestUnreadable)


def test_warnings_do_not_hide_a_result() -> None:
    assert decode_cancel(200, b'{"error":["WGeneral:Deprecated"],"result":{"count":1}}') == RestCanceled(
        1, pending=False
    )


def test_throttled_answer_carries_its_time_and_all_its_words() -> None:
    body = b'{"error":["EService:Throttled: 1700000000","EService:Throttled: 1700000009","EAPI:Rate limit exceeded"]}'
    assert decode_cancel(200, body) == RestFailed(
        Fault.ROUTE_BUSY,
        "EService:Throttled: 1700000000; EService:Throttled: 1700000009; EAPI:Rate limit exceeded",
        1_700_000_009.0,
    )


@pytest.mark.parametrize("token", ['""', "null", "7", '"with \\"quote"', '"back\\\\slash"', '"line\\n"', '"é"'])
def test_token_that_could_break_a_frame_is_no_token(token: str) -> None:
    body = f'{{"error":[],"result":{{"token":{token},"expires":900}}}}'.encode()
    assert isinstance(decode_token(200, body), RestUnreadable)


@pytest.mark.parametrize("expires", ["null", "0", "-1", '"soon"', "true"])
def test_token_without_a_life_span_has_the_documented_one(expires: str) -> None:
    body = f'{{"error":[],"result":{{"token":"abc/+=","expires":{expires}}}}}'.encode()
    assert decode_token(200, body) == RestToken("abc/+=", TOKEN_EXPIRES_S)


@pytest.mark.parametrize(
    "result",
    [
        "{}",
        '{"opened":{}}',
        '{"open":null}',
        '{"open":[]}',
        '{"open":{"4711":{}}}',
        '{"open":{"O-A":null}}',
        '{"count":0}',
        '{"O-A":"canceled"}',
    ],
)
def test_damaged_list_is_not_an_empty_list(result: str) -> None:
    assert isinstance(decode_orders(200, f'{{"error":[],"result":{result}}}'.encode()), RestUnreadable)


@pytest.mark.parametrize(
    "result",
    [
        "{}",
        '{"triggerTime":null}',
        '{"currentTime":"2023-03-24T17:41:56Z","trigger_time":"2023-03-24T17:42:56Z"}',
        '{"currentTime":"2023-03-24T17:41:56Z","triggerTime":"soon"}',
    ],
)
def test_timer_is_believed_off_only_when_said_so(result: str) -> None:
    assert isinstance(decode_timer(200, f'{{"error":[],"result":{result}}}'.encode()), RestUnreadable)


@pytest.mark.parametrize("permissions", ["null", '"close-trades"', "[1]", "{}"])
def test_key_without_a_list_of_permissions_is_no_answer(permissions: str) -> None:
    body = f'{{"error":[],"result":{{"permissions":{permissions}}}}}'.encode()
    assert isinstance(decode_key_info(200, body), RestUnreadable)


@given(st.sampled_from(DECODERS), st.integers(-1, 700), st.binary() | st.text().map(str.encode))
def test_any_bytes_under_any_status_are_an_answer_and_no_success(
    decode: Callable[[int, bytes], RestAnswer], status: int, body: bytes
) -> None:
    assert isinstance(decode(status, body), RestFailed | RestUnreadable)


WHOLE: list[tuple[Callable[[int, bytes], RestAnswer], bytes]] = [
    (decode_cancel, frames.CANCELED),
    (decode_cancel, frames.PENDING),
    (decode_cancel, frames.UNKNOWN_ORDER),
    (decode_timer, frames.TIMER_ENABLED),
    (decode_timer, frames.TIMER_DISABLED),
    (decode_token, frames.TOKEN),
    (decode_orders, frames.OPEN_ORDERS),
    (decode_orders, frames.NO_OPEN_ORDERS),
    (decode_orders, frames.QUERIED),
    (decode_mode, frames.SYSTEM_STATUS),
    (decode_time, frames.TIME),
    (decode_key_info, frames.KEY_INFO),
]


@pytest.mark.parametrize(("decode", "body"), WHOLE)
def test_damaged_answer_never_says_more_than_the_whole_one(
    decode: Callable[[int, bytes], RestAnswer], body: bytes
) -> None:
    whole = decode(200, body)
    for what, mutant in mutants(body):
        answer = decode(200, json.dumps(mutant).encode())
        assert _claims_no_more(answer, whole), f"{what}: {answer} instead of {whole}"


def _claims_no_more(answer: RestAnswer, whole: RestAnswer) -> bool:
    match answer, whole:
        case RestUnreadable(), _:
            return True
        case RestFailed(fault=fault), RestFailed() if fault is not Fault.NOT_OPEN:
            return True
        case RestCanceled(count=count), RestCanceled():
            # Losing `pending` cannot be seen; gaining it never happens.
            return count == whole.count and (whole.pending or not answer.pending)
        case RestOrders(), RestOrders():
            return len(answer.orders) == len(whole.orders) and all(
                mine.status in (theirs.status, None) and mine.order_id == theirs.order_id
                for mine, theirs in zip(answer.orders, whole.orders, strict=True)
            )
        case RestTimer(trigger_s=None), RestTimer():
            # A lone currentTime is how the venue says "off"; an arming caller sees that it is not armed.
            return True
        case RestKey(), RestKey():
            return answer.permissions == whole.permissions
        case RestToken(), RestToken():
            return answer.token == whole.token
        case _:
            return answer == whole


@pytest.mark.parametrize(
    ("announced", "windows"),
    [
        ([], ()),
        (None, ()),
        ("soon", ()),
        (["soon", {"name": "no time"}, {"scheduled_for": "tomorrow"}], ()),
        (
            [{"scheduled_for": "2027-01-15T08:00:00Z", "scheduled_until": "2027-01-15T09:00:00Z"}],
            (Window(1_800_000_000.0, 1_800_003_600.0),),
        ),
        ([{"start_time": "2027-01-15T08:00:00+00:00"}], (Window(1_800_000_000.0),)),
    ],
)
def test_announced_maintenance_is_read_and_nothing_is_made_up(announced: object, windows: tuple[Window, ...]) -> None:
    result = {"status": "online", "timestamp": "2027-01-15T07:00:00Z", "upcoming_maintenance": announced}
    body = json.dumps({"error": [], "result": result}).encode()
    assert decode_mode(200, body) == RestMode("online", windows)


CLOSED = (
    b'{"error":[],"result":{"closed":{'
    b'"OQCLML-BW3P3-BUCMWZ":{"status":"canceled","cl_ord_id":"mm-1","vol_exec":"0.5","closetm":1688666560.5,'
    b'"reason":"User requested"},'
    b'"OB5VMB-B4U2U-DK2WRW":{"status":"closed","cl_ord_id":"mm-1","vol_exec":"1.0","closetm":1688666559.1},'
    b'"OXHXGL-F5ICS-6DIC67":{"status":"canceled","cl_ord_id":"mm-1","vol_exec":"0.0"}},"count":3}}'
)


def test_of_what_has_ended_only_what_ended_since_is_told() -> None:
    """What tells no time of its end may have ended long ago."""
    told = decode_closed(200, CLOSED, 1_688_666_560_000_000_000)
    assert told == RestOrders(
        (OrderState("OQCLML-BW3P3-BUCMWZ", "canceled", "mm-1", filled_qty="0.5", reason="User requested"),)
    )
    earlier = decode_closed(200, CLOSED, 1_688_666_559_100_500_000)
    assert isinstance(earlier, RestOrders)
    assert [state.status for state in earlier.orders] == ["canceled", "filled"], "closetm is told in tenths of a ms"


def test_what_has_ended_since_an_unknown_time_is_not_told() -> None:
    assert isinstance(decode_closed(200, CLOSED, None), RestUnreadable)


@pytest.mark.parametrize("body", [b'{"error":[],"result":{}}', b'{"error":[],"result":{"open":{}}}'])
def test_what_is_no_list_of_closed_orders_tells_nothing(body: bytes) -> None:
    assert isinstance(decode_closed(200, body, 0), RestUnreadable)


def test_what_has_ended_is_asked_for_under_a_name_or_altogether() -> None:
    assert closed_orders_request(KEYS, NONCE, cl_ord_id="mm-1&x").body == b"nonce=1616492376594&cl_ord_id=mm-1%26x"
    assert closed_orders_request(KEYS, NONCE).body == b"nonce=1616492376594"
    assert closed_orders_request(KEYS, NONCE).path == "/0/private/ClosedOrders"
