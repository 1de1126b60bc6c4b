"""`canceld panic` as a process of its own: whatever state the daemon and the venues are in, nothing is left resting."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from canceld.engine.latch import parse_latch
from canceld.engine.nonces import format_mark, parse_mark
from canceld.panic.sweep import REFUSALS
from tests.processes.peers import Dealer
from tests.processes.stage import ROOT, Exchange, Program, Service, canceld, toml, until

REASON = "the strategy has lost its mind"
VENUES = ("spot", "prime", "futures")
EMPTY: dict[str, list[str]] = {venue: [] for venue in VENUES}
CLOSED = "https://127.0.0.1:1/derivatives/api/v3"
"""Nobody listens on port 1 of a machine that runs tests."""

PATIENCE_S = 15.0


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """One exchange for every test here: each begins with an empty book and no fault."""
    exchange = Exchange(tmp_path_factory.mktemp("market"))
    try:
        yield exchange
    finally:
        exchange.end()


@pytest.fixture
def config(tmp_path: Path, market: Exchange) -> Callable[..., str]:
    """Writes a configuration with every venue enabled; keyword arguments are sections in which keys differ."""
    market.clear()
    (tmp_path / "state").mkdir(mode=0o700)

    def write(**sections: dict[str, Any]) -> str:
        told = market.told
        whole: dict[str, dict[str, Any]] = {
            "spot": {"rest_url": told["spot_rest_url"]},
            "prime": {"enabled": True, "ws_url": told["prime_ws_url"]},
            "futures": {"enabled": True, "rest_url": told["futures_rest_url"]},
            "state": {"dir": str(tmp_path / "state")},
            "tls": {"ca_file": told["ca_file"]},
            "credentials": {"dir": told["credentials_dir"]},
        }
        for section, keys in sections.items():
            whole.setdefault(section, {}).update(keys)
        (tmp_path / "canceld.toml").write_text(toml(whole))
        return str(tmp_path / "canceld.toml")

    return write


def panic(config: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run it to its end: exit status, and what it told."""
    ended = canceld("panic", "--config", config, "--reason", REASON, "--json", *arguments, within_s=60)
    assert ended.stderr == ""
    told: dict[str, Any] = json.loads(ended.stdout)
    return ended.returncode, told


def states(told: dict[str, Any]) -> dict[str, str]:
    return {venue: part["state"] for venue, part in told["venues"].items()}


# -------------------------------------------------------------------- no daemon


def test_thirty_orders_on_each_venue_are_gone_and_the_switch_is_latched(
    config: Callable[..., str], market: Exchange, tmp_path: Path
) -> None:
    for venue in VENUES:
        market.place(30, venue=venue)
    status, told = panic(config())
    assert market.book() == EMPTY
    assert (status, states(told)) == (0, dict.fromkeys(VENUES, "flat"))
    assert {venue: part["canceled"] for venue, part in told["venues"].items()} == dict.fromkeys(VENUES, 30)
    assert (told["latched"], told["latch_error"], told["remarks"]) == (True, None, [])
    latch = parse_latch((tmp_path / "state" / "latch").read_bytes())
    assert latch is not None
    assert (latch.trigger, latch.reason, latch.venues) == ("panic", REASON, None)
    assert REASON in (tmp_path / "state" / "kill").read_text()
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["kill", "latch", "nonce-spot"]


def test_an_empty_book_is_proved_empty_by_two_looks_at_each_venue(config: Callable[..., str]) -> None:
    status, told = panic(config())
    assert (status, states(told)) == (0, dict.fromkeys(VENUES, "flat"))
    assert told["venues"]["spot"]["tried"] == {"REST CancelAll": 1, "REST OpenOrders": 2}
    assert told["venues"]["futures"]["tried"] == {"REST cancelallorders": 1, "REST openorders": 2}
    assert told["venues"]["prime"]["tried"] == {"Prime Order stream": 2}


def test_people_get_a_table(config: Callable[..., str], market: Exchange) -> None:
    market.place(2)
    ended = canceld("panic", "--config", config(), "--reason", REASON)
    head, *lines = ended.stdout.splitlines()
    assert head == "cancelling everything at spot, prime, futures; at most 30 s"
    assert lines[0] == "kill switch latched"
    assert lines[1].split() == ["venue", "state", "canceled", "residual", "took"]
    assert lines[2].split()[:4] == ["spot", "flat", "2", "0"]
    assert (ended.returncode, ended.stderr) == (0, "")


