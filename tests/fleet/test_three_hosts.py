"""Three daemons of one account with an agent each, on a real bus, by the lines of the page on several hosts.

The owner of the timer dies with its host, a kill reaches the others, who was away latches first, two persons end it,
and what somebody changes in a record afterwards is named. The exchange's book and the daemons' switches are the judge.
"""

import contextlib
import io
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from canceld import __file__ as house
from canceld import cli
from canceld.engine.journal import Head, format_head, parse_head
from tests.fleet.cluster import Cluster, cluster, needs_nats
from tests.processes.conftest import exchange, home
from tests.processes.stage import ROOT, Exchange, Service, until

needs_nats()

from tests.fleet.keys import seed_and_key  # noqa: E402 - it is there only where the extra is

__all__ = ["exchange", "home"]

PAGE: Final = (Path(house).parent / "pages" / "fleet.md").read_text()
README: Final = (ROOT / "README.md").read_text()
WITHIN_S: Final = 30.0
HOSTS: Final = ("h1", "h2", "h3")
PERSONS: Final = ("ann", "bob")
TIMER_S: Final = 5
AGENT: Final = """
from canceld import cli
from canceld.fleet import timer_lease as lease
lease.LEASE_NS, lease.RENEW_NS, lease.MARGIN_NS = 3 * 10**9, 10**9, 10**9
cli.main()
"""
"""An agent whose claims hold for 3 s instead of 15, as the timer of this story is one of 5 s instead of 60."""


class Fleet:
    """Three daemons, each with a key of its own, their agents, and two operators."""

    def __init__(self, home: Path, bus: Cluster, exchange: Exchange) -> None:
        self.bus = bus
        self.hosts = {name: seed_and_key() for name in HOSTS}
        self.persons = {name: seed_and_key() for name in PERSONS}
        self.services = {name: self._daemon(home / name, exchange, name) for name in HOSTS}
        self.agents: dict[str, subprocess.Popen[str]] = {}
        self.configs = {name.upper(): service.config for name, service in self.services.items()}
        self.configs |= {name.upper(): self._operator(home / f"op-{name}", name) for name in PERSONS}

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
        members = self._members(name, self.hosts[name][0], place)
        credentials = place / "credentials"
        for part, value in exchange.issue("spot").items():
            file = credentials / f"spot.{part}"
            file.touch(mode=0o600)
            file.write_text(value)
        timer = {"spot": True, "owner": "fleet", "timeout_s": TIMER_S, "refresh_s": 1}
        service = Service(place, exchange.told, credentials={"dir": str(credentials)}, deadman=timer)
        _append(service.config, members)
        service.launch()
        return service

    def _operator(self, place: Path, name: str) -> Path:
        place.mkdir()
        config = place / "operator.toml"
        # At the first host, whose agent gives him his codes.
        config.write_text(f'[gateway]\ncontrol = "{self.services["h1"].control}"\n')
        _append(config, self._members("desk-of-operators", self.persons[name][0], place))
        return config

    def start_agent(self, name: str) -> None:
        command = [sys.executable, "-c", AGENT, "agent", "--config", str(self.services[name].config)]
        with open(self.services[name].home / "agent.err", "a") as told:
            self.agents[name] = subprocess.Popen(command, cwd=ROOT, stderr=told, text=True)

    def end(self) -> None:
        for agent in self.agents.values():
            agent.kill()
            agent.wait()
        for name, service in self.services.items():
            service.end()
            print(f"--- agent of {name}\n{self.agent_said(name)}")

    def agent_said(self, name: str) -> str:
        file = self.services[name].home / "agent.err"
        return file.read_text() if file.exists() else ""

    def run(self, line: str, *more: str) -> subprocess.CompletedProcess[str]:
        """A line of the page, with the file that it names; in this process, which saves a second for each."""
        words = [str(self.configs.get(word, word)) for word in shlex.split(line)]
        assert words.pop(0) == "canceld"
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.main([*words, *more])
        return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())

    def stands(self) -> dict[str, dict[str, Any]]:
        """How each host stands, as `status` has it."""
        told = self.run("canceld fleet status --json --config ANN").stdout.splitlines()
        return {one["host"]: one for one in map(json.loads, told) if "host" in one}

    def latched(self, name: str) -> bool:
        return bool(self.services[name].status()["kill"]["latched"])

    def first_told(self, name: str) -> dict[str, Any] | None:
        with contextlib.suppress(TimeoutError):
            return self.services[name].status(within_s=0.05)
        return None


