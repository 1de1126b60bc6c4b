"""Where a document can be cut and what may be put there instead: JSON, msgpack, TOML, or plain bytes.

A cut is `(start, end, choices)`. They are found once per document, also in one that is broken already, so that making
a mutant costs no more than joining three pieces.
"""

import re
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, TypeAlias

Cut: TypeAlias = tuple[int, int, tuple[bytes, ...]]
Cuts: TypeAlias = list[Cut]
Grammar: TypeAlias = Callable[[bytes], "Parts"]
Span: TypeAlias = tuple[int, int]

CUTS_LIMIT: Final = 400
"""Most cuts of one document; those of a longer one are thinned out."""

NOISE: Final[tuple[bytes, ...]] = (
    *(bytes((byte,)) for byte in (*range(0x20), *b'"\\{}[]:,.-+eE0129 tfn/', 0x7F, 0x80, 0xC0, 0xC1, 0xED, 0xFE, 0xFF)),
    b"",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00\\ud800",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\n\n",
    b"%s%n",
    b"\x1b[2J",
)
"""Bytes that a parser may stumble over wherever they are."""

_NUMBERS: Final = [
    *b"0 -0 1 -1 2 0.0 1.5 -1.5 1e3 1e400 -1e400 1e-400 0E-11 255 65536 2147483647 2147483648 -2147483648 -2147483649 "
    b"4294967296 9007199254740991 9007199254740992 9223372036854775807 9223372036854775808 18446744073709551615 "
    b"18446744073709551616 -9223372036854775809 1700000000000000000 00 01 1. .5 +1 0x10 NaN Infinity".split(),
    b"9" * 40,
    b"9" * 400,
    b"9" * 5000,
    b"0." + b"1" * 400,
]

_TEXTS: Final = (
    b"",
    b" ",
    b"0",
    b"-1",
    b"NONE",
    b"null",
    b"ok",
    b"error",
    b"canceled",
    b"Cancelled",
    b"OAAAAA-BBBBB-CCCCCC",
    b"oaaaaa-bbbbb-cccccc",
    b"A-B\\n",
    b"\\u0000",
    b"\\ud800",
    b"\\ud83d\\ude00",
    b"\\u202e",
    b"\\n\\r\\t",
    b"\xc3\xa9",
    b"\xff",
    b"../../etc/passwd",
    b'\\"}',
    b"2023-09-21T14:36:57.428972Z",
    b"0001-01-01T00:00:00+23:59",
    b"9999-12-31T23:59:59.999999-23:59",
    b"2023-09-21T14:36:57",
    b"2023-13-41T25:61:61Z",
    b"EOrder:Unknown order",
    b"EGeneral:Temporary lockout",
    b"x" * 65,
    b"x" * 129,
    b"9" * 400,
    b"00000000-0000-4000-a000-000000000001",
)

_BARE: Final = (
    *b"true false null {} [] [[]] [{}] [null] [true] [0] [[[[[[[[[[]]]]]]]]]] True nil undefined".split(),
    b'{"":""}',
    b'{"a":{"a":{"a":null}}}',
    b'["a","a"]',
    b"[" * 60 + b"]" * 60,
)

JSON_VALUES: Final = (*_BARE, *_NUMBERS, *(b'"' + text + b'"' for text in _TEXTS))


class Parts:
    """What stands where in one document: values, the names of members, and whole members or elements."""

    def __init__(self) -> None:
        self.values: list[Span] = []
        self.names: list[Span] = []
        self.members: list[Span] = []


def json_parts(document: bytes) -> Parts:
    """The parts of a JSON text, as far as there are any."""
    parts = Parts()
    values, names, members = parts.values, parts.names, parts.members
    opened: list[tuple[int, int]] = []
    name = -1
    for token in _JSON.finditer(document):
        first = document[token.start()]
        if first in b"{[":
            opened.append((token.start(), name))
            name = -1
        elif first in b"}]":
            if opened:
                start, name = opened.pop()
                _note_value(parts, document, start, token.end(), name)
            name = -1
        elif first == _COLON:
            if values:
                names.append(values.pop())
                name = names[-1][0]
                if members and members[-1][0] == name:
                    members.pop()
        elif first == _COMMA:
            name = -1
        else:
            _note_value(parts, document, token.start(), token.end(), name)
            name = -1
    return parts


