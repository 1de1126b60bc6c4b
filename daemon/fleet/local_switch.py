"""The hand of an agent on its host: the daemon's control socket, and its kill file where nobody answers there."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..client import CommandRefused, DaemonUnreachable
from ..client.async_io import AsyncioClient
from ..client.async_io import connect as connect_daemon
from ..contract.plain_text import plain
from ..settings import Settings
from ..transport.disk import Directory, DiskFailed
from ..verbs.output import complain
from .daemon_status import local_of
from .follower import Follower
from .troubles import Troubles

LOOK_S: Final = 0.25
"""How often the daemon is asked how it is."""

STATUS_MS: Final = 1_000
PULL_MS: Final = 2_000
"""How long a pull waits for its reply; the switch is latched when the daemon reads it."""

TRIGGER_FILE: Final = "kill"
"""The daemon's own trigger file, for a daemon that does not answer, or is yet to start."""

AWAY: Final = "daemon"
UNPULLED: Final = "unpulled"


class LocalSwitch:
    """One daemon. news: called when something was seen or done. acting: to be set by whoever begins a pull or a
    re-arming, which clears it."""

    def __init__(self, settings: Settings, follower: Follower, troubles: Troubles, news: Callable[[], None]) -> None:
        self.status: dict[str, Any] | None = None
        self.acting = False
        self.state = Directory(Path(settings.state.dir))
        self._control = settings.gateway.control
        self._follower = follower
        self._troubles = troubles
        self._news = news
        self._client: AsyncioClient | None = None

    async def run(self) -> None:
        """Look at it until cancelled."""
        async with connect_daemon(self._control, deadline_ms=STATUS_MS, strategy="canceld-agent") as client:
            self._client = client
            while True:
                await self._look(client)
                await asyncio.sleep(LOOK_S)

    async def _look(self, client: AsyncioClient) -> None:
        if self.acting:
            # A pull or a re-arming is under way: what is seen beside it would be taken for somebody else's.
            return
        try:
            status = await client.status()
        except (DaemonUnreachable, CommandRefused):
            status = None
        if self.acting:
            return
        self._see(status)

    def _see(self, status: dict[str, Any] | None) -> None:
        self.status = status
        now_ns = time.monotonic_ns()
        if status is None:
            self._troubles.begin(AWAY, f"{self._control}: the daemon does not answer; is it running?", now_ns)
        else:
            self._troubles.end(AWAY, "the daemon answers")
        self._follower.local(None if status is None else local_of(status), now_ns)
        self._news()

    async def pull(self, reason: str) -> None:
        """Pull the switch: by the control socket, and where nobody answers there by the kill file."""
        try:
            assert self._client is not None
            complain(f"pulling the local kill switch: {plain(reason)}")
            if self.status is None:
                await self._pull_unseen(self._client, reason)
            else:
                await self._client.kill(reason, deadline_ms=PULL_MS)
            status = await self._client.status()
        except (DaemonUnreachable, CommandRefused) as failed:
            # The disk may take its time; the watch of the bus must not wait for it.
            self.left(await asyncio.to_thread(self.leave_file, reason), str(failed))
        else:
            self.status = status
            self._follower.pulled(local_of(status), time.monotonic_ns())
            self._troubles.end(UNPULLED, "the kill switch is pulled")
        finally:
            self.acting = False
        self._news()

    async def _pull_unseen(self, client: AsyncioClient, reason: str) -> None:
        """Pull a switch that this agent has not seen yet. How it stood is asked right before, by the same socket.

        The kill waits for no answer to that. But pulls that the memory does not know of, since an agent died before it
        was on disk, would be taken for somebody else's, and the switch would then be left to a hand.
        """
        before, pulled = await asyncio.gather(
            client.status(), client.kill(reason, deadline_ms=PULL_MS), return_exceptions=True
        )
        if isinstance(pulled, BaseException):
            raise pulled
        if not isinstance(before, BaseException):
            self._follower.local(local_of(before), time.monotonic_ns())

    def leave_file(self, reason: str) -> str | None:
        """Leave the daemon's kill file, which is pulled as soon as it looks: at its start, or when it goes on. Gives
        what went wrong; takes as long as the disk does."""
        try:
            if not self.state.exists(TRIGGER_FILE):
                self.state.replace_now(TRIGGER_FILE, reason.encode("utf-8", "replace"))
        except DiskFailed as failed:
            return str(failed)
        return None

    def left(self, fault: str | None, why: str) -> None:
        """The kill file was left, since the daemon did not take the kill otherwise; or it could not be."""
        if fault is not None:
            text = f"THE KILL CANNOT BE PULLED: {why}; and {fault}; kill by hand: canceld panic"
            self._troubles.begin(UNPULLED, text, time.monotonic_ns())
        else:
            complain(f"its kill file is written, and pulled when the daemon looks: {why}")
            self._follower.left_by_file()

    async def rearm(self, reason: str) -> None:
        """Re-arm the switch, in its two steps."""
        try:
            assert self._client is not None
            first = await self._client.rearm()
            if first.latched and first.code is not None:
                await self._client.rearm(confirm=first.code, reason=reason)
                complain(f"the local kill switch is re-armed: {plain(reason)}")
        except (DaemonUnreachable, CommandRefused) as failed:
            self._troubles.refuse(f"the local switch stays latched: {failed}", time.monotonic_ns())
        finally:
            self.acting = False

    async def may_renew(self, token: int, until_ns: int, off: bool) -> None:
        """Tell the daemon until when it may renew its account's timers."""
        now_ns = time.monotonic_ns()
        if self._client is None:
            return
        try:
            await self._client.timer_right(token, max(0, until_ns - now_ns) // 10**6, now_ns, off=off)
        except DaemonUnreachable:
            # What it was allowed runs out by itself.
            pass
        except CommandRefused as refused:
            self._troubles.refuse(f"timer: the daemon refuses its right: {refused}", now_ns)
