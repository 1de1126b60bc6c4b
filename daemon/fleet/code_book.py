"""The one-time codes that an agent gives to persons at its host, each for one operator and one kill."""

import secrets
from collections.abc import Collection
from typing import Any, Final

from .follower import Follower
from .orders import code_mark

KEPT: Final = 16
"""Codes that are good at once; an older one is good no more."""

DIGITS: Final = 8


class CodeBook:
    """The codes given out, as what the others see of them."""

    def __init__(self, operators: Collection[str]) -> None:
        self.marks: tuple[str, ...] = ()
        self._operators = operators

    def answer(self, question: dict[str, Any], follower: Follower) -> dict[str, Any]:
        """A code and the kill that it is for, or an error in one line."""
        scope, operator = question.get("scope"), question.get("operator")
        if not isinstance(scope, str) or not isinstance(operator, str) or operator not in self._operators:
            return {"error": f"no operator of [fleet.operators] is called {operator!r}"}
        standing = follower.find(scope)
        if standing is None:
            return {"error": f"no kill of {scope} stands on this host"}
        code = "".join(secrets.choice("0123456789") for _ in range(DIGITS))
        self.marks = (*self.marks, code_mark(code, scope, standing.kill, operator))[-KEPT:]
        return {"code": code, "kill": standing.kill}
