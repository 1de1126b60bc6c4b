"""What sessions say: up and lost, tokens renewed, the venue's mode, and whose each ack is."""

from canceld.contract.evidence import CancelAck, CancelAllAck, CancelReject, Fault, Heartbeat
from canceld.contract.ids import EVERYTHING, Reqid
from canceld.contract.outcomes import Acked
from canceld.engine.lane import Lane
from canceld.engine.reactions import SPACE_MS

from ..desk import O1, O2, WORDS, Desk, named, order, userref


def test_an_ack_for_a_foreign_reqid_changes_nothing_but_a_counter() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    desk.hear(0, CancelAck(desk.last().reqid + 999))  # type: ignore[arg-type]
    assert desk.answers == {}
    assert desk.pursuits.counts.stray_acks == 1


def test_an_ack_that_names_another_order_settles_nothing() -> None:
    desk = Desk(0)
    send = desk.asked("t", order(O1))
    desk.ack(send, O2)
    assert desk.answers == {}
    assert desk.pursuits.counts.stray_acks == 1
    desk.ack(send, O1)
    assert desk.outcome("t") == Acked()


def test_an_ack_from_a_session_that_was_not_asked_settles_nothing() -> None:
    desk = Desk(0, 1)
    send = desk.asked("t", order(O1))
    desk.hear(1, CancelAck(send.reqid))
    desk.hear(1, CancelReject(send.reqid, Fault.PERMISSION, WORDS[Fault.PERMISSION]))
    assert desk.answers == {}
    assert desk.pursuits.counts.stray_acks == 2


def test_an_ack_of_an_earlier_session_still_counts_as_accepted() -> None:
    desk = Desk(0, 1)
    send = desk.asked("t", order(O1))
    desk.down(0)
    desk.ack(send)
    assert desk.outcome("t") == Acked()
    assert desk.pursuits.idle


def test_a_rejection_of_a_lost_session_changes_nothing() -> None:
    desk = Desk(0, 1)
    send = desk.asked("t", order(O1))
    desk.down(0)
    desk.take()
    desk.reject(send, Fault.PERMISSION)
    assert desk.take() == []
    assert desk.pursuits.counts.repeated_acks == 1


def test_a_cancel_all_ack_for_another_request_is_stray() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    desk.hear(0, CancelAllAck(desk.last().reqid, 1))
    desk.hear(0, CancelAllAck(Reqid(999), 1))
    assert desk.answers == {}
    assert desk.pursuits.counts.stray_acks == 2


def test_a_second_cancel_all_ack_does_not_change_the_count() -> None:
    desk = Desk(0)
    desk.opened(O1)
    send = desk.asked("t", EVERYTHING, proof=True)
    desk.hear(0, CancelAllAck(send.reqid, 1))
    desk.hear(0, CancelAllAck(send.reqid, 0))
    desk.canceled(O1)
    assert desk.answers["t"].count == 1


def test_news_that_says_nothing_about_a_cancel_changes_nothing() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    desk.hear(0, Heartbeat())
    desk.opened(O2)
    desk.opened(O2)
    assert desk.answers == {}
    assert desk.ended == []


def test_a_lost_socket_moves_everything_it_had_in_flight_in_the_same_step() -> None:
    desk = Desk(0, 1)
    for ticket, target in (("a", order(O1)), ("b", order(O2))):
        desk.cancel(ticket, target)
    assert {send.lane for send in desk.take()} == {0}
    desk.down(0)
    moved = desk.take()
    assert [(send.lane, send.target) for send in moved] == [(1, order(O1)), (1, order(O2))]
    desk.down(1)
    call = desk.one_call("batch", O1, O2)
    desk.rest_count(call, 2)
    assert desk.outcome("a") == desk.outcome("b") == Acked()
    assert desk.answers["a"].route == "rest"
    assert desk.answers["a"].attempts == 3
    assert desk.pursuits.idle


def test_a_session_that_comes_up_takes_what_no_route_would_take() -> None:
    desk = Desk()
    desk.cancel("t", order(O1))
    desk.up(0)
    assert desk.last().target == order(O1)
    assert desk.maybe_call() is None, "it was taken back from the REST queue"


def test_a_session_that_comes_up_hedges_what_every_other_route_left_in_silence() -> None:
    desk = Desk()
    desk.cancel("t", order(O1))
    desk.call()
    desk.wait(450)
    assert desk.take() == []
    desk.up(0)
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()


def test_a_session_that_comes_up_does_not_hurry_what_was_throttled() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.THROTTLED, "t", order(O1))
    desk.wait(10)
    desk.up(1)
    assert desk.take() == []


def test_a_session_told_up_or_down_twice_is_up_or_down_once() -> None:
    desk = Desk(0)
    desk.up(0)
    assert list(desk.pursuits.live) == [0]
    desk.down(0)
    desk.down(0)
    assert list(desk.pursuits.live) == []


def test_a_session_lost_after_another_route_was_accepted_moves_nothing() -> None:
    desk = Desk(0, 1)
    desk.cancel("t", order(O1), proof=True)
    desk.wait(400)
    desk.ack(desk.take()[1])
    desk.down(0)
    desk.token_failed(1)
    assert desk.take() == []
    assert not desk.pursuits.rest.wants_call


