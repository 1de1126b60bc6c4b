"""The latch: nothing but its absence reads as armed, and nothing but the code clears it."""

import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canceld.contract.ids import VENUES
from canceld.engine.latch import (
    CODE_ALPHABET,
    CODE_CHARS,
    CODE_VALID_S,
    REASON_CHARS,
    WHO_CHARS,
    Latch,
    Switch,
    Verdict,
    code_from,
    format_latch,
    parse_latch,
)

NOW_NS = 1_763_600_000_123_456_789
SECOND_NS = 10**9
LATCH = Latch(trigger="command", reason="fat finger", who="uid 1000 pid 4242", utc_ns=NOW_NS, venues=("spot",))
CODE = "ABCD2345"

latches = st.builds(
    Latch,
    trigger=st.sampled_from(["command", "signal", "file", "lease", "panic", "unreadable"]),
    reason=st.text(max_size=REASON_CHARS),
    who=st.text(max_size=WHO_CHARS),
    utc_ns=st.none() | st.integers(0, 2**63 - 1),
    venues=st.none() | st.lists(st.sampled_from(VENUES), min_size=1, unique=True).map(tuple),
)


def sealed(body: bytes) -> bytes:
    """A line whose checksum is right, whatever it says."""
    return b'%b,"crc32":"%08x"}\n' % (body, zlib.crc32(body))


# ---------------------------------------------------------------- the file


@given(latches)
def test_latch_reads_back_as_it_was_written(latch: Latch) -> None:
    assert parse_latch(format_latch(latch)) == latch


def test_file_is_one_line_that_people_and_programs_can_read() -> None:
    content = format_latch(LATCH)
    assert content.count(b"\n") == 1
    members = json.loads(content)
    assert members.pop("crc32")
    assert members == {
        "version": 1,
        "trigger": "command",
        "reason": "fat finger",
        "who": "uid 1000 pid 4242",
        "at": "2025-11-20T00:53:20.123456Z",
        "utc_ns": NOW_NS,
        "venues": ["spot"],
    }


def test_only_a_missing_file_reads_as_armed() -> None:
    assert parse_latch(None) is None


@given(st.binary(max_size=400))
def test_any_content_reads_as_latched(content: bytes) -> None:
    latch = parse_latch(content)
    assert latch is not None
    assert latch.trigger == "unreadable"
    assert latch.venues is None


@given(st.binary(max_size=200))
def test_any_content_with_a_right_checksum_reads_as_latched(body: bytes) -> None:
    assert parse_latch(sealed(b"{" + body)) is not None


@given(latches, st.data())
def test_truncated_file_reads_as_unreadable(latch: Latch, data: st.DataObject) -> None:
    content = format_latch(latch)
    cut = parse_latch(content[: data.draw(st.integers(0, len(content) - 1))])
    assert cut is not None
    assert cut.trigger == "unreadable"
    assert all(cut.covers(venue) for venue in VENUES)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_flipped_bits_read_as_unreadable(at: int, mask: int) -> None:
    content = bytearray(format_latch(LATCH))
    content[at % len(content)] ^= mask
    latch = parse_latch(bytes(content))
    assert latch is not None
    assert latch.trigger == "unreadable"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\n", "is damaged"),
        (b"\0" * 4096, "is damaged"),
        (format_latch(LATCH) * 2, "is damaged"),
        (format_latch(LATCH).replace(b"fat", b"fit"), "checksum"),
        (sealed(format_latch(LATCH).replace(b'"version":1', b'"version":2').rpartition(b',"crc32"')[0]), "version 2"),
        (sealed(b'{"version":1,"reason":"\xff\xfe"'), "does not hold"),
        (sealed(b'{"version":' + b"[" * 100_000), "does not hold"),
        (sealed(b'{"version":1,"trigger":"rearm","reason":"r","at":null'), "does not hold"),
        (sealed(b'{"version":1,"trigger":"command","reason":"r","at":null,"venues":[]'), "does not hold"),
    ],
)
def test_what_cannot_be_read_says_why(content: bytes, why: str) -> None:
    latch = parse_latch(content)
    assert latch is not None
    assert latch.trigger == "unreadable"
    assert why in latch.reason
    assert latch.at is None


def test_reason_that_is_no_text_can_still_be_written() -> None:
    typed = b"caf\xe9".decode(errors="surrogateescape")
    latch = parse_latch(format_latch(Latch(trigger="panic", reason=typed + "x" * 10_000, who=typed)))
    assert latch is not None
    assert latch.trigger == "panic"
    assert latch.reason.startswith("caf?")
    assert len(latch.reason) == REASON_CHARS


# ---------------------------------------------------------------- scope


def test_second_kill_widens_the_scope_and_keeps_the_first_cause() -> None:
    switch = Switch(None)
    assert switch.trip(LATCH) == LATCH
    second = Latch(trigger="signal", reason="SIGUSR1", venues=("futures", "spot"))
    widened = switch.trip(second)
    assert widened == switch.latch
    assert (widened.reason, widened.venues) == ("fat finger", ("spot", "futures"))
    assert [venue for venue in VENUES if widened.covers(venue)] == ["spot", "futures"]
    assert switch.trip(Latch(trigger="file", reason="file")).venues is None
    assert switch.trip(LATCH).venues is None


