"""The wall clock is an hour off, from the start or from one moment to the next: no wait of ours is measured by it."""

import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import START_S, Exchange, Service, until
from tests.processes.venue_day import await_up, place_known

HOUR_S = 3_600
ORDERS = 20
WITHIN_S = 8.0
DEADLINE_MS = 1_000
GRACE_MS = 50
GONE = {"acked", "canceled", "closed"}
RESET = {"kind": "reset_sockets", "route": "spot_ws"}
SWALLOWED = {"kind": "swallow_ack_before_effect", "match": "cancelOrder"}
VENUES = ("spot", "prime", "futures")

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None,
    reason="no C compiler here to build a clock that is off, and a namespace cannot move the wall clock",
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("clock") / "stepped_clock.so"
    source = Path(__file__).with_name("stepped_clock.c")
    subprocess.run(["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", built, source], check=True)
    return built


class WallClock:
    """The wall clock of one daemon."""

    def __init__(self, home: Path, library: Path) -> None:
        self._file = home / "clock"
        self.step(0)
        self.environ = {"LD_PRELOAD": str(library), "CLOCK_OFF_FILE": str(self._file)}

    def step(self, off_s: float) -> None:
        """Let it be off by this much from now on."""
        # In place: the daemon has the file mapped.
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("q", int(off_s * 1e9)))


@pytest.fixture
def clock(home: Path, library: Path) -> WallClock:
    return WallClock(home, library)


def told_off_s(service: Service) -> float:
    """How far the daemon's newest log line is from now."""
    return datetime.fromisoformat(service.log()[-1]["ts"]).timestamp() - time.time()


def turned_away(service: Service) -> bool:
    """Whether an alert says that Prime turns us away, and that the clock may be why."""
    alerts = service.status()["alerts"]
    return any("prime" in one["what"] and "401" in one["do"] and "clock" in one["do"] for one in alerts)


def cancels(exchange: Exchange, service: Service, venue: str) -> None:
    with Dealer(service.commands) as dealer:
        order_ids = place_known(exchange, service, venue, ORDERS)
        ids = [dealer.send(venue=venue, order_id=order_id, until="proof") for order_id in order_ids]
        replies = dealer.hear_all(ids, WITHIN_S)
        assert {reply["outcome"] for reply in replies} == {"canceled"}, replies
    assert exchange.book()[venue] == []


@pytest.mark.parametrize("off_s", [HOUR_S, -HOUR_S], ids=["ahead", "behind"])
def test_a_step_in_mid_flight_moves_no_deadline_and_loses_no_session(
    exchange: Exchange, start: Callable[..., Service], clock: WallClock, off_s: float
) -> None:
    told = exchange.told
    service = start(
        environ=clock.environ,
        prime={"enabled": True, "ws_url": told["prime_ws_url"]},
        futures={"enabled": True, "rest_url": told["futures_rest_url"], "ws_url": told["futures_ws_url"]},
    )
    for venue in VENUES:
        await_up(service, venue)
    order_ids = exchange.place(ORDERS)
    with Dealer(service.commands) as dealer:
        # Nobody answers, until every deadline has passed.
        exchange.program.signal(signal.SIGSTOP)
        ids = [dealer.cancel(order_id, deadline_ms=DEADLINE_MS) for order_id in order_ids]
        dealer.fence()
        clock.step(off_s)
        for id, reply in zip(ids, dealer.hear_all(ids, WITHIN_S), strict=True):
            took_ms = (dealer.heard_ns(id) - reply["received_ns"]) / 1e6
            assert DEADLINE_MS - 1 <= took_ms <= DEADLINE_MS + GRACE_MS, reply
            assert reply["outcome"] == "unknown"
        exchange.program.signal(signal.SIGCONT)
        assert abs(told_off_s(service) - off_s) < 60.0
        dealer.ask("cancel_all", venue="spot", until="proof")
    for venue in VENUES:
        cancels(exchange, service, venue)
    # By REST too, under nonces that know no way back.
    exchange.inject(RESET, SWALLOWED)
    cancels(exchange, service, "spot")
    exchange.clear()
    service.await_up()
    clock.step(0)
    cancels(exchange, service, "spot")
    sessions = [one for venue in VENUES[1:] for one in service.status()["venues"][venue]["sessions"]]
    assert {one["lives"] for one in sessions} == {1}
    nonces = [int(one["body"]["nonce"]) for one in exchange.log() if "nonce" in (one["body"] or {})]
    assert nonces == sorted(set(nonces))
    assert not [line for line in service.log() if "nonce" in line["event"]]
    assert "Traceback" not in service.program.err


@pytest.mark.parametrize("off_s", [HOUR_S, -HOUR_S], ids=["ahead", "behind"])
def test_a_start_with_it_keeps_spot_whole_and_says_why_prime_is_not(
    exchange: Exchange, start: Callable[..., Service], clock: WallClock, off_s: float
) -> None:
    told = exchange.told
    clock.step(off_s)
    service = start(environ=clock.environ, prime={"enabled": True, "ws_url": told["prime_ws_url"]})
    cancels(exchange, service, "spot")
    # It signs its upgrade with the time, and the venue looks at that.
    until(lambda: service.status()["venues"]["prime"]["state"] == "down", START_S, "prime is turned away")
    until(lambda: turned_away(service), WITHIN_S, "somebody is told to look at the clock")
    with Dealer(service.commands) as dealer:
        [order_id] = exchange.place(1, venue="prime")
        reply = dealer.ask("cancel", venue="prime", order_id=order_id, symbol="BTC-USD", deadline_ms=200)
        assert (reply["outcome"], reply["reason"]) == ("refused", "no_route"), reply
    assert "Traceback" not in service.program.err
