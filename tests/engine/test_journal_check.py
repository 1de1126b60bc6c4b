"""Reading the record back: any damage is found and placed, a crash is excused only by the line that tells of it."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from canceld.engine.journal import ROOT, Chain, Entry, Head, Link
from canceld.engine.journal_check import Check, Fault, Line, lines_of, record_in, resume

Files = dict[str, bytes]


def entries(count: int, kind: str = "outcome") -> list[Entry]:
    return [(1_800_000_000_000_000_000 + number, number, kind, {"id": number}) for number in range(count)]


def journal(*sizes: int) -> tuple[Files, Chain]:
    """Files of so many lines, and the chain they were made with."""
    chain = Chain(ROOT, None, lambda encoded: encoded)
    return {f"{place:08d}.jsonl": chain.lines(entries(size)) for place, size in enumerate(sizes, 1)}, chain


def reader(files: Files) -> Any:
    return lambda name, offset, limit: files[name][offset : offset + limit]


def check(files: Files, head: Head | None = None) -> Check:
    found = Check(head)
    for name in sorted(files):
        found.begin(name)
        for line in lines_of(reader(files), name):
            found.take(line)
    found.end()
    return found


def head_of(files: Files, link: Link, kill: dict[str, Any] | None = None) -> Head:
    last = max(files)
    return Head(last, len(files[last]), *link, kill)


def recovered(files: Files, head: Head | None) -> Files:
    """The files after the next start of a writer, which then writes on."""
    last = max(files)
    found = resume(sorted(files), reader(files), head)
    assert found.file == last
    assert found.size == len(files[last])
    chain = Chain(found.link, found.kill, lambda encoded: encoded)
    news: list[Entry] = [] if found.recovery is None else [(0, 0, "recovery", found.recovery)]
    more = chain.lines([*news, *entries(3, "start")])
    return files | {last: files[last] + (b"\n" if found.broken else b"") + more}


def test_a_whole_journal_holds_over_its_files() -> None:
    files, chain = journal(3, 1, 4)
    found = check(files, head_of(files, chain.link))
    assert found.faults == []
    assert (found.lines, found.first and found.first.n, found.last) == (8, 1, chain.link)


@given(data=st.data())
def test_any_changed_byte_is_found_and_its_line_is_named(data: st.DataObject) -> None:
    files, chain = journal(4, 3)
    head = head_of(files, chain.link)
    name = data.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[name])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    line = files[name][:place].count(b"\n") + 1
    faults = check(files | {name: bytes(content)}, head).faults
    assert faults
    # A changed line end makes one line of two, which is then the line that is wrong.
    assert any(fault.file == name and abs(fault.line - line) <= 1 for fault in faults)
    exact = [fault for fault in faults if (fault.file, fault.line) == (name, line)]
    assert exact or bytes(content)[place : place + 1] == b"\n" or files[name][place : place + 1] == b"\n"


@given(data=st.data())
def test_any_missing_line_is_found(data: st.DataObject) -> None:
    files, chain = journal(4, 3)
    name = data.draw(st.sampled_from(sorted(files)))
    lines = files[name].splitlines(keepends=True)
    del lines[data.draw(st.integers(0, len(lines) - 1))]
    faults = check(files | {name: b"".join(lines)}, head_of(files, chain.link)).faults
    assert any("missing" in fault.what for fault in faults)


@given(data=st.data())
def test_any_two_lines_that_changed_places_are_found(data: st.DataObject) -> None:
    files, chain = journal(4, 3)
    all_lines = [(name, line) for name in sorted(files) for line in files[name].splitlines(keepends=True)]
    one, other = data.draw(st.lists(st.integers(0, 6), min_size=2, max_size=2, unique=True))
    contents = [line for _, line in all_lines]
    contents[one], contents[other] = contents[other], contents[one]
    swapped = dict.fromkeys(files, b"")
    for (name, _), line in zip(all_lines, contents, strict=True):
        swapped[name] += line
    assert check(swapped, head_of(files, chain.link)).faults


@given(data=st.data())
def test_a_line_that_is_there_twice_or_was_put_in_is_found(data: st.DataObject) -> None:
    files, chain = journal(4, 3)
    lines = files["00000001.jsonl"].splitlines(keepends=True)
    forged = json.dumps({"n": 3, "ts": "", "kind": "outcome", "prev": "0" * 64}).encode() + b"\n"
    line = data.draw(st.sampled_from([*lines, forged, b"\n", b"{}\n"]))
    lines.insert(data.draw(st.integers(0, len(lines))), line)
    assert check(files | {"00000001.jsonl": b"".join(lines)}, head_of(files, chain.link)).faults


def test_a_changed_line_is_named_where_it_is() -> None:
    files, _ = journal(5)
    changed = files["00000001.jsonl"].replace(b'"id":2', b'"id":7')
    what = "changed: the line after it, 00000001.jsonl:4, holds another hash of it"
    assert check({"00000001.jsonl": changed}).faults == [Fault("00000001.jsonl", 3, what)]


def test_the_head_misses_lines_cut_off_at_the_end_and_knows_a_changed_last_one() -> None:
    files, chain = journal(5)
    head = head_of(files, chain.link)
    content = files["00000001.jsonl"]
    cut = b"".join(content.splitlines(keepends=True)[:3])
    [fault] = check({"00000001.jsonl": cut}, head).faults
    assert "lines 4..5" in fault.what
    [fault] = check({"00000001.jsonl": content.replace(b'"id":4', b'"id":7')}, head).faults
    assert (fault.line, "the head" in fault.what) == (5, True)
    assert check({"00000001.jsonl": content}, head).faults == []


def test_a_removed_file_is_missed_unless_a_later_line_tells_of_it() -> None:
    files, chain = journal(3, 3, 3)
    first_left = json.loads(files["00000002.jsonl"].splitlines()[0])
    del files["00000001.jsonl"]
    [fault] = check(files).faults
    assert (fault.file, fault.line) == ("00000002.jsonl", 1)
    told = {"through": 3, "hash": first_left["prev"]}
    wrong = chain.lines([(0, 0, "removed", told | {"through": 2})])
    assert check(files | {"00000003.jsonl": files["00000003.jsonl"] + wrong}).faults
    right = chain.lines([(0, 0, "removed", told)])
    assert not check(files | {"00000003.jsonl": files["00000003.jsonl"] + wrong + right}).faults


@pytest.mark.parametrize("with_head", [True, False])
@given(cut=st.integers(1, 200), dirt=st.sampled_from([b"", b"\x00" * 50, b"\n\x00\n", b'{"n":9}\n', b"\n"]))
def test_a_torn_tail_is_excused_once_the_next_start_told_of_it_and_not_before(
    with_head: bool, cut: int, dirt: bytes
) -> None:
    files, chain = journal(2, 3)
    head = head_of(files, chain.link) if with_head else None
    more = chain.lines(entries(2))
    torn = files["00000002.jsonl"] + more[: len(more) - cut] + dirt
    assume(torn != files["00000002.jsonl"])
    crashed = files | {"00000002.jsonl": torn}
    after = recovered(crashed, head)
    found = check(after, head)
    assert found.faults == []
    if found.torn:
        assert check(crashed, head).faults
    assert after["00000002.jsonl"].startswith(torn)


def test_a_line_that_lacks_its_line_end_alone_counts_and_needs_no_excuse() -> None:
    files, _ = journal(3)
    [name] = files
    found = resume([name], reader({name: files[name][:-1]}), None)
    assert (found.link.n, found.recovery, found.broken) == (3, None, True)
    after = check(recovered({name: files[name][:-1]}, None))
    assert (after.faults, after.torn, after.lines) == ([], 0, 6)


def test_crash_after_crash_is_excused() -> None:
    files, _ = journal(2)
    for tail in (b'{"n":3,"ts', b"\x00\x00\n", b'x\n{"y"'):
        files = recovered({"00000001.jsonl": files["00000001.jsonl"] + tail}, None)
    found = check(files)
    assert (found.faults, found.torn) == ([], 3)


def test_a_file_that_begins_torn_goes_on_from_the_file_before_it() -> None:
    files, chain = journal(3)
    after = recovered(files | {"00000002.jsonl": b'{"n":4'}, head_of(files, chain.link))
    found = check(after)
    assert (found.faults, found.torn, found.last and found.last.n) == ([], 1, 7)
    again = recovered({**after, "00000002.jsonl": after["00000002.jsonl"] + b"{"}, None)
    found = check(again)
    assert (found.faults, found.torn) == ([], 2)


@given(data=st.data())
def test_a_recovery_line_excuses_no_other_bytes_than_those_it_tells_of(data: st.DataObject) -> None:
    files, _ = journal(3)
    [name] = files
    after = recovered({name: files[name] + b'{"n":4,"ts":"torn'}, None)
    begin = len(files[name])
    end = after[name].index(b"\n", begin)
    place = data.draw(st.integers(begin, end - 1))
    changed = bytearray(after[name])
    changed[place] ^= data.draw(st.integers(1, 255))
    assert check({name: bytes(changed)}).faults
    assert check({name: after[name][:begin] + after[name][end + 1 :]}).faults


def test_a_recovery_line_does_not_excuse_a_changed_line_in_the_middle() -> None:
    files, _ = journal(3)
    [name] = files
    after = recovered({name: files[name] + b"torn"}, None)
    changed = after[name].replace(b'"id":1', b'"id":"')
    assert check({name: changed}).faults


def test_lines_that_the_head_knew_of_and_a_start_did_not_find_are_told_and_never_excused() -> None:
    files, chain = journal(5)
    [name] = files
    head = head_of(files, chain.link, {"kind": "kill", "reason": "drill"})
    cut = b"".join(files[name].splitlines(keepends=True)[:3])
    found = resume([name], reader({name: cut}), head)
    assert found.recovery == {"lost": 2}
    assert found.kill == head.kill
    [fault] = check(recovered({name: cut}, head)).faults
    assert (fault.line, "2 lines" in fault.what) == (4, True)


def test_nothing_there_begins_at_the_root() -> None:
    assert resume([], reader({}), None) == (None, 0, ROOT, None, None, False)
    gone = resume([], reader({}), Head("00000004.jsonl", 10, 7, "ab"))
    assert (gone.link, gone.recovery) == (ROOT, {"lost": 7})


@pytest.mark.parametrize("with_head", [True, False])
def test_a_start_knows_the_kill_that_stands(with_head: bool) -> None:
    chain = Chain(ROOT, None, lambda encoded: encoded)
    first = chain.lines([*entries(2), (0, 0, "kill", {"reason": "drill"})])
    head = Head("00000001.jsonl", len(first), *chain.link, chain.kill) if with_head else None
    files = {"00000001.jsonl": first + chain.lines(entries(2))}
    found = resume(sorted(files), reader(files), head)
    assert found.kill is not None
    assert found.kill["reason"] == "drill"
    assert found.link == chain.link
    files["00000001.jsonl"] += chain.lines([(0, 0, "rearm", {"latched": False})])
    assert resume(sorted(files), reader(files), head).kill is None
    files["00000002.jsonl"] = chain.lines([(0, 0, "file", {"after": "00000001.jsonl", "kill": {"reason": "carried"}})])
    assert resume(sorted(files), reader(files), None).kill == {"reason": "carried"}


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_record_or_none(raw: bytes) -> None:
    record_in(raw)
    found = Check(None)
    found.begin("00000001.jsonl")
    found.take(Line(0, raw, True))
    found.end()
    assert found.faults


def test_deep_nesting_and_huge_numbers_are_no_record() -> None:
    assert record_in(b"[" * 1_000_000) is None
    assert record_in(b'{"n":1e400,"prev":"","ts":"","kind":""}') is None
    assert record_in(b'{"n":true,"prev":"","ts":"","kind":""}') is None


@given(content=st.binary(max_size=64).map(lambda raw: raw.replace(b"\x01", b"\n")), offset=st.integers(0, 8))
def test_lines_are_told_with_their_places_however_they_fall_into_blocks(content: bytes, offset: int) -> None:
    step = 3
    lines = list(lines_of(lambda _, at, limit: content[at : at + min(limit, step)], "x", offset))
    assert b"".join(line.raw + (b"\n" if line.whole else b"") for line in lines) == content[offset:]
    for line in lines:
        assert content[line.offset :].startswith(line.raw)
    assert all(line.whole for line in lines[:-1])


def test_the_hash_of_torn_bytes_can_be_checked_by_hand() -> None:
    files, _ = journal(1)
    [name] = files
    found = resume([name], reader({name: files[name] + b"torn\nbytes"}), None)
    assert found.recovery == {"torn": {"bytes": 10, "sha256": sha256(b"torn\nbytes").hexdigest()}}
