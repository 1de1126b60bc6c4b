"""The page on several hosts, its lines as they stand there but for the file: a record is shipped, and compared."""

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from canceld import __file__ as house
from tests.fleet.cluster import cluster, needs_nats
from tests.fleet.test_ship import Host

needs_nats()

PAGE: Final = (Path(house).parent / "pages" / "fleet.md").read_text()
SECTION: Final = "The record on another host"
WITHIN_S: Final = 30.0


def test_the_lines_of_the_page_ship_a_record_and_compare_it(tmp_path: Path) -> None:
    section = PAGE.partition(f"## {SECTION}\n")[2].partition("\n## ")[0]
    [block] = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    with cluster(tmp_path) as bus:
        host = Host(tmp_path / "host", bus.servers)

        def argv(line: str) -> list[str]:
            words = shlex.split(line.replace("FILE", str(host.config)))
            assert words[0] == "canceld"
            return [sys.executable, "-m", "canceld", *words[1:]]

        make, forever, verify = block.splitlines()
        made = subprocess.run(argv(make), capture_output=True, text=True, timeout=WITHIN_S)
        assert (made.returncode, made.stderr) == (0, "")
        with subprocess.Popen(argv(forever), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as shipper:
            try:
                until = time.monotonic() + WITHIN_S
                while len(host.stream()) < 200:
                    assert shipper.poll() is None, "it goes on until it is stopped"
                    assert time.monotonic() < until, "it ships"
                    time.sleep(0.1)
            finally:
                shipper.terminate()
        compared = subprocess.run(argv(verify), capture_output=True, text=True, timeout=WITHIN_S)
        assert compared.returncode == 0, compared.stdout + compared.stderr
