"""`canceld journal`: what it shows, what it finds wrong, and its exit status."""

import gzip
import json
import os
import re
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import trio

from canceld import cli
from canceld.contract.outcomes import NAMES
from canceld.engine.journal import HEAD, ROOT, Chain, Entry, Head, format_head
from canceld.scribe import writer
from canceld.tasks import journal as journal_task
from canceld.tasks.journal import Journal
from canceld.transport.clock import Clock
from canceld.transport.disk import Directory
from canceld.verbs import journal

START_NS = 1_800_000_000_000_000_000
ORDER = "OAAAAA-BBBBB-CCCCCC"
OTHER = "OAAAAA-BBBBB-CCCCCD"
MINUTE_NS = 60_000_000_000


def _frame(reqid: int, order_id: str) -> str:
    return f'{{"event":"cancelOrder","reqid":{reqid},"token":"x","txid":["{order_id}"]}}'


STORY: list[tuple[str, dict[str, Any]]] = [
    ("start", {"version": "0.1.0", "pid": 7}),
    ("command", {"type": "cancel", "id": 17, "venue": "spot", "order_id": ORDER, "strategy": "alpha", "uid": 1000}),
    ("frame_out", {"session": "spot-0", "frame": _frame(5, ORDER)}),
    ("frame_in", {"session": "spot-0", "frame": '{"event":"cancelOrderStatus","reqid":5,"status":"ok"}'}),
    ("frame_in", {"session": "spot-0", "frame": '{"event":"cancelOrderStatus","reqid":55,"status":"ok"}'}),
    ("outcome", {"type": "outcome", "id": 17, "venue": "spot", "order_id": ORDER, "outcome": "acked",
                 "received_ns": 1, "strategy": "alpha"}),
    ("command", {"type": "cancel_batch", "id": "b", "venue": "spot", "strategy": "beta",
                 "orders": [{"order_id": ORDER}, {"order_id": OTHER}]}),
    ("outcome", {"type": "outcome", "id": "b", "venue": "spot", "order_id": OTHER, "outcome": "unknown",
                 "error": "si\x1b[31mlence"}),
    ("command", {"type": "cancel", "id": 18, "venue": "spot", "userref": 42, "strategy": "alpha"}),
    ("stop", {}),
]  # fmt: skip


