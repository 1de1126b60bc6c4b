"""Three daemons with an agent each, on a real bus: a kill reaches all, ends by two persons, and waits for who was away.

The accounts' orders are judged by the exchange's book, the switches by the daemons.
"""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fleet.cluster import Cluster, cluster, needs_nats
from tests.processes.conftest import exchange, home
from tests.processes.stage import ROOT, Exchange, Service, until

needs_nats()

from tests.fleet.keys import seed_and_key  # noqa: E402 - it is there only where the extra is

__all__ = ["exchange", "home"]

WITHIN_S: Final = 20.0
HOSTS: Final = ("h1", "h2", "h3")
PERSONS: Final = ("ann", "bob")


class Fleet:
    """Three daemons of one account, each with a key of its own, their agents, and two operators."""

    def __init__(self, home: Path, bus: Cluster, exchange: Exchange) -> None:
        self.bus = bus
        self.hosts = {name: seed_and_key() for name in HOSTS}
        self.persons = {name: seed_and_key() for name in PERSONS}
        self.services = {name: self._daemon(home / name, exchange, name) for name in HOSTS}
        self.agents: dict[str, subprocess.Popen[str]] = {}
        self.operators = {name: self._operator(home / f"op-{name}", name) for name in PERSONS}

    def _members(self, host: str, seed: str, place: Path) -> dict[str, Any]:
        file = place / "credentials" / "signing.seed"
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(seed)
        return {
            "servers": self.bus.servers,
            "name": "desk",
            "host": host,
            "account": "main",
            "signing": str(file),
            "operators": {name: public for name, (_, public) in self.persons.items()},
            "hosts": {name: public for name, (_, public) in self.hosts.items()},
        }

    def _daemon(self, place: Path, exchange: Exchange, name: str) -> Service:
        place.mkdir()
        credentials = place / "credentials"
        credentials.mkdir(mode=0o700)
        for part, value in exchange.issue("spot").items():
            file = credentials / f"spot.{part}"
            file.touch(mode=0o600)
            file.write_text(value)
        members = self._members(name, self.hosts[name][0], place)
        service = Service(place, exchange.told, credentials={"dir": str(credentials)})
        _append(service.config, members)
        return service.start()

    def _operator(self, place: Path, name: str) -> Path:
        place.mkdir()
        config = place / "operator.toml"
        # At the first host, whose agent gives him his codes.
        control = self.services["h1"].control
        config.write_text(f'[gateway]\ncontrol = "{control}"\n')
        _append(config, self._members("desk-of-operators", self.persons[name][0], place))
        return config

    def start_agent(self, name: str) -> None:
        command = [sys.executable, "-m", "canceld", "agent", "--config", str(self.services[name].config)]
        with open(self.services[name].home / "agent.err", "a") as told:
            self.agents[name] = subprocess.Popen(command, cwd=ROOT, stderr=told, text=True)

    def stop_agent(self, name: str) -> None:
        self.agents.pop(name).send_signal(signal.SIGTERM)

    def end(self) -> None:
        for agent in self.agents.values():
            agent.kill()
            agent.wait()
        for name in self.services:
            print(f"--- agent of {name}\n{self.agent_said(name)}")
        for service in self.services.values():
            service.end()

    def verb(self, person: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "canceld", "fleet", *arguments, "--config", str(self.operators[person])]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    def agent_said(self, name: str) -> str:
        file = self.services[name].home / "agent.err"
        return file.read_text() if file.exists() else ""

    def latched(self, name: str) -> bool:
        return bool(self.services[name].status()["kill"]["latched"])

    def first_told(self, name: str) -> dict[str, Any] | None:
        with contextlib.suppress(TimeoutError):
            return self.services[name].status(within_s=0.05)
        return None

    def approve(self, person: str) -> subprocess.CompletedProcess[str]:
        asked = self.verb(person, "rearm")
        assert asked.returncode == 1, asked.stdout + asked.stderr
        code = asked.stdout.split("--code ")[1].split()[0]
        return self.verb(person, "rearm", "--code", code, "--reason", "mended")


