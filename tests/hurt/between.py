"""The proxy as a process between daemon and exchange, and the addresses under which the daemon finds it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.processes.stage import ROOT, START_S, STOP_S, Exchange, until

URLS: Final = {
    "spot_ws": "spot_ws_url",
    "spot_rest": "spot_rest_url",
    "prime_ws": "prime_ws_url",
    "futures_rest": "futures_rest_url",
    "futures_ws": "futures_ws_url",
}
"""By route of the proxy: what the exchange calls its address."""


class Between:
    """A running proxy; `told` is what the exchange printed, with the proxy's ports in the addresses."""

    def __init__(self, home: Path, exchange: Exchange, seed: int) -> None:
        self._out, self._err = home / "proxy.out", home / "proxy.err"
        target = str(urlsplit(exchange.told["control_url"]).port)
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.hurt.proxy", target, str(seed), *URLS],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
            )
        self.told: dict[str, Any] = dict(exchange.told)
        for route, port in self._line(0).items():
            url = urlsplit(exchange.told[URLS[route]])
            self.told[URLS[route]] = url._replace(netloc=f"{url.hostname}:{port}").geturl()

    def _line(self, number: int) -> dict[str, int]:
        """What it printed as its line of this number."""

        def look() -> dict[str, int]:
            lines = self._out.read_text().splitlines(keepends=True)
            assert self._process.poll() is None, self._err.read_text()
            return json.loads(lines[number]) if len(lines) > number and lines[number].endswith("\n") else {}

        return until(look, START_S, f"line {number} of the proxy")

    def _tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        self._process.stdin.flush()

    def storm(self, gap_s: float) -> None:
        """Strike at random, every `gap_s` on average."""
        self._tell(f"storm {gap_s}")

    def calm(self) -> dict[str, int]:
        """Strike no more; how often each kind of fault struck."""
        self._tell("calm")
        return self._line(1)

    def end(self) -> None:
        self._process.kill()
        self._process.wait(STOP_S)
        print(f"--- proxy.err\n{self._err.read_text()}")
