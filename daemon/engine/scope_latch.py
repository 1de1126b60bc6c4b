"""Scopes that are latched: what appears in one is cancelled on sight until it is re-armed. What their file holds.

The file itself is read, written and removed by others.
"""

from collections.abc import Iterable
from typing import Annotated, Final, NamedTuple

import msgspec

from ..contract.selectors import Selector
from .latch import REASON_CHARS, WHO_CHARS, Latch
from .sealed import Broken, seal, unseal

VERSION: Final = 1
"""Version of the file's format."""

SCOPES_LIMIT: Final = 100
"""Most scopes latched at once: each is swept by itself at every venue that it is about."""


class ScopeLatch(msgspec.Struct, frozen=True, kw_only=True):
    """One latched scope: by whom, when and why. who: "uid 1000 pid 4242". utc_ns: wall clock, for people."""

    reason: str
    scope: tuple[Selector, ...]
    who: str = ""
    utc_ns: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None

    @property
    def at(self) -> str | None:
        """`utc_ns` as RFC 3339 text."""
        return Latch(trigger="command", reason="", utc_ns=self.utc_ns).at


class _File(msgspec.Struct):
    scopes: tuple[ScopeLatch, ...]


class StoredScopes(NamedTuple):
    """What a file held; `why` when it cannot be used, so that scopes which were latched are not known any more."""

    scopes: tuple[ScopeLatch, ...]
    why: str | None = None


def format_scopes(scopes: Iterable[ScopeLatch]) -> bytes:
    """Latched scopes as their file holds them: one line of JSON, sealed. Never raises."""
    written = [
        msgspec.structs.replace(one, reason=_writable(one.reason, REASON_CHARS), who=_writable(one.who, WHO_CHARS))
        for one in scopes
    ]
    return seal(VERSION, {"scopes": written})


def parse_scopes(content: bytes | None) -> StoredScopes:
    """The scopes in a state file's content; none for no file.

    A file that cannot be read latches no scope: which orders it meant is what it does not say, and all of them it did
    not mean. People have to hear of it.
    """
    if content is None:
        return StoredScopes(())
    read = unseal(content, VERSION, _File)
    if isinstance(read, Broken):
        return StoredScopes((), f"the file of latched scopes {read.why}")
    return StoredScopes(read.scopes)


def _writable(text: str, limit: int) -> str:
    return text[:limit].encode("utf-8", "replace").decode()
