"""What the answers to `canceld check --online` mean: pure functions from a venue's answer to a line for a person.

Nothing here asks anybody. A verdict of "ok" is given for proof only: for silence, for words that are
not known, and for an answer that nobody expected there are others.
"""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from ..contract.evidence import (
    CancelAck,
    CancelReject,
    Fault,
    Permissions,
    RestAnswer,
    RestCanceled,
    RestFailed,
    RestKey,
    RestMode,
    RestTime,
    RestToken,
    RestUnreadable,
    SubscriptionLost,
)
from ..contract.ids import Venue
from ..contract.mends import MENDS, TROUBLE
from ..venues.keys import rights_of

PASSED: Final = 0
FAILED: Final = 1
UNREACHED: Final = 3
"""Exit statuses. Source: contract section 2."""

CLOCK_WARN_S: Final = 1.0
CLOCK_FAIL_S: Final = 10.0
"""How far this machine's clock may be off: signed upgrades carry its time, nonces are counted by it."""

WHOLE_SECOND_S: Final = 1.0
"""The venue tells its time in whole seconds, cut off."""

PRIME_CANCEL: Final = "write::orders"
"""Source: Prime WebSocket "User"."""

Level: TypeAlias = Literal["ok", "warn", "fail", "skip"]


class Verdict(NamedTuple):
    """What one check came to. `mend`: what to do about it. `unreachable`: it failed for want of any answer."""

    level: Level
    told: str
    mend: str = ""
    unreachable: bool = False


class Finding(msgspec.Struct, frozen=True):
    """One verdict, with the venue and the check it is about: a line of output, or an element of the JSON list."""

    venue: Venue
    check: str
    level: Level
    told: str
    mend: str = ""
    unreachable: bool = False


def exit_status(findings: Iterable[Finding]) -> int:
    """PASSED for no failure. What must be mended outweighs what could not be reached: FAILED, then UNREACHED."""
    failed = [finding for finding in findings if finding.level == "fail"]
    if not failed:
        return PASSED
    return UNREACHED if all(finding.unreachable for finding in failed) else FAILED


_KEY_MEND: Final = (
    "give canceld a key of its own with close-trades, query-open-trades and create-ws-token, bound to this address"
)
_STRAY: Final = "check the URLs, and for a proxy or a wall in between"


def unreached(why: str) -> Verdict:
    """No answer at all."""
    return Verdict("fail", why, "check network, firewall and URL, and the venue's status page", unreachable=True)


def upgrade_verdict(status: int) -> Verdict:
    """A WebSocket upgrade that was answered by an HTTP status instead."""
    told = f"the session was refused with HTTP status {status}"
    if status in (401, 403):
        return Verdict("fail", told, f"{MENDS[Fault.CREDENTIALS]}; check this machine's clock")
    if status == 429:
        return Verdict("fail", told, MENDS[Fault.ROUTE_BUSY])
    if status >= 500:
        return Verdict("fail", told, TROUBLE, unreachable=True)
    return Verdict("fail", told, _STRAY)


def clock_verdict(answer: RestAnswer, sent_utc_ns: int, took_ns: int) -> Verdict:
    """This machine's clock against the venue's. sent_utc_ns: by this machine, when it asked; took_ns: the round trip.

    The venue read its clock at some time within the round trip and within the second it told, so half of each is the
    uncertainty. It counts in the clock's favour.
    """
    if not isinstance(answer, RestTime):
        return _refusal(answer)
    ahead_s = (sent_utc_ns + took_ns / 2) / 1e9 - (answer.unix_s + WHOLE_SECOND_S / 2)
    unsure_s = took_ns / 2e9 + WHOLE_SECOND_S / 2
    side = "ahead of" if ahead_s > 0 else "behind"
    told = f"this machine is {abs(ahead_s):.1f} s {side} the venue, give or take {unsure_s:.1f} s"
    off_s = abs(ahead_s) - unsure_s
    if off_s <= CLOCK_WARN_S:
        return Verdict("ok", told)
    return Verdict("fail" if off_s > CLOCK_FAIL_S else "warn", told, "have the clock kept by NTP or chrony")


def mode_verdict(answer: RestAnswer) -> Verdict:
    """The venue's trading mode: in all but maintenance it takes cancels."""
    if not isinstance(answer, RestMode):
        return _refusal(answer)
    if answer.mode == "online":
        return Verdict("ok", answer.mode)
    if answer.mode == "maintenance":
        return Verdict("fail", "maintenance: no cancel is taken", "try again when it is over")
    return Verdict("warn", f"{answer.mode}; cancels are taken")


