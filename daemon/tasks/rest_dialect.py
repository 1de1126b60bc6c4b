"""What a REST lane needs of a venue: how its requests are built and its answers read."""

from collections.abc import Callable, Iterator
from typing import Protocol

from ..contract.evidence import Listing, RestAnswer, RestPart
from ..engine.calls import Call


class SignedRequest(Protocol):
    """What a dialect builds."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def body(self) -> bytes: ...

    @property
    def headers(self) -> tuple[tuple[str, str], ...]: ...


Build = Callable[[int], SignedRequest]
Decode = Callable[[int, bytes], RestAnswer | Listing]
Plan = tuple[Build, Decode]


def whole(told: RestAnswer | Listing) -> RestAnswer:
    """What an answer comes to, for who takes nothing in on the way."""
    if not isinstance(told, Iterator):
        return told
    *_, answer = told
    assert answer is not None, "a list ends with an answer"
    assert not isinstance(answer, RestPart), "a list ends with an answer"
    return answer


class RestDialect(Protocol):
    """What the lane needs of a venue dialect."""

    def plan(self, call: Call) -> Plan:
        """How to build the request of an engine's call from a nonce, and how to read its answer."""
        ...

    def token(self) -> Plan: ...

    def timer(self, timeout_s: int) -> Plan: ...

    def mode(self) -> Plan: ...
