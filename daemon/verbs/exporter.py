"""`canceld exporter`: what the daemon tells of itself, as Prometheus reads it. A process of its own.

Each scrape asks the daemon for one status and translates it. Nothing is kept between scrapes, so a daemon that is down
is told as down, and its last good figures are told by nobody. What must never happen here: an order's id as a label.
"""

import argparse
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ..client import Client, CommandRefused, DaemonUnreachable
from .ask import UsageFault, endpoint_of
from .exit_status import DONE, USAGE
from .output import complain

STATUS_DEADLINE_MS: Final = 2_000
"""Well below Prometheus' default scrape timeout of ten seconds: a silent daemon is told as down within one scrape."""

CONNECT_TIMEOUT_MS: Final = 1_000

Status = Mapping[str, Any]


def metrics(status: Status | None) -> Iterator[Metric]:
    """The metrics of one status; None where the daemon did not answer, which is a metric too."""
    yield GaugeMetricFamily("canceld_up", "Whether the daemon answered this scrape.", value=int(status is not None))
    if status is None:
        return
    build = GaugeMetricFamily(
        "canceld_build_info", "Version of the daemon and of the wire contract.", labels=("version", "contract")
    )
    build.add_metric((str(status.get("version", "")), str(status.get("contract", ""))), 1)
    yield build
    yield GaugeMetricFamily(
        "canceld_serving", "Whether commands are taken.", value=int(status.get("state") == "serving")
    )
    yield GaugeMetricFamily(
        "canceld_in_flight_commands", "Commands without a reply yet.", value=status.get("in_flight", 0)
    )
    yield from _of_venues(status.get("venues") or {})
    yield from _of_kill(status.get("kill") or {})
    yield from _of_timers(status.get("deadman") or {})
    alerts = GaugeMetricFamily("canceld_alerts", "Alerts that stand, by severity.", labels=("severity",))
    told = [str(alert.get("severity")) for alert in status.get("alerts") or ()]
    for severity in ("warning", "critical"):
        alerts.add_metric((severity,), told.count(severity))
    yield alerts
    leases = status.get("leases") or ()
    yield GaugeMetricFamily(
        "canceld_leases", "Leases that strategies hold.", value=sum(one.get("state") == "live" for one in leases)
    )
    yield GaugeMetricFamily(
        "canceld_leases_expired",
        "Leases that ran out and whose orders are not proved gone.",
        value=sum(one.get("state") == "expired" for one in leases),
    )
    yield from _of_detail(status.get("detail") or {})


def _of_venues(venues: Mapping[str, Status]) -> Iterator[Metric]:
    can = GaugeMetricFamily("canceld_can_cancel", "Whether a cancel could leave for this venue now.", labels=("venue",))
    up = GaugeMetricFamily("canceld_session_up", "Whether a WebSocket session is live.", labels=("venue", "session"))
    rest = GaugeMetricFamily(
        "canceld_rest_up", "Whether the REST lane has a warm connection and is not closed.", labels=("venue",)
    )
    lives = CounterMetricFamily("canceld_session_lives", "How often a session was begun.", labels=("venue", "session"))
    token = GaugeMetricFamily(
        "canceld_token_expires_seconds", "Until a session's token expires.", labels=("venue", "session")
    )
    orders = GaugeMetricFamily("canceld_open_orders", "Orders believed open.", labels=("venue",))
    for venue, told in venues.items():
        can.add_metric((venue,), int(told.get("state") != "down" and told.get("mode") != "maintenance"))
        for session in told.get("sessions") or ():
            names = (venue, str(session.get("name")))
            up.add_metric(names, int(session.get("state") == "live"))
            lives.add_metric(names, session.get("lives", 0))
            if "token_expires_in_s" in session:
                token.add_metric(names, session["token_expires_in_s"])
        if told.get("rest"):
            rest.add_metric((venue,), int(told["rest"].get("state") == "up"))
        orders.add_metric((venue,), told.get("open_orders", 0))
    yield from (can, up, rest, lives, token, orders)