def test_it_loads_neither_loop_nor_zeromq(config: Callable[..., str]) -> None:
    script = (
        "import sys; from canceld import cli; status = cli.main(sys.argv[1:]); "
        "print({'trio', 'zmq', 'structlog', 'trio_websocket'} & sys.modules.keys()); sys.exit(status)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, "panic", "--config", config(), "--reason", REASON],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "set()")


def test_an_order_placed_in_the_middle_is_canceled_too(config: Callable[..., str], market: Exchange) -> None:
    """It arrives when everything has been cancelled and looked at once: the second look finds it."""
    seen = len(market.log())
    market.inject({"kind": "rest_delay", "match": "OpenOrders", "seconds": 0.5, "times": 1})
    market.inject({"kind": "rest_delay", "match": "openorders", "seconds": 0.5, "times": 1})
    path = config()
    running = subprocess.Popen(
        [sys.executable, "-m", "canceld", "panic", "--config", path, "--reason", REASON, "--json"],
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    until(
        lambda: {"OpenOrders", "openorders"} <= {one["operation"] for one in market.log()[seen:]},
        PATIENCE_S,
        "it looks at both books",
    )
    late = {venue: market.place(1, venue=venue) for venue in ("spot", "futures")}
    out, _ = running.communicate(timeout=60)
    told = json.loads(out)
    assert market.book() == EMPTY, late
    assert (running.returncode, states(told)) == (0, dict.fromkeys(VENUES, "flat"))
    assert told["venues"]["spot"]["canceled"] == told["venues"]["futures"]["canceled"] == 1


@pytest.mark.parametrize("goes", ["reader", "terminal"])
def test_it_goes_on_when_nobody_listens_any_more(config: Callable[..., str], market: Exchange, goes: str) -> None:
    market.place(3, venue="prime")
    seen = len(market.log())
    market.inject({"kind": "rest_delay", "match": "CancelAll", "seconds": 0.5, "times": 1})
    running = subprocess.Popen(
        [sys.executable, "-m", "canceld", "panic", "--config", config(), "--reason", REASON],
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert running.stdout is not None
    if goes == "reader":
        running.stdout.close()
    else:
        until(lambda: market.log()[seen:], PATIENCE_S, "it has begun")
        running.send_signal(signal.SIGHUP)
        assert b"\nprime    flat   3 " in running.stdout.read()
        running.stdout.close()
    assert running.wait(PATIENCE_S) == 0
    assert market.book() == EMPTY
    assert [one["operation"] for one in market.log()[seen:]].count("OpenOrders") == 2


# -------------------------------------------------------------------- beside a daemon


def test_a_daemon_that_lives_recovers_its_nonces_by_itself_and_goes_on_canceling(
    start: Callable[..., Service], exchange: Exchange
) -> None:
    service = start()
    exchange.place(5)
    config = str(service.config)
    for _ in range(2):
        status, told = panic(config)
        assert (status, states(told)) == (0, {"spot": "flat"})
        assert exchange.resting() == []
        # The way by REST is the one whose nonces were overtaken: it is made the only one.
        exchange.inject({"kind": "swallow_ack_before_effect", "times": 4, "for_s": 5.0})
        [order_id] = exchange.place(1)
        with Dealer(service.commands) as dealer:
            [reply] = dealer.hear_all([dealer.cancel(order_id, deadline_ms=8000)], PATIENCE_S)
        assert reply["outcome"] in ("acked", "canceled"), reply
        until(lambda: exchange.resting() == [], PATIENCE_S, "the order is gone")
        exchange.clear()
    assert service.logged("nonce overtaken")
    assert service.status()["state"] == "serving"


def test_a_daemon_that_hangs_is_of_no_concern(start: Callable[..., Service], exchange: Exchange) -> None:
    service = start()
    exchange.place(3)
    service.program.signal(signal.SIGSTOP)
    try:
        status, told = panic(str(service.config))
        assert (status, states(told), told["latched"]) == (0, {"spot": "flat"}, True)
        assert exchange.resting() == []
    finally:
        service.program.signal(signal.SIGCONT)


# -------------------------------------------------------------------- what goes wrong at a venue


def test_a_dead_venue_costs_the_others_nothing(config: Callable[..., str], market: Exchange) -> None:
    for venue in VENUES:
        market.place(3, venue=venue)
    status, told = panic(config(futures={"rest_url": CLOSED}), "--timeout-s", "3")
    assert (status, states(told)) == (3, {"spot": "flat", "prime": "flat", "futures": "unreachable"})
    futures = told["venues"]["futures"]
    assert "Connection refused" in futures["error"]
    assert futures["tried"]["REST cancelallorders"] > 1
    assert 2000 < futures["took_ms"] < 4500
    assert told["remarks"] == ["futures.uws_url is not set: there is no second way to Futures"]
    book = market.book()
    assert (book["spot"], book["prime"], len(book["futures"])) == ([], [], 3)
    assert panic(config())[0] == 0


@pytest.mark.parametrize("how", ["dead", "retired"])
def test_futures_is_reached_over_the_unified_websocket_when_its_own_api_is_gone(
    config: Callable[..., str], market: Exchange, how: str
) -> None:
    market.place(30, venue="futures")
    futures = {"uws_url": market.told["uws_url"]}
    if how == "dead":
        futures["rest_url"] = CLOSED
    else:
        market.inject({"kind": "rest_redirect", "route": "futures_rest"})
    status, told = panic(config(futures=futures))
    assert market.book() == EMPTY
    assert (status, states(told)) == (0, dict.fromkeys(VENUES, "flat"))
    part = told["venues"]["futures"]
    assert part["canceled"] == 30
    assert part["tried"]["Unified WebSocket executions"] >= 2


def test_what_a_venue_will_not_cancel_is_named(config: Callable[..., str], market: Exchange) -> None:
    [order_id] = market.place(1)
    market.inject(
        {"kind": "rest_error", "match": "CancelAll", "error": "EService:Unavailable"},
        {"kind": "rest_error", "match": "CancelOrder", "error": "EService:Unavailable"},
    )
    path = config(prime={"enabled": False}, futures={"rest_url": CLOSED})
    ended = canceld("panic", "--config", path, "--reason", REASON, "--timeout-s", "2")
    # That something is known to rest is the worse news.
    assert ended.returncode == 1
    assert f"spot still rests: {order_id}" in ended.stdout
    assert "EService:Unavailable; tried: REST CancelAll x" in ended.stdout
    market.clear()
    assert panic(config())[0] == 0


def test_a_cancel_of_everything_that_cancels_nothing_is_followed_by_cancels_of_each(
    config: Callable[..., str], market: Exchange
) -> None:
    market.place(60)
    market.place(30, venue="futures")
    market.inject(
        {"kind": "rest_error", "match": "CancelAll", "error": "EService:Unavailable"},
        {"kind": "rest_error", "match": "cancelallorders", "error": "Unavailable"},
    )
    status, told = panic(config())
    assert market.book() == EMPTY
    assert (status, states(told)) == (0, dict.fromkeys(VENUES, "flat"))
    assert told["venues"]["spot"]["tried"]["REST CancelOrderBatch"] >= 2
    assert told["venues"]["futures"]["tried"]["REST batchorder"] >= 2


def test_a_prime_session_that_breaks_is_made_again(config: Callable[..., str], market: Exchange) -> None:
    market.place(30, venue="prime")
    market.inject({"kind": "reset_sockets", "match": "OrderCancelRequest", "times": 1, "route": "prime_ws"})
    status, told = panic(config())
    assert market.book() == EMPTY
    assert (status, states(told)["prime"]) == (0, "flat")


def test_a_refused_key_is_not_tried_until_it_is_locked_out(config: Callable[..., str], market: Exchange) -> None:
    market.inject({"kind": "rest_error", "route": "spot_rest", "error": "EAPI:Invalid key"})
    status, told = panic(config())
    assert (status, states(told)) == (3, {"spot": "unreachable", "prime": "flat", "futures": "flat"})
    assert told["venues"]["spot"]["error"] == "REST: EAPI:Invalid key"
    assert sum(told["venues"]["spot"]["tried"].values()) == 2 * REFUSALS


# -------------------------------------------------------------------- what goes wrong at home


def test_keys_that_are_missing_keep_no_other_venue_waiting(
    config: Callable[..., str], market: Exchange, tmp_path: Path
) -> None:
    for venue in VENUES:
        market.place(1, venue=venue)
    own = tmp_path / "credentials"
    own.mkdir(mode=0o700)
    for file in Path(market.told["credentials_dir"]).iterdir():
        if not file.name.startswith("prime"):
            (own / file.name).write_bytes(file.read_bytes())
            (own / file.name).chmod(0o600)
    status, told = panic(config(credentials={"dir": str(own)}))
    assert (status, states(told)) == (3, {"spot": "flat", "prime": "unreachable", "futures": "flat"})
    assert "prime.key" in told["venues"]["prime"]["error"]
    assert panic(config())[0] == 0


def test_a_state_directory_that_takes_nothing_stops_no_cancel(
    config: Callable[..., str], market: Exchange, tmp_path: Path
) -> None:
    market.place(2)
    status, told = panic(config(state={"dir": str(tmp_path / "absent")}))
    assert (status, states(told)["spot"]) == (0, "flat")
    assert (told["latched"], market.book()) == (False, EMPTY)
    assert "No such file or directory" in told["latch_error"]
    ended = canceld("panic", "--config", str(tmp_path / "canceld.toml"), "--reason", REASON)
    assert ended.stdout.splitlines()[1].startswith("kill switch NOT latched: ")


def test_the_nonces_begin_above_the_daemons_mark_and_leave_one_above_their_own(home: Path, exchange: Exchange) -> None:
    service = Service(home, exchange.told)
    mark = time.time_ns() + 72 * 3600 * 10**9
    file = service.state / "nonce-spot"
    file.write_bytes(format_mark(mark))
    assert panic(str(service.config))[0] == 0
    nonces = [int(one["body"]["nonce"]) for one in exchange.log() if one["route"] == "spot_rest"]
    assert len(nonces) == 3
    assert nonces == sorted(nonces)
    assert nonces[0] > mark
    left = parse_mark(file.read_bytes())
    assert left is not None
    assert left >= nonces[-1]


def test_a_broken_trust_root_is_told_and_never_trusted(
    config: Callable[..., str], market: Exchange, tmp_path: Path
) -> None:
    market.place(1)
    (tmp_path / "ca.pem").write_text("no certificate")
    status, told = panic(config(tls={"ca_file": str(tmp_path / "ca.pem")}), "--timeout-s", "1")
    assert (status, set(states(told).values())) == (3, {"unreachable"})
    assert "certificate verify failed" in told["venues"]["spot"]["error"]
    assert any("tls.ca_file is left out" in remark for remark in told["remarks"])
    assert panic(config(tls={"ca_file": market.told["ca_file"]}))[0] == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--reason", "x"), "--config"),
        (("--config", "/nowhere/canceld.toml", "--reason", "x"), "/nowhere/canceld.toml: No such file"),
        (("--config", "{config}", "--reason", "x", "--timeout-s", "0"), "expected 1..3600 seconds"),
    ],
)
def test_bad_usage_is_one_line_and_touches_nothing(
    config: Callable[..., str], tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    path = config()
    ended = canceld("panic", *(argument.format(config=path) for argument in arguments))
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list((tmp_path / "state").iterdir()) == []


def test_no_secret_is_shown_or_left_in_a_file(config: Callable[..., str], market: Exchange, tmp_path: Path) -> None:
    market.place(1)
    market.inject({"kind": "rest_error", "route": "spot_rest", "error": "EAPI:Invalid signature", "times": 2})
    program = Program(["panic", "--config", config(), "--reason", REASON], tmp_path, "panic")
    until(lambda: program.process.poll() is not None, PATIENCE_S, "it ends")
    shown = program.out + program.err + "".join(path.read_text() for path in (tmp_path / "state").iterdir())
    for pair in market.told["credentials"].values():
        for secret in pair.values():
            assert secret not in shown
    assert panic(config())[0] == 0
