"""Commands under way and the replies that a client matches them with; no socket, no clock."""

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.client.commands import Commands
from canceld.client.requests import IN_FLIGHT_LIMIT, UNANSWERED_LIMIT, Request, Requests
from canceld.client.results import CancelResult
from canceld.contract.commands import OrderRef
from canceld.contract.outcomes import Acked, Refused, Unknown

NOW_NS = 1_000_000_000
PREFIXES = itertools.count()


@pytest.fixture
def requests() -> Requests:
    return Requests()


def cancel(requests: Requests, **order: Any) -> Request[CancelResult]:
    id = order.pop("id", None)
    return commands_of(requests).cancel("spot", **(order or {"order_id": "A-B"}), id=id)


def commands_of(requests: Requests) -> Commands:
    """Every one has a prefix of its own, as the clients of a daemon have."""
    return Commands(requests, lambda: NOW_NS, f"prefix{next(PREFIXES)}")


def reply(request: Request[Any], **members: Any) -> bytes:
    message = {"type": "outcome", "id": request.id, "venue": "spot", "outcome": "acked", **members}
    return bytes(msgspec.msgpack.encode(message))


def refusal(request: Request[Any], **members: Any) -> bytes:
    told = {"type": "refused", "outcome": "refused", "reason": "overloaded", "detail": "busy"}
    return reply(request, **{**told, **members})


def test_a_reply_settles_its_own_request_and_only_once(requests: Requests) -> None:
    one, two = cancel(requests), cancel(requests)
    requests.admit([one, two])
    requests.take(reply(two), NOW_NS)
    assert (one.answered, two.answered) == (False, True)
    assert two.result().outcome == Acked()
    requests.take(reply(two, outcome="not_open"), NOW_NS)
    assert two.result().outcome == Acked()
    assert requests.unmatched == 1
    assert list(requests.waiting) == [one.id]


def test_answers_are_told_to_whoever_waits(requests: Requests) -> None:
    request = cancel(requests)
    told: list[bool] = []
    request.on_answer = lambda: told.append(request.answered)
    requests.admit([request])
    requests.take(reply(request, outcome="nonsense"), NOW_NS)
    assert told == []
    requests.take(reply(request), NOW_NS)
    assert told == [True]
    assert requests.unreadable == 1


def test_nothing_is_admitted_when_one_of_them_cannot_be(requests: Requests) -> None:
    owner = cancel(requests, id="mine")
    requests.admit([owner])
    other, same = cancel(requests), cancel(requests, id="mine")
    with pytest.raises(ValueError, match="'mine'"):
        requests.admit([other, same])
    assert list(requests.waiting.values()) == [owner]
    requests.give_up(same)
    assert list(requests.waiting.values()) == [owner]
    with pytest.raises(ValueError, match=str(IN_FLIGHT_LIMIT)):
        requests.admit([other] * IN_FLIGHT_LIMIT)


def test_after_a_lost_connection_only_what_was_sent_and_names_one_order_is_asked_again(requests: Requests) -> None:
    sent, unsent, userref = cancel(requests), cancel(requests), cancel(requests, userref=7)
    batch = commands_of(requests).cancel_batch("spot", [OrderRef(order_id="A-B"), OrderRef(userref=7)])
    requests.admit([sent, unsent, userref, batch])
    for request in (sent, userref, batch):
        request.sendings = 1
    assert requests.lost() == [sent]


@pytest.mark.parametrize(
    ("sendings", "members", "outcome"),
    [
        (1, {}, Refused("overloaded", "busy")),
        (2, {}, Unknown(())),
        (2, {"replayed": True}, Refused("overloaded", "busy")),
    ],
)
def test_a_refusal_speaks_for_every_sending_only_when_it_is_the_first_or_the_stored_one(
    requests: Requests, sendings: int, members: dict[str, Any], outcome: object
) -> None:
    request = cancel(requests)
    requests.admit([request])
    request.sendings = sendings
    requests.take(refusal(request, **members), NOW_NS)
    assert request.result().outcome == outcome


