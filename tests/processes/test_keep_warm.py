"""Walks beside a real daemon: nothing of them is in the record, at the venue, in the counters or in flight."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from canceld.client import Client
from tests.processes.stage import Exchange, Service


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_walks_leave_no_trace_but_the_time_that_they_take(exchange: Exchange, start: Callable[..., Service]) -> None:
    service = start(gateway={"keep_warm_ms": 1})
    asked, ticks = len(exchange.log()), cpu_ticks(service.program.pid)
    inflight = (service.state / "inflight").read_bytes()
    time.sleep(1.5)
    assert cpu_ticks(service.program.pid) - ticks >= 3, "a thousand walks a second take some time: were there any?"
    names = {one["operation"] for one in exchange.log()[asked:]}
    assert not [name for name in names if "ancel" in str(name)], names
    assert (service.state / "inflight").read_bytes() == inflight
    with Client(service.commands) as client:
        status = client.status(detail=True)
        assert (status["in_flight"], status["detail"]["cancels"]) == (0, [])
        [order_id] = exchange.place(1)
        assert client.cancel("spot", order_id=order_id, until="proof", deadline_ms=5000).gone
    time.sleep(0.2)
    lines = [json.loads(line) for file in (service.state / "journal").glob("*.jsonl") for line in file.open()]
    assert [line["order_id"] for line in lines if line["kind"] == "command"] == [order_id]
    assert not [line for line in lines if "walk" in json.dumps(line)]
