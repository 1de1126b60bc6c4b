"""The audit record's lines: each holds the hash of the one before, none holds a secret or is too long."""

import json
from hashlib import sha256
from typing import Any

import pytest

from canceld.contract.commands import Cancel, CancelBatch, OrderRef, Rearm
from canceld.credentials import Secret
from canceld.engine.journal import (
    FRAME_CHARS,
    LINE_BYTES,
    REDACTED,
    ROOT,
    Chain,
    Entry,
    Head,
    clipped,
    file_name,
    files_among,
    format_head,
    next_file,
    parse_head,
    redacted,
    surplus,
    unpacked_among,
)

UTC_NS = 1_800_000_000_123_456_789
OWN = frozenset({"n", "ts", "monotonic_ns", "kind", "prev"})


def chain() -> Chain:
    return Chain(ROOT, None, lambda encoded: encoded)


def entry(kind: str = "session", **fields: Any) -> Entry:
    return UTC_NS, 42, kind, fields


def test_a_line_tells_both_clocks_its_number_its_kind_and_its_fields() -> None:
    [line] = chain().lines([entry("session", name="spot-0", state="live")]).splitlines()
    assert json.loads(line) == {
        "n": 1,
        "ts": "2027-01-15T08:00:00.123456Z",
        "monotonic_ns": 42,
        "kind": "session",
        "name": "spot-0",
        "state": "live",
        "prev": "0" * 64,
    }


def test_each_line_holds_the_hash_of_the_whole_line_before_it_over_calls_too() -> None:
    one = chain()
    lines = (one.lines([entry(), entry()]) + one.lines([entry()])).splitlines()
    told = [json.loads(line) for line in lines]
    assert [record["n"] for record in told] == [1, 2, 3]
    assert [record["prev"] for record in told[1:]] == [sha256(line).hexdigest() for line in lines[:-1]]
    assert one.link == (3, sha256(lines[-1]).hexdigest())


def test_the_seconds_text_follows_the_clock_both_ways() -> None:
    one = chain()
    times = (UTC_NS, UTC_NS + 1_000_000_000, UTC_NS - 86_400_000_000_000)
    lines = one.lines([(utc_ns, 0, "x", {}) for utc_ns in times]).splitlines()
    assert [json.loads(line)["ts"][:19] for line in lines] == [
        "2027-01-15T08:00:00",
        "2027-01-15T08:00:01",
        "2027-01-14T08:00:00",
    ]


def test_no_field_can_take_the_place_of_the_lines_own_members() -> None:
    line = chain().lines([(UTC_NS, 42, "alert", {"n": 99, "ts": "never", "kind": "stop", "monotonic_ns": 0})])
    assert json.loads(line) | {"prev": ""} == {
        "n": 1,
        "ts": "2027-01-15T08:00:00.123456Z",
        "monotonic_ns": 42,
        "kind": "alert",
        "prev": "",
    }


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("outcome", {"type": "outcome", "id": 7, "route": None, "order_id": "OA-B", "error": "EOrder:Unknown order"}),
        ("outcome", {"type": "outcome", "id": 7, "class": "rate", "userref": 3, "strategy": "alpha"}),
        ("outcome", {"type": "refused", "id": None, "reason": "invalid", "detail": "x"}),
        ("frame_out", {"session": "spot-0", "frame": "{}", "left": "unknown"}),
        ("frame_in", {"venue": "spot", "session": "spot-rest", "status": 200, "frame": "{}"}),
        ("frame_in", {"session": "spot-0", "frame": "{}", "kind": "kill", "n": 9}),
    ],
)
def test_usual_lines_tell_what_any_other_would(kind: str, fields: dict[str, Any]) -> None:
    told = json.loads(chain().lines([(UTC_NS, 42, kind, fields)]))
    own = {"n": 1, "ts": "2027-01-15T08:00:00.123456Z", "monotonic_ns": 42, "kind": kind, "prev": "0" * 64}
    assert told == {name: value for name, value in fields.items() if value is not None} | own


def test_a_command_is_told_member_by_member_without_what_was_left_out() -> None:
    cancel = Cancel(id="c1", venue="spot", userref=0, sent_ns=5)
    batch = CancelBatch(id=2, venue="spot", orders=(OrderRef(order_id="OA-B"), OrderRef(userref=1)))
    rearm = Rearm(id=3, confirm="S3CRET")
    peer = {"door": "control", "uid": None, "pid": 8}
    lines = chain().lines([entry("command", command=command, **peer) for command in (cancel, batch, rearm)])
    told = [{name: value for name, value in json.loads(line).items() if name not in OWN} for line in lines.splitlines()]
    asked = {"door": "control", "pid": 8}
    assert told == [
        asked | {"type": "cancel", "id": "c1", "venue": "spot", "userref": 0, "until": "ack", "sent_ns": 5},
        asked
        | {"type": "cancel_batch", "id": 2, "venue": "spot", "until": "ack"}
        | {"orders": [{"order_id": "OA-B"}, {"userref": 1}]},
        asked | {"type": "rearm", "id": 3, "force": False},
    ]


