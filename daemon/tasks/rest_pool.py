"""One REST endpoint's connections: some are kept warm, so that a cancel need not dial first.

A connection that has been idle may be dead without a sign; whoever takes one has to bear that (NotSent).
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from ..settings import Address
from ..transport.https import HttpConnection
from ..transport.network import DialFailed
from ..transport.world import World

WARM: Final = 2
"""Connections kept open: one for the next call, one for when that turns out dead."""

RENEW_AFTER_S: Final = 240.0
"""Old connections are known to be refused without a reason after some five minutes."""

WARM_LOOK_S: Final = 1.0

DIAL_PAUSE_S: Final = 0.2
"""Least time between two failed dials; calls in between fail at once and take their other routes."""

DIAL_TIMEOUT_S: Final = 8.0
"""Above the bounds of the dial's own phases, which give the better message."""


class CallFailed(Exception):
    """No HTTP answer. left: whether a byte of the request may have reached the venue."""

    def __init__(self, why: str, *, left: bool) -> None:
        super().__init__(why)
        self.why = why
        self.left = left


class Pool:
    """Connections to one address.

    last_error: why there was none, when there was none last; None before that. tried: set once they were first dialled.
    """

    def __init__(self, address: Address, world: World) -> None:
        self.last_error: str | None = None
        self.tried = trio.Event()
        self._address = address
        self._world = world
        self._idle: list[tuple[HttpConnection, float]] = []
        self._distrusted: list[HttpConnection] = []
        self._dial_failed_at = -DIAL_PAUSE_S
        self._dial_fault = ""

    @property
    def warm(self) -> int:
        """How many are open and idle."""
        return sum(connection.is_open for connection, _ in self._idle)

    @property
    def reachable(self) -> bool:
        """Whether a connection could be had as far as is known."""
        return bool(self._idle) or not self._dial_fault

    async def take(self, *, at_once: bool = False) -> HttpConnection:
        """A warm connection, else a new one. at_once: also right after a dial that failed. Raises CallFailed."""
        while self._idle:
            connection, _ = self._idle.pop()
            if connection.is_open:
                return connection
            await connection.aclose()
        return await self._dial(at_once=at_once)

    def give_back(self, connection: HttpConnection) -> None:
        """It is open, and nobody uses it any more."""
        self._idle.append((connection, trio.current_time()))

    def discard(self, connection: HttpConnection) -> None:
        """Use this one no more, idle or not."""
        self._idle[:] = [(one, since) for one, since in self._idle if one is not connection]
        self.drop(connection)

    def drop(self, connection: HttpConnection) -> None:
        """Nobody uses it any more, or should."""
        self._distrusted.append(connection)

    def distrust(self) -> None:
        """Use none again that is open and idle now: it may be dead without a sign. Calls dial until others are."""
        self._distrusted += [connection for connection, _ in self._idle]
        self._idle.clear()

    async def _dial(self, *, at_once: bool = False) -> HttpConnection:
        if trio.current_time() - self._dial_failed_at < DIAL_PAUSE_S and not at_once:
            raise CallFailed(self._dial_fault, left=False)
        try:
            with trio.fail_after(DIAL_TIMEOUT_S):
                wire = await self._world.dial(self._address.host, self._address.port)
        except (DialFailed, trio.TooSlowError) as error:
            self._dial_failed_at = trio.current_time()
            self.last_error = self._dial_fault = f"REST: {error or 'no connection'}"
            raise CallFailed(self._dial_fault, left=False) from None
        self._dial_fault, self._dial_failed_at = "", -DIAL_PAUSE_S
        return HttpConnection(wire, self._address.authority)

    async def _close_distrusted(self) -> None:
        while self._distrusted:
            await self._distrusted.pop().aclose()

    async def keep_warm(
        self, use: Callable[[HttpConnection], Awaitable[bool]], use_after_s: Callable[[], float]
    ) -> None:
        """Have WARM of them open, have each used now and then, and replace old ones before the venue refuses them.

        use: makes a cheap call; whether the connection is good for more. use_after_s: how long one may be idle.
        """
        born: dict[HttpConnection, float] = {}
        while True:
            await self._close_distrusted()
            now = trio.current_time()
            for connection, idle_since in list(self._idle):
                if (connection, idle_since) not in self._idle:
                    continue  # taken for a call while an earlier one was looked after
                born.setdefault(connection, now)
                if not connection.is_open or now - born[connection] > RENEW_AFTER_S:
                    self._idle.remove((connection, idle_since))
                    await connection.aclose()
                elif now - max(idle_since, connection.idle_since) > use_after_s():
                    self._idle.remove((connection, idle_since))
                    try:
                        good = await use(connection)
                    except BaseException:
                        # Cancelled with the whole answer read, it is still open, and nobody else holds it.
                        self.drop(connection)
                        raise
                    if good:
                        self._idle.insert(0, (connection, trio.current_time()))
            for connection in [old for old in born if not old.is_open]:
                del born[connection]
            # So many a look and no more: a venue that takes connections and drops them must not be dialled in a circle.
            for _ in range(WARM - len(self._idle)):
                try:
                    dialled = await self._dial()
                except CallFailed:
                    break
                # Looked up after the dial: `discard` may have put another list in its place meanwhile.
                self._idle.insert(0, (dialled, trio.current_time()))
            self.tried.set()
            await trio.sleep(WARM_LOOK_S)

    async def close(self) -> None:
        """Close all that nobody uses."""
        self.distrust()
        await self._close_distrusted()