def _append(config: Path, members: dict[str, Any]) -> None:
    tables = {name: value for name, value in members.items() if isinstance(value, dict)}
    plain = {name: value for name, value in members.items() if not isinstance(value, dict)}
    lines = ["[fleet]", *(f"{name} = {json.dumps(value)}" for name, value in plain.items())]
    for name, table in tables.items():
        lines += [f"[fleet.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    config.write_text(config.read_text() + "\n" + "\n".join(lines) + "\n")


@pytest.fixture
def fleet(home: Path, exchange: Exchange) -> Iterator[Fleet]:
    with ExitStack() as ending:
        bus = ending.enter_context(cluster(home))
        made = Fleet(home, bus, exchange)
        ending.callback(made.end)
        done = made.verb("ann", "make")
        assert (done.returncode, done.stderr) == (0, "")
        for name in HOSTS:
            made.start_agent(name)
        until(lambda: made.verb("ann", "status").returncode == 0, WITHIN_S, "all three are heard of")
        yield made


def test_one_kill_for_all_two_persons_to_end_it_and_who_was_away_latches_first(
    fleet: Fleet, exchange: Exchange, tell: Callable[[str], None]
) -> None:
    # h3 is away: its agent and its daemon are down.
    fleet.stop_agent("h3")
    fleet.services["h3"].stop()
    exchange.place(20)
    killed = fleet.verb("ann", "kill", "--reason", "fat finger", "--wait", "5")
    assert exchange.resting() == []
    assert fleet.latched("h1")
    assert fleet.latched("h2")
    # Not everybody is flat: of h3 nobody knows.
    assert killed.returncode == 1, killed.stdout
    assert "silent" in killed.stdout or "h3" in killed.stdout

    # One person re-arms nothing, a hand at one host neither: the kill stands, and the agent pulls again.
    first = fleet.approve("ann")
    assert "approved by ann: 2 different persons are needed" in first.stdout
    again = fleet.approve("ann")
    assert "approved by ann: 2" in again.stdout, "the same person twice is one person"
    assert fleet.latched("h1")

    # h3 comes back: before its daemon serves, it is latched.
    before = subprocess.run(
        [sys.executable, "-m", "canceld", "agent", "--before-start", "--config", str(fleet.services["h3"].config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert before.returncode == 0, before.stderr
    fleet.services["h3"].launch()
    first_told = until(lambda: fleet.first_told("h3"), WITHIN_S, "it answers")
    assert first_told["kill"]["latched"], "the first that anybody hears of it"
    fleet.start_agent("h3")
    until(lambda: fleet.verb("bob", "kill", "--wait", "1").returncode == 0, WITHIN_S, "all three are flat")

    second = fleet.approve("bob")
    assert second.returncode == 0, second.stdout + second.stderr
    assert not any(fleet.latched(name) for name in HOSTS)
    told = [json.loads(line) for line in fleet.verb("bob", "status", "--json").stdout.splitlines()]
    assert {(one["host"], one["state"]) for one in told} == {(name, "armed") for name in HOSTS}


def test_a_forged_order_a_silent_bus_and_a_local_kill(fleet: Fleet, exchange: Exchange) -> None:
    # Somebody who is no operator of the fleet signs a kill.
    seed, public = seed_and_key()
    forged = fleet.operators["bob"].with_name("forged.toml")
    forged.write_text(fleet.operators["bob"].read_text().replace(fleet.persons["bob"][1], public))
    (forged.parent / "credentials" / "signing.seed").write_text(seed)
    command = [sys.executable, "-m", "canceld", "fleet", "kill", "--wait", "1", "--config", str(forged)]
    subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    until(
        lambda: "not signed with the key" in (fleet.services["h1"].home / "agent.err").read_text(),
        WITHIN_S,
        "it is refused, by name",
    )
    assert not any(fleet.latched(name) for name in HOSTS)

    # The bus goes: nothing is killed for that, and a local kill works.
    for node in fleet.bus.nodes:
        node.kill()
    exchange.place(5)
    command = [sys.executable, "-m", "canceld", "kill", "--config", str(fleet.services["h1"].config)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30).returncode == 0
    assert exchange.resting() == []
    assert not fleet.latched("h2")
    # It is back: the others of the account follow the kill that they did not hear of.
    for node in fleet.bus.nodes:
        node.start()
    until(lambda: fleet.latched("h2") and fleet.latched("h3"), WITHIN_S, "they follow the local kill")
