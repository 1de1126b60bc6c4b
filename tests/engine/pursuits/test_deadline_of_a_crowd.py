"""A thousand commands share a deadline at a silent venue: what they will be told is made ready ahead of it, in slices,
and told at it, in slices.

Told ahead of it, an ack that comes in time would find an `unknown` given; all in one step, a kill that comes meanwhile
would wait for the last of them; made only at the deadline, the last would be late by as long as the whole takes.
"""

from collections.abc import Callable

import pytest

from canceld.contract.evidence import CancelAck, CancelReject, Fault
from canceld.contract.ids import Target
from canceld.contract.outcomes import Acked, Unknown
from canceld.engine.crowd import CROWD, EACH_NS, LOOK_NS, SLICE
from canceld.engine.effects import Answer, Foreseen, Late, Send
from canceld.engine.inflight import Reqids
from canceld.engine.instants import MS
from canceld.engine.policy import Policy
from canceld.engine.pursuits.front import Pursuits
from canceld.engine.resting import Resting

S = 1000 * MS
COUNT = 2_000
DEADLINE_NS = 10 * S


def _desk(count: int) -> tuple[Pursuits, dict[int, Send]]:
    """A venue that was sent so many cancels, and has answered none; the sends by the number of their command."""
    policy = Policy(hedge_ns=60 * S, overtake_ns=60 * S, late_ns=60 * S, late_limit=10 * COUNT, rest=False)
    pursuits = Pursuits("spot", policy, Reqids(1), Resting(10))
    pursuits.sessions.up(0, 0)
    for number in range(count):
        pursuits.submit(number, _order(number), False, DEADLINE_NS, S)
    sends = {number: effect for number, effect in enumerate(pursuits.effects) if type(effect) is Send}
    pursuits.effects = []
    assert len(sends) == count
    return pursuits, sends


def _order(number: int) -> Target:
    return Target("order_id", f"OAAAAA-BBBBB-{number:06}")


def _step(pursuits: Pursuits, now_ns: int) -> tuple[list[Answer], list[Foreseen]]:
    """What one step answers, and what it foresees."""
    pursuits.on_time(now_ns)
    effects, pursuits.effects = pursuits.effects, []
    answers = [effect for effect in effects if type(effect) is Answer]
    return answers, [effect for effect in effects if type(effect) is Foreseen]


def _until(pursuits: Pursuits, until_ns: int) -> list[Foreseen]:
    """Every alarm up to then, each step taking the time that it is reckoned to take; nobody may be answered."""
    now_ns, all_foreseen = S, []
    while (now_ns := max(now_ns, pursuits.next_wake_ns)) < until_ns:
        answers, foreseen = _step(pursuits, now_ns)
        assert not answers, f"answered {(DEADLINE_NS - now_ns) / MS} ms before the deadline"
        assert len(foreseen) <= SLICE
        all_foreseen += foreseen
        now_ns += len(foreseen) * EACH_NS
    return all_foreseen


def _at_deadline(pursuits: Pursuits) -> list[Answer]:
    """What is answered once the deadline is there, in slices."""
    all_answers: list[Answer] = []
    for _ in range(COUNT):
        answers, foreseen = _step(pursuits, DEADLINE_NS)
        assert not foreseen
        assert len({answer.settlement.order_id for answer in answers}) <= SLICE
        all_answers += answers
        if pursuits.next_wake_ns > DEADLINE_NS:
            return all_answers
    raise AssertionError("the alarm goes off for ever")


def test_nobody_is_answered_before_the_deadline_and_all_are_at_it() -> None:
    pursuits, _ = _desk(COUNT)
    pursuits.submit(COUNT, _order(COUNT), False, 60 * S, S)
    foreseen = {one.ticket: one.settlement for one in _until(pursuits, DEADLINE_NS)}
    assert len(foreseen) == COUNT, "and whoever has more time is left alone"
    answers = _at_deadline(pursuits)
    assert sorted(answer.ticket for answer in answers) == list(range(COUNT)), "one answer each"
    assert {type(answer.settlement.outcome) for answer in answers} == {Unknown}
    assert all(answer.settlement is foreseen[answer.ticket] for answer in answers), "made ahead, and not once more"


