"""What the daemon and its scribe tell each other: blocks of notes down, what became of them up. All of it is msgpack.

A pipe carries bytes, so each message has its length in front.
"""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import msgspec

from ..engine.journal import Entry

LENGTH_BYTES: Final = 4
MESSAGE_BYTES: Final = 64 << 20
"""Longest message: a length beyond it is none. A block of notes has some 60 KiB, with the longest frames 600."""


class Begin(msgspec.Struct, frozen=True, tag="begin", array_like=True):
    """The first message: the daemon's last news of where the record ends, None when it has none yet.

    What the record holds beyond that was noted by this daemon and written by a scribe that ended before it could tell:
    those notes come again, and are not written again.
    """

    written: "Written | None"


class Block(msgspec.Struct, frozen=True, tag="block", array_like=True):
    """Notes to be written down, oldest first. number: counts up from 1."""

    number: int
    entries: tuple[Entry, ...]


class Written(msgspec.Struct, frozen=True, tag="written", array_like=True):
    """All blocks up to this one are in the record, which now ends with line n, at `size` bytes of `file`."""

    number: int
    file: str
    size: int
    n: int


class Failed(msgspec.Struct, frozen=True, tag="failed", array_like=True):
    """A part of the work failed, and is tried again. detail: without the path."""

    part: str
    text: str
    detail: str


class Healed(msgspec.Struct, frozen=True, tag="healed", array_like=True):
    """What failed went well."""

    part: str


class Alert(msgspec.Struct, frozen=True, tag="alert", array_like=True):
    """Something for a person to act on."""

    severity: str
    what: str
    do: str


class Told(msgspec.Struct, frozen=True, tag="told", array_like=True):
    """A line for the log."""

    event: str
    fields: dict[str, Any]


Order: TypeAlias = Begin | Block
News: TypeAlias = Written | Failed | Healed | Alert | Told

_encoder: Final = msgspec.msgpack.Encoder(enc_hook=lambda value: f"<{type(value).__name__}>")
_UNENCODABLE: Final = (TypeError, ValueError, OverflowError, RecursionError)

pack: Final = _encoder.encode
order_in: Final = msgspec.msgpack.Decoder(Order).decode
news_in: Final = msgspec.msgpack.Decoder(News).decode


def packed_block(number: int, entries: list[Entry]) -> bytes:
    """A block as a message. A note that no message can hold is told as that."""
    try:
        return pack(("block", number, entries))
    except _UNENCODABLE:
        return pack(("block", number, [_packable(entry) for entry in entries]))


def _packable(entry: Entry) -> Entry:
    try:
        pack(entry)
    except _UNENCODABLE as error:
        utc_ns, monotonic_ns, kind, _ = entry
        return utc_ns, monotonic_ns, kind, {"unencodable": type(error).__name__}
    return entry


def framed(message: bytes) -> bytes:
    """A message with its length in front."""
    return len(message).to_bytes(LENGTH_BYTES, "little") + message


class Stream:
    """The messages among bytes that come in pieces."""

    def __init__(self) -> None:
        self._held = bytearray()

    def take(self, data: bytes) -> Iterator[bytes]:
        """The messages that are whole now. Raises ValueError for what is no stream of messages."""
        held = self._held
        held += data
        start = 0
        try:
            while len(held) - start >= LENGTH_BYTES:
                end = start + LENGTH_BYTES + int.from_bytes(held[start : start + LENGTH_BYTES], "little")
                if end - start > MESSAGE_BYTES:
                    raise ValueError(f"a message of {end - start} bytes")
                if len(held) < end:
                    break
                yield bytes(held[start + LENGTH_BYTES : end])
                start = end
        finally:
            del held[:start]
