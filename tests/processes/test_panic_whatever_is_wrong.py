"""The last resort on a bad day at home: a configuration that somebody broke, keys where nobody named them, a reason of
any form, an output that nobody takes, two operators at once. Every order is gone all the same."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from canceld.contract.commands import NO_REASON
from canceld.engine.latch import parse_latch
from tests.processes.stage import ROOT, Exchange, toml, until

VENUES = ("spot", "prime", "futures")
EMPTY: dict[str, list[str]] = {venue: [] for venue in VENUES}
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """One exchange for every test here: each begins with an empty book and no fault."""
    exchange = Exchange(tmp_path_factory.mktemp("market"))
    try:
        yield exchange
    finally:
        exchange.end()


@pytest.fixture
def place(tmp_path: Path, market: Exchange) -> Callable[..., Path]:
    """Puts orders on every venue's book and writes a configuration, keys beside it; gives its path."""
    market.clear()
    (tmp_path / "state").mkdir(mode=0o700)
    keys = tmp_path / "credentials"
    keys.mkdir(mode=0o700)
    for file in Path(market.told["credentials_dir"]).iterdir():
        (keys / file.name).write_bytes(file.read_bytes())
        (keys / file.name).chmod(0o600)

    def write(*, after: str = "", orders: int = 2) -> Path:
        for venue in VENUES:
            market.place(orders, venue=venue)
        told = market.told
        sections: dict[str, dict[str, Any]] = {
            "spot": {"rest_url": told["spot_rest_url"]},
            "prime": {"enabled": True, "ws_url": told["prime_ws_url"]},
            "futures": {"enabled": True, "rest_url": told["futures_rest_url"]},
            "state": {"dir": str(tmp_path / "state")},
            "tls": {"ca_file": told["ca_file"]},
        }
        config = tmp_path / "canceld.toml"
        config.write_text(toml(sections) + after)
        return config

    return write


def panic(config: Path, *arguments: str | bytes, environ: dict[str, str] | None = None, **how: Any) -> Any:
    """Run it to its end."""
    inherited = {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
    return subprocess.run(
        [sys.executable, "-m", "canceld", "panic", "--config", str(config), *arguments],
        cwd=ROOT,
        env={**inherited, **(environ or {})},
        timeout=PATIENCE_S,
        **how,
    )


# -------------------------------------------------------------------- the configuration


@pytest.mark.parametrize(
    ("spoil", "remark"),
    [
        (lambda text: text + '[log]\nlevle = "info"\n', "log.levle: unknown key"),
        (lambda text: text + "[log]\nlevel = info\n", "log.level cannot be read"),
        (lambda text: text + f'[gateway]\ncommands = "ipc:///tmp/{"x" * 200}"\n', None),
        (lambda text: text + "[deadman]\nspot = true\nrefresh_s = 59\n", None),
        (lambda text: text + "[strange]\n", "strange: there is no such section"),
        (lambda text: "][ what is this\n" + text, "not TOML"),
        (lambda text: "# caf\udce9\n" + text, None),
        (lambda text: text.replace("[state]", "[[state]"), "not TOML"),
        (
            lambda text: text.replace("[prime]\nenabled = true", "[prime]\nenabled = yes"),
            "prime: whether it is enabled",
        ),
    ],
)
def test_a_fault_in_the_configuration_costs_a_line_and_no_order(
    place: Callable[..., Path], market: Exchange, spoil: Callable[[str], str], remark: str | None
) -> None:
    config = place()
    config.write_bytes(spoil(config.read_text()).encode("utf-8", "surrogateescape"))
    ended = panic(config, "--reason", "fire", "--json")
    assert market.book() == EMPTY
    assert ended.returncode == 0
    told = json.loads(ended.stdout)
    assert {part["state"] for part in told["venues"].values()} == {"flat"}
    lines = ended.stderr.decode().splitlines()
    assert all(line.startswith("canceld: ") for line in lines)
    assert bool(told["remarks"]) is (remark is not None)
    assert remark is None or any(remark in line for line in told["remarks"])


def test_a_venue_that_cannot_be_read_is_named_and_the_others_are_flat(
    place: Callable[..., Path], market: Exchange
) -> None:
    config = place()
    (config.parent / "credentials" / "futures.secret").write_text("clipped")
    ended = panic(config, "--json")
    told = json.loads(ended.stdout)
    assert ended.returncode == 3
    assert {venue: part["state"] for venue, part in told["venues"].items()} == {
        "spot": "flat", "prime": "flat", "futures": "unreachable",
    }  # fmt: skip
    assert "futures.secret" in told["venues"]["futures"]["error"]
    assert (market.book()["spot"], market.book()["prime"]) == ([], [])
    place(orders=0)
    (config.parent / "credentials" / "futures.secret").write_text(market.told["credentials"]["futures"]["secret"])
    assert panic(config).returncode == 0


def test_without_configuration_and_keys_it_says_in_one_line_that_nothing_was_cancelled(tmp_path: Path) -> None:
    ended = panic(tmp_path / "none.toml", "--reason", "fire")
    assert (ended.returncode, ended.stdout) == (2, b"")
    [line] = ended.stderr.decode().splitlines()
    assert f"{tmp_path}/none.toml: No such file or directory" in line
    assert str(tmp_path / "credentials") in line
    assert "nothing was cancelled" in line


# -------------------------------------------------------------------- the reason


@pytest.mark.parametrize(
    ("arguments", "recorded"),
    [
        ((), NO_REASON),
        (("--reason", ""), NO_REASON),
        (("--reason", "  \t"), NO_REASON),
        (("--reason", "Zürich".encode("latin-1")), "Zürich"),
        (("--reason", "\x1b[2J\u202e"), "\ufffd[2J\ufffd"),
        (("--reason", "x" * 100_000), "x" * 500),
    ],
)
def test_a_reason_of_any_form_or_none_is_good_enough(
    place: Callable[..., Path], market: Exchange, tmp_path: Path, arguments: tuple[str | bytes, ...], recorded: str
) -> None:
    ended = panic(place(), *arguments)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert market.book() == EMPTY
    latch = parse_latch((tmp_path / "state" / "latch").read_bytes())
    assert latch is not None
    assert latch.reason.startswith(recorded)
    assert len(latch.reason.encode()) <= 4096


# -------------------------------------------------------------------- the output


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&- <&-", ">/dev/full", "2>/dev/full", ">/dev/full 2>&1"])
@pytest.mark.parametrize("form", ["", "--json"])
def test_the_exit_status_tells_of_the_venues_and_not_of_the_output(
    place: Callable[..., Path], market: Exchange, redirection: str, form: str
) -> None:
    config = place(after="[log]\nlevle = 1\n")
    command = f'exec "$0" -m canceld panic --config "$1" {form} {redirection}'
    ended = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, str(config)], cwd=ROOT, capture_output=True, timeout=PATIENCE_S
    )
    assert market.book() == EMPTY
    assert ended.returncode == 0
    assert b"Traceback" not in ended.stderr
    assert b"Exception" not in ended.stderr


