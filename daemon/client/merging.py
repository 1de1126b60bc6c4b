"""What two daemons for one account said of one command, made into one answer. No socket, no clock.

Each of them speaks for its own request to the venue, so that both may be right and differ. `WINS` says which of two
outcomes holds then. What must never happen here: a claim that nothing rests, where the other daemon has heard of an
order that may.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

from ..contract.ids import Venue
from ..contract.outcomes import NAMES, Outcome, Refused, Rejected, Unknown
from .requests import DaemonUnreachable
from .results import (
    CancelAllResult,
    CancelResult,
    CommandRefused,
    KilledVenue,
    KillResult,
    LeaseResult,
    ReplyMap,
    VenueSweep,
)

T = TypeVar("T")
Told: TypeAlias = T | CommandRefused | DaemonUnreachable
"""What one daemon said, or that it said nothing."""

Kind: TypeAlias = Literal[
    "canceled", "closed", "acked", "not_open", "order refused", "throttled", "asker refused", "unknown", "refused"
]
"""An outcome, with `rejected` by what it was the venue refused: the order's cancel, its rate, or whoever asked."""

KINDS: Final[tuple[Kind, ...]] = (
    *("canceled", "closed", "acked", "not_open", "order refused", "throttled", "asker refused", "unknown", "refused"),
)

_REJECTED: Final[Mapping[str, Kind]] = {
    "invalid": "order refused",
    "throttled": "throttled",
    "auth": "asker refused",
    "permission": "asker refused",
    "unavailable": "asker refused",
}

ENOUGH: Final[frozenset[Kind]] = frozenset({"canceled", "closed", "acked"})
"""What is answered without waiting for the other daemon: the venue itself told the order's end, or that it ends it.
`not_open` waits: the other may have been charged for the very order."""

WINS: Final[Mapping[tuple[Kind, Kind], Kind]] = {
    # Proof that the order is off the book is undone by nothing that another request came to.
    ("canceled", "canceled"): "canceled",
    ("canceled", "closed"): "closed",  # it names how the order ended, and a position depends on that
    ("canceled", "acked"): "canceled",
    ("canceled", "not_open"): "canceled",
    ("canceled", "order refused"): "canceled",
    ("canceled", "throttled"): "canceled",
    ("canceled", "asker refused"): "canceled",
    ("canceled", "unknown"): "canceled",
    ("canceled", "refused"): "canceled",
    ("closed", "closed"): "closed",
    ("closed", "acked"): "closed",
    ("closed", "not_open"): "closed",
    ("closed", "order refused"): "closed",
    ("closed", "throttled"): "closed",
    ("closed", "asker refused"): "closed",
    ("closed", "unknown"): "closed",
    ("closed", "refused"): "closed",
    # An acceptance stands beside a refusal of another request's rate or key, and not beside one of the order's cancel:
    # the venue may have taken it back.
    ("acked", "acked"): "acked",
    ("acked", "not_open"): "acked",  # the weaker of two that both leave nothing to do
    ("acked", "order refused"): "order refused",
    ("acked", "throttled"): "acked",
    ("acked", "asker refused"): "acked",
    ("acked", "unknown"): "acked",
    ("acked", "refused"): "acked",
    # Whoever was throttled over an order, or refused its cancel, has met it: then it is there.
    ("not_open", "not_open"): "not_open",
    ("not_open", "order refused"): "order refused",
    ("not_open", "throttled"): "throttled",
    ("not_open", "asker refused"): "not_open",
    ("not_open", "unknown"): "not_open",
    ("not_open", "refused"): "not_open",
    # It may rest. Where a request's fate is unknown, it may be gone as well.
    ("order refused", "order refused"): "order refused",
    ("order refused", "throttled"): "order refused",
    ("order refused", "asker refused"): "order refused",
    ("order refused", "unknown"): "unknown",
    ("order refused", "refused"): "order refused",
    ("throttled", "throttled"): "throttled",
    ("throttled", "asker refused"): "throttled",
    ("throttled", "unknown"): "unknown",
    ("throttled", "refused"): "throttled",
    ("asker refused", "asker refused"): "asker refused",
    ("asker refused", "unknown"): "unknown",
    ("asker refused", "refused"): "asker refused",
    ("unknown", "unknown"): "unknown",
    ("unknown", "refused"): "unknown",
    # No byte left either of them: only then is it safe to say so.
    ("refused", "refused"): "refused",
}
"""The outcome that holds of two, in either sequence. Silence of a daemon that may have the command counts as `unknown`,
one that it never reached as `refused`."""


