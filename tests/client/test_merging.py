"""Two daemons' words about one command made into one: every pair of outcomes, and never a claim too many."""

from itertools import combinations_with_replacement, product
from typing import Any

import pytest

from canceld.client import DaemonUnreachable
from canceld.client.merging import (
    ENOUGH,
    KINDS,
    WINS,
    Kind,
    Told,
    is_enough,
    is_enough_everywhere,
    kind_of,
    merge_all,
    merge_batch,
    merge_cancel,
    merge_kill,
    merge_lease,
    winner,
)
from canceld.client.results import (
    CancelAllResult,
    CancelResult,
    CommandRefused,
    KilledVenue,
    KillResult,
    LeaseResult,
    VenueSweep,
)
from canceld.contract.ids import Target
from canceld.contract.outcomes import Acked, Canceled, Closed, NotOpen, Outcome, Refused, Rejected, Unknown

ENDS = ("ipc:///a", "ipc:///b")
OUTCOMES: dict[Kind, Outcome] = {
    "canceled": Canceled("0.5"),
    "closed": Closed("filled", "1"),
    "acked": Acked(),
    "not_open": NotOpen(),
    "order refused": Rejected("invalid"),
    "throttled": Rejected("throttled"),
    "asker refused": Rejected("auth"),
    "unknown": Unknown(("ws",)),
    "refused": Refused("no_route", "spot is down"),
}
GONE = {"canceled", "closed", "not_open"}


def result(outcome: Outcome, **more: Any) -> CancelResult:
    target = Target("order_id", "O-1")
    return CancelResult(id="c", venue="spot", target=target, outcome=outcome, reply={"type": "outcome"}, **more)


def silent(*, sent: bool) -> DaemonUnreachable:
    return DaemonUnreachable("ipc:///b", "c", sent=sent)


def test_the_table_has_each_pair_once() -> None:
    assert set(WINS) == set(combinations_with_replacement(KINDS, 2))
    assert set(OUTCOMES) == set(KINDS)
    assert all(kind_of(outcome) == kind for kind, outcome in OUTCOMES.items())
    assert kind_of(Rejected("permission")) == kind_of(Rejected("unavailable")) == "asker refused"


