"""One side of `python -m tests.bench.engine`: the engine of one checkout, for blocks of plain cancels.

It imports the `canceld` that stands first on the path. Run as a script, so that nothing of another checkout comes in.
"""

import gc
import json
import os
import sys
from time import perf_counter_ns
from typing import Final

from canceld.contract.evidence import CancelAck, Orders
from canceld.contract.ids import Target
from canceld.engine.effects import Answer, Send
from canceld.engine.inflight import Reqids
from canceld.engine.instants import MS
from canceld.engine.policy import Policy
from canceld.engine.pursuits.front import Pursuits
from canceld.engine.resting import Resting

DEADLINE_NS: Final = 2_000 * MS
PACE_NS: Final = MS
"""Between two cancels, on the engine's clock: nothing is late, and nothing old is kept."""


class Side:
    """Pursuits with one live Spot session."""

    def __init__(self) -> None:
        self._now_ns = 10**9
        self._ids = 0
        policy = Policy(400 * MS, 1_500 * MS, 60_000 * MS, 1_000)
        self._pursuits = Pursuits("spot", policy, Reqids(1), Resting(1_000))
        self._pursuits.sessions.up(0, self._now_ns)
        self._pursuits.sessions.evidence(0, Orders((), snapshot=True), self._now_ns)
        self._pursuits.effects.clear()

    def block(self, cancels: int) -> list[list[int]]:
        """Nanoseconds of each submit, and of each ack."""
        times: list[list[int]] = [[], []]
        for _ in range(cancels):
            submit_ns, ack_ns = self._cancel()
            times[0].append(submit_ns)
            times[1].append(ack_ns)
        return times

    def _cancel(self) -> tuple[int, int]:
        pursuits = self._pursuits
        self._ids += 1
        self._now_ns += PACE_NS
        now_ns = self._now_ns
        target = Target("order_id", f"OAAAAA-AAAAA-{self._ids:06d}")
        began = perf_counter_ns()
        pursuits.submit(self, target, False, now_ns + DEADLINE_NS, now_ns)
        submit_ns = perf_counter_ns() - began
        send = next(effect for effect in pursuits.effects if isinstance(effect, Send))
        pursuits.effects.clear()
        pursuits.decisions.clear()
        ack = CancelAck(send.reqid)
        began = perf_counter_ns()
        pursuits.sessions.evidence(0, ack, now_ns + MS // 2)
        ack_ns = perf_counter_ns() - began
        assert any(isinstance(effect, Answer) for effect in pursuits.effects), "an ack answers the cancel"
        pursuits.effects.clear()
        pursuits.decisions.clear()
        pursuits.on_time(now_ns + MS // 2)
        return submit_ns, ack_ns


def main() -> None:
    """A line with a number in, a line with the times of so many cancels out, until stdin ends."""
    # Both sides on one core, or each would run at its core's own speed for a whole run.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    side = Side()
    gc.collect()
    gc.disable()
    for line in sys.stdin:
        print(json.dumps(side.block(int(line))), flush=True)


if __name__ == "__main__":
    main()
