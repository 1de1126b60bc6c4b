"""What an answer of the venue leads to: the table of reactions, and the pauses before a request is tried again.

Source of every row: protocol notes on Spot error strings; the texts themselves are the dialects' business.
"""

import enum
from typing import Final, NamedTuple

from ..contract.evidence import Fault
from ..contract.outcomes import RejectClass


class Reaction(enum.Enum):
    """What a refused attempt leads to."""

    RESOLVE = "find out whether the order ended, was never there, or is not there yet"
    AGAIN = "the same request again after a pause, by whichever route is free"
    ELSEWHERE = "another route at once; this one again after a pause"
    ONCE_ELSEWHERE = "each other route once; this one never again for this order"
    NEW_TOKEN = "a new token and one more try on this session, then elsewhere"


class Rule(NamedTuple):
    """The reaction to one class of answers.

    ambiguous: the cancel may have taken effect all the same, so nothing may be concluded from this refusal, and a
    userref must not be sent again. closes_ms: how long the lane is left alone by everybody. whole: the request was
    turned away before any order was looked at, so that none of a family was touched.
    """

    reaction: Reaction
    reject_class: RejectClass
    pause_ms: int = 0
    closes_ms: int = 0
    ambiguous: bool = False
    whole: bool = False


RULES: Final[dict[Fault, Rule]] = {
    Fault.NOT_OPEN: Rule(Reaction.RESOLVE, "invalid"),
    # The counter falls by 1 to 3.75 a second and a young cancel costs up to 8: sooner than a second is of no use.
    Fault.THROTTLED: Rule(Reaction.AGAIN, "throttled", pause_ms=1000),
    Fault.ROUTE_BUSY: Rule(Reaction.ELSEWHERE, "throttled", pause_ms=1000, closes_ms=1000, whole=True),
    Fault.STALE_TOKEN: Rule(Reaction.NEW_TOKEN, "auth", whole=True),
    # The REST lane has already jumped its nonces and tried once more before it reports this.
    Fault.STALE_NONCE: Rule(Reaction.ONCE_ELSEWHERE, "auth", whole=True),
    # Three wrong keys a minute are known to be borne; more lead to a lockout.
    Fault.CREDENTIALS: Rule(Reaction.ONCE_ELSEWHERE, "auth", closes_ms=20_000, whole=True),
    Fault.LOCKOUT: Rule(Reaction.ONCE_ELSEWHERE, "auth", closes_ms=900_000, whole=True),
    # REST takes the cancel right alone where WebSocket v1 is said to ask for the create right too.
    Fault.PERMISSION: Rule(Reaction.ONCE_ELSEWHERE, "permission", whole=True),
    Fault.INVALID: Rule(Reaction.ONCE_ELSEWHERE, "invalid", whole=True),
    Fault.UNAVAILABLE: Rule(Reaction.ELSEWHERE, "unavailable", pause_ms=500),
    Fault.TRANSIENT: Rule(Reaction.AGAIN, "unavailable", pause_ms=200, ambiguous=True),
    Fault.UNLISTED: Rule(Reaction.ONCE_ELSEWHERE, "unavailable", ambiguous=True),
}

REASK_MS: Final = (50, 200, 1000)
"""When an order that nobody has seen open is asked for again: a cancel can overtake its own add by some 100 ms."""

RETRY_MS: Final = (100, 200, 400, 800)
"""Pauses before a route that failed us is tried again; the last one repeats until the deadline."""

SPACE_MS: Final = 50
"""Least time between two requests for one order on one lane. No answer of a venue is worth less than that."""

PER_SECOND: Final = 3
"""Most requests for one order on one lane in any second. Of Futures' 500 points in 10 s an order then takes 30 a second
at the very most, and a healthy batch beside it goes on."""

ATTEMPT_LIMIT: Final = 16
"""Most requests for one order; with the pauses above it is never met inside a sane deadline."""
