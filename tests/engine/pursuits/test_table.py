"""Every cell of the table in daemon/engine/pursuits/said.py, walked through the real engine.

A walk brings one pursuit into the cell's state, lets it hear what the cell's column says, and holds what follows to the
table. The instrument that counts cells in the seeds proves that the walk was in its cell.
"""

import re
from collections.abc import Callable
from itertools import product
from typing import Final

import pytest

from canceld.contract.evidence import CancelAck, CancelReject, Fault, Looked, OrderState
from canceld.contract.ids import Target
from canceld.contract.outcomes import Acked, Canceled, Closed, NotOpen, Outcome, Refused, Rejected, Unknown
from canceld.engine.effects import Alert, Look, RenewToken
from canceld.engine.instants import FAR_NS, MS
from canceld.engine.lane import REST
from canceld.engine.pursuits import said as states
from canceld.engine.pursuits.pursuit import Pursuit
from canceld.engine.pursuits.said import ACCEPTED, DENIED, ENDED, NOTHING, Said
from canceld.engine.reactions import REASK_MS, RETRY_MS, RULES, SPACE_MS, Reaction

from ...simulation.cells import HEARD, NEVER, counted
from ..desk import DEADLINE_MS, HEDGE_MS, O1, O2, OVERTAKE_MS, WORDS, Desk, named, order
from .test_at_prime import SYMBOL, PrimeDesk

NAME: Final = named("slot-1")
OPEN: Final = OrderState(O1, "open")

Walk = Callable[[], None]
WALKS: Final[dict[tuple[Said, str], list[Walk]]] = {}


def cell(said: Said, heard: str) -> Callable[[Walk], Walk]:
    def entered(walk: Walk) -> Walk:
        WALKS.setdefault((said, heard), []).append(walk)
        return walk

    return entered


def of(desk: Desk, target: Target = order(O1)) -> Pursuit:  # noqa: B008 - a constant
    return desk.pursuits.pursued[target]


def accepted(*lanes: int) -> Desk:
    """A cancel that was accepted, on lane 0; "t" waits for proof."""
    desk = Desk(*lanes or (0,))
    desk.accepted("t", order(O1), proof=True)
    assert of(desk).said is ACCEPTED
    return desk


def denied(*lanes: int, proof: bool = False, deadline_ms: float = DEADLINE_MS) -> Desk:
    """A cancel of an order that the venue does not know, on lane 0; its state is being asked for."""
    desk = Desk(*lanes or (0,))
    desk.refused_with(Fault.NOT_OPEN, "t", order(O1), proof=proof, deadline_ms=deadline_ms)
    assert of(desk).said is DENIED
    return desk


def ended(*lanes: int) -> Desk:
    """An order was cancelled by its client order id on lane 0, and has ended; whether by that is open."""
    desk = Desk(*lanes or (0,))
    send = desk.asked_bearer("t")
    assert (send.lane, send.target) == (0, order(O1))
    desk.now_ms += 50
    desk.canceled(O1, "1")
    assert of(desk).said is ENDED
    assert desk.answers == {}
    return desk


def ended_unseen(*lanes: int) -> Desk:
    """The same of an order that was not known to bear the name: the request went by the name."""
    desk = Desk(*lanes or (0,))
    desk.asked("t", NAME)
    desk.stream(OrderState(O1, "canceled", cl_ord_id="slot-1", filled_qty="1"))
    assert of(desk, NAME).said is ENDED
    return desk


def follows_the_name(desk: Desk) -> None:
    """The next request is by the name."""
    send = desk.last()
    assert send.target == NAME
    assert of(desk, NAME).said is NOTHING
    assert desk.answers == {}
    desk.reject(send)
    assert desk.outcome("t") == Canceled("1"), "nothing is open under the name, and a request of ours was out"


# ---------------------------------------------------------------- NOTHING


@cell(NOTHING, "ack")
def _() -> None:
    desk = Desk(0)
    desk.cancel("ack", order(O1))
    desk.accepted("proof", order(O1), proof=True)
    assert desk.answers.keys() == {"ack"}
    assert desk.outcome("ack") == Acked()
    assert of(desk).said is ACCEPTED
    desk.wait(HEDGE_MS)
    desk.one_call("query", O1)