def kind_of(outcome: Outcome) -> Kind:
    """The row of the table that an outcome is."""
    if isinstance(outcome, Rejected):
        return _REJECTED[outcome.reject_class]
    return NAMES[type(outcome)]  # type: ignore[return-value]


def winner(one: Kind, other: Kind) -> Kind:
    """Which of two holds."""
    return WINS[one, other] if (one, other) in WINS else WINS[other, one]


class _Said(NamedTuple):
    """One daemon's part in an answer; `result` is None where it said nothing of its own."""

    kind: Kind
    result: Any


def _said(told: Told[Any], outcome_of: Callable[[Any], Outcome]) -> _Said:
    if isinstance(told, DaemonUnreachable):
        return _Said("unknown" if told.sent else "refused", None)
    if isinstance(told, CommandRefused):
        return _Said("refused", None)
    return _Said(kind_of(outcome_of(told)), told)


def _held(parts: Sequence[_Said]) -> tuple[Kind, list[Any]]:
    """What holds of all parts, and the results that say so, the first daemon's first."""
    kind = reduce(winner, (part.kind for part in parts))
    return kind, [part.result for part in parts if part.kind == kind and part.result is not None]


def is_enough(result: CancelResult) -> bool:
    """Whether the other daemon's answer is not waited for."""
    return kind_of(result.outcome) in ENOUGH


def is_enough_for_each(results: Sequence[CancelResult]) -> bool:
    """The same of a batch."""
    return all(map(is_enough, results))


def is_enough_everywhere(result: CancelAllResult) -> bool:
    """The same of a cancel-all, where not_open is enough too: it is asked of one daemon after the other."""
    dry = result.reply.get("dry_run") is True
    return dry or all(kind_of(sweep.outcome) in {*ENOUGH, "not_open"} for sweep in result.venues.values())


def merge_cancel(told: Sequence[Told[CancelResult]], endpoints: Sequence[str]) -> CancelResult:
    """One cancel. Raises DaemonUnreachable where no daemon answered."""
    results = _answers(told)
    kind, holding = _held([_said(one, lambda result: result.outcome) for one in told])
    found: CancelResult = holding[0] if holding else results[0]
    errors = [text for one in told if one is not found and (text := _error_of(one))]
    if found.error is not None:
        errors.insert(0, found.error)
    return msgspec.structs.replace(
        found,
        # Of a daemon that fell silent nobody tells more than that.
        outcome=found.outcome if holding else Unknown(()),
        attempts=sum(result.attempts for result in results),
        sent_ns=min((result.sent_ns for result in results if result.sent_ns is not None), default=None),
        order_id=next((result.order_id for result in [found, *results] if result.order_id is not None), None),
        error="; ".join(dict.fromkeys(errors)) if kind not in ("canceled", "closed") and errors else found.error,
        reply=_with_all(found.reply, told, endpoints),
    )


def merge_batch(told: Sequence[Told[list[CancelResult]]], endpoints: Sequence[str]) -> list[CancelResult]:
    """A batch, order by order. Raises DaemonUnreachable where no daemon answered."""
    size = len(_answers(told)[0])
    return [
        merge_cancel([one[place] if isinstance(one, list) else one for one in told], endpoints) for place in range(size)
    ]


def merge_all(told: Sequence[Told[CancelAllResult]], endpoints: Sequence[str]) -> CancelAllResult:
    """A cancel-all, venue by venue. Raises CommandRefused where every daemon refused, else DaemonUnreachable."""
    results = _answers(told)
    venues: dict[Venue, VenueSweep] = {}
    for venue in dict.fromkeys(venue for result in results for venue in result.venues):
        parts = [
            one.venues.get(venue) or _not_served(endpoint) if isinstance(one, CancelAllResult) else one
            for one, endpoint in zip(told, endpoints, strict=True)
        ]
        venues[venue] = _merge_sweep(parts)
    found = results[0]
    return msgspec.structs.replace(found, venues=venues, reply=_with_all(found.reply, told, endpoints))


