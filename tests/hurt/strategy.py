"""A strategy that cancels without pause and keeps an account of it: what it asked, what it was told, and when."""

import queue
import random
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.processes.peers import Dealer

WINDOW: Final = 8
"""Commands under way at once."""

LOOK_S: Final = 0.02
DEADLINES_MS: Final = (150, 400, 1_000, 2_000, 3_000)
BEAT_S: Final = 0.005
MS: Final = 1_000_000
NS: Final = 1_000_000_000
LATEST_NS: Final = 30 * NS
SYMBOL: Final = "BTC-USD"


class Metronome(threading.Thread):
    """Measures what the machine takes from us: how late a thread wakes that asks for nothing else, and how long the
    daemon's own thread, ready to run, waited for a processor."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._waits = Path(f"/proc/{pid}/task/{pid}/schedstat")
        self._over = threading.Event()
        self._late: list[tuple[int, int]] = []

    def run(self) -> None:
        now_ns, waited_ns = time.monotonic_ns(), self._waited_ns()
        while not self._over.is_set():
            due_ns = now_ns + int(BEAT_S * NS)
            time.sleep(BEAT_S)
            now_ns, before_ns, waited_ns = time.monotonic_ns(), waited_ns, self._waited_ns()
            self._late.append((now_ns, max(0, now_ns - due_ns) + waited_ns - before_ns))

    def _waited_ns(self) -> int:
        try:
            return int(self._waits.read_text().split()[1])
        except OSError:
            return 0  # a kernel that does not count it

    def taken_ns(self, since_ns: int, until_ns: int) -> int:
        """So much of this time nobody had."""
        # By place, since ten minutes have a hundred thousand of them; none is later than LATEST_NS.
        beats = self._late[bisect_left(self._late, (since_ns, 0)) : bisect_left(self._late, (until_ns + LATEST_NS, 0))]
        return sum(late_ns for at_ns, late_ns in beats if at_ns <= until_ns + late_ns)

    def stop(self) -> None:
        self._over.set()
        self.join()


@dataclass
class Asked:
    """One command."""

    id: str
    venue: str
    order_ids: list[str]
    asked_ns: int
    due_ns: int
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    """One for each order, once it was told."""


class Strategy(threading.Thread):
    """Cancels what comes in `orders`, venue and order ids, with every deadline; stops at a None."""

    def __init__(self, name: str, endpoint: str, seed: str) -> None:
        super().__init__(name=name, daemon=True)
        self.orders: queue.SimpleQueue[tuple[str, list[str]] | None] = queue.SimpleQueue()
        self.asked: dict[str, Asked] = {}
        self.dealer = Dealer(endpoint, "json")
        self._rng = random.Random(seed)
        self._open: set[str] = set()
        self._ended = False

    def run(self) -> None:
        while not (self._ended and not self._open):
            while not self._ended and len(self._open) < WINDOW and (given := self._next()):
                self._ask(*given)
            try:
                reply = self.dealer.hear(LOOK_S)
            except TimeoutError:
                # A command that nobody answers is for the judge.
                if self._ended and all(time.monotonic_ns() > self.asked[id].due_ns + 5 * NS for id in self._open):
                    break
                continue
            asked = self.asked[reply["id"]]
            asked.outcomes = reply["outcomes"] if "outcomes" in reply else [reply] * len(asked.order_ids)
            self._open.discard(asked.id)
        self.dealer.fence()

    def _next(self) -> tuple[str, list[str]] | None:
        try:
            given = self.orders.get_nowait()
        except queue.Empty:
            return None
        self._ended = given is None
        return given

    def _ask(self, venue: str, order_ids: list[str]) -> None:
        rng = self._rng
        id = f"{self.name}-{len(self.asked)}"
        deadline_ms = rng.choice(DEADLINES_MS)
        # Prime wants the symbol, which the daemon knows by itself only of orders that a stream told it of.
        named = {"symbol": SYMBOL} if venue == "prime" and rng.random() < 0.5 else {}
        orders = [{"order_id": order_id, **named} for order_id in order_ids]
        fields: dict[str, Any] = orders[0] if len(orders) == 1 else {"orders": orders}
        sent_ns = time.monotonic_ns()
        self.asked[id] = Asked(id, venue, order_ids, sent_ns, sent_ns + deadline_ms * MS)
        self._open.add(id)
        self.dealer.send(
            "cancel" if len(orders) == 1 else "cancel_batch",
            id=id,
            venue=venue,
            deadline_ms=deadline_ms,
            sent_ns=sent_ns,
            until=rng.choice(("ack", "ack", "proof")),
            **fields,
        )
