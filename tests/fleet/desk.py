"""Agents of a test's fleet in this process, on a real bus, each with a control socket; and its operators' hands."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from canceld.fleet.agent import Agent
from canceld.fleet.bucket import Bucket, bucket_config
from canceld.fleet.bus import Bus, BusFailed
from canceld.fleet.nearest import connect_nearest
from canceld.fleet.orders import Approval, Entry, KillOrder, kill_id, write
from canceld.fleet.settings import FleetSettings, read_fleet
from canceld.fleet.signing import Signer
from tests.fleet.control import Control
from tests.fleet.keys import seed_and_key

PERSONS: Final = ("ann", "bob")
WITHIN_S: Final = 30.0


async def until(look: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> Any:
    """What `look` gives once it is true."""
    give_up = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < give_up, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.02)
    return seen


def configuration(file: Path, control: str, members: Mapping[str, Any], **tables: Mapping[str, Any]) -> Path:
    """A configuration with a [fleet]; its members that are maps become tables of their own."""
    lines = ["[gateway]", f"control = {json.dumps(control)}"]
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    lines += ["[fleet]", *(f"{name} = {json.dumps(v)}" for name, v in members.items() if not isinstance(v, Mapping))]
    for name, value in members.items():
        if isinstance(value, Mapping):
            lines += [f"[fleet.{name}]", *(f"{key} = {json.dumps(one)}" for key, one in value.items())]
    file.write_text("\n".join(lines) + "\n")
    return file


@dataclass
class Host:
    """One daemon's place: its control socket, its agent while it runs, and what that has said."""

    name: str
    settings: FleetSettings
    signer: Signer
    control: Control
    agent: Agent | None = None
    task: asyncio.Task[None] | None = None

    def start(self) -> Agent:
        self.agent = Agent(self.settings, self.signer)
        self.task = asyncio.create_task(self.agent.run())
        return self.agent

    async def stop(self) -> None:
        """As abruptly as a kill of its process is for everybody else."""
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self.task
        self.agent = self.task = None

    @property
    def lines(self) -> str:
        assert self.agent is not None
        return "\n".join(self.agent.troubles.lines)


class Desk:
    """Hosts and operators with their keys. bus_seeds: the seeds of their users on the bus, by name. members: of every
    host's [fleet] besides."""

    def __init__(
        self, root: Path, servers: Mapping[str, Sequence[str]] | Sequence[str], hosts: Sequence[str],
        *, accounts: Mapping[str, str] | None = None, replicas: int = 1, shared_timer: bool = True,
        bus_seeds: Mapping[str, str] | None = None, **members: Any,
    ) -> None:  # fmt: skip
        self.root = root
        self.seeds = {name: seed_and_key() for name in (*hosts, *PERSONS)}
        self.names = tuple(hosts)
        self._servers = servers
        self._accounts = dict(accounts or {})
        self._bus_seeds = dict(bus_seeds or {})
        self._members = {"name": "desk", "replicas": replicas, **members}
        self._owner = "fleet" if shared_timer else "daemon"
        self.hosts = {name: self._host(name) for name in hosts}
        self.counter = 0
        self.made = False

    def settings(self, name: str, **members: Any) -> FleetSettings:
        """Of a host or an operator."""
        place = self.root / name
        place.mkdir(exist_ok=True)
        servers = self._servers[name] if isinstance(self._servers, Mapping) else self._servers
        fleet: dict[str, Any] = {
            "servers": list(servers),
            "host": name,
            "account": self._accounts.get(name, "main"),
            "operators": {person: self.seeds[person][1] for person in PERSONS},
            "hosts": {host: self.seeds[host][1] for host in self.names},
        }
        if seed := self._bus_seeds.get(name):
            file = place / "bus.seed"
            file.touch(mode=0o600)
            file.write_text(seed)
            fleet["nkey"] = str(file)
        control = f"ipc://{place}/control.sock"
        tables = {"state": {"dir": str(place / "state")}, "deadman": {"owner": self._owner}}
        file = configuration(place / "canceld.toml", control, fleet | self._members | members, **tables)
        return read_fleet(str(file), None)

    def _host(self, name: str) -> Host:
        settings = self.settings(name)
        signer = Signer(self.seeds[name][0], settings.fleet.hosts, "hosts")
        return Host(name, settings, signer, Control(self.root / name))

    def signer(self, person: str) -> Signer:
        return Signer(self.seeds[person][0], {one: self.seeds[one][1] for one in PERSONS}, "operators")

    @asynccontextmanager
    async def hand(self, person: str = "ann", **members: Any) -> AsyncIterator["Hand"]:
        """An operator's connection."""
        settings = self.settings(person, **members)

        async def works(bus: Bus) -> None:
            await bus.stream_info("KV_canceld-desk")

        async with connect_nearest(settings, "test", works) as bus:
            if not self.made:
                self.made = True
                with contextlib.suppress(BusFailed):
                    # A test may have made one of its own.
                    await bus.make_stream(bucket_config("desk", settings.fleet.replicas), "fleet desk")
            yield Hand(self, await Bucket.open(bus, "desk"))

    @asynccontextmanager
    async def controls(self) -> AsyncIterator[None]:
        """All control sockets, and at the end whatever agents still run."""
        serving = [asyncio.create_task(host.control.run()) for host in self.hosts.values()]
        try:
            yield
        finally:
            for host in self.hosts.values():
                await host.stop()
            for one in serving:
                one.cancel()
            await asyncio.gather(*serving, return_exceptions=True)


class Hand:
    """What operators put on the bus."""

    def __init__(self, desk: Desk, bucket: Bucket) -> None:
        self.desk = desk
        self.bucket = bucket

    def order(self, person: str = "ann", scope: str = "fleet", **members: Any) -> KillOrder:
        self.desk.counter = max(self.desk.counter + 1, time.time_ns())
        told = {"fleet": "desk", "by": person, "at_ns": time.time_ns(), "counter": self.desk.counter}
        return KillOrder(**told | {"scope": scope, "reason": "test"} | members)

    async def put(self, key: str, entry: Entry, person: str = "ann") -> None:
        """Signed by this person, whatever it says."""
        await self.bucket.put(key, write(entry, self.desk.signer(person).sign))

    async def kill(self, person: str = "ann", scope: str = "fleet") -> KillOrder:
        order = self.order(person, scope)
        await self.put(f"kill.{scope}", order, person)
        return order

    async def heard(self, host: Host) -> None:
        """Until this host's agent has heard all that was put before, and has acted on it."""
        self.desk.counter += 1
        key = f"kill.group.fence{self.desk.counter}"
        await self.bucket.put(key, b"nothing")
        await until(lambda: key in host.lines, "it hears on")
        await until(lambda: not host.agent or not host.agent.switch.acting, "it has acted")

    async def approve(self, order: KillOrder, person: str, host: str) -> None:
        """With a code from this host's agent."""
        agent = self.desk.hosts[host].agent
        assert agent is not None
        given = agent.asked({"scope": order.scope, "operator": person}, "uid 0")
        assert "code" in given, given
        self.desk.counter = max(self.desk.counter + 1, time.time_ns())
        approval = Approval(
            fleet="desk", by=person, at_ns=time.time_ns(), counter=self.desk.counter, scope=order.scope,
            kill=kill_id(order), code=given["code"], code_host=host, code_account=given["account"],
        )  # fmt: skip
        await self.put(f"rearm.{order.scope}.{person}", approval, person)