def _note_value(parts: Parts, document: bytes, start: int, end: int, name: int) -> None:
    parts.values.append((start, end))
    comma = end + 1 if document[end : end + 1] == b"," else end
    parts.members.append((start if name < 0 else name, comma))


_JSON: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[A-Za-z]+|[\[\]{}:,]', re.DOTALL)
_COLON: Final = ord(":")
_COMMA: Final = ord(",")


MSGPACK_VALUES: Final = (
    b"\xc0",
    b"\xc1",
    b"\xc2",
    b"\xc3",
    b"\x00",
    b"\x7f",
    b"\xe0",
    b"\xff",
    b"\x80",
    b"\x90",
    b"\xa0",
    b"\xde\x00\x00",
    b"\xde\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdc\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xdd\x7f\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xd9\x01",
    b"\xd9\x02\xff\xfe",
    b"\xa1\xff",
    b"\xa3\xed\xa0\x80",
    b"\xc4\x02ab",
    b"\xcc\xff",
    b"\xcd\xff\xff",
    b"\xce\xff\xff\xff\xff",
    b"\xcf" + b"\xff" * 8,
    b"\xcf\x7f" + b"\xff" * 7,
    b"\xd3\x80" + b"\x00" * 7,
    b"\xd3" + b"\xff" * 8,
    b"\xca\x7f\xc0\x00\x00",
    b"\xcb\x7f\xf0" + b"\x00" * 6,
    b"\xcb\x7f\xf8" + b"\x00" * 6,
    b"\xd4\xff\x00",
    b"\xd6\xff\x00\x00\x00\x00",
    b"\xd7\xff" + b"\xff" * 8,
    b"\xc7\x0c\xff" + b"\xff" * 12,
    b"\xd8\x01" + b"\x00" * 16,
    b"\x91" * 60,
    b"\x81\xa1a" * 60,
    b"\x81\x80\x80",
    b"\x81\x90\x90",
    b"\x81\xc0\xc0",
    b"\xb3OAAAAA-BBBBB-CCCCCC",
    b"\xa4spot",
    b"\xd9\x41" + b"x" * 65,
)

