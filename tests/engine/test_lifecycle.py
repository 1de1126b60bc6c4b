"""The session table: every pair of state and input, the way up, and the ways down."""

import itertools

import pytest

from canceld.engine.lifecycle import NEXT, Input, State, step

BUGS = {
    (State.DOWN, Input.OPENED),
    (State.DOWN, Input.ADMITTED),
    (State.DOWN, Input.EXPELLED),
    (State.DIALLING, Input.DIAL),
    (State.DIALLING, Input.ADMITTED),
    (State.DIALLING, Input.EXPELLED),
    (State.AUTHENTICATING, Input.DIAL),
    (State.AUTHENTICATING, Input.OPENED),
    (State.LIVE, Input.DIAL),
    (State.LIVE, Input.OPENED),
    (State.LIVE, Input.ADMITTED),
    (State.DRAINING, Input.DIAL),
    (State.DRAINING, Input.OPENED),
}
"""Pairs that can only come from a supervisor that lost count."""


@pytest.mark.parametrize(("state", "happened"), list(itertools.product(State, Input)))
def test_every_pair_has_a_next_state_or_is_a_bug(state: State, happened: Input) -> None:
    if (state, happened) in BUGS:
        with pytest.raises(AssertionError):
            step(state, happened)
    else:
        assert step(state, happened) is NEXT[state, happened]


def test_session_comes_up_in_order() -> None:
    state = State.DOWN
    seen = [state := step(state, happened) for happened in (Input.DIAL, Input.OPENED, Input.ADMITTED)]
    assert seen == [State.DIALLING, State.AUTHENTICATING, State.LIVE]


@pytest.mark.parametrize("state", State)
def test_lost_socket_is_down_from_everywhere(state: State) -> None:
    assert step(state, Input.LOST) is State.DOWN


def test_only_admission_makes_a_session_live() -> None:
    assert [pair for pair, after in NEXT.items() if after is State.LIVE] == [(State.AUTHENTICATING, Input.ADMITTED)]


def test_draining_ends_only_with_the_socket() -> None:
    after = {happened: state for (before, happened), state in NEXT.items() if before is State.DRAINING}
    assert {happened for happened, state in after.items() if state is not State.DRAINING} == {Input.LOST}


def test_ended_stream_takes_the_session_out_of_service_and_back() -> None:
    assert step(State.LIVE, Input.EXPELLED) is State.AUTHENTICATING
    assert step(State.AUTHENTICATING, Input.ADMITTED) is State.LIVE


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_reached_and_left(state: State) -> None:
    assert any(after is state for after in NEXT.values())
    assert any(before is state and after is not state for (before, _), after in NEXT.items())
