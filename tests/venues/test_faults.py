"""The fault tables: every documented text, in the spellings it comes in, and what must not be read into others."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.evidence import Fault
from canceld.venues.faults import (
    FUTURES,
    PRIME,
    PRIME_ERRORS,
    SPOT,
    UNIFIED,
    Row,
    fault_of,
    fault_of_all,
    futures_fault_of,
    most_decisive,
    prime_error_fault_of,
    prime_fault_of,
    retry_at_s,
    unified_fault_of,
)

DOCUMENTED = {
    "EOrder:Unknown order": Fault.NOT_OPEN,
    "EOrder:Invalid order": Fault.NOT_OPEN,
    "EOrder:Rate limit exceeded": Fault.THROTTLED,
    "EOrder:Domain rate limit exceeded": Fault.THROTTLED,
    "EAPI:Rate limit exceeded": Fault.ROUTE_BUSY,
    "EAuth:Rate limit exceeded": Fault.ROUTE_BUSY,
    "EAuth:Too many requests": Fault.ROUTE_BUSY,
    "EGeneral:Too many requests": Fault.ROUTE_BUSY,
    "EService:Throttled: 1700000000": Fault.ROUTE_BUSY,
    "Exceeded msg rate": Fault.ROUTE_BUSY,
    "ESession:Invalid session": Fault.STALE_TOKEN,
    "EAPI:Invalid token": Fault.STALE_TOKEN,
    "EAPI:Invalid nonce": Fault.STALE_NONCE,
    "EAPI:Invalid key": Fault.CREDENTIALS,
    "EAPI:Invalid signature": Fault.CREDENTIALS,
    "EAPI:Feature disabled": Fault.CREDENTIALS,
    "EAuth:Account temporary disabled": Fault.CREDENTIALS,
    "EAuth:Account unconfirmed": Fault.CREDENTIALS,
    "EGeneral:Temporary lockout": Fault.LOCKOUT,
    "EGeneral:Permission denied": Fault.PERMISSION,
    "EAPI:Permission denied": Fault.PERMISSION,
    "EAccount:Invalid permissions": Fault.PERMISSION,
    "EGeneral:Invalid arguments": Fault.INVALID,
    "EGeneral:Invalid arguments:txid": Fault.INVALID,
    "EAPI:Bad request": Fault.INVALID,
    "ETrade:Invalid request": Fault.INVALID,
    "Malformed request": Fault.INVALID,
    "Event(s) not found": Fault.INVALID,
    "EGeneral:Unknown method": Fault.INVALID,
    "Already subscribed": Fault.INVALID,
    "Subscription name invalid": Fault.INVALID,
    "Public channels not available in this endpoint": Fault.INVALID,
    "EService:Unavailable": Fault.UNAVAILABLE,
    "EService:Busy": Fault.TRANSIENT,
    "EService:Timeout": Fault.TRANSIENT,
    "EService:Deadline elapsed": Fault.TRANSIENT,
    "EService:Market in cancel_only mode": Fault.TRANSIENT,
    "EService:Market in post_only mode": Fault.TRANSIENT,
    "EService:Market in limit_only mode": Fault.TRANSIENT,
    "EGeneral:Internal error": Fault.TRANSIENT,
    "EGeneral:Internal error:1004": Fault.TRANSIENT,
    "EGeneral:Internal error[:1004]": Fault.TRANSIENT,
    "EDatabase:Internal error": Fault.TRANSIENT,
}
"""The texts of the error guide and of observed answers, with what each must mean for a cancel."""


@pytest.mark.parametrize(("text", "fault"), DOCUMENTED.items())
def test_documented_text_means_what_it_must(text: str, fault: Fault) -> None:
    assert fault_of(text) is fault


@pytest.mark.parametrize("text", DOCUMENTED)
@pytest.mark.parametrize(
    "respell",
    [
        lambda text: f"  {text}  ",
        lambda text: f"{text}.",
        lambda text: text.replace(":", ": ", 1),
        lambda text: text.replace(":", " :  ", 1),
        str.upper,
        str.lower,
    ],
    ids=["spaces", "period", "space after colon", "spaces around colon", "upper", "lower"],
)
def test_spelling_does_not_change_the_meaning(text: str, respell: Callable[[str], str]) -> None:
    assert fault_of(respell(text)) is DOCUMENTED[text]


@pytest.mark.parametrize("row", SPOT, ids=lambda row: row.prefix)
def test_every_row_is_tested_and_has_a_source(row: Row) -> None:
    assert row.source
    assert any(text.startswith(row.prefix) and fault is row.fault for text, fault in DOCUMENTED.items())


def test_unknown_order_may_have_words_behind_it() -> None:
    assert fault_of("EOrder:Unknown order OABCDE-FGHIJ-KLMNOP") is Fault.NOT_OPEN
    assert fault_of("EOrder:Unknown order: OABCDE-FGHIJ-KLMNOP") is Fault.NOT_OPEN


@pytest.mark.parametrize(
    "text",
    [
        "EOrder:Invalid order type",
        "EOrder:Invalid orders",
        "EOrder:Invalid order state for cancel",
        "EOrder:Unknown orders",
        "Unknown order",
        "EOrder:Unknown",
        "EOrder:",
        "",
        "EOrder:Not enough leverage: EOrder:Unknown order",
    ],
)
def test_what_only_resembles_not_open_is_not_that(text: str) -> None:
    assert fault_of(text) is not Fault.NOT_OPEN


@pytest.mark.parametrize(
    "text", ["Token expired", "Invalid token provided", "session has expired", "EAuth2:invalid token"]
)
def test_dead_token_is_known_in_other_words(text: str) -> None:
    assert fault_of(text) is Fault.STALE_TOKEN


def test_token_words_do_not_outweigh_the_table() -> None:
    assert fault_of("EGeneral:Invalid arguments:token") is Fault.INVALID


@given(st.text())
def test_any_text_has_a_meaning_and_only_the_two_texts_mean_not_open(text: str) -> None:
    fault = fault_of(text)
    assert isinstance(fault, Fault)
    if fault is Fault.NOT_OPEN:
        assert "".join(text.lower().split()).startswith(("eorder:unknownorder", "eorder:invalidorder"))


def test_endless_text_costs_no_more_than_a_long_one() -> None:
    assert fault_of("EOrder:Unknown order" + " " * 10_000_000) is Fault.NOT_OPEN


def test_no_error_and_warnings_are_no_fault() -> None:
    assert fault_of_all([]) is None
    assert fault_of_all(["WGeneral:Deprecated", " WOrder: something"]) is None
    assert fault_of_all(["WGeneral:Deprecated", "EOrder:Unknown order"]) is Fault.NOT_OPEN


def test_a_word_with_w_is_no_warning() -> None:
    assert fault_of_all(["WebSocket token expired"]) is Fault.STALE_TOKEN


def test_not_open_is_believed_only_when_nothing_else_is_said() -> None:
    for text, fault in DOCUMENTED.items():
        both = fault_of_all(["EOrder:Unknown order", text])
        assert both is fault
        assert fault_of_all([text, "EOrder:Unknown order"]) is both
    assert fault_of_all(["EOrder:Unknown order", "something new"]) is Fault.UNLISTED


def test_lockout_and_credentials_speak_loudest() -> None:
    for first, second in itertools.permutations(["EGeneral:Temporary lockout", "EAPI:Invalid key", "EService:Busy"], 2):
        expected = Fault.LOCKOUT if "lockout" in first + second else Fault.CREDENTIALS
        assert fault_of_all([first, second]) is expected


@pytest.mark.parametrize(
    ("text", "at_s"),
    [
        ("EService:Throttled: 1700000000", 1_700_000_000.0),
        ("EService:Throttled:1700000000", 1_700_000_000.0),
        ("EService: Throttled: 1700000000.25.", 1_700_000_000.25),
        ("EService:Throttled", None),
        ("EService:Throttled: soon", None),
        ("EService:Throttled: 17", None),
        ("EService:Throttled: 1700000000000", None),
        ("EService:Throttled: -1700000000", None),
        ("EAPI:Rate limit exceeded", None),
        ("", None),
    ],
)
def test_time_to_retry_is_read_only_where_one_is_named(text: str, at_s: float | None) -> None:
    assert retry_at_s(text) == at_s


# ------------------------------------------------------------------ the other venues

FUTURES_TEXTS = {
    "notFound": Fault.NOT_OPEN,
    "apiLimitExceeded": Fault.ROUTE_BUSY,
    "Rate limit exceeded": Fault.ROUTE_BUSY,
    "authenticationError": Fault.CREDENTIALS,
    "accountInactive": Fault.CREDENTIALS,
    "insufficientPrivileges": Fault.PERMISSION,
    "nonceBelowThreshold": Fault.STALE_NONCE,
    "nonceDuplicate": Fault.STALE_NONCE,
    "invalidArgument": Fault.INVALID,
    "invalidArgument: order_id": Fault.INVALID,
    "requiredArgumentMissing": Fault.INVALID,
    "Json Parse Error": Fault.INVALID,
    "Argument invalid: order_id": Fault.INVALID,
    "invalid order type": Fault.INVALID,
    "Bad Request": Fault.INVALID,
    "Unauthorized": Fault.CREDENTIALS,
    "Forbidden": Fault.CREDENTIALS,
    "Too Many Requests": Fault.ROUTE_BUSY,
    "Internal Server Error": Fault.TRANSIENT,
    "Service Unavailable": Fault.TRANSIENT,
    "marketUnavailable": Fault.UNAVAILABLE,
    "Unavailable": Fault.TRANSIENT,
    "Server Error": Fault.TRANSIENT,
    "unknownError": Fault.TRANSIENT,
    "insufficientFunds": Fault.UNLISTED,
    "invalidAccount": Fault.UNLISTED,
    "invalidAmount": Fault.UNLISTED,
    "invalidUnit": Fault.UNLISTED,
    "Failed to subscribe to authenticated feed": Fault.CREDENTIALS,
    "Bad websocket message": Fault.INVALID,
    "Invalid feed": Fault.INVALID,
    "Json Error": Fault.INVALID,
}

PRIME_TEXTS = {
    "0": Fault.TRANSIENT,
    "TooLateToCancel": Fault.TRANSIENT,
    "Too late to cancel": Fault.TRANSIENT,
    "1": Fault.NOT_OPEN,
    "UnknownOrder": Fault.NOT_OPEN,
    "Unknown order": Fault.NOT_OPEN,
    "2": Fault.UNAVAILABLE,
    "BrokerOption": Fault.UNAVAILABLE,
    "Broker option": Fault.UNAVAILABLE,
    "BrokerExchangeOption": Fault.UNAVAILABLE,
    "Broker / Exchange option": Fault.UNAVAILABLE,
    "Broker or exchange option": Fault.UNAVAILABLE,
    "3": Fault.TRANSIENT,
    "AlreadyPending": Fault.TRANSIENT,
    "AlreadyPendingCancel": Fault.TRANSIENT,
    "Already pending cancel": Fault.TRANSIENT,
    "OrderAlreadyInPendingCancelOrPendingReplaceStatus": Fault.TRANSIENT,
    "Order already in Pending Cancel or Pending Replace status": Fault.TRANSIENT,
}

PRIME_ERROR_TEXTS = {
    "missing Ping data": Fault.INVALID,
    "Rate limit exceeded": Fault.ROUTE_BUSY,
    "Too many requests": Fault.ROUTE_BUSY,
    "permission denied": Fault.PERMISSION,
    "Permission denied: write::orders": Fault.PERMISSION,
}

VENUES: list[tuple[Callable[[str], Fault], tuple[Row, ...], dict[str, Fault]]] = [
    (futures_fault_of, FUTURES, FUTURES_TEXTS),
    (prime_fault_of, PRIME, PRIME_TEXTS),
    (prime_error_fault_of, PRIME_ERRORS, PRIME_ERROR_TEXTS),
    (unified_fault_of, UNIFIED, {**DOCUMENTED, **FUTURES_TEXTS}),
]
READERS = [reader for reader, _, _ in VENUES]


@pytest.mark.parametrize(("reader", "rows", "texts"), VENUES)
def test_every_text_of_a_venue_means_what_it_must_in_every_spelling(
    reader: Callable[[str], Fault], rows: tuple[Row, ...], texts: dict[str, Fault]
) -> None:
    for text, fault in texts.items():
        for spelled in (text, f"  {text} ", f"{text}.", text.upper(), text.lower()):
            assert reader(spelled) is fault, spelled
    for row in rows:
        assert row.source
        assert any(text.startswith(row.prefix) and fault is row.fault for text, fault in texts.items()), row


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "text",
    ["", "notFoundAnywhere", "not found", "notFound orders", "10", "01", "1 order", "Unknown orders", "something new"],
)
def test_what_only_resembles_a_text_is_in_no_table(reader: Callable[[str], Fault], text: str) -> None:
    assert reader(text) is Fault.UNLISTED


@pytest.mark.parametrize("reader", [fault_of, *READERS])
@pytest.mark.parametrize(
    "text",
    ["Message rate exceeded", "EGeneral:Too many requests today", "You exceed the rate", "rate limits apply"],
)
def test_rate_is_a_word_that_every_venue_may_use_in_its_own_way(reader: Callable[[str], Fault], text: str) -> None:
    assert reader(text) is Fault.ROUTE_BUSY


@pytest.mark.parametrize("reader", [fault_of, *READERS])
@pytest.mark.parametrize("text", ["limit order", "funding rate", "operate limits", "exceeded", "price exceeds limit"])
def test_what_only_resembles_a_rate_is_none(reader: Callable[[str], Fault], text: str) -> None:
    assert reader(text) is Fault.UNLISTED


def test_dead_token_is_a_thing_of_spot_and_the_unified_socket_alone() -> None:
    assert unified_fault_of("Token expired") is Fault.STALE_TOKEN
    assert futures_fault_of("Token expired") is Fault.UNLISTED
    assert prime_fault_of("Token expired") is Fault.UNLISTED


@given(st.sampled_from(READERS), st.text())
def test_any_text_has_a_meaning_on_every_venue(reader: Callable[[str], Fault], text: str) -> None:
    fault = reader(text)
    assert isinstance(fault, Fault)
    if fault is Fault.NOT_OPEN:
        plain = "".join(text.lower().split())
        assert plain.startswith(("eorder:unknownorder", "eorder:invalidorder", "notfound", "unknownorder", "1"))


def test_of_several_faults_not_open_speaks_last() -> None:
    assert most_decisive([]) is None
    assert most_decisive([Fault.NOT_OPEN, Fault.UNLISTED]) is Fault.UNLISTED
    assert most_decisive([Fault.INVALID, Fault.CREDENTIALS]) is Fault.CREDENTIALS
