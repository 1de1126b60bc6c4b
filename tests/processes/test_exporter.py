"""`canceld exporter` read by a real Prometheus: what it tells is well formed, its alerts fire, its dashboard has data.

A desk's Prometheus scrapes it, a venue dies, somebody pulls the kill switch. Both alerts must be there.
"""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from canceld.client import Client
from tests.processes.stage import ROOT, Exchange, Program, Service, canceld, until

CONFIG: Final = ROOT / "config"
RULES: Final = CONFIG / "prometheus" / "alerts.yml"
needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None or shutil.which("prometheus") is None, reason="no prometheus and promtool here"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return str(answer.read().decode())


@pytest.fixture
def exporter(service: Service, home: Path) -> Iterator[int]:
    """An exporter for the daemon; the port where it is read."""
    port = free_port()
    program = Program(["exporter", "--config", str(service.config), "--listen", f"127.0.0.1:{port}"], home, "exporter")
    try:
        until(lambda: _answers(port), 10.0, "the exporter listens")
        yield port
    finally:
        program.kill()


def _answers(port: int) -> bool:
    try:
        return "canceld_up 1.0" in get(port, "/metrics")
    except OSError:
        return False


def told(port: int) -> dict[str, float]:
    """Every sample of one scrape."""
    lines = [line.rsplit(" ", 1) for line in get(port, "/metrics").splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_a_scrape_tells_what_the_daemon_did(exchange: Exchange, service: Service, exporter: int) -> None:
    order_ids = exchange.place(3)
    with Client(service.commands) as client:
        for order_id in order_ids:
            assert client.cancel("spot", order_id=order_id, until="proof", deadline_ms=5000).gone
    samples = told(exporter)
    assert samples['canceld_cancels_total{outcome="canceled",route="stream",venue="spot"}'] == 3
    buckets = [value for name, value in samples.items() if name.startswith("canceld_cancel_duration_seconds_bucket")]
    assert (buckets, max(buckets)) == (sorted(buckets), 3)
    assert samples['canceld_can_cancel{venue="spot"}'] == 1
    assert samples['canceld_session_up{session="spot-0",venue="spot"}'] == 1
    assert samples["canceld_kill_latched"] == 0
    assert samples["canceld_kill_drill_age_seconds"] == float("inf")
    text = get(exporter, "/metrics")
    assert not any(order_id in text for order_id in order_ids), "an order's id as a label would never end"


def test_a_daemon_that_is_gone_is_told_as_down_and_nothing_else(service: Service, exporter: int) -> None:
    service.end()
    assert {name: value for name, value in told(exporter).items() if name.startswith("canceld")} == {"canceld_up": 0}


def test_bad_input_is_one_line(service: Service, exporter: int) -> None:
    for listen, says in (("nowhere", "not HOST:PORT"), (f"127.0.0.1:{exporter}", "Address already in use")):
        ended = canceld("exporter", "--config", str(service.config), "--listen", listen)
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
        assert says in ended.stderr


@needs_prometheus
def test_promtool_has_nothing_against_the_metrics_and_the_rules(exporter: int) -> None:
    checks: list[tuple[list[str], str | None]] = [
        (["promtool", "check", "metrics"], get(exporter, "/metrics")),
        (["promtool", "check", "rules", str(RULES)], None),
        (["promtool", "test", "rules", str(RULES.with_name("alerts_test.yml"))], None),
    ]
    for command, given in checks:
        ended = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)
        # The client library's own process metrics are not ours to name.
        complaints = [line for line in ended.stdout.splitlines() + ended.stderr.splitlines() if "canceld" in line]
        assert ended.returncode == 0, complaints or ended.stderr


@needs_prometheus
def test_a_real_prometheus_fires_and_every_panel_of_the_dashboard_has_a_query_it_takes(
    exchange: Exchange, service: Service, exporter: int, home: Path, tell: Callable[[str], None]
) -> None:
    port = free_port()
    (home / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{RULES}']\n"
        f"scrape_configs: [{{job_name: canceld, static_configs: [{{targets: ['127.0.0.1:{exporter}']}}]}}]\n"
    )
    with (home / "prometheus.log").open("wb") as log:
        prometheus = subprocess.Popen(
            [
                "prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/tsdb",
                f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until(lambda: _scraped(port), 30.0, "Prometheus has scraped the daemon")
        [order_id, *_] = exchange.place(3)
        with Client(service.commands) as client:
            client.cancel("spot", order_id=order_id)
            pulled = time.monotonic()
            client.kill("the price feed is wrong")
        until(lambda: "CanceldKillLatched" in firing(port), 20.0, "the alert about the latch fires")
        fired_s = time.monotonic() - pulled
        panels = json.loads((CONFIG / "grafana" / "canceld.json").read_text())["panels"]
        asked = [target["expr"] for panel in panels for target in panel["targets"]]
        for expression in asked:
            query(port, expression.replace("$__rate_interval", "30s").replace("$instance", ".*"))
        named = set(re.findall(r"canceld_[a-z_]+", " ".join(asked)))
        scraped = {name.partition("{")[0] for name in told(exporter)}
        # The same name may stand for nothing yet: no venue has a dead man's timer here, for one.
        described = set(re.findall(r"^# TYPE (canceld_[a-z_]+)", get(exporter, "/metrics"), re.M))
        assert named <= scraped | described, "a panel asks for a metric that is not told"
        service.end()
        until(lambda: "CanceldDown" in firing(port), 40.0, "the alert about the daemon fires")
    finally:
        prometheus.kill()
        prometheus.wait(10)
    tell(f"exporter: {len(scraped)} metrics; the alert of a kill fires {fired_s:.1f} s after it, at a scrape a second")


def _scraped(port: int) -> bool:
    try:
        return query(port, "canceld_up") == [1.0]
    except OSError:
        return False


def query(port: int, expression: str) -> list[float]:
    """What Prometheus answers now; an expression that it does not take is an error."""
    answer = json.loads(get(port, f"/api/v1/query?query={quote(expression)}"))
    assert answer["status"] == "success", answer
    return [float(one["value"][1]) for one in answer["data"]["result"]]


def firing(port: int) -> set[str]:
    alerts: list[dict[str, Any]] = json.loads(get(port, "/api/v1/alerts"))["data"]["alerts"]
    return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}