def test_what_is_foreseen_begins_in_time() -> None:
    pursuits, _ = _desk(COUNT)
    begins_ns = DEADLINE_NS - COUNT * EACH_NS - LOOK_NS
    assert _until(pursuits, begins_ns) == []
    assert len(_until(pursuits, begins_ns + 2 * LOOK_NS)) >= SLICE


def test_an_ack_after_the_foresight_is_the_answer_at_once() -> None:
    pursuits, sends = _desk(COUNT)
    _until(pursuits, DEADLINE_NS)
    now_ns = DEADLINE_NS - MS
    pursuits.sessions.evidence(0, CancelAck(sends[7].reqid), now_ns)
    [answer] = [effect for effect in pursuits.effects if type(effect) is Answer]
    assert (answer.ticket, type(answer.settlement.outcome)) == (7, Acked)
    pursuits.effects = []
    assert sorted(answer.ticket for answer in _at_deadline(pursuits)) == [n for n in range(COUNT) if n != 7]


def test_an_ack_between_two_slices_is_the_answer() -> None:
    pursuits, sends = _desk(COUNT)
    _until(pursuits, DEADLINE_NS)
    told = {answer.ticket for answer in _step(pursuits, DEADLINE_NS)[0]}
    assert len(told) == SLICE
    waiting = max(sends.keys() - told)
    pursuits.sessions.evidence(0, CancelAck(sends[waiting].reqid), DEADLINE_NS)
    [answer] = [effect for effect in pursuits.effects if type(effect) is Answer]
    assert (answer.ticket, type(answer.settlement.outcome)) == (waiting, Acked)
    pursuits.effects = []
    assert {answer.ticket for answer in _at_deadline(pursuits)} == sends.keys() - told - {waiting}


def _refused(pursuits: Pursuits, sends: dict[int, Send]) -> None:
    pursuits.sessions.evidence(0, CancelReject(sends[7].reqid, Fault.INVALID, "EGeneral:Invalid"), DEADLINE_NS - MS)


def _sent_again(pursuits: Pursuits, sends: dict[int, Send]) -> None:
    pursuits.sessions.up(1, DEADLINE_NS - MS)
    pursuits.sessions.down(0, DEADLINE_NS - MS)


def _joined(pursuits: Pursuits, sends: dict[int, Send]) -> None:
    pursuits.submit("another", _order(7), True, DEADLINE_NS, DEADLINE_NS - MS)


@pytest.mark.parametrize("happens", [_refused, _sent_again, _joined])
def test_what_happens_after_the_foresight_is_in_the_answer(
    happens: Callable[[Pursuits, dict[int, Send]], None],
) -> None:
    """The same history without a crowd, where nothing is foreseen, says what the answer has to be."""
    said = []
    for count in (CROWD + 10, 10):
        pursuits, sends = _desk(count)
        foreseen = _until(pursuits, DEADLINE_NS)
        assert len(foreseen) == (count if count > CROWD else 0)
        happens(pursuits, sends)
        answers = [effect for effect in pursuits.effects if type(effect) is Answer]
        pursuits.effects = []
        answers += _at_deadline(pursuits)
        said.append([answer for answer in answers if answer.ticket in (6, 7, "another")])
    crowd, alone = said
    assert crowd == alone
    assert len(crowd) >= 2


def test_news_after_the_answer_is_late_news() -> None:
    pursuits, sends = _desk(COUNT)
    _until(pursuits, DEADLINE_NS)
    _at_deadline(pursuits)
    pursuits.sessions.evidence(0, CancelAck(sends[7].reqid), DEADLINE_NS + MS)
    assert [(type(effect), effect.ticket) for effect in pursuits.effects if type(effect) is Late] == [(Late, 7)]


def test_a_few_have_nothing_foreseen() -> None:
    pursuits, _ = _desk(CROWD - 1)
    assert pursuits.next_wake_ns == DEADLINE_NS
    assert _step(pursuits, DEADLINE_NS - 1) == ([], [])
    assert len(_step(pursuits, DEADLINE_NS)[0]) == SLICE
