"""`canceld bench` as its page shows it: against the simulated exchange, and through a daemon that runs."""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import pytest

from canceld.verbs.help import page
from tests.processes.stage import Exchange, Service, canceld
from tests.processes.test_report import CHROMIUM, drawn

WITHIN_S: Final = 60.0
LINES: Final = re.findall(r"```sh\n(.*?)```", page("bench"), re.DOTALL)[0].splitlines()
WITH_SVG, AS_JSON, REAL = LINES  # of bench.md, "Where the time of a cancel goes"


@pytest.fixture
def place() -> Iterator[Path]:
    """Where it is run: not a clone, and everything that it leaves anywhere would lie here."""
    with tempfile.TemporaryDirectory(prefix="canceld-test-") as name:
        yield Path(name)


def run(line: str, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *shlex.split(line)],
        cwd=place, env={**os.environ, "TMPDIR": str(place)}, capture_output=True, text=True, timeout=WITHIN_S,
    )  # fmt: skip


def test_the_stages_are_told_and_drawn_and_nothing_is_left(place: Path, tell: Callable[[str], None]) -> None:
    ended = run(WITH_SVG, place)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "100 cancels at a simulated spot, 5 ms apart"
    table = {line[:12].strip(): line for line in lines[3:]}
    for stage in ("ipc", "queue", "send", "ack", "reply", "whole", "order event"):
        assert re.search(r" 100( +\d+){3} +- +\d+$", table[stage]), ended.stdout
    image = place / "bench.svg"
    ElementTree.parse(image)
    assert list(place.iterdir()) == [image], "a process or a file was left behind"
    if CHROMIUM is None:
        pytest.skip("no chromium here: the picture is not looked at")
    assert len(drawn(image, place / "bench.png", 920)) > 20_000, "an empty picture"


def test_figures_for_programs_agree_with_each_other(place: Path) -> None:
    ended = run(AS_JSON, place)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    assert (told["venue"], told["count"], sum(told["outcomes"].values())) == ("futures", 20, 20)
    stages = told["stages"]
    assert {one["count"] for one in stages.values()} == {20}
    for one in stages.values():
        assert 0 <= one["p50_us"] <= one["p90_us"] <= one["max_us"]
        assert (one["p99_us"], one["p99.9_us"]) == (None, None)
    assert stages["whole"]["max_us"] >= max(stages[part]["p50_us"] for part in ("ipc", "send", "ack", "reply")) > 0


def test_a_daemon_that_runs_is_asked_for_orders_that_cannot_exist(exchange: Exchange, service: Service) -> None:
    order_ids = exchange.place(2)
    arguments = shlex.split(REAL.replace("/etc/canceld/canceld.toml", str(service.config)))[1:]
    ended = canceld(*arguments, "--gap-ms", "500", "--json", within_s=WITHIN_S)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    told = json.loads(ended.stdout)
    assert (told["real"], told["outcomes"]) == (True, {"not_open": 5})
    assert set(told["stages"]) == {"ipc", "queue", "settle", "reply", "whole"}
    assert {"count", "p50_us", "p99_us", "max_us"} <= told["pings"].keys()
    asked = [one["body"]["txid"][0] for one in exchange.log() if one["operation"] == "cancelOrder"]
    assert len(set(asked)) == 5
    assert all(id.startswith("CBENCH-") for id in asked)
    assert exchange.resting() == order_ids


def test_an_answer_that_should_not_be_ends_it_at_once(exchange: Exchange, service: Service) -> None:
    exchange.inject({"kind": "ack_error", "error": "EGeneral:Permission denied"})
    ended = canceld("bench", "--real", "--count", "3", "--config", str(service.config), within_s=WITHIN_S)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(r"canceld: bench: cancel 1 was answered \w+.*; nothing more is asked\n", ended.stderr)