class Desk:
    """A configuration whose journal holds the story, one line a minute, in two files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "canceld.toml"
        self.config.write_text(f'[state]\ndir = "{root}"\n')
        self.journal = root / "journal"

    def write(self, *, per_file: int = 6) -> None:
        self.journal.mkdir()
        chain = Chain(ROOT, None, lambda encoded: encoded)
        entries: list[Entry] = [
            (START_NS + place * MINUTE_NS, place, kind, dict(fields)) for place, (kind, fields) in enumerate(STORY)
        ]
        names = []
        for number, begin in enumerate(range(0, len(entries), per_file), 1):
            names.append(f"{number:08d}.jsonl")
            (self.journal / names[-1]).write_bytes(chain.lines(entries[begin : begin + per_file]))
        size = (self.journal / names[-1]).stat().st_size
        (self.journal / HEAD).write_bytes(format_head(Head(names[-1], size, *chain.link)))

    def ask(self, *arguments: str) -> int:
        try:
            return cli.main(["journal", "--config", str(self.config), *arguments])
        except SystemExit as end:
            return int(end.code or 0)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def story(desk: Desk) -> Desk:
    desk.write()
    return desk


def shown(capsys: pytest.CaptureFixture[str]) -> list[int]:
    """The numbers of the lines printed as JSON."""
    return [json.loads(line)["n"] for line in capsys.readouterr().out.splitlines()]


def test_an_outcome_that_is_none_is_told_and_not_searched_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["journal", "--config", "canceld.toml", "--outcome", "cancelled"])
    assert ended.value.code == 2
    assert "there is no 'cancelled'; did you mean canceled?" in capsys.readouterr().err
    assert tuple(NAMES.values()) == cli.OUTCOMES


@pytest.mark.parametrize(
    ("filters", "lines"),
    [
        ([], list(range(1, 11))),
        (["--strategy", "alpha"], [2, 6, 9]),
        (["--outcome", "unknown"], [8]),
        (["--id", "17"], [2, 6]),
        (["--id", "b"], [7, 8]),
        (["--order", ORDER], [2, 3, 4, 6, 7]),
        (["--order", OTHER], [7, 8]),
        (["--order", "42"], [9]),
        (["--order", "OAAAAA"], []),
        (["--order", ORDER, "--strategy", "alpha"], [2, 6]),
        (["--since", "2027-01-15T08:08:00Z"], [9, 10]),
        (["--until", "2027-01-15T08:01"], [1, 2]),
        (["--since", "2027-01-15T09:08:00+01:00", "--until", "2027-01-15T08:08:00.000000Z"], [9]),
        (["--since", "2027-01-15", "--until", "2027-01-16"], list(range(1, 11))),
        (["--since", "2027-01-16"], []),
        (["--kind", "start", "--kind", "stop"], [1, 10]),
        (["--kind", "frame_in"], [4, 5]),
        (["--venue", "spot"], [2, 3, 4, 5, 6, 7, 8, 9]),
        (["--venue", "prime"], []),
        (["--who", "1000"], [2]),
        (["--last", "3"], [8, 9, 10]),
        (["--strategy", "alpha", "--last", "1"], [9]),
    ],
)
def test_filters_show_the_lines_that_pass_all_of_them(
    story: Desk, filters: list[str], lines: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert story.ask("--json", *filters) == (0 if lines else 1)
    assert shown(capsys) == lines


def test_json_shows_the_lines_as_they_stand(story: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert story.ask("--json") == 0
    files = sorted(story.journal.glob("*.jsonl"))
    assert capsys.readouterr().out == "".join(file.read_text() for file in files)


def test_lines_for_people_leave_the_chain_out_and_cannot_paint_the_terminal(
    story: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert story.ask("--frames") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2027-01-15T08:00:00.000000Z start     version=0.1.0 pid=7"
    assert lines[5] == (
        f"2027-01-15T08:05:00.000000Z outcome   type=outcome id=17 venue=spot order_id={ORDER} outcome=acked"
        " strategy=alpha"
    )
    assert f'orders=[{{"order_id": "{ORDER}"}}, {{"order_id": "{OTHER}"}}]' in lines[6]
    assert "\x1b" not in "".join(lines)
    assert "prev" not in "".join(lines)


@pytest.mark.parametrize(
    ("filters", "kinds"),
    [
        ([], ["start", "command", "outcome", "command", "outcome", "command", "stop"]),
        (["--order", ORDER], ["command", "outcome", "command"]),
        (["--order", ORDER, "--frames"], ["command", "frame_out", "frame_in", "outcome", "command"]),
        (["--kind", "frame_out"], ["frame_out"]),
    ],
)
def test_people_see_what_was_decided_and_frames_when_they_ask(
    story: Desk, filters: list[str], kinds: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert story.ask(*filters) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == kinds


def test_no_match_is_told_with_the_time_that_the_record_covers(story: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert story.ask("--id", "nope") == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        "canceld: nothing in the record matches; it goes from 2027-01-15T08:00:00.000000Z to "
        "2027-01-15T08:09:00.000000Z\n"
    )


def test_following_goes_on_over_half_lines_and_new_files(
    story: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line is shown once it is whole, the next file is read when it comes, and Ctrl-C ends it."""
    file = story.journal / "00000002.jsonl"

    def record(n: int) -> str:
        return json.dumps({"n": n, "ts": "2027-01-15T08:10:00.000000Z", "kind": "kill", "prev": ""}) + "\n"

    steps = [
        lambda: file.write_text(file.read_text() + record(11)[:20]),
        lambda: file.write_text(file.read_text() + record(11)[20:]),
        lambda: (story.journal / "00000003.jsonl").write_text(record(12)),
    ]

    def sleep(_: float) -> None:
        if not steps:
            raise KeyboardInterrupt
        steps.pop(0)()

    monkeypatch.setattr(journal.time, "sleep", sleep)
    assert story.ask("--json", "--follow", "--last", "1") == 0
    assert shown(capsys) == [10, 11, 12]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("90s", "2027-01-15T07:58:30.000000Z"),
        ("15m", "2027-01-15T07:45:00.000000Z"),
        ("2h", "2027-01-15T06:00:00.000000Z"),
        ("1d", "2027-01-14T08:00:00.000000Z"),
        ("2027-01-15", "2027-01-15T00:00:00.000000Z"),
        ("2027-01-15T08:00:00.5Z", "2027-01-15T08:00:00.500000Z"),
        ("999999d", "1970-01-01T00:00:00.000000Z"),
    ],
)
def test_moments_are_taken_as_people_write_them(text: str, told: str) -> None:
    assert journal.moment(text, START_NS) == told