@cell(NOTHING, "no such order")
def _() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.NOT_OPEN, "t", order(O1))
    assert of(desk).said is DENIED
    assert desk.answers == {}
    desk.one_call("query", O1)
    desk.wait(HEDGE_MS)  # the look-up that is under way holds it for as long
    assert desk.last().target == order(O1)


@cell(NOTHING, "other refusal")
def _() -> None:
    for fault, rule in RULES.items():
        if fault is Fault.NOT_OPEN:
            continue
        desk = Desk(0, 1)
        desk.refused_with(fault, "t", order(O1))
        pursuit = of(desk)
        assert (pursuit.said, pursuit.ambiguous, pursuit.error) == (NOTHING, rule.ambiguous, WORDS[fault])
        assert desk.answers == {}
        assert bool(desk.pursuits.lanes.closed_until) == bool(rule.closes_ms)
        sent = [send.lane for send in desk.take()]
        match rule.reaction:
            case Reaction.AGAIN:
                assert sent == []
                desk.wait(max(rule.pause_ms, SPACE_MS))
                assert desk.last().lane == 0
            case Reaction.NEW_TOKEN:
                assert (sent, desk.told) == ([], [RenewToken(0)])
                desk.renewed(0)
                desk.wait(SPACE_MS)
                assert desk.last().lane == 0
            case _:
                assert sent == [1]
                assert (0 in pursuit.refused) == (rule.reaction is Reaction.ONCE_ELSEWHERE)


@cell(NOTHING, "silence")
def _() -> None:
    desk = Desk(0, 1)
    desk.hedged("t", order(O1))
    assert of(desk).pending.keys() == {0, 1}
    desk.wait(HEDGE_MS)
    desk.call()
    assert of(desk).pending.keys() == {0, 1, REST}
    desk.wait(HEDGE_MS)
    desk.one_call("query", O1)
    assert of(desk).said is NOTHING
    assert desk.answers == {}


@cell(NOTHING, "lane lost")
def _() -> None:
    desk = Desk(0, 1)
    desk.asked("t", order(O1))
    desk.down(0)
    assert desk.last().lane == 1
    assert (of(desk).said, of(desk).ambiguous) == (NOTHING, True)


@cell(NOTHING, "lane lost")
def _() -> None:
    desk = Desk(0, 1)
    desk.hedged("t", order(O1))
    desk.wait(HEDGE_MS)
    desk.rest_fail(desk.call(), left=True)
    desk.down(1)
    assert desk.take() == []
    desk.wait(RETRY_MS[1])
    assert desk.call().targets == (order(O1),), "every lane was tried, so any will do, after a pause"


@cell(NOTHING, "lane lost")
def _() -> None:
    desk = Desk(0, 1, rest=False)
    desk.asked("t", order(O1))
    desk.down(0)
    assert desk.last().lane == 1
    assert [type(told) for told in desk.told] == [Look]


@cell(NOTHING, "order ended")
def _() -> None:
    for status, outcome in (("canceled", Canceled("1")), ("filled", Closed("filled", "1"))):
        desk = Desk(0)
        desk.cancel("t", order(O1), proof=True)
        desk.stream(OrderState(O1, status, filled_qty="1"))  # type: ignore[arg-type]
        assert desk.outcome("t") == outcome
        assert desk.pursuits.idle


@cell(NOTHING, "order ended")
def _() -> None:
    desk = Desk(0)
    desk.asked_bearer("name")
    desk.cancel("id", order(O1))
    desk.canceled(O1, "1")
    assert desk.outcome("id") == Canceled("1")
    assert "name" not in desk.answers, "a newer order may bear the name"
    assert of(desk).said is ENDED
    assert desk.take() == [], "the request that is out may be for it"


@cell(NOTHING, "order ended")
def _() -> None:
    desk = Desk(0)
    desk.asked_bearer("name")
    desk.filled(O1)
    assert desk.answers == {}
    assert desk.last().target == NAME, "no request of ours filled it, so the name is followed at once"
    assert of(desk, NAME).said is NOTHING


