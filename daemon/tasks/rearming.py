"""A re-arming on its way to its reply."""

from collections.abc import Mapping
from typing import Any

from ..contract.ids import CommandID
from .events import Events
from .tickets import Asked


class Rearming:
    """A re-arming on its way to its reply: whatever it comes to goes into the record, a refusal above all."""

    def __init__(self, asked: Asked, events: Events) -> None:
        self._asked = asked
        self._events = events

    @property
    def id(self) -> CommandID | None:
        return self._asked.command.id

    def answer(self, reply: Mapping[str, Any]) -> None:
        self._asked.answer(reply)
        if reply["type"] == "refused":
            self.refused(reply["detail"])
        elif reply["latched"]:
            # The first step: its code is the operator's alone.
            self._events.note("rearm", state="asked", who=self._asked.who, id=self.id)

    def refused(self, why: str) -> None:
        self._events.note("rearm", state="refused", who=self._asked.who, id=self.id, why=why)
