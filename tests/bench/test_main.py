import re
import subprocess
import sys

from .lines import ROOT

MEASURES = (
    *(
        f"{what}, {gap} ms apart, daemon ÷ {floor}"
        for gap in (5, 1)
        for floor in ("floor", "serial floor")
        for what in ("wire p50", "wire p95", "wire p99", "ask → answer p50")
    ),
    "ask → answer p99.9, 5 ms apart, daemon ÷ ccxt.pro in process",
    "cancels/s at 200 in flight, daemon ÷ floor",
    "cancels/s at 20 in flight, daemon ÷ floor",
    "cancels/s at 20 in flight, daemon ÷ serial floor",
    "burst of 1,000",
    "main-thread instructions per cancel",
    "longest pause in",
    "to READY",
    "`canceld status` process",
    "one hot client",
    "silent venue: hedge",
    "share a deadline at a silent venue",
    "socket killed",
    "REST fallback",
    "urgent, socket 200 ms late",
    "stall at Prime and Futures",
    "reconnect storm at Prime and Futures",
    "flood of garbage at Prime and Futures",
    "first byte to spot",
    "first byte to prime",
    "first byte to futures",
    "a kill behind them",
    "`canceld kill` process",
    "`canceld panic` process",
    "memory: RSS",
    "memory: growth",
)


def test_bench_measures_every_goal_against_the_real_daemon() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--quick"], cwd=ROOT, capture_output=True, text=True, timeout=110
    )
    assert ended.returncode == 0, ended.stderr
    rows = [line for line in ended.stdout.splitlines() if line.startswith("| ")]
    for measure in MEASURES:
        # A figure, or the reason why there is none: never an empty cell.
        shape = re.compile(rf"\| .*{re.escape(measure)}.* \| .+ \| .+ \| (met|\*\*missed\*\*|) \|")
        assert any(map(shape.match, rows)), f"no row of {measure!r} in:\n{ended.stdout}"
    assert "/tmp" not in ended.stdout