@cell(NOTHING, "order opened")
def _() -> None:
    desk = PrimeDesk(0)
    desk.cancel("t", order(O1))
    assert desk.take() == []
    desk.rests(O1)
    send = desk.last()
    assert (send.target, send.symbol) == (order(O1), SYMBOL)


@cell(NOTHING, "order opened")
def _() -> None:
    desk = Desk(0)
    desk.asked("t", order(O1))
    desk.opened(O1)
    assert desk.take() == []
    assert of(desk).said is NOTHING


@cell(NOTHING, "query: rests")
def _() -> None:
    desk = Desk()
    desk.cancel("t", order(O1))
    silent = desk.one_call("cancel", O1)
    desk.wait(HEDGE_MS)
    desk.rest_orders(desk.one_call("query", O1), OPEN)
    assert (of(desk).said, of(desk).ambiguous) == (NOTHING, True)
    desk.rest_count(desk.one_call("cancel", O1))
    assert desk.outcome("t") == Acked()
    desk.rest_count(silent)
    assert desk.pursuits.counts.repeated_acks == 1


@cell(NOTHING, "query: rests")
def _() -> None:
    desk = PrimeDesk(0)
    desk.rests(O1)
    desk.asked("t", order(O1))
    desk.wait(HEDGE_MS)
    look = desk.look()
    desk.hear(0, Looked(look.reqid, (OPEN,), True, desk.now_ns))
    assert desk.last().target == order(O1), "without REST nothing else is left than the session that was silent"


@cell(NOTHING, "query: absent")
def _() -> None:
    desk = Desk(0)
    desk.asked("t", order(O1))
    desk.wait(2 * HEDGE_MS)
    desk.one_call("cancel", O1)
    desk.rest_refuse(desk.one_call("query", O1), Fault.NOT_OPEN) if desk.pursuits.rest.wants_call else None
    desk.wait(HEDGE_MS)
    desk.rest_refuse(desk.one_call("query", O1), Fault.NOT_OPEN)
    assert (of(desk).said, of(desk).absent) == (NOTHING, True)
    assert desk.answers == {}


@cell(NOTHING, "deadline")
def _() -> None:
    desk = Desk()
    desk.cancel("t", order(O1))
    desk.wait(DEADLINE_MS)
    assert isinstance(desk.outcome("t"), Refused), "nothing has left"


@cell(NOTHING, "deadline")
def _() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws",)), "a request is out"


@cell(NOTHING, "deadline")
def _() -> None:
    desk = Desk(0)
    desk.cancel("t", order(O1))
    desk.down(0)
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws",)), "in doubt"


@cell(NOTHING, "deadline")
def _() -> None:
    desk = Desk(0)
    desk.refused_with(Fault.PERMISSION, "t", order(O1))
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Rejected("permission"), "the venue refused all that has left"


# ---------------------------------------------------------------- ACCEPTED


@cell(ACCEPTED, "ack")
def _() -> None:
    desk = Desk(0, 1)
    first, second = desk.hedged("t", order(O1), proof=True)
    desk.ack(first)
    desk.ack(second)
    assert of(desk).said is ACCEPTED
    assert desk.pursuits.counts.repeated_acks == 1
    assert desk.answers == {}


@cell(ACCEPTED, "no such order")
def _() -> None:
    desk = Desk(0, 1)
    send = desk.accepted("t", order(O1), proof=True)
    desk.reject(send)
    assert (of(desk).said, of(desk).ambiguous) == (DENIED, True)
    desk.one_call("query", O1)
    desk.wait(HEDGE_MS)  # the look-up that is under way holds it for as long
    assert desk.last().target == order(O1)


@cell(ACCEPTED, "no such order")
def _() -> None:
    desk = Desk(0, 1)
    first, second = desk.hedged("t", order(O1), proof=True)
    desk.ack(first)
    desk.reject(second)
    assert (of(desk).said, of(desk).ambiguous) == (ACCEPTED, False)
    assert desk.take() == []


@cell(ACCEPTED, "other refusal")
def _() -> None:
    desk = Desk(0, 1)
    send = desk.accepted("t", order(O1), proof=True)
    desk.reject(send, Fault.PERMISSION)
    assert (of(desk).said, of(desk).ambiguous) == (NOTHING, True)
    assert desk.last().lane == 1


