"""`canceld panic` with a book full of orders at every venue, from its start until each venue is proved flat.

Alone: `python -m tests.bench.panic`.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from .figures import Row, verdicts
from .lines import ROOT
from .measures import FULL, Effort
from .trouble import Exchange

ORDERS: Final = 1000
GOAL_S: Final = 2.0
VENUES: Final = ("spot", "prime", "futures")

CONFIG: Final = """
[spot]
rest_url = "{spot_rest_url}"
[prime]
enabled = true
ws_url = "{prime_ws_url}"
[futures]
enabled = true
rest_url = "{futures_rest_url}"
[state]
dir = "{state}"
[tls]
ca_file = "{ca_file}"
[credentials]
dir = "{credentials_dir}"
"""


def panic(effort: Effort) -> Row:
    """The row; in brief with a twentieth of the orders."""
    orders = ORDERS if effort.repeats > 1 else ORDERS // 20
    with tempfile.TemporaryDirectory(prefix="canceld-bench-") as name:
        home = Path(name)
        exchange = Exchange(home / "exchange")
        try:
            for venue in VENUES:
                for _ in range(orders):
                    exchange.ask("POST", "/sim/orders", {"venue": venue})
            (home / "state").mkdir(mode=0o700)
            config = home / "canceld.toml"
            config.write_text(CONFIG.format(state=home / "state", **exchange.told))
            begun = time.monotonic()
            command = [sys.executable, "-m", "canceld", "panic", "--config", str(config), "--reason", "bench", "--json"]
            ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            took_s = time.monotonic() - begun
            left = {venue: len(rests) for venue, rests in exchange.ask("GET", "/sim/orders").items()}
        finally:
            exchange.end()
    if ended.returncode or any(left.values()):
        raise RuntimeError(f"status {ended.returncode}, left {left}: {ended.stdout} {ended.stderr}")
    venues = json.loads(ended.stdout)["venues"]
    shown = ", ".join(f"{venue} {part['took_ms'] / 1000:.2f} s" for venue, part in venues.items())
    what = f"`canceld panic` process, {orders:,} orders at each venue: flat"
    return Row.at_most(what, took_s, GOAL_S, " s", details=f" ({shown})")


if __name__ == "__main__":
    print(verdicts([panic(FULL)]))
