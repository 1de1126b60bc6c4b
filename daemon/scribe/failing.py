"""Which parts of a scribe's work fail at the moment; the daemon hears of each failure, and once when it is over."""

from collections.abc import Callable

from ..transport.files import DiskFailed
from .messages import Failed, Healed


class Failing:
    """tell: hands news to the daemon."""

    def __init__(self, tell: Callable[[Failed | Healed], None]) -> None:
        self._tell = tell
        self._parts: set[str] = set()

    def fail(self, part: str, failed: DiskFailed) -> None:
        """This part failed, and is tried again."""
        self._parts.add(part)
        self._tell(Failed(part, str(failed), failed.detail))

    def heal(self, part: str) -> None:
        """This part went well; told where it had failed."""
        if part in self._parts:
            self._parts.discard(part)
            self._tell(Healed(part))