@pytest.mark.parametrize(("one", "other"), list(product(KINDS, KINDS)))
def test_what_holds_of_two_is_one_of_them_or_more_careful(one: Kind, other: Kind) -> None:
    merged = merge_cancel([result(OUTCOMES[one]), result(OUTCOMES[other])], ENDS)
    held = kind_of(merged.outcome)
    assert held == winner(one, other) == winner(other, one)
    assert held in (one, other)
    # Nothing rests: only where one has the venue's word for it, and the other has not met the order.
    if held in GONE:
        assert {"canceled", "closed"} & {one, other} or not {"acked", "order refused", "throttled"} & {one, other}
    # On its way out: only where the venue took it, and did not refuse its cancel to the other.
    if held == "acked":
        assert "order refused" not in (one, other)
    # Safe to send again: only where nothing left either of them.
    assert (held == "refused") == (one == other == "refused")
    # A fate that is not known stays so, unless the venue's word settles it.
    if "unknown" in (one, other):
        assert held == "unknown" or held in (*GONE, "acked")
    assert list(merged.reply["daemons"]) == list(ENDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sent", [True, False])
def test_silence_of_one_is_unknown_where_it_may_have_it_and_nothing_where_it_has_not(kind: Kind, sent: bool) -> None:
    merged = merge_cancel([result(OUTCOMES[kind]), silent(sent=sent)], ENDS)
    assert kind_of(merged.outcome) == winner(kind, "unknown" if sent else "refused")
    assert "ipc:///b" in merged.reply["daemons"]["ipc:///b"]["error"]


def test_two_that_are_silent_are_unreachable_and_the_one_that_may_have_it_says_so() -> None:
    with pytest.raises(DaemonUnreachable) as caught:
        merge_cancel([silent(sent=False), silent(sent=True)], ENDS)
    assert caught.value.sent


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_enough_that_the_other_could_contradict(kind: Kind) -> None:
    held = [winner(kind, other) for other in KINDS]
    if is_enough(result(OUTCOMES[kind])):
        assert kind in ENOUGH
        # Only one that accepted a cancel may learn more, of what it did not claim: that the order is gone, or is not.
        assert set(held) <= ({kind, "closed"} if kind != "acked" else {"canceled", "closed", "acked", "order refused"})


def test_what_each_knew_is_kept() -> None:
    one = result(Rejected("auth"), attempts=1, sent_ns=9, error="EAPI:Invalid key")
    other = result(Acked(), attempts=2, sent_ns=7, order_id="O-1")
    merged = merge_cancel([one, other], ENDS)
    assert (merged.outcome, merged.attempts, merged.sent_ns, merged.order_id) == (Acked(), 3, 7, "O-1")
    assert merged.error == "EAPI:Invalid key"


def test_a_batch_is_merged_order_by_order() -> None:
    one = [result(Canceled()), result(Unknown(("ws",))), result(Refused("no_route", "down"))]
    other = [result(NotOpen()), result(Acked()), result(Refused("no_route", "down"))]
    merged = merge_batch([one, other], ENDS)
    assert [each.name for each in merged] == ["canceled", "acked", "refused"]
    alone = merge_batch([one, silent(sent=True)], ENDS)
    assert [each.name for each in alone] == ["canceled", "unknown", "unknown"]


def sweep(**venues: VenueSweep) -> CancelAllResult:
    return CancelAllResult(id="c", venues=venues, reply={"type": "all"})  # type: ignore[arg-type]


def test_a_cancel_all_is_merged_venue_by_venue_and_hides_nothing_that_rests() -> None:
    one = sweep(
        spot=VenueSweep(outcome=Unknown(()), residual=("A",), order_ids=("X",), count=1),
        futures=VenueSweep(outcome=Canceled(), order_ids=("F",), count=1),
    )
    other = sweep(
        spot=VenueSweep(outcome=Rejected("invalid"), residual=("B",), order_ids=("Y",), count=2),
        futures=VenueSweep(outcome=Unknown(()), residual=("F",)),
    )
    merged = merge_all([one, other], ENDS)
    assert merged.venues["spot"].outcome == Unknown(())
    assert set(merged.venues["spot"].residual) == {"A", "B"}
    assert merged.venues["spot"].order_ids == ("X", "Y")
    assert (merged.venues["futures"].outcome, merged.venues["futures"].residual) == (Canceled(), ())
    assert not is_enough_everywhere(one)
    assert is_enough_everywhere(sweep(spot=VenueSweep(outcome=NotOpen())))


def test_a_venue_that_one_has_not_is_told_by_the_other() -> None:
    merged = merge_all([sweep(spot=VenueSweep(outcome=Acked())), sweep(prime=VenueSweep(outcome=Canceled()))], ENDS)
    assert {venue: told.outcome for venue, told in merged.venues.items()} == {"spot": Acked(), "prime": Canceled()}


def kill(latched: bool, state: str, *rest: str, canceled: int = 0) -> KillResult:
    venue = KilledVenue(state=state, canceled=canceled, residual=rest)
    return KillResult(id="k", latched=latched, venues={"spot": venue}, reply={"type": "killed"})


@pytest.mark.parametrize(
    ("told", "latched", "state", "residual"),
    [
        ([kill(True, "flat"), kill(True, "flat")], True, "flat", ()),
        ([kill(True, "flat"), kill(True, "residual", "A")], True, "residual", ("A",)),
        ([kill(True, "unreachable"), kill(True, "flat")], True, "flat", ()),
        ([kill(True, "unreachable"), silent(sent=True)], True, "unreachable", ()),
        ([kill(False, "flat"), kill(True, "flat")], False, "flat", ()),
        ([CommandRefused({"reason": "draining"}), kill(True, "residual", "B")], True, "residual", ("B",)),
    ],
)
def test_a_kill_is_flat_only_where_nobody_has_seen_an_order(
    told: list[Told[KillResult]], latched: bool, state: str, residual: tuple[str, ...]
) -> None:
    merged = merge_kill(told, ENDS)
    venue = merged.venues["spot"]
    assert (merged.latched, venue.state, venue.residual) == (latched, state, residual)
    assert set(merged.reply["daemons"]) == set(ENDS)


def test_of_two_leases_the_one_that_ends_first_counts_and_one_is_enough() -> None:
    granted = [LeaseResult(id="l", strategy="mm", expires_in_ms=ms, reply={"type": "lease"}) for ms in (900, 700)]
    assert merge_lease(granted, ENDS).expires_in_ms == 700
    refused = CommandRefused({"reason": "draining", "detail": "ends"})
    assert merge_lease([refused, granted[0]], ENDS).expires_in_ms == 900
    with pytest.raises(CommandRefused, match="draining"):
        merge_lease([refused, refused], ENDS)
