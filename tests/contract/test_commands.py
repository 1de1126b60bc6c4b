"""The one identifier of a command."""

import pytest

from canceld.contract.commands import Cancel, OrderRef, target_of


@pytest.mark.parametrize(
    ("order_id", "cl_ord_id", "userref", "target"),
    [
        ("A-B", None, None, ("order_id", "A-B")),
        (None, "x", None, ("cl_ord_id", "x")),
        (None, None, 7, ("userref", 7)),
        (None, None, 0, ("userref", 0)),
        ("", None, None, ("order_id", "")),
        (None, None, None, None),
        ("A-B", "x", None, None),
        ("A-B", None, 7, None),
        (None, "x", 7, None),
        ("A-B", "x", 7, None),
        ("", "", None, None),
    ],
)
def test_exactly_one_identifier_is_a_target_and_an_empty_one_counts(
    order_id: str | None, cl_ord_id: str | None, userref: int | None, target: tuple[str, str | int] | None
) -> None:
    assert target_of(order_id, cl_ord_id, userref) == target
    assert OrderRef(order_id, cl_ord_id, userref).target == target
    assert Cancel(id=1, venue="spot", order_id=order_id, cl_ord_id=cl_ord_id, userref=userref).target == target
