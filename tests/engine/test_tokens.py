"""When a WebSocket token is renewed, and when it has to be taken for dead."""

import pytest

from canceld.engine.tokens import Freshness

FETCHED_NS = 5 * 10**9
SECOND_NS = 10**9


@pytest.mark.parametrize(("jitter", "due_s"), [(0.0, 450), (0.5, 405), (1.0, 360)])
def test_token_is_due_at_half_of_its_life_at_the_latest(jitter: float, due_s: int) -> None:
    token = Freshness(FETCHED_NS, 900.0, jitter)
    assert not token.due(FETCHED_NS)
    assert not token.due(FETCHED_NS + due_s * SECOND_NS - 1)
    assert token.due(FETCHED_NS + due_s * SECOND_NS)
    assert token.due_ns == FETCHED_NS + due_s * SECOND_NS


def test_token_is_expired_when_its_life_is_over_and_not_before() -> None:
    token = Freshness(FETCHED_NS, 900.0, 0.0)
    assert not token.expired(FETCHED_NS + 900 * SECOND_NS - 1)
    assert token.expired(FETCHED_NS + 900 * SECOND_NS)


@pytest.mark.parametrize("jitter", [0.0, 0.25, 0.999])
def test_token_is_due_long_before_it_expires(jitter: float) -> None:
    token = Freshness(FETCHED_NS, 900.0, jitter)
    assert token.expires_ns - token.due_ns >= 450 * SECOND_NS