def _of_kill(kill: Status) -> Iterator[Metric]:
    latched = bool(kill.get("latched"))
    yield GaugeMetricFamily("canceld_kill_latched", "Whether the kill switch is latched.", value=int(latched))
    flat = GaugeMetricFamily(
        "canceld_kill_flat", "Whether a venue is verified flat under the latch.", labels=("venue",)
    )
    residual = GaugeMetricFamily("canceld_kill_residual_orders", "Orders that rest under the latch.", labels=("venue",))
    for venue, told in (kill.get("venues") or {}).items() if latched else ():
        flat.add_metric((venue,), int(told.get("state") == "flat"))
        residual.add_metric((venue,), told.get("resting", len(told.get("residual") or ())))
    yield from (flat, residual)
    age_s = (kill.get("drill") or {}).get("age_s")
    drill = GaugeMetricFamily("canceld_kill_drill_age_seconds", "Since the last drill that went well; +Inf for never.")
    drill.add_metric((), float("inf") if age_s is None else age_s)
    yield drill


def _of_timers(timers: Mapping[str, Status]) -> Iterator[Metric]:
    armed = GaugeMetricFamily(
        "canceld_deadman_armed", "Whether the venue's dead man's timer is armed.", labels=("venue",)
    )
    for venue, told in timers.items():
        armed.add_metric((venue,), int(told.get("state") == "armed"))
    yield armed


def _of_detail(detail: Status) -> Iterator[Metric]:
    cancels = CounterMetricFamily("canceld_cancels", "Cancels by how they ended.", labels=("venue", "outcome", "route"))
    times = HistogramMetricFamily(
        "canceld_cancel_duration_seconds",
        "From the receipt of a cancel to its reply.",
        labels=("venue", "outcome", "route"),
    )
    for row in detail.get("cancels") or ():
        names = (row["venue"], row["outcome"], row["route"])
        cancels.add_metric(names, row["count"])
        bounds = [(str(us / 1e6), count) for us, count in row["buckets"]]
        times.add_metric(names, [*bounds, ("+Inf", row["count"])], row["sum_s"])
    yield from (cancels, times)
    for name, member, text in (
        ("canceld_refused_commands", "refusals", "Commands that were refused."),
        ("canceld_replayed_replies", "replayed", "Replies given a second time for the same id."),
        ("canceld_undelivered_replies", "undelivered_replies", "Replies that their clients did not read."),
        ("canceld_dropped_events", "dropped_events", "Events that were not published."),
    ):
        yield CounterMetricFamily(name, text, value=detail.get(member, 0))
    record = detail.get("journal") or {}
    yield CounterMetricFamily("canceld_record_lines", "Lines written to the record.", value=record.get("lines", 0))
    yield GaugeMetricFamily(
        "canceld_record_failing", "Whether the record cannot be written.", value=int(record.get("state") == "failing")
    )


class _Daemon(Collector):
    """Asks for one status a scrape."""

    def __init__(self, ask: Callable[[], Status | None]) -> None:
        self._ask = ask
        self._turn = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        # Two scrapes at a time would open two sockets for the same answer.
        with self._turn:
            status = self._ask()
        return metrics(status)

    def describe(self) -> Iterator[Metric]:
        """Nothing is asked of the daemon before the first scrape."""
        return metrics(None)


def _ask(endpoint: str) -> Status | None:
    try:
        with Client(endpoint, connect_timeout_ms=CONNECT_TIMEOUT_MS, strategy="canceld-exporter") as client:
            return client.status(detail=True, deadline_ms=STATUS_DEADLINE_MS)
    except (DaemonUnreachable, CommandRefused):
        return None


def exporter(asked: argparse.Namespace) -> int:
    """`canceld exporter`: serves until it is interrupted. Raises UsageFault."""
    endpoint = endpoint_of(asked, "commands")
    host, _, port = str(asked.listen).rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageFault(f"--listen {asked.listen}: not HOST:PORT, like 127.0.0.1:9742")
    registry = CollectorRegistry()
    registry.register(_Daemon(lambda: _ask(endpoint)))
    try:
        _, thread = start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        complain(f"--listen {asked.listen}: {error.strerror or error}")
        return USAGE
    with contextlib.suppress(KeyboardInterrupt):
        thread.join()
    return DONE
