"""The connection to a real nats-server: what goes wrong is one line with the mend."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

from tests.fleet.cluster import Cluster, cluster, free_ports, needs_nats

needs_nats()

from canceld.fleet.bus import Bus, BusFailed, connect, failed  # noqa: E402
from canceld.fleet.settings import FleetSettings, read_fleet  # noqa: E402
from canceld.settings import BadSettings  # noqa: E402
from tests.fleet.keys import seed_and_key  # noqa: E402

STREAM: Final = {"name": "s", "subjects": ["s.>"], "storage": "memory"}


class World:
    """A TLS server that takes one nkey, and the files of whoever speaks to it."""

    def __init__(self, directory: Path, running: Cluster, ca: trustme.CA) -> None:
        self.directory = directory
        self.running = running
        self.ca = directory / "ca.pem"
        ca.cert_pem.write_to_path(str(self.ca))

    def settings(self, **members: str) -> FleetSettings:
        fleet = {
            "servers": [self.running.url],
            "tls_ca": str(self.ca),
            "nkey": str(self.directory / "seed"),
            "host": "h1",
        }
        lines = [f"{name} = {value!r}" for name, value in (fleet | members).items() if value]
        file = self.directory / "canceld.toml"
        file.write_text("[fleet]\n" + "\n".join(lines) + "\n")
        return read_fleet(str(file), None)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("bus")
    ca = trustme.CA()
    cert = ca.issue_cert("127.0.0.1")
    cert.private_key_pem.write_to_path(str(directory / "key.pem"))
    cert.cert_chain_pems[0].write_to_path(str(directory / "cert.pem"))
    seed, key = seed_and_key()
    (directory / "seed").write_text(seed)
    (directory / "seed").chmod(0o600)
    rights = '{ publish: ["$JS.API.>", "s.>", "full"], subscribe: "_INBOX_h1.>" }'
    accounts = f"accounts {{ A {{ jetstream: enabled, users: [ {{ nkey: {key}, permissions: {rights} }} ] }} }}"
    tls = f'cert_file: "{directory}/cert.pem", key_file: "{directory}/key.pem"'
    with cluster(directory, accounts=accounts, tls=tls) as running:
        yield World(directory, running, ca)


def use(settings: FleetSettings, steps: Any) -> Any:
    async def body() -> Any:
        async with connect(settings, "test") as bus:
            return await steps(bus)

    return asyncio.run(body())


async def nothing(bus: Bus) -> None:
    return None


def failure(settings: FleetSettings, steps: Any = nothing) -> str:
    with pytest.raises(BusFailed) as failed:
        use(settings, steps)
    assert "\n" not in str(failed.value)
    return str(failed.value)


def test_who_has_the_key_makes_a_stream_and_finds_it_again(world: World) -> None:
    async def steps(bus: Bus) -> Any:
        assert await bus.stream_info("s") is None
        await bus.make_stream(STREAM, "a test")
        await bus.request("s.x", b"line")
        return await bus.stream_info("s")

    assert use(world.settings(), steps)["state"]["messages"] == 1


def test_what_goes_wrong_is_one_line_that_names_the_mend(world: World, tmp_path: Path) -> None:
    port = free_ports(1)[0]
    assert "no server answers" in failure(world.settings(servers=[f"tls://127.0.0.1:{port}"]))  # type: ignore[arg-type]
    assert "fleet.tls_ca" in failure(world.settings(tls_ca=""))
    stranger, _ = seed_and_key()
    other = tmp_path / "other"
    other.write_text(stranger)
    other.chmod(0o600)
    line = failure(world.settings(nkey=str(other)))
    assert "fleet.creds or fleet.nkey" in line
    assert stranger not in line
    other.write_text("SUANOTASEED")
    assert "cannot be used" in failure(world.settings(nkey=str(other)))


def test_a_right_that_is_lacking_is_named(world: World) -> None:
    async def steps(bus: Bus) -> None:
        await bus.request("elsewhere", b"x", timeout_s=1)

    line = failure(world.settings(), steps)
    assert "elsewhere" in line
    assert "canceld help fleet" in line


def test_a_stream_of_another_version_is_refused(world: World) -> None:
    async def steps(bus: Bus) -> None:
        await bus.api("STREAM.CREATE.old", {"name": "old", "subjects": ["old"], "description": "canceld fleet 99: x"})
        await bus.stream_info("old")

    assert "canceld fleet 99" in failure(world.settings(), steps)


def test_a_full_stream_says_so(world: World) -> None:
    async def steps(bus: Bus) -> None:
        small = {"name": "full", "subjects": ["full"], "max_msgs": 1, "discard": "new", "storage": "memory"}
        await bus.make_stream(small, "x")
        for _ in range(2):
            answer = json.loads((await bus.request("full", b"x")).data)
        raise failed(bus.where, answer["error"], "full")

    assert "give it more room" in failure(world.settings(), steps)


def test_a_server_that_does_not_encrypt_is_told_nothing(world: World, tmp_path: Path) -> None:
    with cluster(tmp_path) as plain:
        line = failure(world.settings(servers=[plain.url.replace("nats:", "tls:")]))  # type: ignore[arg-type]
    assert "does not encrypt" in line


def test_clear_text_is_for_loopback_alone(world: World) -> None:
    for url in ("nats://10.0.0.1:4222", "nats://u:p@127.0.0.1:4222", "http://127.0.0.1:4222", "tls://x"):
        with pytest.raises(BadSettings, match=r"fleet\.servers"):
            world.settings(servers=[url])  # type: ignore[arg-type]