@pytest.mark.parametrize("text", ["", "yesterday", "15", "15x", "2027-13-01", "-1m", "0001-01-01T00:00:00+10:00"])
def test_what_is_no_moment_is_bad_usage(story: Desk, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert story.ask(f"--since={text}") == 2
    assert "expected 2026-01-31" in capsys.readouterr().err


# Verifying


def test_a_whole_journal_is_told_so(story: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert story.ask("--verify") == 0
    assert capsys.readouterr().out == "whole: 10 lines, 1..10, in 2 files\n"
    assert story.ask("--verify", "--json") == 0
    told = {"ok": True, "head": True, "files": 2, "lines": 10, "first": 1, "last": 10, "torn": 0, "faults": []}
    assert json.loads(capsys.readouterr().out) == told


def test_a_changed_line_is_named_by_file_and_line(story: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    file = story.journal / "00000001.jsonl"
    file.write_text(file.read_text().replace('"outcome":"acked"', '"outcome":"canceled"'))
    assert story.ask("--verify") == 1
    first, verdict = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{file}:6: changed")
    assert verdict.startswith("BROKEN: 10 lines")
    assert story.ask("--verify", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], [(fault["file"], fault["line"]) for fault in told["faults"]]) == (
        False, [("00000001.jsonl", 6)],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        (lambda lines: lines[:2] + lines[3:], "00000001.jsonl:3: missing"),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "00000001.jsonl:3: missing"),
        (lambda lines: lines[:-1], "00000002.jsonl:1: missing"),
        (lambda lines: [*lines[:2], "not a record\n", *lines[3:]], "00000001.jsonl:3: changed or torn"),
        (lambda lines: [*lines[:2], "{}\n", *lines[2:]], "00000001.jsonl:3: changed or torn"),
    ],
)
def test_damage_is_named_where_it_is(story: Desk, damage: Any, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = story.journal / "00000001.jsonl"
    file.write_text("".join(damage(file.read_text().splitlines(keepends=True))))
    assert story.ask("--verify") == 1
    assert f"{story.journal}/{place}" in capsys.readouterr().out


def test_a_torn_tail_that_no_start_told_of_is_broken(
    story: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "LOOK_S", 0.001)
    file = story.journal / "00000002.jsonl"
    file.write_text(file.read_text() + '{"n":11')
    assert story.ask("--verify") == 1
    assert f"{file}:5: changed or torn" in capsys.readouterr().out
    assert story.ask("--json") == 0
    assert shown(capsys) == list(range(1, 11))


def test_lines_cut_off_at_the_end_are_missed_and_a_missing_head_is_owned_up_to(
    story: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    file = story.journal / "00000002.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    assert story.ask("--verify") == 1
    assert "lines 10..10 were there" in capsys.readouterr().out
    (story.journal / HEAD).unlink()
    assert story.ask("--verify") == 1, "whole as far as it goes is not whole"
    assert "there is no head" in capsys.readouterr().out


def test_a_line_that_is_no_record_is_told_of_while_the_others_are_shown(
    story: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    file = story.journal / "00000001.jsonl"
    file.write_text(file.read_text() + "\x1b[2J\n")
    assert story.ask("--json") == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 10
    assert told.err == "canceld: 00000001.jsonl: a line that is no record; see --verify\n"


# What cannot be asked


def test_no_journal_is_status_3(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.ask() == 3
    assert "no journal" in capsys.readouterr().err
    desk.journal.mkdir()
    for verify in ([], ["--verify"]):
        assert desk.ask(*verify) == 3
        assert "no journal there" in capsys.readouterr().err
    assert list(desk.journal.iterdir()) == []


def test_bad_usage_is_status_2(story: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert story.ask("--verify", "--order", ORDER) == 2
    assert story.ask("--nonsense") == 2
    assert story.ask("--verify", "--last", "5") == 2
    assert story.ask("--last", "0") == 2
    story.config.write_text("[state]\ndirr = 1\n")
    assert story.ask() == 2
    assert "state.dirr" in capsys.readouterr().err
    assert cli.main(["journal", "--config", str(story.root / "absent.toml")]) == 2


def test_reading_loads_no_file_whole(story: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise AssertionError("a whole file was read")

    monkeypatch.setattr(Directory, "read", refuse)
    assert story.ask("--verify") == 0
    assert story.ask("--json") == 0


# While a daemon writes


def test_a_journal_that_is_being_written_and_rotated_verifies_at_any_moment(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(writer, "FILE_BYTES", 20_000)
    monkeypatch.setattr(writer, "RECORD_BYTES", 25_000)
    monkeypatch.setattr(journal_task, "BLOCK_S", 0.001)
    enough = threading.Event()

    class Alarms:
        def alert(self, severity: str, what: str, do: str) -> None:
            raise AssertionError(what + do)

        def clear(self, what: str) -> None: ...

    async def write() -> None:
        journal = Journal(Directory(desk.root), Clock())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal.run, Alarms())
            while not enough.is_set():
                for number in range(20):
                    journal.note("outcome", id=number)
                await trio.sleep(0.002)
            nursery.cancel_scope.cancel()
        await journal.close()

    thread = threading.Thread(target=trio.run, args=(write,))
    thread.start()
    try:
        until = time.monotonic() + 10.0
        while not (desk.journal / "00000001.jsonl").exists():
            assert time.monotonic() < until
            time.sleep(0.005)
        while not (desk.journal / "00000012.jsonl").exists():
            assert time.monotonic() < until + 20.0
            assert desk.ask("--verify") == 0, capsys.readouterr().out
            assert desk.ask("--json") == 0
            numbers = [int(found) for found in re.findall(r'^\{"n":(\d+)', capsys.readouterr().out, re.MULTILINE)]
            assert numbers == sorted(set(numbers))
    finally:
        enough.set()
        thread.join()
    assert desk.ask("--verify") == 0
    assert len(list(desk.journal.glob("*.jsonl"))) <= 3


def test_it_says_how_many_days_it_holds_at_the_present_rate(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    chain = Chain(ROOT, None, lambda encoded: encoded)
    desk.journal.mkdir(mode=0o700)
    for day in range(3):
        lines = chain.lines([(day * 86_400 * 10**9, 0, "file", {"after": "x"})])
        content = lines if day == 2 else gzip.compress(lines)
        (desk.journal / f"0000000{day + 1}.jsonl{'' if day == 2 else '.gz'}").write_bytes(content)
    (desk.journal / "head").write_bytes(format_head(Head("00000003.jsonl", len(lines), *chain.link)))
    assert desk.ask("--verify", "--json") == 0
    stored = sum(file.stat().st_size for file in desk.journal.glob("*.gz"))
    assert json.loads(capsys.readouterr().out)["holds_days"] == round((2 << 30) / stored * 2, 2)
    assert desk.ask("--last", "3", "--json") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else for a moment")
def test_a_journal_of_somebody_else_is_said_to_be_out_of_reach(capsys: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryDirectory() as path:  # pytest's own path is closed to others further up
        os.chmod(path, 0o755)
        desk = Desk(Path(path))
        desk.write()
        desk.config.chmod(0o644)
        desk.journal.chmod(0o700)
        os.seteuid(65534)
        try:
            assert desk.ask() == 3
            assert desk.ask("--verify") == 3
        finally:
            os.seteuid(0)
        assert "Permission denied" in capsys.readouterr().err
