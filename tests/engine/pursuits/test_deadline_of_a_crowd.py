"""A thousand commands share a deadline at a silent venue: they are answered in slices, the first ones ahead of it.

All in one step, a kill that comes meanwhile would wait for the last of them; all after the deadline, the last would be
late by as long as the whole takes.
"""

from canceld.contract.evidence import CancelAck
from canceld.contract.ids import Target
from canceld.contract.outcomes import Acked, Unknown
from canceld.engine.crowd import CROWD, EACH_NS, LOOK_NS, SLICE
from canceld.engine.effects import Answer, Send
from canceld.engine.inflight import Reqids
from canceld.engine.instants import FAR_NS, MS
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


def _step(pursuits: Pursuits, now_ns: int) -> list[Answer]:
    """What one step answers."""
    pursuits.on_time(now_ns)
    effects, pursuits.effects = pursuits.effects, []
    return [effect for effect in effects if type(effect) is Answer]


def test_it_is_answered_in_slices_that_begin_in_time() -> None:
    pursuits, _ = _desk(COUNT)
    pursuits.submit(COUNT, _order(COUNT), False, 60 * S, S)
    begins_ns = DEADLINE_NS - COUNT * EACH_NS - LOOK_NS
    now_ns, answers, first_ns = S, 0, 0
    told: set[int] = set()
    while len(told) < COUNT:
        now_ns = max(now_ns, pursuits.next_wake_ns)
        assert now_ns < FAR_NS
        step = _step(pursuits, now_ns)
        assert len(step) <= SLICE
        if step and not first_ns:
            first_ns = now_ns
        answers += len(step)
        told |= {answer.ticket for answer in step}
        now_ns += len(step) * EACH_NS
        assert {type(answer.settlement.outcome) for answer in step} <= {Unknown}
    assert begins_ns <= first_ns <= begins_ns + LOOK_NS
    assert answers == COUNT, "one answer each"
    assert COUNT not in told, "whoever has more time is left alone"
    assert now_ns <= DEADLINE_NS + 50 * MS


def test_an_ack_between_two_slices_is_the_answer() -> None:
    pursuits, sends = _desk(COUNT)
    now_ns = DEADLINE_NS - COUNT * EACH_NS
    told = {answer.ticket for answer in _step(pursuits, now_ns)}
    assert len(told) == SLICE
    waiting = max(sends.keys() - told)
    pursuits.sessions.evidence(0, CancelAck(sends[waiting].reqid), now_ns)
    [answer] = [effect for effect in pursuits.effects if type(effect) is Answer]
    assert (answer.ticket, type(answer.settlement.outcome)) == (waiting, Acked)
    pursuits.effects = []
    after = [answer.ticket for _ in range(COUNT // SLICE + 1) for answer in _step(pursuits, DEADLINE_NS)]
    assert len(after) == len(set(after))
    assert set(after) == sends.keys() - told - {waiting}


def test_a_few_have_all_their_time() -> None:
    pursuits, _ = _desk(CROWD - 1)
    assert pursuits.next_wake_ns == DEADLINE_NS
    assert _step(pursuits, DEADLINE_NS - 1) == []
    assert len(_step(pursuits, DEADLINE_NS)) == SLICE
