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

FILE_BYTES: Final = 64 << 20
"""A file that has reached this is followed by the next: some 150,000 cancels."""

FILES_LIMIT: Final = 32
"""Most files kept, which bounds the record at about 2 GiB. What goes is told in the record before it goes."""

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

_OWN: Final = frozenset({"n", "ts", "monotonic_ns", "kind", "prev"})
"""The line's own members: no field can take their place."""

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
        self._second = -1
        self._second_text = ""

    def lines(self, entries: Sequence[Entry]) -> bytes:
        """The next lines of the record, each with its line end. A field that is None is left out.

        A `frame` loses its secrets, a `command` of the contract is told member by member.
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
        utc_ns, monotonic_ns, kind, fields = entry
        if "frame" in fields:
            fields["frame"] = _frame(fields["frame"])
        elif isinstance(command := fields.get("command"), msgspec.Struct):
            fields = {**_spoken(command), **fields}
            del fields["command"]
        if None in fields.values() or not _OWN.isdisjoint(fields):
            fields = {name: value for name, value in fields.items() if value is not None and name not in _OWN}
        if kind == "kill":
            self.kill = {"n": n, "ts": self._ts(utc_ns), **fields}
        elif kind == "rearm" and fields.get("latched") is False:
            self.kill = None
        head = f'{{"n":{n},"ts":"{self._ts(utc_ns)}","monotonic_ns":{monotonic_ns},"kind":"{kind}"'.encode()
        return b"%b,%b" % (head, _members(fields)) if fields else head + b"}"

    def _ts(self, utc_ns: int) -> str:
        second, rest_ns = divmod(utc_ns, 1_000_000_000)
        if second != self._second:
            # Most lines share their second with the one before: only the fraction is made anew.
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()
        return f"{self._second_text}.{rest_ns // 1000:06d}Z"


def _members(fields: dict[str, Any]) -> bytes:
    """The members of a line's own event, as JSON up to and with the closing brace."""
    try:
        body = _encode(fields)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        body = _encode({"unencodable": type(error).__name__})
    if len(body) > LINE_BYTES:
        size = {"cut_from_bytes": len(body)}
        body = _encode({name: _shortened(value) for name, value in fields.items()} | size)
        if len(body) > LINE_BYTES:
            body = _encode(size)
    return body[1:]


def _frame(frame: Any) -> Any:
    if isinstance(frame, bytes | bytearray):
        frame = frame.decode("utf-8", "backslashreplace")
    return redacted(frame[:FRAME_CHARS]) if isinstance(frame, str) else frame


def _spoken(command: msgspec.Struct) -> dict[str, Any]:
    """A command as its client wrote it: without what it left out, and without the code that re-arms."""
    told: dict[str, Any] = _without_none(msgspec.to_builtins(command))
    told.pop("confirm", None)
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

_NAME: Final = re.compile(r"\d{8}\.jsonl\Z")


def file_name(number: int) -> str:
    """Name of the n-th file; names sort as the files follow each other."""
    return f"{number:08d}.jsonl"


def files_among(names: Sequence[str]) -> list[str]:
    """The journal's files among the names in its directory, oldest first."""
    return sorted(name for name in names if _NAME.match(name))


def next_file(name: str | None) -> str:
    """Name of the file that follows; of the first one after None."""
    return file_name(1 if name is None else int(name.partition(".")[0]) + 1)


def surplus(files: Sequence[str], limit: int = FILES_LIMIT) -> list[str]:
    """Those of the files, oldest first, that are too many."""
    return list(files[: max(0, len(files) - limit)])


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
