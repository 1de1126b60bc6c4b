"""What is known of one venue, and what a step that did not do its work raises."""

from typing import Literal, TypeAlias

State: TypeAlias = Literal["flat", "residual", "unreachable"]


class Failed(Exception):
    """A step did not do what it is for. hopeless: it will not do it the next time either."""

    def __init__(self, why: str, *, hopeless: bool = False) -> None:
        super().__init__(why)
        self.hopeless = hopeless


class Report:
    """What is known of one venue. Its thread writes, others may read at any time.

    state: `flat` when it is proved that nothing rests, `residual` when the last look showed something, `unreachable`
    when nothing is known. canceled: as the venue counted them. tried: how often which step was taken. why: the last
    thing that went wrong. took_s: until the end of the sweep, None before it.
    """

    def __init__(self) -> None:
        self.state: State = "unreachable"
        self.canceled = 0
        self.residual: tuple[str, ...] = ()
        self.tried: dict[str, int] = {}
        self.why: str | None = None
        self.took_s: float | None = None

    def note(self, step: str) -> None:
        """One more try of a step."""
        self.tried[step] = self.tried.get(step, 0) + 1