def key_verdicts(answer: RestAnswer, now_s: float) -> list[Verdict]:
    """What a Spot key may do too little and too much. now_s: Unix seconds. Never empty.

    A venue that does not tell is only warned of: the cancels that follow are the judges of the right to cancel.
    """
    if isinstance(answer, RestFailed) and answer.fault in (Fault.INVALID, Fault.PERMISSION, Fault.UNLISTED):
        return [Verdict("warn", f"the venue does not tell what the key may do: {answer.error}", _KEY_MEND)]
    if not isinstance(answer, RestKey):
        return [_refusal(answer)]
    rights = rights_of(answer, now_s)
    verdicts = [Verdict("fail", lack, _KEY_MEND) for lack in rights.lacks]
    verdicts += [Verdict("warn", remark, _KEY_MEND) for remark in rights.remarks]
    return verdicts or [Verdict("ok", "may cancel, see orders and open sessions, and nothing else that matters")]


def token_verdict(answer: RestAnswer) -> Verdict:
    """A WebSocket token, or why there is none."""
    if isinstance(answer, RestToken):
        return Verdict("ok", f"good for {answer.expires_s:.0f} s")
    if isinstance(answer, RestFailed) and answer.fault is Fault.PERMISSION:
        return Verdict("fail", answer.error, "give the key the right to use the WebSocket interface")
    return _refusal(answer)


def subscription_verdict(lost: SubscriptionLost | None, within_s: float) -> Verdict:
    """An order stream that was refused, or (None) not confirmed in `within_s`."""
    if lost is None:
        return Verdict("fail", f"the order stream was not confirmed in {within_s} s", TROUBLE, unreachable=True)
    return Verdict("fail", f"the order stream was refused: {lost.error}", MENDS[lost.fault])


def permissions_verdict(told: Permissions | None) -> Verdict:
    """What a Prime key may do; None when the venue did not say."""
    if told is None:
        return Verdict("warn", "the venue does not tell what the key may do", f"see that it has {PRIME_CANCEL}")
    if PRIME_CANCEL in told.names:
        return Verdict("ok", PRIME_CANCEL)
    had = ", ".join(told.names) or "nothing"
    return Verdict("fail", f"the key lacks {PRIME_CANCEL}, it has {had}", "give its user the role of a trader")


CancelAnswer: TypeAlias = RestAnswer | CancelAck | CancelReject


def cancel_verdict(answer: CancelAnswer | None, took_ns: int) -> Verdict:
    """The answer to a cancel of an order that cannot exist; None for silence. "Unknown order" alone is proof.

    It comes from an engine that was asked by somebody who may cancel; nearly every other answer comes from before it.
    """
    took = f"{took_ns / 1e6:.1f} ms"
    match answer:
        case None:
            return Verdict("fail", f"no answer to a cancel in {took}: that proves nothing", TROUBLE)
        case RestFailed(fault=Fault.NOT_OPEN, error=error) | CancelReject(fault=Fault.NOT_OPEN, error=error):
            return Verdict("ok", f"{error}, in {took}")
        case CancelReject(fault=fault, error=error):
            return Verdict("fail", error or "refused without words", MENDS[fault])
        case CancelAck() | RestCanceled():
            return Verdict("warn", "the venue accepts a cancel of an order that cannot exist", _STRAY)
        case _:
            return _refusal(answer)


def prime_cancel_verdict(answer: CancelAck | CancelReject | None, took_ns: int) -> Verdict:
    """The same on Prime, whose words for an unknown order are not published: others are an answer, but no proof."""
    if isinstance(answer, CancelReject) and answer.fault not in (
        Fault.NOT_OPEN,
        Fault.PERMISSION,
        Fault.CREDENTIALS,
        Fault.LOCKOUT,
    ):
        return Verdict("warn", f"answered, which proves the way but not the right: {answer.error}")
    return cancel_verdict(answer, took_ns)


def _refusal(answer: RestAnswer) -> Verdict:
    """An answer that is not the one asked for."""
    match answer:
        case RestFailed(fault=fault, error=error):
            return Verdict("fail", error or "refused without words", MENDS[fault])
        case RestUnreadable(why=why):
            return Verdict("fail", f"an answer that cannot be read: {why}", _STRAY)
        case _:
            return Verdict("fail", f"an answer to something else: {type(answer).__name__}", _STRAY)