def _merge_sweep(parts: Sequence[Told[VenueSweep]]) -> VenueSweep:
    sweeps = [part for part in parts if isinstance(part, VenueSweep)]
    kind, holding = _held([_said(part, lambda sweep: sweep.outcome) for part in parts])
    found: VenueSweep = holding[0] if holding else sweeps[0]
    settled = kind in ENOUGH or kind == "not_open"
    rest = dict.fromkeys(order_id for sweep in [found, *([] if settled else sweeps)] for order_id in sweep.residual)
    ids = dict.fromkeys(order_id for sweep in [found, *sweeps] for order_id in sweep.order_ids)
    return msgspec.structs.replace(
        found,
        outcome=found.outcome if holding else Unknown(()),
        count=max((sweep.count for sweep in sweeps if sweep.count is not None), default=None),
        order_ids=tuple(ids),
        residual=tuple(rest),
        error=found.error or next((text for part in parts if (text := _error_of(part))), None),
    )


def _not_served(endpoint: str) -> VenueSweep:
    """Of a venue that one of the daemons has not: it left nothing undone that it could do."""
    return VenueSweep(outcome=Refused("no_route", f"{endpoint} does not serve this venue"))


def merge_kill(told: Sequence[Told[KillResult]], endpoints: Sequence[str]) -> KillResult:
    """A kill, of the whole account or of a scope. `latched`: every daemon that answered is.

    A venue is flat where one verified that and none that answered has seen an order rest since. Raises
    CommandRefused, DaemonUnreachable.
    """
    results = _answers(told)
    found = results[0]
    venues = {
        venue: _merge_killed([result.venues[venue] for result in results if venue in result.venues])
        for venue in dict.fromkeys(venue for result in results for venue in result.venues)
    }
    drilled = [result.drilled for result in results if result.drilled is not None]
    return msgspec.structs.replace(
        found,
        latched=all(result.latched for result in results),
        venues=venues,
        drilled=all(drilled) if drilled else None,
        ignored=tuple(dict.fromkeys(note for result in results for note in result.ignored)),
        reply=_with_all(found.reply, told, endpoints),
    )


def _merge_killed(parts: Sequence[KilledVenue]) -> KilledVenue:
    states = {part.state for part in parts}
    state = next((state for state in ("residual", "flat") if state in states), parts[0].state)
    counted = [part.canceled for part in parts if part.canceled is not None]
    rest = dict.fromkeys(order_id for part in parts for order_id in part.residual)
    # Both count the orders that both were after: the sum would count them twice.
    return KilledVenue(state=state, canceled=max(counted, default=None), residual=tuple(rest))


def merge_lease(told: Sequence[Told[LeaseResult]], endpoints: Sequence[str]) -> LeaseResult:
    """A lease. The shortest of what was granted counts. Raises CommandRefused, DaemonUnreachable."""
    found = min(_answers(told), key=lambda result: result.expires_in_ms)
    return msgspec.structs.replace(found, reply=_with_all(found.reply, told, endpoints))


def first_of(told: Sequence[Told[T]], endpoints: Sequence[str]) -> T:
    """Whatever was told first. Raises CommandRefused, DaemonUnreachable."""
    return _answers(told)[0]


def _answers(told: Sequence[Told[T]]) -> list[T]:
    """The answers, or the reason why there is none: of one that may have the command before one that has not."""
    answers = [one for one in told if not isinstance(one, CommandRefused | DaemonUnreachable)]
    if answers:
        return answers
    silent = [one for one in told if isinstance(one, DaemonUnreachable)]
    refused = [one for one in told if isinstance(one, CommandRefused)]
    for failure in (*(one for one in silent if one.sent), *refused, *silent):
        raise failure
    raise AssertionError("no daemon was asked")


def _error_of(told: object) -> str | None:
    if isinstance(told, CommandRefused | DaemonUnreachable):
        return str(told)
    outcome, error = getattr(told, "outcome", None), getattr(told, "error", None)
    if isinstance(outcome, Refused):
        return f"refused ({outcome.reason}): {outcome.detail}"
    return error


def _with_all(reply: ReplyMap, told: Sequence[object], endpoints: Sequence[str]) -> ReplyMap:
    """The reply that holds, and beside it what each daemon said."""
    said = {
        endpoint: {"error": str(one)} if isinstance(one, Exception) else getattr(one, "reply", None)
        for endpoint, one in zip(endpoints, told, strict=True)
    }
    return {**reply, "daemons": said}
