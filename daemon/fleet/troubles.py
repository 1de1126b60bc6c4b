"""What is wrong now, by name: each told in one line when it begins, each minute while it lasts, and when it is over."""

from collections.abc import Callable
from typing import Final

SECOND_NS: Final = 10**9

AGAIN_NS: Final = 60 * SECOND_NS
"""How often what lasts is told again."""

REFUSED_KEPT: Final = 8
REFUSED_NS: Final = 600 * SECOND_NS
"""How many refusals are shown at once, and for how long each."""

REFUSED_LIMIT: Final = 10
"""How many refusals are told in a minute: whoever floods the bus with forgeries must not fill the journal of a host."""

CHARS: Final = 400


class Troubles:
    """Times are monotonic nanoseconds. tell: puts one line before people."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._lasting: dict[str, tuple[str, int]] = {}
        self._refused: dict[str, int] = {}
        self._minute_ns = 0
        self._told = 0

    @property
    def lines(self) -> tuple[str, ...]:
        """What is wrong now, and what was refused lately."""
        return (*(text for text, _ in self._lasting.values()), *self._refused)

    def begin(self, name: str, text: str, now_ns: int) -> None:
        """This is wrong from now on, or still; of one name the newest text holds."""
        text = text[:CHARS]
        before = self._lasting.get(name)
        if before is not None and now_ns - before[1] < AGAIN_NS and before[0] == text:
            return
        self._lasting[name] = (text, now_ns)
        self._tell(text)

    def end(self, name: str, over: str) -> None:
        """It is over, if it was."""
        if self._lasting.pop(name, None) is not None:
            self._tell(over)

    def refuse(self, text: str, now_ns: int) -> None:
        """Something was not followed: told once, and shown for a while."""
        text = text[:CHARS]
        self._refused = {one: at_ns for one, at_ns in self._refused.items() if now_ns - at_ns < REFUSED_NS}
        known = text in self._refused
        self._refused.pop(text, None)
        self._refused[text] = now_ns
        while len(self._refused) > REFUSED_KEPT:
            del self._refused[next(iter(self._refused))]
        if known:
            return
        if now_ns - self._minute_ns >= AGAIN_NS:
            self._minute_ns, self._told = now_ns, 0
        self._told += 1
        if self._told <= REFUSED_LIMIT:
            self._tell(text)
        elif self._told == REFUSED_LIMIT + 1:
            self._tell("more was refused than is told here: somebody floods the bus")
