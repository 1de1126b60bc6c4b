"""The record shipped to a real JetStream: each line once, whatever is killed; what was forged afterwards is named."""

import asyncio
import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fleet.cluster import Cluster, cluster, needs_nats

needs_nats()

import nats  # noqa: E402 - it is there only where the extra is

from canceld.engine.journal import ROOT as BEFORE_ALL  # noqa: E402
from canceld.engine.journal import Chain, Head, format_head  # noqa: E402
from tests.fleet import ship  # noqa: E402
from tests.fleet.keys import seed_and_key  # noqa: E402

LINES: Final = 10_000
SECOND_NS: Final = 10**9


class Host:
    """A record of some lines, and the verbs over it."""

    def __init__(self, directory: Path, servers: list[str], lines: int = 200, **members: Any) -> None:
        directory.mkdir(exist_ok=True)
        self.servers = servers
        self.config = ship.configuration(directory, servers, **members)
        self.state = directory / "state"
        self.file = self.state / "journal" / "00000001.jsonl"
        self.file.parent.mkdir(mode=0o700)
        self.chain = Chain(BEFORE_ALL, None, lambda encoded: encoded)
        self.write(lines)

    def write(self, lines: int) -> None:
        first = self.chain.link.n
        entries = [((first + k) * SECOND_NS, 0, "decision", {"order_id": f"O{k}", "why": "x"}) for k in range(lines)]
        with open(self.file, "ab") as file:
            file.write(self.chain.lines(entries))
            size = file.tell()
        (self.file.parent / "head").write_bytes(format_head(Head(self.file.name, size, *self.chain.link)))

    def rewrite(self, change: Callable[[list[bytes]], list[bytes]]) -> None:
        """As somebody forges it who may write everything here: the whole chain, and its head, made anew."""
        kept = change(self.file.read_bytes().split(b"\n")[:-1])
        self.chain.link = BEFORE_ALL
        self.file.write_bytes(b"")
        entries = []
        for raw in kept:
            fields = json.loads(raw)
            entries.append((int(fields["n"] - 1) * SECOND_NS, 0, fields["kind"], fields))
        self.file.write_bytes(self.chain.lines(entries))
        head = Head(self.file.name, self.file.stat().st_size, *self.chain.link)
        (self.file.parent / "head").write_bytes(format_head(head))

    def verb(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return ship.canceld(verb, "--config", str(self.config), *arguments)

    def verify(self) -> subprocess.CompletedProcess[str]:
        return self.verb("journal", "--verify", "--against", self.servers[0])

    def stream(self) -> list[bytes]:
        return asyncio.run(ship.stream_lines(self.servers))


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("bus")) as running:
        yield running


@pytest.fixture
def host(bus: Cluster, tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path / "host", bus.servers)
    assert made.verb("ship", "--make").returncode == 0
    yield made
    asyncio.run(_remove(bus.servers))


async def _remove(servers: list[str]) -> None:
    client = await nats.connect(servers)
    await client.jetstream().delete_stream(ship.stream_of(ship.PLACE))
    await client.close()


async def _ask(servers: list[str], subject: str, body: dict[str, Any]) -> dict[str, Any]:
    client = await nats.connect(servers)
    answer: dict[str, Any] = json.loads((await client.request(subject, json.dumps(body).encode(), timeout=5)).data)
    await client.close()
    return answer


def test_no_line_is_lost_and_none_comes_twice_whatever_is_killed(tmp_path: Path, tell: Callable[[str], None]) -> None:
    with cluster(tmp_path) as running:
        judged = ship.play(tmp_path, running, LINES, seed=7, kills=6)
    assert judged.faults == []
    assert judged.lines >= LINES
    assert all(judged.kills.values()), "each of them was killed, and the stream was full"
    tell(f"{judged.lines} lines shipped in {judged.took_s:.1f} s through {judged.kills}")


def test_shipping_again_stores_nothing_twice_and_nothing_can_be_deleted(host: Host) -> None:
    assert json.loads(host.verb("ship", "--once", "--json").stdout) == {"shipped": 200, "ok": True}
    assert json.loads(host.verb("ship", "--once", "--json").stdout) == {"shipped": 0, "ok": True}
    host.write(50)
    assert json.loads(host.verb("ship", "--once", "--json").stdout) == {"shipped": 50, "ok": True}
    for what, body in (("MSG.DELETE", {"seq": 5}), ("PURGE", {})):
        answer = asyncio.run(_ask(host.servers, f"$JS.API.STREAM.{what}.{ship.stream_of(ship.PLACE)}", body))
        assert "not permitted" in answer["error"]["description"]
    assert host.stream() == host.file.read_bytes().split(b"\n")[:-1]
    found = host.verify()
    assert found.returncode == 0, found.stdout + found.stderr
    assert "250 lines are the same, 0 are wrong" in found.stdout