_FOLLOW: Final = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_FIXED: Final = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8} | {
    0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip


def msgpack_parts(document: bytes) -> Parts:
    """The parts of a msgpack document, as far as it can be walked."""
    parts = Parts()
    with suppress(struct.error, IndexError, RecursionError):
        _walk(document, 0, parts)
    return parts


def _walk(document: bytes, at: int, parts: Parts) -> int:
    """Note the value at `at`; where it ends."""
    head = document[at]
    end = at + 1
    if head < 0x90 and head >= 0x80:
        end = _walk_members(document, end, head & 15, parts)
    elif head < 0xA0 and head >= 0x90:
        for _ in range(head & 15):
            end = _walk(document, end, parts)
    elif head < 0xC0 and head >= 0xA0:
        end += head & 31
    elif head in _FOLLOW:
        width = struct.calcsize(_FOLLOW[head])
        end += width + int(struct.unpack_from(_FOLLOW[head], document, end)[0])
    elif head in (0xDC, 0xDE):
        count = int(struct.unpack_from(">H", document, end)[0])
        end += 2
        if head == 0xDE:
            end = _walk_members(document, end, count, parts)
        else:
            for _ in range(count):
                end = _walk(document, end, parts)
    else:
        end += _FIXED.get(head, 0)
    if end > len(document):
        raise IndexError
    parts.values.append((at, end))
    return end


def _walk_members(document: bytes, at: int, count: int, parts: Parts) -> int:
    for _ in range(count):
        start = at
        at = _walk(document, at, parts)
        parts.names.append((start, at))
        at = _walk(document, at, parts)
        parts.members.append((start, at))
    return at


TOML_VALUES: Final = (
    *_NUMBERS[:-1],
    *(b'"' + text + b'"' for text in _TEXTS),
    *(b"'" + text + b"'" for text in (b"", b"a\\b", b"ipc:///tmp/a.sock", b"wss://localhost:1/x")),
    b'"""\na"""',
    b"true",
    b"false",
    b"inf",
    b"nan",
    b"[]",
    b"[1,",
    b"{}",
    b"{a=1}",
    b"{a={a={}}}",
    b"2020-01-01",
    b"07:32:00",
    b"1979-05-27T07:32:00-08:00",
    b"0o660",
    b"0o" + b"7" * 30,
    b"0x" + b"f" * 5000,
    b"0b" + b"1" * 5000,
    b"1_000",
    b"[" * 60 + b"]" * 60,
    b'"ipc://@a"',
    b'"ipc:///a\\u0000b"',
    b'"wss://[::1"',
    b'"wss://h:99999"',
    b'"wss://u:p@h/?q#f"',
    b'"https://\xe2\x84\x80"',
    b'"wss://h\\u0009"',
)

_TOML: Final = re.compile(
    rb"^[ \t]*(?:(?P<table>\[.*\])|(?P<name>[^=#\n]*[^=#\n \t])[ \t]*=[ \t]*(?P<value>[^#\n]*))", re.MULTILINE
)


def toml_parts(document: bytes) -> Parts:
    """The parts of a TOML text, line by line."""
    parts = Parts()
    for line in _TOML.finditer(document):
        end = document.find(b"\n", line.end()) + 1 or len(document)
        parts.members.append((line.start(), end))
        if line["table"] is not None:
            parts.names.append(line.span("table"))
        else:
            parts.names.append(line.span("name"))
            parts.values.append(line.span("value"))
    return parts


def plain_parts(document: bytes) -> Parts:
    """Runs of digits, letters, blanks and others: all there is to see where there is no grammar."""
    parts = Parts()
    parts.values = [run.span() for run in re.finditer(rb"[0-9]+|[A-Za-z]+|[\s]+|[^\sA-Za-z0-9]+", document)]
    return parts


class Language:
    """A grammar, and what its documents can have: nasty values, and whatever the seeds have anywhere."""

    def __init__(self, grammar: Grammar, nasty: Iterable[bytes], seeds: Iterable[bytes]) -> None:
        self._grammar = grammar
        found: tuple[dict[bytes, None], ...] = ({}, {}, {})
        for seed in seeds:
            parts = grammar(seed)
            for kept, spans in zip(found, (parts.values, parts.names, parts.members), strict=True):
                kept.update(dict.fromkeys(seed[start:end] for start, end in spans))
        values, names, members = (tuple(kept) for kept in found)
        self._values = (*values, *nasty)
        # What was there before stands in a place of its own as well: without a name, or with a value as its name.
        self._names = (*names, *names, b"", *self._values[:20])
        self._members = (*members, b"", b"", b"", b"")

    def cuts(self, document: bytes) -> Cuts:
        """Where and by what this document can be changed, by place."""
        parts = self._grammar(document)
        cuts: Cuts = [(start, end, self._values) for start, end in parts.values]
        cuts += [(start, end, self._names) for start, end in parts.names]
        cuts += [(start, end, self._members) for start, end in parts.members]
        # Something more in front of a member, and the whole broken off there.
        cuts += [(start, start, self._members) for start, _ in parts.members]
        cuts += [(start, len(document), _NOTHING) for start, _ in parts.members[::4]]
        cuts.append((0, len(document), self._values))
        cuts.append((len(document), len(document), NOISE))
        cuts.sort(key=_by_place)
        return cuts[:: 1 + len(cuts) // CUTS_LIMIT]


def _by_place(cut: Cut) -> tuple[int, int]:
    return cut[0], cut[1]


_NOTHING: Final = (b"",)