@pytest.mark.parametrize(
    "frame",
    [
        '{"event":"cancelOrder","reqid":7,"token":"S3CRET","txid":["OA-B"]}',
        '{"event":"subscribe","subscription":{"name":"openOrders", "token" : "S3CRET"}}',
        '{"method":"cancel_order","params":{"order_id":["OA-B"],"token":"S3CRET"}}',
        '{"event":"subscribe","api_key":"S3CRET","original_challenge":"S3CRET","signed_challenge":"S3CRET"}',
        '{"result":{"token":"S3CRET","expires":900}}',
        '{"ApiKey":"S3CRET","ApiSign":"S3CRET","APIKEY":"S3CRET"}',
        '{"API-Key":"S3CRET","API-Sign":"S3CRET","signature":"S3CRET","password":"S3CRET","otp":"S3CRET"}',
        '{"token":"S3CRET with \\"quotes\\" S3CRET","event":"x"}',
        '{"event":"cancelOrder","token":"S3CRE',
        "nonce=1&token=S3CRET&order=OA-B",
    ],
)
def test_what_is_named_like_a_secret_is_taken_out_of_a_frame_and_the_rest_stays(frame: str) -> None:
    shown = redacted(frame)
    assert "S3CRE" not in shown
    assert REDACTED in shown
    for kept in ("OA-B", "reqid", "event", "expires"):
        assert (kept in shown) == (kept in frame)
    for raw in (frame, frame.encode()):
        assert b"S3CRE" not in chain().lines([entry("frame_out", frame=raw)])


@pytest.mark.parametrize(
    "frame", ['{"event":"heartbeat"}', '[[{"OA-B":{"status":"canceled"}}],"openOrders"]', "<html>"]
)
def test_a_frame_without_secrets_is_kept_as_it_was(frame: str) -> None:
    assert redacted(frame) == frame
    assert json.loads(chain().lines([entry("frame_in", frame=frame)]))["frame"] == frame


def test_known_secrets_are_taken_out_before_the_hash_is_taken() -> None:
    one = Chain(ROOT, None, lambda encoded: encoded.replace(b"hidden", b"[redacted]"))
    first, second = one.lines([entry(why="it was hidden"), entry()]).splitlines()
    assert b"hidden" not in first
    assert json.loads(second)["prev"] == sha256(first).hexdigest()


def test_long_frames_are_cut_and_so_are_lines() -> None:
    assert clipped("x" * FRAME_CHARS) == "x" * FRAME_CHARS
    assert len(clipped("x" * 2**20)) == len(clipped(b"x" * 2**20)) == FRAME_CHARS
    names = [f"OAAAAA-BBBBB-{number:06d}" for number in range(50_000)]
    for fields in (
        {"residual": names},
        {"why": "\x00" * 2**20},
        {"error": "x" * 2**20},
        {str(number): "x" * 512 for number in range(1000)},
    ):
        line = chain().lines([entry("outcome", **fields)])
        assert len(line) < LINE_BYTES + 200
        assert json.loads(line)["cut_from_bytes"] > LINE_BYTES


def test_what_cannot_be_encoded_never_stops_the_record_nor_shows_what_it_is() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    lines = chain().lines([entry(key=Secret("hidden")), entry(why="\ud800"), entry(deep=deep), entry()]).splitlines()
    assert len(lines) == 4
    assert b"hidden" not in b"".join(lines)
    assert [json.loads(line)["n"] for line in lines] == [1, 2, 3, 4]


def test_bytes_that_are_no_text_stay_readable() -> None:
    assert json.loads(chain().lines([entry("frame_in", frame=b"\xff\x00\nx")]))["frame"] == "\\xff\x00\nx"


def test_a_kill_stands_until_it_is_rearmed_for_good() -> None:
    one = chain()
    one.lines([entry("kill", reason="drill", by="operator"), entry("alert", what="x")])
    assert one.kill is not None
    assert (one.kill["n"], one.kill["reason"]) == (1, "drill")
    one.lines([entry("rearm", latched=True)])
    assert one.kill is not None
    one.lines([entry("rearm", latched=False)])
    assert one.kill is None


def test_files_are_numbered_and_anything_else_is_left_alone() -> None:
    assert next_file(None) == file_name(1) == "00000001.jsonl"
    assert next_file("00000009.jsonl") == "00000010.jsonl"
    names = ["head", "00000010.jsonl", "00000002.jsonl", "1.jsonl", "00000003.jsonl.gz", "00000002.jsonl.gz"]
    assert files_among(names) == ["00000002.jsonl", "00000003.jsonl", "00000010.jsonl"]
    assert unpacked_among(names) == ["00000002.jsonl"], "packed, and not yet removed; the newest is written to"


def test_the_oldest_files_are_the_surplus() -> None:
    files = [("1", 100), ("2", 50), ("3", 50), ("4", 10)]
    assert surplus(files, 210) == []
    assert surplus(files, 209) == ["1"]
    assert surplus(files, 60) == ["1", "2"]
    assert surplus(files, 5) == ["1", "2", "3"], "the newest is written to"


def test_a_head_survives_its_file_and_anything_else_is_none() -> None:
    head = Head("00000001.jsonl", 512, 3, "ab" * 32, {"kind": "kill", "reason": "drill"})
    assert parse_head(format_head(head)) == head
    for content in (None, b"", b"{}", b"\xff", b"[" * 100_000, format_head(head)[:-5], b'{"file":1}'):
        assert parse_head(content) is None
