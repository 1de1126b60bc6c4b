"""What "unknown order" means: windows, denials, and a denial after a lost attempt. It is resolved, not guessed."""

from canceld.contract.evidence import Fault
from canceld.contract.outcomes import Acked, Closed, NotOpen, Unknown

from ..desk import DEADLINE_MS, O1, Desk, order


def test_an_order_never_seen_is_asked_for_until_the_overtake_window_ends() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1), deadline_ms=3000)
    asked_at = desk.deny_until_answered("t", lambda call: desk.rest_refuse(call, Fault.NOT_OPEN))
    assert asked_at == [0, 50, 250, 1250, 1500]
    assert desk.outcome("t") == NotOpen()
    assert desk.answers["t"].error == "EOrder:Unknown order"
    assert desk.answers["t"].route == "ws"
    assert desk.pursuits.idle


def test_a_denial_that_was_asked_for_before_the_window_ended_is_not_the_last_word() -> None:
    desk = Desk(0)
    send = desk.asked("t", order(O1))
    desk.now_ms += 1600
    desk.reject(send)
    assert "t" not in desk.answers, "the order may have appeared after the venue looked for it"
    desk.wait(0)
    again = desk.last()
    desk.rest_refuse(desk.call(), Fault.NOT_OPEN)
    desk.reject(again)
    assert desk.outcome("t") == NotOpen()


def test_a_short_deadline_shortens_the_window_and_keeps_time_for_the_last_answer() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.NOT_OPEN, "t", order(O1), deadline_ms=400)
    desk.rest_refuse(desk.call(), Fault.NOT_OPEN)
    desk.wait(50)
    desk.reject(desk.last())
    desk.wait(249)
    assert desk.take() == [], "one more in this second would bar the last one's way"
    assert "t" not in desk.answers
    desk.wait(1)
    desk.reject(desk.last())
    assert desk.outcome("t") == NotOpen()


def test_one_clients_short_deadline_does_not_shorten_the_others_window() -> None:
    desk = Desk(0)
    desk.cancel("short", order(O1), deadline_ms=100)
    desk.cancel("long", order(O1), deadline_ms=2000)
    for _ in range(30):
        desk.deny(lambda call: desk.rest_refuse(call, Fault.NOT_OPEN))
        desk.wait(5)
    assert desk.outcome("short") == NotOpen()
    assert desk.outcome("long") is None


def test_at_the_deadline_an_early_denial_is_unknown_and_not_not_open() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.NOT_OPEN, "t", order(O1), deadline_ms=400)
    desk.rest_refuse(desk.call(), Fault.NOT_OPEN)
    desk.mode("maintenance")
    desk.wait(400)
    assert desk.outcome("t") == Unknown(("ws",))


def test_an_order_seen_open_is_never_not_open_by_a_denial_alone() -> None:
    desk = Desk(0)
    desk.opened(O1)
    desk.cancel("t", order(O1))
    for _ in range(40):
        desk.deny(lambda call: desk.rest_fail(call, left=True))
        desk.wait(50)
    assert desk.outcome("t") == Unknown(("ws",))


def test_after_a_lost_attempt_a_denial_and_no_query_is_closed_unconfirmed() -> None:
    desk = Desk(0, 1)
    desk.cancel("t", order(O1))
    desk.down(0)
    desk.deny_until_answered("t", lambda call: desk.rest_fail(call, left=False), silent=0)
    assert desk.outcome("t") == Closed(None, None, "unconfirmed")
    assert desk.now_ms < 1000 + DEADLINE_MS


def test_a_denial_is_resolved_although_another_route_stays_silent() -> None:
    desk = Desk(0, 1)
    desk.cancel("t", order(O1))
    desk.wait(400)
    desk.deny_until_answered(
        "t", lambda call: desk.rest_fail(call, left=True) if call.form == "query" else None, silent=0
    )
    assert desk.outcome("t") == Closed(None, None, "unconfirmed")
    assert desk.now_ms < 1000 + DEADLINE_MS


def test_the_second_paths_denial_waits_for_the_first_paths_ack() -> None:
    desk = Desk(0, 1)
    first, second = desk.hedged("t", order(O1))
    desk.reject(second)
    desk.ack(first)
    assert desk.outcome("t") == Acked()


def test_a_denial_whose_query_hangs_is_told_at_the_deadline() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.NOT_OPEN, "t", order(O1))
    desk.call()
    desk.deny_until_answered("t")
    assert desk.outcome("t") == NotOpen()
    assert desk.answers["t"].answered_ns is None
