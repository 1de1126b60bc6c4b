"""The sweep, step by step: when it believes that nothing rests, and when it gives up."""

import time

import pytest

from canceld.contract.evidence import OrderState
from canceld.panic.report import Failed, Report
from canceld.panic.sweep import PAUSE_FIRST_S, PAUSE_LIMIT_S, REFUSALS, FirstThatWorks, sweep

from .scripts import Clock, Scripted

ORDER = OrderState("O-1", "open")


def swept(route: Scripted, within_s: float = 30.0) -> tuple[Report, Clock]:
    report, clock = Report(), Clock()
    sweep(route, report, clock.now + within_s, now_s=clock.now_s, pause=clock.pause)
    return report, clock


# -------------------------------------------------------------------- the sweep


def test_two_empty_looks_in_a_row_are_the_proof() -> None:
    route = Scripted([])
    report, clock = swept(route)
    assert (report.state, report.residual, report.why) == ("flat", (), None)
    assert (len(route.canceled), len(route.asked_by_s)) == (1, 2)
    assert report.took_s == sum(clock.pauses)


def test_an_order_in_the_second_look_is_canceled_and_two_more_looks_are_needed() -> None:
    route = Scripted([], [ORDER], [], [])
    assert swept(route)[0].state == "flat"
    assert route.canceled == [[], ["O-1"]]


def test_the_first_orders_that_a_look_names_are_canceled_without_a_pause() -> None:
    route = Scripted([ORDER], [ORDER], [], [])
    report, clock = swept(route)
    assert report.state == "flat"
    assert clock.pauses[:2] == [0.0, PAUSE_FIRST_S]
    assert route.canceled == [[], ["O-1"], ["O-1"]]


def test_an_empty_look_beside_a_failed_one_proves_nothing() -> None:
    route = Scripted([], Failed("HTTP 502"), [], Failed("HTTP 503"))
    report, _ = swept(route)
    assert (report.state, report.residual, report.why) == ("unreachable", (), "HTTP 503")


def test_what_rests_is_canceled_again_at_least_once_a_second_until_the_time_is_up() -> None:
    route = Scripted([ORDER])
    report, clock = swept(route, within_s=10.0)
    assert (report.state, report.residual) == ("residual", ("O-1",))
    assert clock.pauses[0] < clock.pauses[1] < clock.pauses[-1] == PAUSE_LIMIT_S == max(clock.pauses)
    assert 8.0 < sum(clock.pauses) < 10.0
    assert len(route.canceled) == len(clock.pauses) + 1
    assert max(route.asked_by_s) <= 1010.0


def test_what_was_seen_to_rest_stays_known_when_the_venue_goes_silent() -> None:
    report, _ = swept(Scripted([ORDER], Failed("silence")), within_s=5.0)
    assert (report.state, report.residual, report.why) == ("residual", ("O-1",), "silence")


def test_a_cancel_that_fails_is_followed_by_a_look_all_the_same() -> None:
    route = Scripted([ORDER], [], [], cancel=Failed("EService:Busy"))
    assert swept(route)[0].state == "flat"
    assert len(route.canceled) == 2


def test_a_refused_key_is_used_a_few_times_only() -> None:
    route = Scripted(Failed("EAPI:Invalid key", hopeless=True))
    report, _ = swept(route)
    assert (report.state, report.why) == ("unreachable", "EAPI:Invalid key")
    assert len(route.asked_by_s) == REFUSALS


# -------------------------------------------------------------------- several routes


def test_the_next_route_takes_the_place_of_one_that_failed() -> None:
    dead, alive = Scripted(Failed("dead"), cancel=Failed("dead")), Scripted([ORDER])
    route = FirstThatWorks([dead, alive])
    by_s = time.monotonic() + 5
    route.cancel([], by_s)
    assert list(route.look(by_s)) == [ORDER]
    assert (len(dead.canceled), len(dead.asked_by_s)) == (1, 0)


def test_a_silent_route_leaves_the_next_one_its_share_of_the_time() -> None:
    dead, alive = Scripted(Failed("silence")), Scripted([])
    by_s = time.monotonic() + 5
    FirstThatWorks([dead, alive]).look(by_s)
    assert dead.asked_by_s[0] < by_s - 2
    assert alive.asked_by_s[0] == pytest.approx(by_s, abs=1e-3)


def test_when_every_route_fails_each_is_named() -> None:
    routes = [Scripted(Failed("no key", hopeless=True)), Scripted(Failed("no route"))]
    with pytest.raises(Failed, match="no key; no route") as failed:
        FirstThatWorks(routes).look(time.monotonic() + 5)
    assert not failed.value.hopeless
