"""The states of one session and what moves it between them.

DOWN            no socket; waiting for the backoff or for a reason to dial.
DIALLING        name, TCP, TLS and upgrade under way.
AUTHENTICATING  the socket is open; a token is fetched and the order stream asked for. Carries no cancels yet.
LIVE            the order stream is on: cancels go here, and their proof comes back here.
DRAINING        no new cancels; those in flight may still be answered before the socket is closed.

The supervisor of the session sends every input: DIAL when it starts to connect, OPENED when the upgrade is through,
ADMITTED when the venue confirms the order stream, EXPELLED when the venue refuses or ends the stream but keeps the
socket (a dead token does that), STOP when the daemon or an operator wants it gone, LOST when there is no socket any
more, for whatever reason: LOST is legal everywhere, because a socket can die in any state.
"""

import enum
from collections.abc import Mapping
from typing import Final


class State(enum.Enum):
    """Where a session stands; the value is what `status` shows."""

    DOWN = "down"
    DIALLING = "dialling"
    AUTHENTICATING = "authenticating"
    LIVE = "live"
    DRAINING = "draining"


class Input(enum.Enum):
    """What happened to a session."""

    DIAL = "dial"
    OPENED = "opened"
    ADMITTED = "admitted"
    EXPELLED = "expelled"
    STOP = "stop"
    LOST = "lost"


NEXT: Final[Mapping[tuple[State, Input], State]] = {
    (State.DOWN, Input.DIAL): State.DIALLING,
    (State.DOWN, Input.STOP): State.DOWN,
    (State.DIALLING, Input.OPENED): State.AUTHENTICATING,
    (State.DIALLING, Input.STOP): State.DOWN,
    (State.AUTHENTICATING, Input.ADMITTED): State.LIVE,
    (State.AUTHENTICATING, Input.EXPELLED): State.AUTHENTICATING,
    (State.AUTHENTICATING, Input.STOP): State.DRAINING,
    (State.LIVE, Input.EXPELLED): State.AUTHENTICATING,
    (State.LIVE, Input.STOP): State.DRAINING,
    # While draining the stream may still be confirmed or ended: neither brings new cancels back.
    (State.DRAINING, Input.ADMITTED): State.DRAINING,
    (State.DRAINING, Input.EXPELLED): State.DRAINING,
    (State.DRAINING, Input.STOP): State.DRAINING,
} | {(state, Input.LOST): State.DOWN for state in State}


def step(state: State, happened: Input) -> State:
    """The state after `happened`. A pair that is not in the table is a bug of the supervisor: AssertionError."""
    after = NEXT.get((state, happened))
    assert after is not None, f"{happened.name} in {state.name}"
    return after
