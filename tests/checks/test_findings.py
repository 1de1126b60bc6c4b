"""What answers mean: only proof is ok."""

import pytest

from canceld.checks.findings import (
    FAILED,
    PASSED,
    PRIME_CANCEL,
    UNREACHED,
    Finding,
    cancel_verdict,
    clock_verdict,
    exit_status,
    key_verdicts,
    mode_verdict,
    permissions_verdict,
    prime_cancel_verdict,
    subscription_verdict,
    token_verdict,
    unreached,
    upgrade_verdict,
)
from canceld.contract.evidence import (
    CancelAck,
    CancelReject,
    Fault,
    Mode,
    Permissions,
    RestCanceled,
    RestFailed,
    RestKey,
    RestMode,
    RestTime,
    RestToken,
    RestUnreadable,
    SubscriptionLost,
)
from canceld.contract.ids import Reqid

REQID = Reqid(1)
MS = 1_000_000
S = 1_000 * MS
NOW_S = 1_800_000_000


@pytest.mark.parametrize("fault", Fault)
def test_every_refusal_of_a_cancel_but_unknown_order_fails_and_names_a_mend(fault: Fault) -> None:
    for answer in (RestFailed(fault, "words"), CancelReject(REQID, fault, "words")):
        verdict = cancel_verdict(answer, 12 * MS)
        assert verdict.level == ("ok" if fault is Fault.NOT_OPEN else "fail")
        assert "words" in verdict.told
        assert bool(verdict.mend) == (verdict.level == "fail")


def test_unknown_order_is_told_with_its_round_trip() -> None:
    verdict = cancel_verdict(RestFailed(Fault.NOT_OPEN, "EOrder:Unknown order"), 12_300_000)
    assert verdict.told == "EOrder:Unknown order, in 12.3 ms"


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (None, "fail"),
        (CancelAck(REQID), "warn"),
        (RestCanceled(0, pending=False), "warn"),
        (RestUnreadable("HTTP 502"), "fail"),
        (RestTime(1.0), "fail"),
    ],
)
def test_anything_else_than_a_refusal_proves_nothing(answer: object, level: str) -> None:
    assert cancel_verdict(answer, MS).level == level  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", Fault)
def test_prime_may_use_words_that_nobody_knows(fault: Fault) -> None:
    expected = {Fault.NOT_OPEN: "ok", Fault.PERMISSION: "fail", Fault.CREDENTIALS: "fail", Fault.LOCKOUT: "fail"}
    verdict = prime_cancel_verdict(CancelReject(REQID, fault, "words"), MS)
    assert verdict.level == expected.get(fault, "warn")


def test_silence_of_prime_is_no_success() -> None:
    assert prime_cancel_verdict(None, 5 * S).level == "fail"


@pytest.mark.parametrize(
    ("ahead_s", "round_trip_s", "level"),
    [
        (0.0, 0.02, "ok"),
        (1.4, 0.02, "ok"),  # half a second of it is the venue's cut-off
        (2.0, 0.02, "warn"),
        (2.0, 2.0, "ok"),  # half of the round trip may be the other second
        (-2.0, 0.02, "warn"),
        (40.0, 0.02, "fail"),
        (-40.0, 0.02, "fail"),
    ],
)
def test_clock_is_judged_by_what_is_certain(ahead_s: float, round_trip_s: float, level: str) -> None:
    middle_s = NOW_S + 0.5 + ahead_s
    sent_ns = round((middle_s - round_trip_s / 2) * S)
    verdict = clock_verdict(RestTime(NOW_S), sent_ns, round(round_trip_s * S))
    assert verdict.level == level
    assert f"{abs(ahead_s):.1f} s" in verdict.told
    assert f"give or take {0.5 + round_trip_s / 2:.1f} s" in verdict.told


@pytest.mark.parametrize(
    ("mode", "level"),
    [
        ("online", "ok"),
        ("post_only", "warn"),
        ("limit_only", "warn"),
        ("cancel_only", "warn"),
        ("unknown", "warn"),
        ("maintenance", "fail"),
    ],
)
def test_maintenance_alone_takes_no_cancels(mode: Mode, level: str) -> None:
    assert mode_verdict(RestMode(mode)).level == level


def test_key_with_several_matters_has_a_line_for_each() -> None:
    key = RestKey(("modify-trades", "withdraw-funds"), valid_until_s=NOW_S + 86_400)
    verdicts = key_verdicts(key, NOW_S)
    assert [verdict.level for verdict in verdicts] == ["fail", "fail", "warn", "warn", "warn", "warn"]
    assert all(verdict.mend for verdict in verdicts)


def test_key_that_is_refused_fails_and_one_that_is_not_told_of_is_warned_of() -> None:
    assert key_verdicts(RestFailed(Fault.CREDENTIALS, "EAPI:Invalid key"), NOW_S)[0].level == "fail"
    assert key_verdicts(RestFailed(Fault.INVALID, "EGeneral:Unknown method"), NOW_S)[0].level == "warn"
    assert key_verdicts(RestUnreadable("HTML"), NOW_S)[0].level == "fail"


def test_token_is_told_by_its_validity_and_never_itself() -> None:
    verdict = token_verdict(RestToken("hush", 900.0))
    assert verdict.level == "ok"
    assert "hush" not in verdict.told
    assert "WebSocket" in token_verdict(RestFailed(Fault.PERMISSION, "EGeneral:Permission denied")).mend


def test_order_stream_that_is_not_confirmed_fails() -> None:
    silence = subscription_verdict(None, 5.0)
    assert (silence.level, silence.unreachable) == ("fail", True)
    lost = subscription_verdict(SubscriptionLost(None, Fault.PERMISSION, "EGeneral:Permission denied"), 5.0)
    assert (lost.level, "query open orders" in lost.mend) == ("fail", True)


def test_prime_key_needs_the_right_to_write_orders() -> None:
    assert permissions_verdict(Permissions((PRIME_CANCEL, "read::orders"))).level == "ok"
    assert permissions_verdict(Permissions(("read::orders",))).level == "fail"
    assert permissions_verdict(None).level == "warn"


@pytest.mark.parametrize(
    ("status", "unreachable"), [(401, False), (403, False), (429, False), (301, False), (404, False), (503, True)]
)
def test_refused_upgrade_fails_and_only_a_venue_in_trouble_is_unreachable(status: int, unreachable: bool) -> None:
    verdict = upgrade_verdict(status)
    assert (verdict.level, verdict.unreachable) == ("fail", unreachable)
    assert str(status) in verdict.told


def finding(level: str, *, unreachable: bool = False) -> Finding:
    return Finding("spot", "clock", level, "told", unreachable=unreachable)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ([finding("ok"), finding("warn"), finding("skip")], PASSED),
        ([finding("ok"), finding("fail")], FAILED),
        ([finding("ok"), finding("fail", unreachable=True)], UNREACHED),
        ([finding("fail", unreachable=True), finding("fail")], FAILED),
    ],
)
def test_exit_status_is_the_contracts(findings: list[Finding], status: int) -> None:
    assert exit_status(findings) == status


def test_want_of_an_answer_is_unreachable() -> None:
    assert unreached("no answer")[:2] == ("fail", "no answer")
    assert unreached("no answer").unreachable
