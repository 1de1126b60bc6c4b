"""What was spent of the venues' budgets lately, as a file holds it: the process after a crash still knows.

A ring of slots of one size, each sealed by itself, so that a torn one is lost alone. Only times are kept: the wall
clock's, since no other goes on from one process to the next on every machine.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias
from zlib import crc32

from .intents import Memory

Kind: TypeAlias = Literal["dial", "token", "token failed", "bad nonce", "token got"]
"""A connection attempt; a call for a token, one that brought none, one that brought it; a call whose nonce the venue
called too low."""

HEADER: Final = b"canceld dials 1\n"
SLOT_BYTES: Final = 16
SLOTS: Final = 512
"""Four times the dials of a window, so that what else is kept does not push them out."""

RECORD_BYTES: Final = len(HEADER) + SLOTS * SLOT_BYTES

_CODES: Final[Mapping[Kind, int]] = {"dial": 1, "token": 2, "token failed": 3, "bad nonce": 4, "token got": 5}
_KINDS: Final[Mapping[int, Kind]] = {code: kind for kind, code in _CODES.items()}


class BadSpent(Exception):
    """The file is no record of this version."""


class Spent:
    """The ring. Without memory nothing is kept, and nothing is refused for it."""

    def __init__(self, memory: Memory | None, next_slot: int = 0) -> None:
        self._memory = memory
        self._next = next_slot
        self._noted: dict[Kind, deque[int]] = {kind: deque(maxlen=SLOTS) for kind in _CODES}
        """By kind, where each note of this process went, counted on without an end."""

    def note(self, kind: Kind, utc_ns: int) -> None:
        """It happened now."""
        if self._memory is not None:
            self._noted[kind].append(self._next)
            self._store(self._next, _slot(kind, utc_ns))
            self._next += 1

    def take_back(self, kind: Kind) -> None:
        """The newest of this kind, if this process noted it, did not happen after all."""
        noted = self._noted[kind]
        if noted and (number := noted.pop()) >= self._next - SLOTS:
            self._store(number, bytes(SLOT_BYTES))

    def _store(self, number: int, slot: bytes) -> None:
        if self._memory is not None:
            at = len(HEADER) + number % SLOTS * SLOT_BYTES
            self._memory[at : at + SLOT_BYTES] = slot


def read(content: bytes) -> tuple[dict[Kind, list[int]], int]:
    """The times in a file's content by kind, oldest first, UTC nanoseconds; and the slot to go on with.

    Raises BadSpent for a file that is not ours.
    """
    if len(content) != RECORD_BYTES or not content.startswith(HEADER):
        raise BadSpent(f"is no record of dials of this version: {content[: len(HEADER)]!r}")
    times: dict[Kind, list[int]] = {kind: [] for kind in _CODES}
    newest, goes_on = 0, 0
    for number in range(SLOTS):
        at = len(HEADER) + number * SLOT_BYTES
        slot = content[at : at + SLOT_BYTES]
        kind, utc_ns = _KINDS.get(slot[8]), int.from_bytes(slot[:8], "little")
        if kind is None or slot != _slot(kind, utc_ns):
            continue
        times[kind].append(utc_ns)
        if utc_ns >= newest:
            newest, goes_on = utc_ns, (number + 1) % SLOTS
    for of in times.values():
        of.sort()
    return times, goes_on


def _slot(kind: Kind, utc_ns: int) -> bytes:
    body = utc_ns.to_bytes(8, "little") + bytes((_CODES[kind], 0, 0, 0))
    return body + crc32(body).to_bytes(4, "little")