def test_who_hears_of_a_lost_session_may_find_out_again_by_using_it() -> None:
    class Sweeper:
        def __init__(self) -> None:
            self.failed = 0

        def fired_answered(self, lane: Lane, count: int | None, now_ns: int) -> None:
            raise AssertionError("nothing was answered")

        def fired_failed(self, lane: Lane, why: str, now_ns: int, fault: Fault | None = None) -> None:
            self.failed += 1
            desk.pursuits.sessions.down(lane, now_ns)

    desk = Desk(0)
    sweepers = [Sweeper(), Sweeper()]
    for sweeper in sweepers:
        desk.pursuits.sessions.fire(0, sweeper, desk.now_ns)
    desk.carry_out()
    desk.down(0)
    assert [sweeper.failed for sweeper in sweepers] == [1, 1]


def test_a_userref_is_not_repeated_by_a_token_that_comes_while_another_session_has_it() -> None:
    desk = Desk(0, 1)
    desk.refused_with(Fault.STALE_TOKEN, "t", userref(7))
    desk.wait(400)
    assert desk.last().lane == 1
    desk.renewed(0)
    assert desk.take() == []


def test_a_family_that_awaits_its_proof_is_not_sent_again_by_a_session_that_comes_up() -> None:
    desk = Desk(0, 1)
    desk.family(O1)
    desk.refused_with(Fault.STALE_TOKEN, "t", userref(7), proof=True)
    desk.wait(400)
    assert desk.last().lane == 1
    desk.wait(400)
    assert desk.last().target == order(O1)
    desk.canceled(O1)
    desk.renewed(0)
    desk.down(1)
    desk.up(1)
    assert desk.take() == []


def test_in_maintenance_a_cancel_is_held_and_leaves_the_moment_it_ends() -> None:
    desk = Desk(0)
    desk.mode("maintenance")
    desk.cancel("t", order(O1))
    assert desk.take() == []
    desk.up(1)
    assert desk.take() == []
    desk.mode("cancel_only")
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()
    assert desk.pursuits.idle


def test_when_the_last_session_is_lost_in_maintenance_the_routes_are_asked() -> None:
    desk = Desk(0)
    desk.mode("maintenance")
    desk.cancel("t", order(O1))
    desk.down(0)
    assert desk.pursuits.mode == "unknown"
    desk.rest_count(desk.call())
    assert desk.outcome("t") == Acked()


def test_what_is_lost_in_maintenance_is_held_too() -> None:
    desk = Desk(0, 1)
    desk.cancel("t", order(O1))
    desk.take()
    desk.mode("maintenance")
    desk.down(0)
    desk.wait(500)
    assert desk.take() == []
    desk.mode("online")
    assert desk.last().lane == 1


def test_an_ack_for_what_is_held_in_maintenance_settles_it() -> None:
    desk = Desk(0, 1)
    send = desk.asked("t", order(O1))
    desk.mode("maintenance")
    desk.down(0)
    desk.wait(150)
    desk.ack(send)
    assert desk.outcome("t") == Acked()
    desk.mode("online")
    assert desk.take() == []
    assert desk.pursuits.idle


def test_a_session_lost_while_a_token_is_fetched_sends_the_order_elsewhere() -> None:
    desk = Desk(0, 1)
    desk.refused_with(Fault.STALE_TOKEN, "t", order(O1))
    desk.down(0)
    assert desk.last().lane == 1


def test_a_session_that_starts_anew_serves_those_who_waited_for_its_old_token() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.STALE_TOKEN, "t", order(O1))
    desk.wait(SPACE_MS)
    desk.up(0)
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()


def test_a_new_session_takes_an_order_again_that_the_old_ones_token_kept_away() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.STALE_TOKEN, "t", order(O1))
    desk.token_failed(0)
    desk.rest_fail(desk.call(), left=False)
    desk.down(0)
    desk.up(0)
    desk.wait(SPACE_MS)
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()


def test_a_token_that_cannot_be_had_sends_the_order_elsewhere() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.STALE_TOKEN, "t", order(O1))
    desk.token_failed(0)
    desk.rest_count(desk.call())
    assert desk.outcome("t") == Acked()
    desk.token_failed(0)
    desk.renewed(0)
    assert desk.take() == []


def test_a_token_that_fails_after_the_order_was_settled_moves_nothing() -> None:
    desk = Desk(0, 1)
    desk.refused_with(Fault.STALE_TOKEN, "t", order(O1))
    desk.canceled(O1)
    desk.token_failed(0)
    assert desk.take() == []


def test_a_token_renewed_for_a_session_that_is_gone_goes_by_the_best_route() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.STALE_TOKEN, "t", order(O1))
    desk.cancel("u", order(O2))
    desk.canceled(O1)
    desk.mode("maintenance")
    desk.renewed(0)
    assert desk.take() == []


def test_a_token_renewed_in_maintenance_waits_for_its_end() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.STALE_TOKEN, "t", order(O1))
    desk.mode("maintenance")
    desk.renewed(0)
    assert desk.take() == []
    desk.wait(SPACE_MS)
    desk.mode("online")
    assert desk.last().target == order(O1)


def test_a_new_key_is_used_at_once_where_the_old_one_was_locked_out() -> None:
    desk = Desk()
    desk.cancel("a", named("slot-1"))
    desk.cancel("b", named("slot-2"))
    desk.rest_refuse(desk.call(), Fault.LOCKOUT)
    assert desk.maybe_call() is None
    announced = desk.rest_ready
    desk.pursuits.sessions.key_replaced()
    desk.carry_out()
    assert desk.rest_ready > announced
    desk.rest_count(desk.call())
    assert desk.outcome("b") == Acked()
    desk.pursuits.sessions.key_replaced()
    assert desk.pursuits.effects == []


def test_an_order_the_old_key_was_refused_for_is_tried_again_under_the_new_one() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.PERMISSION, "t", order(O1))
    desk.rest_fail(desk.call(), left=False)
    desk.pursuits.sessions.key_replaced()
    desk.wait(100)
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()