# -------------------------------------------------------------------- side by side


AT_THE_READY = """
import sys
from canceld import cli
from canceld.panic import verb
print("ready", flush=True)
sys.stdin.read()
sys.exit(cli.main(sys.argv[1:]))
"""
"""A panic that has been loaded and begins when its standard input ends."""


def test_a_second_operator_has_no_nonce_refused_by_the_first(place: Callable[..., Path], market: Exchange) -> None:
    """The venue takes its time with the first one's cancel; meanwhile somebody else presses, too."""
    config = place()
    seen = len(market.log())
    market.inject({"kind": "rest_delay", "match": "CancelAll", "seconds": 0.4, "times": 1})

    def load(name: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", AT_THE_READY, "panic", "--config", str(config), "--reason", name]
        made = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert made.stdout is not None
        assert made.stdout.readline() == b"ready\n"
        return made

    first, second = load("first"), load("second")
    assert first.stdin is not None
    first.stdin.close()
    until(lambda: "CancelAll" in {one["operation"] for one in market.log()[seen:]}, PATIENCE_S, "it has begun")
    assert second.stdin is not None
    second.stdin.close()
    assert [one.wait(PATIENCE_S) for one in (first, second)] == [0, 0]
    assert market.book() == EMPTY
    nonces = [int(one["body"]["nonce"]) for one in market.log()[seen:] if one["route"] == "spot_rest"]
    assert len(nonces) == 2 * 3
    assert nonces == sorted(nonces)


def test_a_thousand_orders_at_each_venue(
    place: Callable[..., Path], market: Exchange, tell: Callable[[str], None]
) -> None:
    config = place(orders=1000)
    ended = panic(config, "--json")
    assert market.book() == EMPTY
    assert ended.returncode == 0
    took = {venue: part["took_ms"] for venue, part in json.loads(ended.stdout)["venues"].items()}
    tell(
        f"panic, 1,000 orders at each venue, flat after: {', '.join(f'{venue} {ms} ms' for venue, ms in took.items())}"
    )