def _append(config: Path, members: dict[str, Any]) -> None:
    tables = {name: value for name, value in members.items() if isinstance(value, dict)}
    plain = {name: value for name, value in members.items() if not isinstance(value, dict)}
    lines = ["[fleet]", *(f"{name} = {json.dumps(value)}" for name, value in plain.items())]
    for name, table in tables.items():
        lines += [f"[fleet.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    config.write_text(config.read_text() + "\n" + "\n".join(lines) + "\n")


def _forge(state: Path, old: bytes, new: bytes) -> int:
    """Change words of a record as somebody does who may write all of it: chain and head are made anew. The line."""
    journal = state / "journal"
    head = parse_head((journal / "head").read_bytes())
    assert head is not None
    file = journal / head.file
    lines = file.read_bytes().splitlines()
    [changed] = [place for place, line in enumerate(lines) if old in line][:1]
    before = sha256(lines[changed]).hexdigest()
    lines[changed] = lines[changed].replace(old, new)
    for place in range(changed + 1, len(lines)):
        now = sha256(lines[place - 1]).hexdigest()
        before, lines[place] = sha256(lines[place]).hexdigest(), lines[place].replace(before.encode(), now.encode())
    file.write_bytes(b"\n".join(lines) + b"\n")
    made = Head(head.file, file.stat().st_size, head.n, sha256(lines[-1]).hexdigest(), head.kill)
    (journal / "head").write_bytes(format_head(made))
    return changed + 1


@pytest.fixture
def fleet(home: Path, exchange: Exchange) -> Iterator[Fleet]:
    with ExitStack() as ending:
        bus = ending.enter_context(cluster(home))
        made = Fleet(home, bus, exchange)
        ending.callback(made.end)
        for service in made.services.values():
            until(service._serves, 2 * WITHIN_S, "the daemon serves")
        yield made


def test_the_lines_of_the_page_on_three_hosts(fleet: Fleet, exchange: Exchange) -> None:
    """README shows the same lines as the page."""
    section = PAGE.partition("## One kill for several hosts\n")[2].partition("\n## ")[0]
    [block] = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert re.findall(r"```sh\n(.*?)```", README.partition("\n## Several hosts\n")[2], re.DOTALL)[0] == block
    make, make_stream, status, kill, before_start, ask_ann, ann, ask_bob, bob, verify = block.splitlines()
    for line in (make, make_stream):
        done = fleet.run(line)
        assert (done.returncode, done.stderr) == (0, "")
    command = [sys.executable, "-m", "canceld", "ship", "--config", str(fleet.configs["H1"])]
    fleet.agents["shipper"] = subprocess.Popen(command, cwd=ROOT, text=True)
    for name in HOSTS:
        fleet.start_agent(name)
    until(lambda: fleet.run(status).returncode == 0, WITHIN_S, "all three are heard of")

    # The owner of the timer dies with its host; the orders outlive the timer, since another renews it in time.
    exchange.place(20)
    stands = until(lambda: _if_owned(fleet.stands()), WITHIN_S, "one keeps the timer")
    [owner] = [name for name, one in stands.items() if one["timer"]]
    # Codes are given out at h1: let another be away.
    away, here = ("h3", ["h1", "h2"]) if owner == "h1" else (owner, [name for name in HOSTS if name != owner])
    fleet.agents.pop(away).kill()
    fleet.services[away].kill()
    died_s = time.monotonic()
    until(lambda: [name for name, one in fleet.stands().items() if one["timer"] and name in here], WITHIN_S, "another")
    until(lambda: time.monotonic() > died_s + TIMER_S + 1, WITHIN_S, "the timer would have fired")
    assert len(exchange.resting()) == 20

    # A kill reaches who is there, and says that one is not.
    killed = fleet.run(kill, "--wait", "3")
    assert exchange.resting() == []
    assert all(fleet.latched(name) for name in here)
    assert killed.returncode == 1, killed.stdout
    assert all(re.search(rf"^{name} +main +flat", killed.stdout, re.MULTILINE) for name in here), killed.stdout
    # Who was away latches before it serves.
    before = fleet.run(before_start.replace("H3", away.upper()))
    assert before.returncode == 0, before.stderr
    fleet.services[away].launch()
    first_told = until(lambda: fleet.first_told(away), WITHIN_S, "it answers")
    assert first_told["kill"]["latched"], "the first that anybody hears of it"
    fleet.start_agent(away)
    again = fleet.run(kill, "--wait", str(WITHIN_S))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "a kill of fleet stands already, by ann: fat finger" in again.stderr

    # Two persons end it; one does not.
    for ask, line, ended in ((ask_ann, ann, False), (ask_bob, bob, True)):
        asked = fleet.run(ask)
        assert asked.returncode == 1, asked.stdout + asked.stderr
        done = fleet.run(line.replace("CODE", asked.stdout.split("--code ")[1].split()[0]))
        assert (done.returncode == 0) is ended, done.stdout + done.stderr
        assert ended or "approved by ann: 2 different persons are needed" in done.stdout
    assert not any(fleet.latched(name) for name in HOSTS)
    for host in ("H1", "H2", "H3"):
        recorded = fleet.run(f"canceld journal --config {host} --kind kill --kind rearm").stdout
        assert "fleet: fleet by ann: fat finger" in recorded
        assert "approved by ann and bob" in recorded, recorded
    assert {one["state"] for one in fleet.stands().values()} == {"armed"}

    # The bus goes: nothing is killed for that, and a local kill works; the others of the account hear of it later.
    for node in fleet.bus.nodes:
        node.kill()
    exchange.place(5)
    assert fleet.run("canceld kill --config H1 --reason local").returncode == 0
    assert exchange.resting() == []
    assert not fleet.latched("h2")
    alone = fleet.run(status)
    assert (alone.returncode, alone.stdout.splitlines()[0]) == (3, "h1  main  latched")
    for node in fleet.bus.nodes:
        node.start()
    until(lambda: fleet.latched("h2") and fleet.latched("h3"), WITHIN_S, "they follow the local kill")

    # What was shipped is the same; what is changed here afterwards, chain and all, is named.
    fleet.services["h1"].stop()
    until(lambda: fleet.run(verify).returncode == 0, WITHIN_S, "all of it is shipped, and the same")
    fleet.agents.pop("shipper").kill()
    changed = _forge(fleet.services["h1"].state, b"fat finger", b"by nobody!")
    own = fleet.run(verify.removesuffix(" --against fleet"))
    assert own.returncode == 0, f"{own.stdout}{own.stderr}: by itself it is whole"
    found = fleet.run(verify)
    assert found.returncode == 1
    assert f":{changed}: " in found.stdout + found.stderr, found.stdout + found.stderr


def _if_owned(stands: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]] | None:
    return stands if sum(one.get("timer", False) for one in stands.values()) == 1 else None
