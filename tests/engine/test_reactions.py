"""The table of reactions: every class of answers has its row, and the rows agree with each other."""

from canceld.contract.evidence import Fault
from canceld.engine.lane import REST, route_of
from canceld.engine.reactions import REASK_MS, RETRY_MS, RULES, Reaction


def test_every_class_of_answers_has_a_reaction() -> None:
    assert set(RULES) == set(Fault)


def test_lanes_are_told_as_routes() -> None:
    assert [route_of(lane) for lane in (REST, 0, 1)] == ["rest", "ws", "ws"]


def test_what_is_tried_again_has_a_pause() -> None:
    for fault, rule in RULES.items():
        again = rule.reaction in (Reaction.AGAIN, Reaction.ELSEWHERE)
        assert (rule.pause_ms > 0) == again, fault


def test_a_request_turned_away_as_a_whole_is_never_in_doubt() -> None:
    assert not [fault for fault, rule in RULES.items() if rule.whole and rule.ambiguous]
    assert {fault for fault, rule in RULES.items() if rule.ambiguous} == {Fault.TRANSIENT, Fault.UNLISTED}


def test_only_refusals_of_the_way_in_or_of_the_key_close_a_lane() -> None:
    closing = {fault for fault, rule in RULES.items() if rule.closes_ms}
    assert closing == {Fault.ROUTE_BUSY, Fault.CREDENTIALS, Fault.LOCKOUT}
    assert RULES[Fault.LOCKOUT].closes_ms == 15 * 60 * 1000


def test_pauses_grow() -> None:
    assert list(REASK_MS) == sorted(REASK_MS)
    assert list(RETRY_MS) == sorted(RETRY_MS)
    assert min(*REASK_MS, *RETRY_MS) > 0
