"""What lies between daemon and exchange, as processes, and the addresses under which the daemon finds it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.hurt.packets import FAR, NEAR
from tests.hurt.proxy import HOST
from tests.processes.stage import ROOT, START_S, STOP_S, Exchange, until

URLS: Final = {
    "spot_ws": "spot_ws_url",
    "spot_rest": "spot_rest_url",
    "prime_ws": "prime_ws_url",
    "futures_rest": "futures_rest_url",
    "futures_ws": "futures_ws_url",
    "futures_uws": "uws_url",
}
"""By route of the proxy: what the exchange calls its address."""


class Helper:
    """A process that prints JSON lines and heeds lines on its stdin."""

    def __init__(self, home: Path, module: str, *arguments: str) -> None:
        name = module.rpartition(".")[2]
        self._name, self._out, self._err = name, home / f"{name}.out", home / f"{name}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=out, stderr=err
            )

    def line(self, number: int) -> Any:
        """What it printed as its line of this number."""

        def look() -> Any:
            lines = self._out.read_text().splitlines(keepends=True)
            assert self._process.poll() is None, self._err.read_text()
            return json.loads(lines[number]) if len(lines) > number and lines[number].endswith("\n") else None

        return until(look, START_S, f"line {number} of {self._name}")

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        self._process.stdin.flush()

    def end(self) -> None:
        self._process.kill()
        self._process.wait(STOP_S)
        print(f"--- {self._name}.err\n{self._err.read_text()}")


class Between:
    """A running proxy, and a line that loses packets where told; `told` is what the exchange printed, with the
    addresses under which the daemon meets them. through, environ: as Service.start takes them."""

    def __init__(self, home: Path, exchange: Exchange, seed: int, *, packets: bool = False) -> None:
        self.through: tuple[str, ...] = ()
        self.environ: dict[str, str] = {}
        self._packets = None
        target = str(urlsplit(exchange.told["control_url"]).port)
        if packets:
            self._packets = Helper(home, "tests.hurt.packets", str(seed))
            self._packets.line(0)
            # The certificate knows the name, and the name means the far end of the line to the daemon alone.
            hosts = home / "hosts"
            hosts.write_text(f"{FAR} localhost\n")
            self.environ = {"HOSTS": str(hosts)}
            self.through = ("unshare", "--mount", "sh", "-c", 'mount --bind "$HOSTS" /etc/hosts && exec "$@"', "sh")
        self._proxy = Helper(home, "tests.hurt.proxy", NEAR if packets else HOST, target, str(seed), *URLS)
        self.told: dict[str, Any] = dict(exchange.told)
        for route, port in self._proxy.line(0).items():
            url = urlsplit(exchange.told[URLS[route]])
            host = "localhost" if packets else url.hostname
            self.told[URLS[route]] = url._replace(netloc=f"{host}:{port}").geturl()

    def storm(self, gap_s: float) -> None:
        """Strike at random, every `gap_s` on average, and lose packets."""
        self._proxy.tell(f"storm {gap_s}")
        if self._packets is not None:
            self._packets.tell("storm")

    def calm(self) -> tuple[dict[str, int], dict[str, int]]:
        """Strike no more; how often each kind of fault struck, and what became of packets."""
        self._proxy.tell("calm")
        struck: dict[str, int] = self._proxy.line(1)
        if self._packets is None:
            return struck, {}
        self._packets.tell("calm")
        became: dict[str, int] = self._packets.line(1)
        return struck, became

    def end(self) -> None:
        self._proxy.end()
        if self._packets is not None:
            self._packets.end()