@cell(ACCEPTED, "other refusal")
def _() -> None:
    desk = Desk(0, 1)
    first, second = desk.hedged("t", order(O1), proof=True)
    desk.ack(first)
    desk.reject(second, Fault.PERMISSION)
    assert (of(desk).said, of(desk).ambiguous) == (ACCEPTED, False)
    assert desk.take() == []


@cell(ACCEPTED, "other refusal")
def _() -> None:
    desk = PrimeDesk(0, 1)
    desk.rests(O1)
    desk.cancel("ack", order(O1))
    desk.cancel("proof", order(O1), proof=True)
    send = desk.last()
    desk.accept(send)
    assert desk.outcome("ack") == Acked()
    desk.refuse(send, Fault.UNAVAILABLE)
    [late] = desk.lates
    assert (late.ticket, late.settlement.outcome) == ("ack", Rejected("unavailable"))
    assert [type(told) for told in desk.told] == [Alert]
    assert (of(desk).said, of(desk).ambiguous) == (NOTHING, True)


@cell(ACCEPTED, "lane lost")
def _() -> None:
    desk = Desk(0, 1)
    _, second = desk.hedged("t", order(O1), proof=True)
    desk.ack(second)
    desk.down(0)
    assert of(desk).said is ACCEPTED
    assert desk.take() == []
    assert not desk.pursuits.rest.wants_call


@cell(ACCEPTED, "order ended")
def _() -> None:
    outcomes: tuple[tuple[str, Outcome], ...] = (("canceled", Canceled("1")), ("filled", Closed("filled", "1")))
    for status, outcome in outcomes:
        desk = accepted()
        desk.stream(OrderState(O1, status, filled_qty="1"))  # type: ignore[arg-type]
        assert desk.outcome("t") == outcome
        assert desk.pursuits.idle


@cell(ACCEPTED, "order ended")
def _() -> None:
    # "later" asked by the name after the accepted request had left. It need not wait for the second one of the hedge.
    desk = Desk(0, 1)
    desk.opened(O1, cl_ord_id="slot-1")
    first, second = desk.hedged("first", NAME, proof=True)
    desk.cancel("later", NAME, proof=True)
    desk.ack(first)
    desk.canceled(O1, "1")
    assert desk.outcome("first") == Canceled("1")
    assert "later" not in desk.answers
    by_name = desk.last()
    assert (by_name.target, of(desk, NAME).said) == (NAME, NOTHING)
    desk.reject(second)
    desk.reject(by_name)
    assert desk.outcome("later") == Canceled("1")


@cell(ACCEPTED, "order ended")
def _() -> None:
    # The same where the request went by the name.
    desk = Desk(0)
    send = desk.asked("first", NAME, proof=True)
    desk.now_ms += 50
    desk.cancel("later", NAME, proof=True)
    desk.ack(send)
    desk.stream(OrderState(O1, "canceled", cl_ord_id="slot-1", filled_qty="1"))
    assert desk.outcome("first") == Canceled("1")
    assert "later" not in desk.answers
    assert desk.last().target == NAME
    assert of(desk, NAME).said is NOTHING


@cell(ACCEPTED, "order opened")
def _() -> None:
    desk = Desk(0)
    desk.accepted("t", NAME, proof=True)
    desk.opened(O2, cl_ord_id="slot-1")
    assert desk.take() == []
    assert of(desk, NAME).said is ACCEPTED


@cell(ACCEPTED, "query: rests")
def _() -> None:
    desk = accepted()
    desk.wait(HEDGE_MS)
    desk.rest_orders(desk.one_call("query", O1), OPEN)
    assert (of(desk).said, of(desk).ambiguous) == (NOTHING, True)
    assert desk.last().target == order(O1)


@cell(ACCEPTED, "query: rests")
def _() -> None:
    # An earlier denial says nothing against it: the order was there when the cancel was accepted.
    desk = denied(proof=True)
    desk.rest_fail(desk.call(), left=True)
    desk.wait(HEDGE_MS)  # the look-up that is under way holds it for as long
    desk.ack(desk.last())
    desk.wait(HEDGE_MS)
    desk.rest_orders(desk.one_call("query", O1), OPEN)
    assert (of(desk).said, of(desk).ambiguous) == (DENIED, True)
    assert desk.last().target == order(O1)


