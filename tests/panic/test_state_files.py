"""What panic leaves on the disk: the latch, the trigger, the nonce mark."""

import threading
import time
from pathlib import Path

import pytest

from canceld.engine.latch import Latch, format_latch, parse_latch
from canceld.engine.nonces import MARGIN_NS, format_mark, parse_mark
from canceld.panic import state_files
from canceld.panic.state_files import Latching, StoredNonces


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

    monkeypatch.setattr(state_files, "_content", hang)
    monkeypatch.setattr(state_files, "MARK_PATIENCE_S", 0.01)
    try:
        assert StoredNonces(tmp_path / "nonce-spot").draw() > time.time_ns() + MARGIN_NS - 60 * 10**9
    finally:
        released.set()


def test_two_panics_take_turns_and_overtake_no_nonce_of_each_other(tmp_path: Path) -> None:
    first = StoredNonces(tmp_path / "nonce-spot")
    mine = [first.draw(), first.draw()]
    second = StoredNonces(tmp_path / "nonce-spot")
    drawn: list[int] = []
    waiting = threading.Thread(target=lambda: drawn.append(second.draw()))
    waiting.start()
    mine.append(first.draw())
    assert not drawn
    first.store()
    first.end_turn()
    waiting.join(60)
    assert drawn[0] > max(mine)
    second.end_turn()


def test_a_panic_that_hangs_holds_up_the_next_one_for_a_moment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_files, "TURN_PATIENCE_S", 0.02)
    hanging = StoredNonces(tmp_path / "nonce-spot")
    assert hanging.draw() < StoredNonces(tmp_path / "nonce-spot").draw()
    hanging.end_turn()