def _without(n: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: lines[: n - 1] + lines[n:]


def _changed(n: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: [*lines[: n - 1], lines[n - 1].replace(b'"why":"x"', b'"why":"y"'), *lines[n:]]


@pytest.mark.parametrize(
    ("forge", "told"),
    [
        (_changed(77), "00000001.jsonl:77: changed: line 77"),
        (_without(77), "00000001.jsonl:77: changed: line 77"),
        (lambda lines: lines[:150], "missing: lines 151..200 were shipped"),
    ],
    ids=["changed", "one line taken out", "cut off"],
)
def test_a_record_forged_with_its_whole_chain_is_named_with_the_line(
    host: Host, forge: Callable[[list[bytes]], list[bytes]], told: str
) -> None:
    assert host.verb("ship", "--once").returncode == 0
    host.rewrite(forge)
    assert host.verb("journal", "--verify").returncode == 0, "by itself it cannot be told"
    found = host.verify()
    assert found.returncode == 1
    assert told in found.stdout.splitlines()[0]


def test_what_the_host_lost_stays_in_the_stream_and_what_comes_after_is_shipped_behind_it(host: Host) -> None:
    assert host.verb("ship", "--once").returncode == 0
    lost = host.file.read_bytes().split(b"\n")[180:200]
    host.rewrite(lambda lines: lines[:180])
    host.write(30)
    found = host.verb("ship", "--once")
    assert found.returncode == 0
    assert "lines 181..200 were shipped and are not in the record here" in found.stderr
    stream = host.stream()
    assert stream[180:200] == lost
    assert stream[:180] + stream[200:] == host.file.read_bytes().split(b"\n")[:-1]
    assert json.loads(host.verb("ship", "--once", "--json").stdout)["shipped"] == 0
    assert "shipped in another form before" in host.verify().stdout


def test_a_file_that_was_closed_and_packed_is_shipped_on_from_its_middle(host: Host) -> None:
    assert host.verb("ship", "--once").returncode == 0
    host.write(40)
    lines = host.file.read_bytes().split(b"\n")[:-1]
    (host.file.parent / "00000001.jsonl.gz").write_bytes(gzip.compress(host.file.read_bytes()))
    host.file.unlink()
    host.file = host.file.with_name("00000002.jsonl")
    host.write(10)
    assert json.loads(host.verb("ship", "--once", "--json").stdout)["shipped"] == 50
    assert host.stream() == lines + host.file.read_bytes().split(b"\n")[:-1]
    assert host.verify().returncode == 0


def test_a_file_has_each_line_once_also_where_it_ends_in_half_a_line(bus: Cluster, tmp_path: Path) -> None:
    host, out = Host(tmp_path / "host", bus.servers), tmp_path / "out.jsonl"
    whole = host.file.read_bytes()
    out.write_bytes(whole[: len(whole) // 2])
    for _ in range(2):
        assert host.verb("ship", "--to", str(out), "--once").returncode == 0
        assert out.read_bytes() == whole


def test_the_output_has_the_lines_and_goes_on_at_the_position(bus: Cluster, tmp_path: Path) -> None:
    host = Host(tmp_path / "host", bus.servers)
    arguments = ("--to", "-", "--once", "--position", str(tmp_path / "position"))
    assert host.verb("ship", *arguments).stdout.encode() == host.file.read_bytes()
    assert host.verb("ship", *arguments).stdout == ""
    host.write(1)
    assert host.verb("ship", *arguments).stdout.encode() == host.file.read_bytes().split(b"\n")[-2] + b"\n"


def test_bad_input_is_one_line(bus: Cluster, tmp_path: Path) -> None:
    host = Host(tmp_path / "host", bus.servers)
    none = host.verb("ship", "--once")
    assert (none.returncode, len(none.stderr.splitlines())) == (1, 1)
    assert "canceld ship --make" in none.stderr
    gone = Host(tmp_path / "gone", ["nats://127.0.0.1:1"])
    for asked in (("ship", "--once"), ("journal", "--verify", "--against", "fleet")):
        found = gone.verb(*asked)
        assert (found.returncode, len(found.stderr.splitlines())) == (3, 1), found.stderr
        assert "no server answers" in found.stderr
    assert host.verb("journal", "--against", "fleet").returncode == 2


RIGHTS: Final = """{{
    publish: ["record.desk.{host}.main", "$JS.API.STREAM.INFO.record:desk:{host}:main",
              "$JS.API.STREAM.MSG.GET.record:desk:{host}:main"]
    subscribe: "_INBOX_{host}.>"
}}"""


def test_a_hosts_key_ships_that_hosts_record_and_does_nothing_else(tmp_path: Path) -> None:
    seeds = {name: seed_and_key() for name in ("h1", "h2", "operator", "stranger")}
    for name, (seed, _) in seeds.items():
        (tmp_path / name).write_text(seed)
        (tmp_path / name).chmod(0o600)
    users = [f"{{ nkey: {seeds[name][1]}, permissions: {RIGHTS.format(host=name)} }}" for name in ("h1", "h2")]
    users.append(f"{{ nkey: {seeds['operator'][1]} }}")
    with cluster(
        tmp_path, accounts=f"accounts {{ A {{ jetstream: enabled, users: [{', '.join(users)}] }} }}"
    ) as running:
        own = Host(tmp_path / "own", running.servers, nkey=str(tmp_path / "h1"))
        operator = Host(tmp_path / "op", running.servers, nkey=str(tmp_path / "operator"))
        assert "permissions violation" in own.verb("ship", "--make").stderr
        assert operator.verb("ship", "--make").returncode == 0
        assert json.loads(own.verb("ship", "--once", "--json").stdout) == {"shipped": 200, "ok": True}
        other = Host(tmp_path / "other", running.servers, nkey=str(tmp_path / "h2"))
        found = other.verb("ship", "--once")
        assert (found.returncode, len(found.stderr.splitlines())) == (1, 1)
        assert "permissions violation" in found.stderr
        stranger = Host(tmp_path / "stranger-host", running.servers, nkey=str(tmp_path / "stranger"))
        found = stranger.verb("ship", "--once")
        assert (found.returncode, len(found.stderr.splitlines())) == (3, 1), found.stderr
        assert "fleet.nkey" in found.stderr
        assert seeds["stranger"][0] not in found.stderr
        denied = subprocess.run(
            [sys.executable, "-m", "tests.fleet.denied", running.url, str(tmp_path / "h1")],
            cwd=ship.ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert denied.stdout.split() == ["denied"] * 4, denied.stdout + denied.stderr
        assert operator.verify().returncode == 0
