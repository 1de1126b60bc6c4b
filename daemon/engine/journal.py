"""The audit record's lines: how an event becomes one, how each is chained to the one before, when a file is full.

A line is one JSON object that ends with `prev`, the SHA-256 of the whole line before it, its line end excepted. So a
changed, missing or moved line shows at the line after it, and any shell can check a pair: `sed -n 7p FILE | tr -d '\\n'
| sha256sum`. What shows the loss of the last lines is the head, a small file beside them that says how far the record
went. Whoever may write both files can forge both: the chain finds accidents and careless hands.

No file is touched here and no clock is read.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from ..contract.commands import Cancel

FILE_BYTES: Final = 64 << 20
"""A file that has reached this is followed by the next: some 150,000 cancels."""

RECORD_BYTES: Final = 2 << 30
"""Most disk that the record takes, its closed files packed. What goes is told in the record before it goes."""

LINE_BYTES: Final = 64 << 10
"""Longest line; the longest honest one is a batch with 500 long names."""

FRAME_CHARS: Final = 2048
"""Longest part of a frame that is kept: a snapshot of the open orders can have a megabyte."""

TEXT_CHARS: Final = 512
ITEMS: Final = 100
"""What is left of a text and of a list in a line that would be too long."""

REDACTED: Final = "[redacted]"
HEAD: Final = "head"
"""Name of the file that says how far the record went."""

Entry: TypeAlias = tuple[int, int, str, dict[str, Any]]
"""One event to be recorded: wall clock ns, monotonic ns, kind, fields."""


class Link(NamedTuple):
    """One line of the chain: its number, counted through all files from 1, and its hash in hex."""

    n: int
    hash: str


ROOT: Final = Link(0, "0" * 64)
"""What the very first line follows."""


class Head(msgspec.Struct, frozen=True):
    """How far the record is durable: file, its size then, its last line, and the kill that stands, if one does."""

    file: str
    size: int
    n: int
    hash: str
    kill: dict[str, Any] | None = None

    @property
    def link(self) -> Link:
        """The last line that is durable."""
        return Link(self.n, self.hash)


_encode: Final = msgspec.json.Encoder(enc_hook=lambda value: f"<{type(value).__name__}>").encode
_decode_head: Final = msgspec.json.Decoder(Head).decode

_HEAD: Final = ("n", "ts", "monotonic_ns", "kind")
_OWN: Final = frozenset({*_HEAD, "prev"})
"""The line's own members: no field can take their place."""

_DIGITS: Final = tuple(f"{number:03d}" for number in range(1000))
_UNENCODABLE: Final = (TypeError, ValueError, KeyError, OverflowError, RecursionError)


def _shape(name: str, members: Sequence[str]) -> Any:
    """A line with these members beside its own ones: left to the encoder as a whole, it costs half of what a map does.

    Members that are None are left out.
    """
    described: list[Any] = [*_HEAD, *((member, Any, None) for member in members)]
    return msgspec.defstruct(name, described, omit_defaults=True, gc=False)


# The four lines of nearly every cancel. Whatever else there is to tell is told by a map.
_ASKED: Final = frozenset({"command", "door", "uid", "pid"})
_CancelLine: Final = _shape("_CancelLine", ["type", *Cancel.__struct_fields__, "door", "uid", "pid"])
_FrameLine: Final = _shape("_FrameLine", ["session", "frame", "left"])
# fmt: off
_OutcomeLine: Final = _shape("_OutcomeLine", [
    "type", "id", "venue", "order_id", "cl_ord_id", "userref", "outcome", "route", "attempts", "received_ns", "sent_ns",
    "answered_ns", "error", "filled_qty", "strategy",
])
# fmt: on
_SHAPES: Final = {"frame_out": _FrameLine, "frame_in": _FrameLine, "outcome": _OutcomeLine}

# How the names of secret members end, over all venues: token, secret, signature, sign, original_challenge, api_key, …
# Each has a search of its own, which begins with fixed letters: one for all of them takes twenty times as long.
_SECRET_MEMBERS: Final = {
    f'{ending}"': (re.compile(rf'{ending}"\s*:\s*"[^"\\]*(?:\\.[^"\\]*)*"?'), f'{ending}":"{REDACTED}"')
    for ending in ("oken", "ecret", "ignature", "ign", "hallenge", "ey", "KEY", "uthent", "otp", "assword")
}
_SECRET_FIELDS: Final = re.compile(r"\b(token|otp|password)=[^&]*")


def redacted(text: str) -> str:
    """A frame or a request body without the values of what is named like a secret; also where the text was cut."""
    for ending, (member, without) in _SECRET_MEMBERS.items():
        if ending in text:
            text = member.sub(without, text)
    return _SECRET_FIELDS.sub(rf"\1={REDACTED}", text) if "=" in text else text


def clipped(frame: str | bytes) -> str | bytes:
    """As much of a frame as is kept, to be cut before it waits: a queue of whole snapshots would take the memory."""
    return frame if len(frame) <= FRAME_CHARS else frame[:FRAME_CHARS]


