"""Which cells of the pursuit's table a run visited: what had been said when something was heard.

The engine knows nothing of it: its methods are wrapped for as long as somebody counts.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from typing import Any, Final
from unittest.mock import patch

from canceld.contract.evidence import CancelAck, CancelReject, Fault
from canceld.contract.ids import Target
from canceld.engine.inflight import Attempt
from canceld.engine.lane import Lane
from canceld.engine.pursuits.acceptance import Acceptance
from canceld.engine.pursuits.answers import Answers
from canceld.engine.pursuits.pursuit import Pursuit
from canceld.engine.pursuits.refusals import Refusals
from canceld.engine.pursuits.said import ACCEPTED, ENDED, Said
from canceld.engine.pursuits.sending import Sending
from canceld.engine.pursuits.sessions import Sessions
from canceld.engine.pursuits.states import Named, States
from canceld.engine.resting import Row

Cells = Counter[tuple[str, str]]
"""How often each pair of (said, heard) was met."""

HEARD: Final = (
    "ack",
    "no such order",
    "other refusal",
    "silence",
    "lane lost",
    "order ended",
    "order opened",
    "query: rests",
    "query: absent",
    "deadline",
)
"""The columns of the table in engine/pursuits/said.py."""

NEVER: Final = {
    (ACCEPTED, "silence"): "no silence is listened for once a cancel was accepted",
}
"""Cells in which nothing can be heard, and why."""

RARE: Final = frozenset(
    (
        *product((ENDED,), ("order ended", "order opened", "query: rests", "query: absent")),
        *product((ACCEPTED,), ("no such order", "other refusal", "order opened", "query: absent")),
    )
)
"""Cells that a thousand seeds may miss. ENDED: a name given again, or a query answered, while the request is out that
ended its bearer. ACCEPTED: what a venue says after a yes while somebody still waits for proof, which it seldom does.
tests/engine/pursuits/test_table.py walks them all the same."""


def table(cells: Cells) -> str:
    """The table as Markdown, with how often each cell was visited."""
    rows = ([said.name, *(f"{cells[said.name, heard]:,}" for heard in HEARD)] for said in Said)
    return "\n".join(f"| {' | '.join(row)} |" for row in (("said", *HEARD), ["---"] * (len(HEARD) + 1), *rows))


@contextmanager
def counted() -> Iterator[Cells]:
    """Count the cells that are visited meanwhile, in any daemon of this process."""
    cells: Cells = Counter()

    def note(pursuit: Pursuit, heard: str) -> None:
        if not pursuit.done:
            cells[pursuit.said.name, heard] += 1

    def refusal(fault: Fault) -> str:
        return "no such order" if fault is Fault.NOT_OPEN else "other refusal"

    def accepted(part: Acceptance, pursuit: Pursuit, *_: Any) -> None:
        note(pursuit, "ack")

    def on_ack(part: Sessions, lane: Lane, ack: CancelAck, now_ns: int) -> None:
        attempt = part._docket.inflight.find(ack.reqid)
        if attempt is not None and attempt.of.said is ACCEPTED:
            note(attempt.of, "ack")

    def on_reject(part: Sessions, lane: Lane, reject: CancelReject, now_ns: int) -> None:
        attempt = part._docket.inflight.find(reject.reqid)
        if attempt is not None and attempt.of.said is ACCEPTED:
            note(attempt.of, refusal(reject.fault))

    def refused(part: Refusals, pursuit: Pursuit, attempt: Attempt[Pursuit], fault: Fault, *_: Any) -> None:
        note(pursuit, refusal(fault))

    def hedge(part: Sending, pursuit: Pursuit, now_ns: int) -> None:
        note(pursuit, "silence")

    def down(part: Sessions, lane: Lane, now_ns: int) -> None:
        for attempt in part._docket.inflight._by_lane.get(lane, {}).values():
            note(attempt.of, "lane lost")

    def over(part: States, pursuit: Pursuit, *_: Any) -> None:
        note(pursuit, "order ended")

    def opened(part: States, row: Row, now_ns: int) -> None:
        for key in (Target("order_id", row.order_id), Target("cl_ord_id", row.cl_ord_id or "")):
            if (pursuit := part._docket.pursued.get(key)) is not None:
                note(pursuit, "order opened")

    def queried(part: States, pursuit: Pursuit, named: Named, now_ns: int) -> None:
        if not pursuit.lists:
            note(pursuit, "query: rests" if pursuit.key in named else "query: absent")

    def expire(part: Answers, pursuit: Pursuit, now_ns: int) -> None:
        if any(waiter.deadline_ns <= now_ns for waiter in pursuit.waiters):
            note(pursuit, "deadline")

    with ExitStack() as stack:
        for owner, name, hears in (
            (Acceptance, "accepted", accepted),
            (Sessions, "_on_ack", on_ack),
            (Sessions, "_on_reject", on_reject),
            (Refusals, "refused", refused),
            (Sending, "hedge", hedge),
            (Sessions, "down", down),
            (States, "_over", over),
            (States, "_opened", opened),
            (States, "queried", queried),
            (Answers, "expire", expire),
        ):
            stack.enter_context(patch.object(owner, name, _first(hears, getattr(owner, name))))
        yield cells


def _first(hears: Callable[..., None], method: Callable[..., None]) -> Callable[..., None]:
    def both(*arguments: Any) -> None:
        hears(*arguments)
        method(*arguments)

    return both
