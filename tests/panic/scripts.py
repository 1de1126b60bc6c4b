"""Stand-ins that panic's parts are tested with: time that only pauses move, routes and sessions by script."""

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from canceld.contract.evidence import OrderState
from canceld.credentials import Keys, Secret
from canceld.panic.report import Failed
from canceld.settings import Address
from canceld.transport.plain.line import Dialler

WHERE = Address(True, "venue.test", 443, "/ws/v1")
KEYS = Keys(Secret("key"), Secret(b"secret"))
DIALLER = Dialler(None)

Frame = dict[str, Any]


class Clock:
    """Time that only pauses move."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def now_s(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


class Scripted:
    """A route whose looks are given in sequence, the last one for ever; a Failed is raised."""

    def __init__(self, *looks: Sequence[OrderState] | Failed, cancel: Failed | None = None) -> None:
        self.looks = deque(looks)
        self.canceled: list[list[str]] = []
        self.asked_by_s: list[float] = []
        self._cancel = cancel

    def cancel(self, resting: Sequence[OrderState], by_s: float) -> None:
        self.canceled.append([order.order_id for order in resting])
        if self._cancel is not None:
            raise self._cancel

    def look(self, by_s: float) -> Sequence[OrderState]:
        self.asked_by_s.append(by_s)
        seen = self.looks.popleft() if len(self.looks) > 1 else self.looks[0]
        if isinstance(seen, Failed):
            raise seen
        return seen


class Venue:
    """Stands in for every session that is opened: `answer` gives the frames for each one sent."""

    def __init__(self, answer: Callable[[Frame], list[Frame]], greeting: Sequence[Frame] = ()) -> None:
        self.answer = answer
        self.greeting = greeting
        self.sent: list[Frame] = []
        self.opened = 0
        self.waiting: deque[str] = deque()

    def open(self, *_: object) -> "Venue":
        self.opened += 1
        self.waiting = deque(map(json.dumps, self.greeting))
        return self

    def send(self, text: bytes, by_s: float) -> None:
        frame = json.loads(text)
        self.sent.append(frame)
        self.waiting.extend(map(json.dumps, self.answer(frame)))

    def receive(self, by_s: float) -> str | None:
        return self.waiting.popleft() if self.waiting else None

    def close(self) -> None: ...

    def of_type(self, kind: str) -> list[Frame]:
        return [frame for frame in self.sent if kind in (frame.get("type"), frame.get("method"))]