class Chain:
    """Makes lines of entries, each with the hash of the one before. `kill` is the kill that stands, for the head."""

    def __init__(self, link: Link, kill: dict[str, Any] | None, censor: Callable[[bytes], bytes]) -> None:
        """censor: takes known secrets out of encoded text; what it gives is still one JSON object per line."""
        self.link = link
        self.kill = kill
        self._censor = censor
        self._second_us = -1_000_000
        self._second_text = ""

    def lines(self, entries: Sequence[Entry]) -> bytes:
        """The next lines of the record, each with its line end. A field that is None is left out.

        A `frame` loses its secrets, a `command` of the contract, or the map of one, is told member by member.
        """
        first = self.link.n + 1
        bodies = [self._body(n, entry) for n, entry in enumerate(entries, first)]
        last = self.link.hash
        lines: list[bytes] = []
        # Secrets go before the hash is taken. Once for all lines: it is a look for every form of every secret.
        for body in self._censor(b"\n".join(bodies)).split(b"\n"):
            line = b'%b,"prev":"%b"}' % (body[:-1], last.encode())
            last = sha256(line).hexdigest()
            lines.append(line)
        assert len(lines) == len(bodies), "a line break in a line"
        self.link = Link(self.link.n + len(lines), last)
        lines.append(b"")
        return b"\n".join(lines)

    def _body(self, n: int, entry: Entry) -> bytes:
        """A line without its `prev`."""
        utc_ns, monotonic_ns, kind, fields = entry
        head = n, self._ts(utc_ns), monotonic_ns, kind
        try:
            body = b""
            if kind in _SHAPES:
                shaped = _SHAPES[kind](*head, **fields)
                if "frame" in fields:
                    shaped.frame = _frame(shaped.frame)
                body = _encode(shaped)
            elif kind == "command" and fields.keys() == _ASKED:
                command = msgspec.to_builtins(fields["command"])
                if command["type"] == "cancel":
                    who = {name: told for name, told in fields.items() if name != "command"}
                    body = _encode(_CancelLine(*head, **command, **who))
            if 0 < len(body) <= LINE_BYTES:
                return body
        except _UNENCODABLE:
            # Or it has members that its kind seldom has.
            pass
        return self._mapped(head, fields)

    def _mapped(self, head: tuple[int, str, int, str], fields: dict[str, Any]) -> bytes:
        n, ts, _, kind = head
        fields = {name: value for name, value in spoken(fields).items() if value is not None and name not in _OWN}
        if "frame" in fields:
            fields["frame"] = _frame(fields["frame"])
        if kind == "kill":
            self.kill = {"n": n, "ts": ts, **fields}
        elif kind == "rearm" and fields.get("latched") is False:
            self.kill = None
        return _encoded(dict(zip(_HEAD, head, strict=True)), fields)

    def _ts(self, utc_ns: int) -> str:
        since_us = utc_ns // 1000 - self._second_us
        if not 0 <= since_us < 1_000_000:
            # Most lines share their second with the one before: only the fraction is made anew.
            second, since_us = divmod(utc_ns // 1000, 1_000_000)
            self._second_us = second * 1_000_000
            self._second_text = datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()
        ms, us = divmod(since_us, 1000)
        return f"{self._second_text}.{_DIGITS[ms]}{_DIGITS[us]}Z"


def _encoded(head: dict[str, Any], fields: dict[str, Any]) -> bytes:
    try:
        body = _encode(head | fields)
    except _UNENCODABLE as error:
        return _encode(head | {"unencodable": type(error).__name__})
    if len(body) > LINE_BYTES:
        size = {"cut_from_bytes": len(body)}
        body = _encode(head | {name: _shortened(value) for name, value in fields.items()} | size)
        if len(body) > LINE_BYTES:
            body = _encode(head | size)
    return body


def _frame(frame: Any) -> Any:
    if not isinstance(frame, str):
        if not isinstance(frame, bytes | bytearray):
            return frame
        frame = frame.decode("utf-8", "backslashreplace")
    return redacted(frame[:FRAME_CHARS])


_FLAGS: Final = ("everything", "dry_run", "fresh")
"""Members that say nothing where they are false, which is what most clients leave out."""


def spoken(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a note, with a command of the contract, or the map of one, told as its client wrote it.

    That is without what it left out, and without the code that re-arms.
    """
    command = fields.get("command")
    if not isinstance(command, msgspec.Struct | dict):
        return fields
    told: dict[str, Any] = _without_none(msgspec.to_builtins(command))
    told.pop("confirm", None)
    for flag in _FLAGS:
        if told.get(flag) is False:
            del told[flag]
    told |= fields
    del told["command"]
    return told


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(part) for name, part in value.items() if part is not None}
    return [_without_none(part) for part in value] if isinstance(value, list | tuple) else value


def _shortened(value: Any) -> Any:
    if isinstance(value, str):
        return value[:TEXT_CHARS]
    if isinstance(value, list | tuple):
        return [_shortened(item) for item in value[:ITEMS]]
    return value


# -------------------------------------------------------------------- files

_NAME: Final = re.compile(r"(\d{8}\.jsonl)(?:\.gz)?\Z")


def file_name(number: int) -> str:
    """Name of the n-th file; names sort as the files follow each other."""
    return f"{number:08d}.jsonl"


def files_among(names: Sequence[str]) -> list[str]:
    """The journal's files among the names in its directory, oldest first, by their names before they were packed."""
    return sorted({found[1] for name in names if (found := _NAME.match(name))})


def unpacked_among(names: Sequence[str]) -> list[str]:
    """Those of the files that are closed and not packed yet, oldest first."""
    return [name for name in files_among(names)[:-1] if name in names]


def next_file(name: str | None) -> str:
    """Name of the file that follows; of the first one after None."""
    return file_name(1 if name is None else int(name.partition(".")[0]) + 1)


def surplus(files: Sequence[tuple[str, int]], limit_bytes: int) -> list[str]:
    """Those of the files, oldest first, that are too many for so many bytes of disk; each with its size there."""
    total, gone = sum(size for _, size in files), []
    for name, size in files[:-1]:
        if total <= limit_bytes:
            break
        gone.append(name)
        total -= size
    return gone


def format_head(head: Head) -> bytes:
    """A head as its file holds it."""
    return _encode(head) + b"\n"


def parse_head(content: bytes | None) -> Head | None:
    """The head in its file's content; None for no file and for anything that is not one."""
    if content is None:
        return None
    try:
        return _decode_head(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
