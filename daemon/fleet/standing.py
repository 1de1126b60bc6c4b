"""What the bus tells a person of a fleet: who is heard of, how long ago, which kills stand, and who approved their end.

How long ago is told by the bus's clock alone: neither the host that tells nor the one that asks may be wrong about it.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, NamedTuple

from .bucket import Bucket, Entry
from .bus import BusFailed
from .follower import Follower, Memory
from .orders import Approval, Codes, Keys, KillOrder, Report, Unfit, read
from .place import Place
from .settings import FleetSettings
from .signing import check, keys_of

FRESH_S: Final = 10.0
"""A daemon whose agent has told nothing for so long is silent."""

CLOCK_S: Final = 10.0
FIRST_S: Final = 3.0
"""How long the bus is waited for to tell what stands, and the first report after that: agents tell each second."""


class Seen(NamedTuple):
    """One daemon as its agent told of it last. age_s: how long ago, by the bus's clock."""

    host: str
    report: Report
    age_s: float

    @property
    def silent(self) -> bool:
        """Whether nobody can say how it stands now."""
        return self.age_s > FRESH_S or not self.report.reached

    def is_meant(self, scope: str) -> bool:
        """Whether a kill of this scope reaches it."""
        report = self.report
        return scope in ("fleet", f"account.{report.account}", *(f"group.{name}" for name in report.groups))

    def is_flat(self, kill: str) -> bool:
        """Whether it is latched for this kill and verified flat everywhere."""
        report = self.report
        states = set(report.venues.values())
        return not self.silent and report.latched and kill in report.standing and states == {"flat"}


class Standing:
    """All that stands in the bucket, kept up to date while its block runs. complain: tells people one line."""

    def __init__(self, bucket: Bucket, settings: FleetSettings, complain: Callable[[str], None]) -> None:
        self._bucket = bucket
        self._fleet = settings.fleet.name
        self._keys: Keys = keys_of(settings.fleet.operators, settings.fleet.hosts)
        self._complain = complain
        self._entries: dict[str, Entry] = {}
        self._caught_up = asyncio.Event()
        self._live = asyncio.Event()
        self._ahead_s = 0.0
        self._told: set[str] = set()

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Listen for as long as the block runs. Raises BusFailed."""
        async with self._bucket.watch(asyncio.Event()) as entries:
            listening = asyncio.create_task(self._listen(entries))
            try:
                try:
                    await asyncio.wait_for(self._caught_up.wait(), FIRST_S)
                except TimeoutError:
                    raise BusFailed("the bus does not tell what stands; has it a quorum?") from None
                yield
            finally:
                listening.cancel()

    async def _listen(self, entries: AsyncIterator[Entry | None]) -> None:
        async for entry in entries:
            if entry is None:
                self._caught_up.set()
                continue
            self._entries[entry.key] = entry
            if self._caught_up.is_set() and entry.created_s:
                self._ahead_s = time.time() - entry.created_s
                self._live.set()
                if abs(self._ahead_s) >= CLOCK_S:
                    text = f"this host's clock and the bus's are {abs(self._ahead_s):.0f} s apart: set the wrong one"
                    self._once("clock", f"{text} (timedatectl)")

    async def live(self) -> None:
        """Wait until something is told that is new, and the bus's time known by that; not for long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._live.wait(), FIRST_S)

    def _once(self, what: str, text: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._complain(text)

    @property
    def scopes(self) -> list[str]:
        """The scopes that were ever killed."""
        return sorted(key.removeprefix("kill.") for key in self._entries if key.startswith("kill."))

    @property
    def seen(self) -> list[Seen]:
        """The daemons of whom the bus tells."""
        seen = []
        now_s = time.time() - self._ahead_s
        for entry in list(self._entries.values()):
            if entry.key.startswith("report."):
                report = read(entry.value, Report, self._keys, self._fleet, check)
                if isinstance(report, Unfit):
                    self._once(entry.key, f"{entry.key}: {report.why}")
                elif entry.key != f"report.{report.by}.{report.account}":
                    self._once(entry.key, f"{entry.key}: tells of {report.by} {report.account}")
                else:
                    seen.append(Seen(report.by, report, max(0.0, now_s - entry.created_s)))
        return sorted(seen, key=lambda one: (one.host, one.report.account))

    def of(self, scope: str) -> Follower:
        """Somebody of this scope who has just heard all that stands: what he holds for killed is."""
        kind, _, name = scope.partition(".")
        account, groups = (name if kind == "account" else "-"), ((name,) if kind == "group" else ())
        follower = Follower(Place(self._fleet, "-", account, groups, "none"), Memory())
        follower.connected(0)
        for entry in list(self._entries.values()):
            what = entry.key.partition(".")[0]
            if what == "kill":
                follower.order(entry.key, read(entry.value, KillOrder, self._keys, self._fleet, check), 0)
            elif what == "rearm":
                follower.approval(entry.key, read(entry.value, Approval, self._keys, self._fleet, check), 0)
            elif what == "code":
                follower.codes(entry.key, read(entry.value, Codes, self._keys, self._fleet, check), 0)
        return follower

    async def counter_after(self, key: str, by: str) -> int:
        """A counter above whatever this person has put under this key, also with a clock that went ahead then."""
        before = 0
        for entry in await self._bucket.entries(key, history=True):
            order = read(entry.value, KillOrder, self._keys, self._fleet, check)
            if not isinstance(order, Unfit) and order.by == by:
                before = max(before, order.counter)
        return max(time.time_ns(), before + 1)


def flat_everywhere(seen: list[Seen], scope: str, kill: str, hosts: Mapping[str, str]) -> tuple[bool, list[str]]:
    """Whether every daemon that the kill means is flat; and the hosts of which nothing was ever heard."""
    meant = [one for one in seen if one.is_meant(scope)]
    missing = sorted(set(hosts) - {one.host for one in seen}) if scope == "fleet" else []
    return bool(meant) and all(one.is_flat(kill) for one in meant) and not missing, missing
