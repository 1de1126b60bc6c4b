"""Reading Spot's order records, numbers and times: what is believed, and what is left out."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.evidence import OrderState
from canceld.venues.spot_values import Order, count_of, instant_s, mode_of, number_of, order_state

TXID = "OKJASZ-554YM-L7YMU7"

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def state_of(**fields: Any) -> OrderState:
    state = order_state(TXID, Order(**fields), with_symbol=True)
    assert state is not None
    return state


@pytest.mark.parametrize(
    ("spelling", "status"),
    [
        ("pending", "open"),
        ("open", "open"),
        ("canceled", "canceled"),
        ("closed", "filled"),
        ("expired", "expired"),
        ("cancelled", None),
        ("Canceled", None),
        ("restated", None),
        ("", None),
        (None, None),
        (["canceled"], None),
        (0, None),
    ],
)
def test_only_known_statuses_say_anything(spelling: object, status: str | None) -> None:
    assert state_of(status=spelling).status == status


def test_userref_is_believed_of_full_records_only() -> None:
    full = {"pair": "XBT/USD"}
    assert state_of(userref=5, descr=full).userref == 5
    assert state_of(userref=-5, descr=full).userref == -5
    assert state_of(userref=0, descr=full).userref is None
    assert state_of(userref=True, descr=full).userref is None
    assert state_of(userref="5", descr=full).userref is None
    assert state_of(userref=5).userref is None


def test_symbol_of_a_query_is_left_out() -> None:
    record = Order(descr={"pair": "XBTUSD"})
    state = order_state(TXID, record, with_symbol=False)
    assert state is not None
    assert state.symbol is None


@pytest.mark.parametrize(
    ("spelling", "quantity"),
    [
        ("0.00000000", "0.00000000"),
        ("12", "12"),
        ("1e5", None),
        ("-1.0", None),
        ("1.", None),
        ("nan", None),
        ("", None),
        (0.5, None),
        (None, None),
        ("1\n", None),
    ],
)
def test_filled_quantity_is_the_venues_decimal_text_or_nothing(spelling: object, quantity: str | None) -> None:
    assert state_of(vol_exec=spelling).filled_qty == quantity


def test_reason_is_read_under_either_name() -> None:
    assert state_of(cancel_reason="User requested").reason == "User requested"
    assert state_of(reason="User requested").reason == "User requested"
    assert state_of(reason=None).reason is None


def test_overlong_client_id_is_left_out_rather_than_cut() -> None:
    assert state_of(cl_ord_id="a" * 128).cl_ord_id == "a" * 128
    assert state_of(cl_ord_id="a" * 129).cl_ord_id is None


@pytest.mark.parametrize("order_id", ["", "123", "OABC", 'O"-B', "OABCDE-FGHIJ-KLMNOP\n", "O-" + "A" * 64, "é-b"])
def test_what_could_not_go_into_a_frame_is_no_order_id(order_id: str) -> None:
    assert order_state(order_id, Order(status="open"), with_symbol=True) is None


@given(st.builds(Order, **dict.fromkeys(Order.__struct_fields__, ANYTHING)))
def test_any_record_has_a_state(order: Order) -> None:
    state = order_state(TXID, order, with_symbol=True)
    assert state is not None
    # What is believed must survive the checks of its own type.
    assert msgspec.convert(msgspec.to_builtins(state), OrderState) == state


@pytest.mark.parametrize(
    ("value", "count"),
    [
        *((value, int(value)) for value in (0, 2, "0", "2")),
        *((value, None) for value in (-1, True, 2.0, "-1", "2.0", "", " 2", "٣", "9" * 11, None, [2])),
    ],
)
def test_count_is_a_whole_number_or_its_digits(value: object, count: int | None) -> None:
    assert count_of(value) == count


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *((value, float(value)) for value in (900, "900", "1700076648.883709", 0.25)),
        *((value, None) for value in (0, "0", -1, True, "nan", "inf", float("inf"), 10**400, "x", None, [1])),
    ],
)
def test_number_is_finite_and_above_zero(value: object, number: float | None) -> None:
    assert number_of(value) == number


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2020-12-21T09:38:09Z", 1608543489.0),
        ("2020-12-21T10:38:09+01:00", 1608543489.0),
        ("2020-12-21T09:38:09", None),
        ("2020-12-21", None),
        ("0", None),
        ("", None),
        (1608543489, None),
        (None, None),
    ],
)
def test_instant_needs_an_offset(value: object, seconds: float | None) -> None:
    assert instant_s(value) == seconds


@given(ANYTHING)
def test_readers_take_anything(value: object) -> None:
    count, number, instant = count_of(value), number_of(value), instant_s(value)
    assert count is None or count >= 0
    assert number is None or number > 0
    assert instant is None or isinstance(instant, float)
    assert mode_of(value) == "unknown" or mode_of(value) == value


@pytest.mark.parametrize("mode", ["online", "post_only", "limit_only", "cancel_only", "maintenance"])
def test_documented_modes_are_known(mode: str) -> None:
    assert mode_of(mode) == mode