def test_a_refusal_that_may_be_over_in_a_moment_is_asked_again_at_growing_pauses(requests: Requests) -> None:
    request = cancel(requests)
    requests.admit([request])
    now_ns, pauses_ms = NOW_NS, []
    for _ in range(9):
        request.sendings += 1
        requests.take(refusal(request, reason="no_route"), now_ns)
        if requests.due_ns is None:
            break
        assert requests.due(requests.due_ns - 1) == []
        pauses_ms.append((requests.due_ns - now_ns) // 1_000_000)
        now_ns = requests.due_ns
        assert requests.due(now_ns) == [request]
    # The next one would end after the deadline of 2 s: this refusal is the answer, and not one byte has left.
    assert pauses_ms == [50, 100, 200, 400, 800]
    assert request.result().outcome == Refused("no_route", "busy")


def test_a_refusal_is_the_answer_where_nothing_better_came_by_the_deadline(requests: Requests) -> None:
    request = cancel(requests)
    requests.admit([request])
    request.sendings = 1
    requests.take(refusal(request, reason="draining"), NOW_NS)
    assert not request.answered
    requests.give_up(request)
    assert request.result().outcome == Refused("draining", "busy")
    assert requests.due(10**18) == [], "nobody waits for it any more"


def test_a_sending_that_nobody_answered_is_not_cleared_by_refusals_of_later_ones(requests: Requests) -> None:
    request = cancel(requests)
    requests.admit([request])
    request.sendings = 2  # the connection was lost after the first
    requests.take(refusal(request, reason="draining"), NOW_NS)
    requests.give_up(request)
    assert not request.answered
    assert request.sent


def test_an_id_that_was_given_up_on_is_remembered_until_it_is_answered(requests: Requests) -> None:
    first = cancel(requests, id="mine")
    requests.admit([first])
    requests.give_up(first)
    assert not cancel(requests, id="mine").asked_before, "it was never sent"

    first.sendings = 1
    requests.give_up(first)
    second = cancel(requests, id="mine")
    assert second.asked_before
    requests.admit([second])
    requests.take(reply(second), NOW_NS)
    requests.give_up(second)
    assert not cancel(requests, id="mine").asked_before


def test_memory_of_ids_given_up_on_is_bounded(requests: Requests) -> None:
    for n in range(UNANSWERED_LIMIT + 1):
        request = cancel(requests, id=f"n-{n}")
        request.sendings = 1
        requests.give_up(request)
    assert not cancel(requests, id="n-0").asked_before
    assert cancel(requests, id="n-1").asked_before


@given(st.binary(max_size=200))
def test_no_bytes_from_the_daemon_raise_or_settle_anything(payload: bytes) -> None:
    requests = Requests()
    request = cancel(requests)
    requests.admit([request])
    requests.take(payload, NOW_NS)
    assert not request.answered


MEMBERS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["outcome", "class", "tried", "reason", "detail", "residual", "venues", "outcomes", "state"]),
    st.none()
    | st.integers(-5, 5)
    | st.sampled_from(["refused", "rejected", "unknown", "closed"])
    | st.lists(st.text(max_size=3), max_size=2)
    | st.sampled_from([{"spot": {}}, {"spot": 1}, {"spot": ["A"]}, {"spot": {"outcome": "unknown", "tried": 1}}]),
)


@given(members=MEMBERS, type=st.sampled_from(["outcome", "batch", "all", "killed", "rearm", "lease", "pong"]))
def test_no_reply_of_the_right_id_raises(members: dict[str, Any], type: str) -> None:
    requests = Requests()
    commands = commands_of(requests)
    asked: list[Request[Any]] = [
        cancel(requests),
        commands.cancel_batch("spot", [OrderRef(userref=1)]),
        commands.cancel_all(),
        commands.kill("why", deadline_ms=1),
        commands.rearm(),
        commands.ping(),
    ]
    requests.admit(asked)
    for request in asked:
        requests.take(msgspec.msgpack.encode({"type": type, "id": request.id, **members}), NOW_NS)
