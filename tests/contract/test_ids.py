"""Which identifiers each venue can have: a wrong yes could cancel something else, a wrong no leaves an order alive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.ids import CL_ORD_ID_CHARS, VENUES, Target, Venue, fault_of


@pytest.mark.parametrize(
    ("venue", "order_id"),
    [
        ("spot", "OAAAAA-BBBBB-CCCCCC"),
        ("spot", "O2G5L3-T4ZQR-5Q2QYO"),
        ("prime", "2f8b8a2e-8a4b-4a5c-9c1e-0a7d3b6c9f10"),
        ("futures", "cb4e34f6-4eb3-4d4b-9724-4c3035b99d47"),
        ("spot", "A-B"),
        ("spot", "A" * 31 + "-" + "B" * 32),
    ],
)
def test_an_order_id_of_each_venues_form_is_taken(venue: Venue, order_id: str) -> None:
    assert fault_of(venue, Target("order_id", order_id)) is None


@pytest.mark.parametrize(
    "order_id",
    [
        "",
        "-",
        "A",
        "12345",
        "A-",
        "-B",
        "A--B",
        "A-B ",
        " A-B",
        "A-B\n",
        "A_B-C",
        'A-B","x',
        "Ä-B",
        "A" * 32 + "-" + "B" * 32,
    ],
)
@pytest.mark.parametrize("venue", VENUES)
def test_what_could_mean_something_else_on_the_wire_is_no_order_id(venue: Venue, order_id: str) -> None:
    fault = fault_of(venue, Target("order_id", order_id))
    assert fault is not None
    assert fault.startswith("order_id: ")


@pytest.mark.parametrize("venue", VENUES)
def test_a_client_order_id_has_the_length_its_venue_allows(venue: Venue) -> None:
    limit = CL_ORD_ID_CHARS[venue]
    assert fault_of(venue, Target("cl_ord_id", "x" * limit)) is None
    assert fault_of(venue, Target("cl_ord_id", "x")) is None
    assert fault_of(venue, Target("cl_ord_id", 'with "quotes" and {braces}\\')) is None
    for bad in ("", "x" * (limit + 1), " x", "x ", "x\n", "x\x7f", "x\u00e9"):
        fault = fault_of(venue, Target("cl_ord_id", bad))
        assert fault is not None
        assert fault.startswith("cl_ord_id: ")


@pytest.mark.parametrize("userref", [1, -1, 2**31 - 1, -(2**31)])
def test_a_userref_is_a_signed_32_bit_integer(userref: int) -> None:
    assert fault_of("spot", Target("userref", userref)) is None


@pytest.mark.parametrize("userref", [0, 2**31, -(2**31) - 1, "7"])
def test_zero_is_no_userref_since_orders_without_one_report_it(userref: int | str) -> None:
    fault = fault_of("spot", Target("userref", userref))
    assert fault is not None
    assert fault.startswith("userref: ")


@given(st.text(max_size=80))
def test_an_order_id_that_is_taken_can_stand_in_json_and_in_a_form_as_it_is(text: str) -> None:
    if fault_of("spot", Target("order_id", text)) is None:
        assert text.isascii()
        assert text.replace("-", "").isalnum()
        assert "-" in text
