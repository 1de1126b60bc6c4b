"""One venue's REST endpoint under one key: calls take turns, and a refused nonce is jumped above."""

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from ..contract.evidence import Fault, RestAnswer, RestFailed, RestUnreadable
from ..engine.gate import has_seen_key
from ..settings import Address
from ..transport.plain.line import Dialler, Http, LineLost
from ..venues.spot_rest import Request
from .report import Failed

HOPELESS: Final = frozenset({Fault.CREDENTIALS, Fault.LOCKOUT, Fault.PERMISSION, Fault.STALE_NONCE})
"""What another try hardly mends. A nonce is in it that was refused again and again: all but the first had jumped
ahead."""

NONCE_JUMPS: Final = 2
"""How often one call jumps above a nonce that was refused. A daemon that was overtaken jumps as well, and may come in
between our jump and our call."""


class NonceSource(Protocol):
    """Nonces of one key."""

    def draw(self) -> int:
        """The next one."""

    def overtaken(self) -> None:
        """The venue has seen a higher one."""

    def taken(self) -> None:
        """The venue took the last one."""


class RestDoor:
    """One venue's REST endpoint under one key. Calls take turns, since nonces must arrive in sequence."""

    def __init__(self, dialler: Dialler, address: Address, nonces: NonceSource | None) -> None:
        self._http = Http(dialler, address.host, address.port, address.authority)
        self._nonces = nonces
        self._turn = threading.Lock()

    def call(
        self, build: Callable[[int], Request], decode: Callable[[int, bytes], RestAnswer], by_s: float
    ) -> RestAnswer:
        """Make one call; a refused nonce is told to the source and tried anew. Raises Failed."""
        if not self._turn.acquire(timeout=max(0.0, by_s - time.monotonic())):
            raise Failed("another call did not end in time")
        try:
            answer = self._ask(build, decode, by_s)
            for _ in range(NONCE_JUMPS):
                if self._nonces is None or not isinstance(answer, RestFailed) or answer.fault is not Fault.STALE_NONCE:
                    break
                self._nonces.overtaken()
                answer = self._ask(build, decode, by_s)
        except LineLost as lost:
            raise Failed(f"REST: {lost}") from None
        finally:
            self._turn.release()
        if self._nonces is not None and has_seen_key(answer):
            self._nonces.taken()
        if isinstance(answer, RestFailed):
            raise Failed(f"REST: {answer.error}", hopeless=answer.fault in HOPELESS)
        if isinstance(answer, RestUnreadable):
            raise Failed(f"REST: {answer.why}")
        return answer

    def _ask(
        self, build: Callable[[int], Request], decode: Callable[[int, bytes], RestAnswer], by_s: float
    ) -> RestAnswer:
        # Connected first: a nonce drawn before a slow dial would be overtaken by the daemon's meanwhile.
        self._http.make_ready(by_s)
        request = build(0 if self._nonces is None else self._nonces.draw())
        return decode(*self._http.exchange(request.method, request.path, request.headers, request.body, by_s))