@cell(ACCEPTED, "query: absent")
def _() -> None:
    desk = accepted()
    desk.wait(HEDGE_MS)
    desk.rest_refuse(desk.one_call("query", O1), Fault.NOT_OPEN)
    assert (of(desk).said, of(desk).absent) == (ACCEPTED, True)
    assert desk.answers == {}
    assert desk.take() == []


@cell(ACCEPTED, "query: absent")
def _() -> None:
    # Nor does a denial, even of a request from after the window, make it a proof: the cancel was accepted since.
    desk = Desk(0, 1)
    first = desk.asked("t", order(O1), proof=True)
    desk.wait(HEDGE_MS)
    query = None
    for _ in range(OVERTAKE_MS // 50):
        desk.deny(silent=0)
        query = query or desk.maybe_call()
        desk.wait(50)
    assert of(desk).said is DENIED
    desk.ack(first)
    assert query is not None
    desk.rest_refuse(query, Fault.NOT_OPEN)
    assert (of(desk).said, of(desk).absent) == (ACCEPTED, True)
    assert desk.answers == {}


@cell(ACCEPTED, "deadline")
def _() -> None:
    desk = accepted()
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws",))
    assert desk.answers["t"].error == "accepted by the venue, but no proof came before the deadline"


# ---------------------------------------------------------------- DENIED


@cell(DENIED, "ack")
def _() -> None:
    desk = denied()
    desk.cancel("proof", order(O1), proof=True)
    desk.wait(HEDGE_MS)  # the look-up that is under way holds it for as long
    desk.ack(desk.last())
    assert desk.outcome("t") == Acked()
    assert of(desk).said is ACCEPTED
    assert "proof" not in desk.answers


@cell(DENIED, "ack")
def _() -> None:
    # Whoever comes then waits for proof, and for nothing to be sent.
    desk = denied(proof=True)
    desk.wait(HEDGE_MS)  # the look-up that is under way holds it for as long
    desk.ack(desk.last())
    desk.cancel("proof", order(O1), proof=True)
    pursuit = of(desk)
    assert (pursuit.said, pursuit.retry_ns, pursuit.silent_ns) == (ACCEPTED, FAR_NS, FAR_NS)
    desk.wait(HEDGE_MS)
    assert desk.take() == []


@cell(DENIED, "no such order")
def _() -> None:
    desk = denied()
    first_ns = of(desk).denied_ns
    desk.rest_refuse(desk.call(), Fault.NOT_OPEN)
    desk.wait(HEDGE_MS)  # the look-up that is under way holds it for as long
    desk.reject(desk.last())
    assert of(desk).said is DENIED
    assert of(desk).denied_ns == (first_ns or 0) + REASK_MS[0] * MS
    assert desk.answers == {}
    desk.deny_until_answered("t")
    assert desk.outcome("t") == NotOpen()


@cell(DENIED, "other refusal")
def _() -> None:
    desk = denied()
    desk.wait(HEDGE_MS)  # the look-up that is under way holds it for as long
    desk.reject(desk.last(), Fault.THROTTLED)
    assert (of(desk).said, of(desk).denied_ns) == (NOTHING, None)


@cell(DENIED, "other refusal")
def _() -> None:
    desk = denied(0, 1)
    desk.wait(HEDGE_MS)  # the look-up that is under way holds it for as long
    desk.reject(desk.last(), Fault.PERMISSION)
    assert desk.last().lane == 1
    assert of(desk).said is DENIED
    assert of(desk).refused == {0}


@cell(DENIED, "silence")
def _() -> None:
    desk = denied(0, 1)
    assert of(desk).silent_ns == FAR_NS, "between tries there is nothing to be silent"
    desk.wait(HEDGE_MS)  # the look-up that is under way holds it for as long
    desk.last()
    desk.wait(HEDGE_MS)
    assert desk.last().lane == 1, "a try that is out is listened for as in NOTHING"
    assert of(desk).said is DENIED


@cell(DENIED, "lane lost")
def _() -> None:
    desk = denied(0, 1)
    desk.wait(HEDGE_MS)  # the look-up that is under way holds it for as long
    desk.last()
    desk.down(0)
    assert desk.last().lane == 1
    assert (of(desk).said, of(desk).ambiguous) == (DENIED, True)


@cell(DENIED, "order ended")
def _() -> None:
    desk = denied()
    desk.stream(OrderState(O1, "filled", filled_qty="5"))
    assert desk.outcome("t") == Closed("filled", "5")


@cell(DENIED, "order opened")
def _() -> None:
    desk = denied()
    desk.opened(O1)
    again = desk.call()
    assert (again.form, again.targets) == ("cancel", (order(O1),)), "another lane takes it at once"


@cell(DENIED, "query: rests")
def _() -> None:
    desk = denied()
    desk.rest_orders(desk.one_call("query", O1), OPEN)
    desk.take()
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws",)), "the denial and the query contradict each other"


@cell(DENIED, "query: absent")
def _() -> None:
    desk = denied()
    desk.rest_refuse(desk.one_call("query", O1), Fault.NOT_OPEN)
    assert (of(desk).said, of(desk).absent) == (DENIED, True)
    assert desk.answers == {}, "it may be on its way in"


@cell(DENIED, "query: absent")
def _() -> None:
    desk = denied()
    query = desk.one_call("query", O1)
    for _ in range(OVERTAKE_MS // 50 + 1):
        desk.deny()
        desk.wait(50)
    assert desk.answers == {}, "its state is still being asked for"
    desk.rest_refuse(query, Fault.NOT_OPEN)
    assert desk.outcome("t") == NotOpen()


@cell(DENIED, "deadline")
def _() -> None:
    desk = denied()
    desk.call()
    desk.deny_until_answered("t")
    assert desk.outcome("t") == NotOpen(), "the window is over, and no stream shows it"


@cell(DENIED, "deadline")
def _() -> None:
    desk = Desk(0, 1)
    desk.asked("t", order(O1))
    desk.deny_until_answered("t", lambda call: None, silent=0)
    assert desk.outcome("t") == Closed(None, None, "unconfirmed"), "the request that is out may have ended it"


@cell(DENIED, "deadline")
def _() -> None:
    desk = denied()
    desk.wait(DEADLINE_MS)
    assert desk.outcome("t") == Unknown(("ws",)), "the last denial is of a request from within the window"


# ---------------------------------------------------------------- ENDED


@cell(ENDED, "ack")
def _() -> None:
    desk = ended()
    [attempt] = of(desk).pending.values()
    desk.cancel("later", NAME)
    by_name = desk.last()
    desk.hear(0, CancelAck(attempt.reqid))
    assert desk.outcome("t") == Canceled("1")
    assert "later" not in desk.answers
    desk.ack(by_name)
    assert desk.outcome("later") == Acked()


@cell(ENDED, "ack")
def _() -> None:
    desk = Desk(0)
    send = desk.asked("t", NAME)
    desk.now_ms += 50
    desk.cancel("later", NAME)
    desk.stream(OrderState(O1, "canceled", cl_ord_id="slot-1", filled_qty="1"))
    assert of(desk, NAME).said is ENDED
    desk.ack(send)
    assert desk.outcome("t") == Canceled("1")
    assert of(desk, NAME).said is NOTHING
    assert desk.last().target == NAME
    assert "later" not in desk.answers


@cell(ENDED, "no such order")
def _() -> None:
    desk = ended()
    [attempt] = of(desk).pending.values()
    desk.hear(0, CancelReject(attempt.reqid, Fault.NOT_OPEN, ""))
    send = desk.last()
    assert send.target == NAME
    desk.reject(send)
    assert desk.outcome("t") == Closed("canceled", "1"), "it was not ours that ended it"


@cell(ENDED, "no such order")
def _() -> None:
    desk = ended_unseen()
    [attempt] = of(desk, NAME).pending.values()
    desk.hear(0, CancelReject(attempt.reqid, Fault.NOT_OPEN, ""))
    assert desk.outcome("t") == Closed("canceled", "1"), "nothing is open under the name"


@cell(ENDED, "other refusal")
def _() -> None:
    desk = ended()
    [attempt] = of(desk).pending.values()
    desk.hear(0, CancelReject(attempt.reqid, Fault.PERMISSION, ""))
    follows_the_name(desk)


@cell(ENDED, "silence")
def _() -> None:
    desk = ended()
    desk.wait(HEDGE_MS)
    follows_the_name(desk)


@cell(ENDED, "lane lost")
def _() -> None:
    desk = ended(0, 1)
    desk.down(0)
    follows_the_name(desk)


@cell(ENDED, "order ended")
def _() -> None:
    desk = ended_unseen()
    [attempt] = of(desk, NAME).pending.values()
    desk.stream(OrderState(O2, "canceled", cl_ord_id="slot-1", filled_qty="2"))
    assert of(desk, NAME).said is ENDED
    assert desk.answers == {}
    desk.hear(0, CancelAck(attempt.reqid))
    assert desk.outcome("t") == Canceled("2")


@cell(ENDED, "order opened")
def _() -> None:
    desk = ended_unseen()
    [attempt] = of(desk, NAME).pending.values()
    desk.opened(O2, cl_ord_id="slot-1")
    assert desk.take() == [], "the request that is out may be for either"
    assert of(desk, order(O2)).said is ENDED
    desk.hear(0, CancelReject(attempt.reqid, Fault.NOT_OPEN, ""))
    assert desk.last().target == order(O2)


@cell(ENDED, "query: rests")
def _() -> None:
    desk = Desk(0)
    desk.asked_bearer("t")
    desk.wait(2 * HEDGE_MS)
    desk.one_call("cancel", O1)
    desk.wait(HEDGE_MS)
    query = desk.one_call("query", O1)
    desk.canceled(O1, "1")
    assert of(desk).said is ENDED
    desk.rest_orders(query, OPEN)
    assert of(desk).said is ENDED, "it was asked for before the order ended"
    assert desk.answers == {}
    assert desk.take() == []


@cell(ENDED, "query: absent")
def _() -> None:
    desk = Desk(0)
    desk.asked_bearer("t")
    desk.wait(2 * HEDGE_MS)
    desk.one_call("cancel", O1)
    desk.wait(HEDGE_MS)
    query = desk.one_call("query", O1)
    desk.canceled(O1, "1")
    desk.rest_refuse(query, Fault.NOT_OPEN)
    assert of(desk).said is ENDED
    assert desk.answers == {}
    assert desk.take() == []


@cell(ENDED, "deadline")
def _() -> None:
    desk = Desk(0)
    desk.opened(O1, cl_ord_id="slot-1")
    desk.cancel("t", NAME, deadline_ms=HEDGE_MS / 2)
    desk.canceled(O1, "1")
    assert of(desk).said is ENDED
    desk.wait(HEDGE_MS / 2)
    assert desk.outcome("t") == Unknown(("ws",))


# ---------------------------------------------------------------- the whole table


def told() -> dict[Said, list[str]]:
    """The rows of the table as it is written down."""
    rows: dict[Said, list[str]] = {}
    said = NOTHING
    for line in (states.__doc__ or "").splitlines():
        if head := re.match(r"([A-Z]+)  +\S", line):
            said = Said[head[1]]
            rows[said] = []
        elif row := re.match(r" {4}(\S+(?: \S+)*)  +\S", line):
            rows[said].append(row[1])
    return rows


def test_the_table_that_is_walked_is_the_one_that_is_written_down() -> None:
    assert told() == {said: list(HEARD) for said in Said}
    assert WALKS.keys() | NEVER.keys() == set(product(Said, HEARD))
    assert not WALKS.keys() & NEVER.keys()


@pytest.mark.parametrize(("said", "heard"), WALKS, ids=lambda value: getattr(value, "name", value))
def test_a_cell(said: Said, heard: str) -> None:
    for walk in WALKS[said, heard]:
        with counted() as cells:
            walk()
        assert cells[said.name, heard], "the walk was not in its cell"
        assert not any(cells[never.name, unheard] for never, unheard in NEVER)


def test_an_accepted_cancel_is_not_listened_for() -> None:
    desk = accepted(0, 1)
    assert of(desk).silent_ns == FAR_NS
    desk.wait(DEADLINE_MS)
    assert desk.take() == []
