"""`panic` around its sweeps: the latch, the nonce mark, the exit status, and what people are shown."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from canceld import panic
from canceld.contract.ids import Venue
from canceld.engine.latch import Latch, format_latch, parse_latch
from canceld.engine.nonces import MARGIN_NS, format_mark, parse_mark
from canceld.panic import Latching, StoredNonces
from canceld.panic_venues import Report


def latched(state: Path, reason: str = "smoke") -> tuple[Latching, Latch | None]:
    latching = Latching(state, reason)
    latching.run()
    return latching, parse_latch((state / "latch").read_bytes()) if (state / "latch").exists() else None


# -------------------------------------------------------------------- the latch


def test_the_latch_says_who_and_why_and_the_trigger_tells_a_daemon_that_runs(tmp_path: Path) -> None:
    latching, latch = latched(tmp_path)
    assert (latching.latched, latching.fault) == (True, None)
    assert latch is not None
    assert (latch.trigger, latch.reason, latch.venues) == ("panic", "smoke", None)
    assert latch.who.startswith("uid ")
    assert latch.utc_ns is not None
    assert abs(latch.utc_ns - time.time_ns()) < 60e9
    assert (tmp_path / "kill").read_text() == "panic: smoke\n"


def test_a_latch_that_is_there_keeps_its_cause_and_covers_every_venue(tmp_path: Path) -> None:
    first = Latch(trigger="command", reason="first", who="uid 7 pid 8", utc_ns=9, venues=("spot",))
    (tmp_path / "latch").write_bytes(format_latch(first))
    assert latched(tmp_path)[1] == first.widened(None)


def test_a_latch_that_covers_every_venue_is_not_written_again(tmp_path: Path) -> None:
    (tmp_path / "latch").write_bytes(format_latch(Latch(trigger="signal", reason="first")))
    before = (tmp_path / "latch").stat()
    latching, latch = latched(tmp_path)
    assert latching.latched
    assert latch is not None
    assert latch.reason == "first"
    assert (tmp_path / "latch").stat().st_ino == before.st_ino


def test_a_damaged_latch_is_replaced_by_one_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "latch").write_bytes(b"{")
    _, latch = latched(tmp_path)
    assert latch is not None
    assert (latch.trigger, latch.reason) == ("panic", "smoke")


def test_a_state_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    latching, latch = latched(tmp_path / "absent")
    assert (latching.latched, latch) == (False, None)
    assert latching.fault is not None
    assert "No such file or directory" in latching.fault


# -------------------------------------------------------------------- nonces


def test_nonces_begin_above_the_mark_and_the_mark_is_raised_above_them(tmp_path: Path) -> None:
    mark = time.time_ns() + 3600 * 10**9
    (tmp_path / "nonce-spot").write_bytes(format_mark(mark))
    nonces = StoredNonces(tmp_path / "nonce-spot")
    assert (nonces.draw(), nonces.draw()) == (mark + 1, mark + 2)
    nonces.store()
    raised = parse_mark((tmp_path / "nonce-spot").read_bytes())
    assert raised is not None
    assert raised > mark + 2
    assert nonces.fault is None


def test_a_mark_that_a_daemon_has_raised_meanwhile_is_not_lowered(tmp_path: Path) -> None:
    file = tmp_path / "nonce-spot"
    file.write_bytes(format_mark(time.time_ns()))
    nonces = StoredNonces(file)
    nonces.draw()
    higher = time.time_ns() + 10 * MARGIN_NS
    file.write_bytes(format_mark(higher))
    nonces.store()
    assert parse_mark(file.read_bytes()) == higher


def test_without_a_mark_nonces_have_a_head_start(tmp_path: Path) -> None:
    begun = time.time_ns()
    assert StoredNonces(tmp_path / "nonce-spot").draw() > begun + MARGIN_NS


def test_a_mark_that_cannot_be_read_is_told_and_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "nonce-spot").mkdir()
    nonces = StoredNonces(tmp_path / "nonce-spot")
    assert nonces.draw() > time.time_ns()
    nonces.store()
    assert nonces.fault is not None
    assert "is not a regular file" in nonces.fault
    assert (tmp_path / "nonce-spot").is_dir()


def test_a_disk_that_hangs_holds_up_no_nonce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(_: Path) -> bytes | None:
        released.wait(60)
        return None

    monkeypatch.setattr(panic, "_content", hang)
    monkeypatch.setattr(panic, "MARK_PATIENCE_S", 0.01)
    try:
        assert StoredNonces(tmp_path / "nonce-spot").draw() > time.time_ns() + MARGIN_NS - 60 * 10**9
    finally:
        released.set()


# -------------------------------------------------------------------- what is told


def report(state: Any, *residual: str, why: str | None = None) -> Report:
    made = Report()
    made.state, made.residual, made.why, made.took_s = state, residual, why, 0.25
    return made


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (("flat", "flat"), 0),
        (("flat", "residual"), 1),
        (("flat", "unreachable"), 3),
        (("residual", "unreachable"), 1),
    ],
)
def test_the_exit_status_is_0_only_when_everything_is_flat(states: tuple[str, str], status: int) -> None:
    reports: dict[Venue, Report] = {"spot": report(states[0]), "futures": report(states[1])}
    assert panic._status(reports) == status


def test_the_table_names_what_rests_and_what_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    spot, prime = report("residual", "O-1", "O-2", why="EService:Busy\x1b[2J"), report("unreachable")
    spot.canceled = 7
    spot.note("REST CancelAll")
    spot.note("REST CancelAll")
    prime.took_s = None
    panic._print_table(
        {
            "latched": True,
            "latch_error": None,
            "venues": {"spot": panic._venue(spot), "prime": panic._venue(prime)},
            "remarks": ["look here"],
        }
    )
    assert capsys.readouterr().out.splitlines() == [
        "kill switch latched",
        "venue  state        canceled  residual  took",
        "spot   residual     7         2         250 ms",
        "prime  unreachable  0         ?",
        "spot still rests: O-1",
        "spot still rests: O-2",
        "spot residual: EService:Busy?[2J; tried: REST CancelAll x2",
        "prime unreachable: out of time; tried: nothing",
        "note: look here",
    ]


def test_a_fault_of_our_own_at_one_venue_is_named_and_stays_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "canceld.toml"
    config.write_text(f'[state]\ndir = "{tmp_path}"\n[futures]\nenabled = true\n')

    class Flat:
        def cancel(self, *_: object) -> None: ...

        def look(self, *_: object) -> list[Any]:
            return []

    def to(_: panic.Routes, venue: Venue) -> Flat:
        if venue == "spot":
            raise KeyError("what a secret may be in")
        return Flat()

    monkeypatch.setattr(panic.Routes, "to", to)
    assert panic.main(str(config), "smoke", 5, True) == 3
    told = json.loads(capsys.readouterr().out)
    states = {venue: part["state"] for venue, part in told["venues"].items()}
    assert states == {"spot": "unreachable", "futures": "flat"}
    assert told["venues"]["spot"]["error"] == "a fault of this program: KeyError"
