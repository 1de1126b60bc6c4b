"""A key that fits draws no remark; one that can too little or too much is spoken of."""

import pytest

from canceld.contract.evidence import RestKey
from canceld.venues.keys import rights_of
from canceld.venues.spot_rest import decode_key_info
from tests.frames import spot_rest as frames

NOW_S = 1_763_630_000.0
LEAST = ("query-open-trades", "close-trades", "create-ws-token")


def key(
    *permissions: str, valid_until_s: float | None = None, ip_allowlist: tuple[str, ...] = ("203.0.113.7",)
) -> RestKey:
    return RestKey(permissions, valid_until_s=valid_until_s, ip_allowlist=ip_allowlist)


def test_least_privileged_key_draws_no_remark() -> None:
    documented = decode_key_info(200, frames.KEY_INFO)
    assert isinstance(documented, RestKey)
    assert rights_of(documented, NOW_S) == (True, True, True, (), ())


@pytest.mark.parametrize(
    ("missing", "field"),
    [("close-trades", "cancels"), ("create-ws-token", "sessions"), ("query-open-trades", "witness")],
)
def test_missing_permission_is_named(missing: str, field: str) -> None:
    rights = rights_of(key(*(word for word in LEAST if word != missing)), NOW_S)
    assert [name for name in ("cancels", "sessions", "witness") if not getattr(rights, name)] == [field]
    assert rights.remarks == ()
    (lack,) = rights.lacks
    assert missing in lack


def test_trading_permission_cancels_too_and_is_remarked_on() -> None:
    rights = rights_of(key("query-open-trades", "modify-trades", "create-ws-token"), NOW_S)
    assert rights.cancels
    assert rights.lacks == ()
    assert "modify-trades" in rights.remarks[0]


@pytest.mark.parametrize(
    "permission", ["withdraw-funds", "add-withdraw-address", "update-withdraw-address", "add-funds", "earn-funds"]
)
def test_key_that_moves_money_is_remarked_on(permission: str) -> None:
    (remark,) = rights_of(key(*LEAST, permission), NOW_S).remarks
    assert permission in remark


def test_unknown_permission_is_no_concern() -> None:
    assert rights_of(key(*LEAST, "launch-rockets"), NOW_S).remarks == ()


@pytest.mark.parametrize(
    ("days", "remarks"), [(29.0, ("the key ends in 29.0 days",)), (31.0, ()), (-1.0, ("the key ends in 0.0 days",))]
)
def test_end_of_the_key_is_spoken_of_a_month_ahead(days: float, remarks: tuple[str, ...]) -> None:
    assert rights_of(key(*LEAST, valid_until_s=NOW_S + days * 86_400), NOW_S).remarks == remarks


def test_open_allow_list_is_remarked_on() -> None:
    (remark,) = rights_of(key(*LEAST, ip_allowlist=()), NOW_S).remarks
    assert "allow-list" in remark