# ---------------------------------------------------------------- re-arming


def asked(now_ns: int = 0) -> Switch:
    switch = Switch(LATCH)
    assert switch.ask(now_ns, CODE)
    return switch


def test_right_code_in_time_rearms() -> None:
    switch = asked()
    assert switch.confirm(f" {CODE.lower()}\n", CODE_VALID_S * SECOND_NS - 1, residual=False, force=False) is (
        Verdict.REARMED
    )
    assert switch.latch is None
    assert switch.confirm(CODE, 1, residual=False, force=False) is Verdict.NOT_LATCHED


def test_code_expires() -> None:
    switch = asked()
    assert switch.confirm(CODE, CODE_VALID_S * SECOND_NS, residual=False, force=False) is Verdict.EXPIRED
    assert switch.confirm(CODE, 1, residual=False, force=True) is Verdict.NO_CODE
    assert switch.latch == LATCH


def test_wrong_code_voids_the_right_one() -> None:
    switch = asked()
    assert switch.confirm("ABCD2346", 1, residual=False, force=True) is Verdict.WRONG_CODE
    assert switch.confirm(CODE, 2, residual=False, force=True) is Verdict.NO_CODE
    assert switch.latch == LATCH


def test_new_code_voids_the_one_before() -> None:
    switch = asked()
    switch.ask(1, "WXYZ6789")
    assert switch.confirm(CODE, 2, residual=False, force=False) is Verdict.WRONG_CODE


def test_kill_after_the_code_was_handed_out_voids_it() -> None:
    switch = asked()
    switch.trip(Latch(trigger="lease", reason="the lease ended", who="momentum"))
    assert switch.confirm(CODE, 1, residual=False, force=True) is Verdict.NO_CODE


def test_rest_refuses_without_force_and_leaves_the_code_valid() -> None:
    switch = asked()
    assert switch.confirm(CODE, 1, residual=True, force=False) is Verdict.RESTS
    assert switch.latch == LATCH
    assert switch.confirm(CODE, 2, residual=True, force=True) is Verdict.REARMED


def test_armed_switch_gives_no_code() -> None:
    switch = Switch(None)
    assert not switch.ask(0, CODE)
    switch.trip(LATCH)
    assert switch.confirm(CODE, 1, residual=False, force=True) is Verdict.NO_CODE


def test_start_with_an_unreadable_file_is_latched() -> None:
    switch = Switch(parse_latch(b"{"))
    assert switch.latch is not None
    assert switch.ask(0, CODE)
    assert switch.confirm(CODE, 1, residual=False, force=False) is Verdict.REARMED


def test_codes_are_drawn_evenly_and_without_lookalikes() -> None:
    assert len(CODE_ALPHABET) == len(set(CODE_ALPHABET)) == 32
    assert not set("01OI") & set(CODE_ALPHABET)
    assert code_from(bytes(CODE_CHARS)) == "2" * CODE_CHARS
    assert code_from(bytes(range(24, 32))) == "STUVWXYZ"
    assert code_from(b"\xff" * CODE_CHARS) == "Z" * CODE_CHARS


commands = st.one_of(
    st.tuples(st.just("trip"), st.none() | st.sampled_from(VENUES)),
    st.tuples(st.just("ask"), st.text(CODE_ALPHABET, min_size=CODE_CHARS, max_size=CODE_CHARS)),
    st.tuples(st.just("confirm"), st.text(CODE_ALPHABET, max_size=CODE_CHARS) | st.text(max_size=70)),
    # Everything that was ever valid but is not now: old codes, and the right one too late.
    st.tuples(st.just("replay"), st.integers(0, 5)),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("wait"), st.integers(0, 2 * CODE_VALID_S * SECOND_NS)),
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(commands, max_size=30), st.booleans())
def test_no_sequence_of_commands_without_the_code_clears_the_latch(
    sequence: list[tuple[str, object]], force: bool
) -> None:
    switch, now_ns = Switch(LATCH), 0
    codes: list[str] = []
    valid: str | None = None
    asked_ns = 0
    content = format_latch(LATCH)
    for name, argument in sequence:
        match name:
            case "trip":
                venues = None if argument is None else (argument,)
                content = format_latch(switch.trip(Latch(trigger="command", reason="again", venues=venues)))  # type: ignore[arg-type]
                valid = None
            case "ask":
                valid, asked_ns = str(argument), now_ns
                codes.append(valid)
                assert switch.ask(now_ns, valid)
            case "restart":
                switch, valid = Switch(parse_latch(content)), None
            case "wait":
                assert isinstance(argument, int)
                now_ns += argument
            case _:
                tried = str(argument) if name == "confirm" else codes[int(str(argument)) % len(codes)] if codes else ""
                is_right = valid is not None and tried.strip().upper() == valid
                if is_right and now_ns < asked_ns + CODE_VALID_S * SECOND_NS:
                    continue
                assert switch.confirm(tried, now_ns, residual=False, force=force) is not Verdict.REARMED
                valid = None
        assert switch.latch is not None
        assert switch.latch.reason == LATCH.reason
