"""State files of one JSON line that shows by itself whether it was written whole, and by which version of us.

The last member, `crc32`, is the CRC-32 of all that stands before it; the first is the format's `version`.
"""

import re
import zlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

_LINE: Final = re.compile(rb'(\{.*),"crc32":"([0-9a-f]{8})"\}\n')
_encode: Final = msgspec.json.Encoder().encode


class _Version(msgspec.Struct):
    version: int


class Broken(NamedTuple):
    """The content is not what `seal` made of such members; `why` goes on after "the file …"."""

    why: str


def seal(version: int, members: Mapping[str, Any]) -> bytes:
    """The file's content. Text has to be encodable: no lone surrogates."""
    body = _encode({"version": version, **members})[:-1]
    return b'%b,"crc32":"%08x"}\n' % (body, zlib.crc32(body))


def unseal(content: bytes, version: int, members: type[T]) -> T | Broken:
    """The members in a file's content, or why it cannot be used. Never raises."""
    line = _LINE.fullmatch(content)
    if line is None:
        return Broken("is damaged or was not written whole" if content else "is empty")
    if int(line[2], 16) != zlib.crc32(line[1]):
        return Broken("does not agree with its checksum")
    try:
        written = msgspec.json.decode(content, type=_Version).version
        if written != version:
            return Broken(f"has version {written}, this program reads version {version}")
        return msgspec.json.decode(content, type=members)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Broken("does not hold what it should")
