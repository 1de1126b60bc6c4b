"""What was being cancelled, written where the next process finds it: intents in the slots of a file's memory.

An intent is a command that was admitted and has not been answered. It is entered before its frame leaves and settled
after its reply. It takes one slot of fixed size, and more only where it does not fit: batches do.

A slot begins with its seal, a checksum of all that stands behind it in use; 0 is a free slot. The seal is stored last:
a process that dies before has sent nothing yet. So after `kill -9` every sealed slot is whole. After a power cut it may
not be, since the kernel keeps no sequence on the disk; such a slot is recognised by its seal, and nothing in it is
believed. Nothing here reads a clock or touches a file.
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias
from zlib import crc32

from ..contract.commands import Cancel, CancelAll, CancelBatch
from ..contract.frames import Malformed, decode_command
from ..settings import IN_FLIGHT_LIMIT

SLOT_BYTES: Final = 256
"""A single cancel has 100 to 190 bytes; twice as many would be stored as fast, and take twice the memory."""

SLOT_LIMIT: Final = 16_384
"""Most slots. A single cancel needs one, so they are enough for IN_FLIGHT_LIMIT and for some hundred batches beside."""

assert SLOT_LIMIT >= IN_FLIGHT_LIMIT

MAGIC: Final = b"canceld intents "
HEADER: Final = (MAGIC + b"version 1\n").ljust(SLOT_BYTES, b"\0")
"""Stands where slot 0 would be. Another version's slots are not read: they may be laid out otherwise."""

RECORD_BYTES: Final = SLOT_BYTES * (1 + SLOT_LIMIT)

NOBODY: Final = 2**32 - 1
"""uid and pid of a peer that the kernel tells nothing of; neither is ever given to a process."""

# Serial of the intent, received_ns, utc_ns, uid, pid, part, parts, bytes behind this head, bytes of them that are the
# peer's chosen identity.
_HEAD: Final = struct.Struct("<QQQIIHHHB")
_SEAL_BYTES: Final = 4
_FREE: Final = bytes(_SEAL_BYTES)
BODY_BYTES: Final = SLOT_BYTES - _SEAL_BYTES - _HEAD.size

Slots: TypeAlias = tuple[int, ...]
"""The slots of one intent, first part first; none when it could not be recorded."""

Intended: TypeAlias = Cancel | CancelBatch | CancelAll


class Memory(Protocol):
    """What the slots lie in."""

    def __setitem__(self, place: slice, content: bytes, /) -> None: ...


class Client(NamedTuple):
    """Who asked, in words that still mean the same when both have connected anew.

    ZeroMQ's own identity is another one after each connection, unless the client chose it. What stays is the process:
    uid and pid as the kernel tells them. An id alone would not do: many clients count from 1, and to be told the
    outcome of somebody else's userref is to believe orders dead that rest.
    """

    identity: bytes
    uid: int
    pid: int


def client_of(identity: bytes, uid: int, pid: int) -> Client:
    """A peer's name by which it is known after a restart. A chosen identity is bound to its user, not to its pid."""
    # Those that ZeroMQ makes begin with a zero byte, and no client may choose one that does.
    return Client(b"", uid, pid) if identity[:1] in (b"", b"\0") else Client(identity, uid, NOBODY)


class Intent(NamedTuple):
    """One command that the process before took and did not settle. received_ns: on that process's monotonic clock."""

    client: Client
    command: Intended
    received_ns: int
    utc_ns: int
    slots: Slots


class Found(NamedTuple):
    """What a record holds: intents in the sequence in which they came, and slots that cannot be believed.

    serial: the highest that is in use.
    """

    intents: tuple[Intent, ...] = ()
    torn: Slots = ()
    serial: int = 0


NOTHING: Final = Found()


class BadRecord(Exception):
    """The file is no record of this version; the text says what it is instead."""


class Intents:
    """The slots, and which of them are free. Without memory nothing is recorded, and nothing is refused for it."""

    def __init__(self, memory: Memory | None, found: Found = NOTHING) -> None:
        """found: what was read from this memory; its intents keep their slots until they are settled."""
        self.unrecorded = 0
        self._memory = memory
        self._serial = found.serial
        taken = {slot for intent in found.intents for slot in intent.slots}
        # The last one freed is used first, so that a quiet daemon touches few pages.
        self._free = [] if memory is None else [slot for slot in range(SLOT_LIMIT, 0, -1) if slot not in taken]
        if memory is not None:
            for slot in found.torn:
                memory[slot * SLOT_BYTES : slot * SLOT_BYTES + _SEAL_BYTES] = _FREE

    @property
    def on(self) -> bool:
        """Whether intents are recorded at all."""
        return self._memory is not None

    def enter(self, payload: bytes, identity: bytes, uid: int, pid: int, received_ns: int, utc_ns: int) -> Slots:
        """Record a command, as its client sent it, before anything leaves for it. Gives its slots, to settle it by.

        received_ns: CLOCK_MONOTONIC; utc_ns: the wall clock of the same moment. Empty, and counted, when all slots are
        taken.
        """
        memory = self._memory
        if memory is None:
            return ()
        chosen = b"" if identity[:1] in (b"", b"\0") else identity
        size = len(payload) + len(chosen)
        free = self._free
        if size > BODY_BYTES or not free:
            return self._enter_parts(memory, chosen + payload, len(chosen), uid, pid, received_ns, utc_ns)
        self._serial += 1
        slot = free.pop()
        begin = slot * SLOT_BYTES
        behind = begin + _SEAL_BYTES
        head = _HEAD.pack(self._serial, received_ns, utc_ns, uid, pid, 0, 1, size, len(chosen))
        whole = head + chosen + payload
        memory[behind : behind + len(whole)] = whole
        memory[begin:behind] = (crc32(whole) or 1).to_bytes(_SEAL_BYTES, "little")
        return (slot,)

    def _enter_parts(
        self, memory: Memory, body: bytes, identity_bytes: int, uid: int, pid: int, received_ns: int, utc_ns: int
    ) -> Slots:
        parts = -(-len(body) // BODY_BYTES)
        if parts > len(self._free):
            self.unrecorded += 1
            return ()
        self._serial += 1
        slots = tuple(self._free.pop() for _ in range(parts))
        # The first part goes last, and is the first to be freed: without it the others are not taken for an intent.
        for part in reversed(range(parts)):
            content = body[part * BODY_BYTES : (part + 1) * BODY_BYTES]
            head = _HEAD.pack(
                self._serial, received_ns, utc_ns, uid, pid, part, parts, len(content), 0 if part else identity_bytes
            )
            whole = head + content
            begin = slots[part] * SLOT_BYTES
            behind = begin + _SEAL_BYTES
            memory[behind : behind + len(whole)] = whole
            memory[begin:behind] = (crc32(whole) or 1).to_bytes(_SEAL_BYTES, "little")
        return slots

    def settle(self, slots: Slots) -> None:
        """The command was answered: the next process need not know of it."""
        memory = self._memory
        if memory is None:
            return
        for slot in slots:
            begin = slot * SLOT_BYTES
            memory[begin : begin + _SEAL_BYTES] = _FREE
            self._free.append(slot)


class _Part(NamedTuple):
    slot: int
    serial: int
    received_ns: int
    utc_ns: int
    uid: int
    pid: int
    part: int
    parts: int
    identity_bytes: int
    body: bytes


def read(content: bytes) -> Found:
    """What a record holds. Never raises on what stands in its slots. Raises BadRecord when it is no record of ours."""
    if content[:SLOT_BYTES] != HEADER:
        raise BadRecord("is of another version" if content.startswith(MAGIC) else "is no record of commands in flight")
    if len(content) != RECORD_BYTES:
        raise BadRecord(f"has {len(content)} bytes and not {RECORD_BYTES}")
    torn: list[int] = []
    by_serial: dict[int, list[_Part]] = {}
    for slot in range(1, 1 + SLOT_LIMIT):
        begin = slot * SLOT_BYTES
        if content[begin : begin + _SEAL_BYTES] == _FREE:
            continue
        part = _read_slot(slot, content[begin : begin + SLOT_BYTES])
        if part is None:
            torn.append(slot)
        else:
            by_serial.setdefault(part.serial, []).append(part)
    intents = []
    for serial in sorted(by_serial):
        parts = sorted(by_serial[serial], key=lambda part: part.part)
        intent = _join(parts)
        if intent is None:
            torn += [part.slot for part in parts]
        else:
            intents.append(intent)
    return Found(tuple(intents), tuple(torn), max(by_serial, default=0))


def _read_slot(slot: int, content: bytes) -> _Part | None:
    """A sealed slot; None when its seal does not fit what it seals."""
    behind = content[_SEAL_BYTES:]
    serial, received_ns, utc_ns, uid, pid, part, parts, size, identity_bytes = _HEAD.unpack_from(behind)
    if size > BODY_BYTES:
        return None
    whole = behind[: _HEAD.size + size]
    if (crc32(whole) or 1).to_bytes(_SEAL_BYTES, "little") != content[:_SEAL_BYTES]:
        return None
    return _Part(slot, serial, received_ns, utc_ns, uid, pid, part, parts, identity_bytes, whole[_HEAD.size :])


def _join(parts: Sequence[_Part]) -> Intent | None:
    """The intent that these parts are; None when one is missing, or when together they are no command."""
    first = parts[0]
    if len(parts) != first.parts or [part.part for part in parts] != list(range(len(parts))):
        return None
    body = b"".join(part.body for part in parts)
    if first.identity_bytes > len(body):
        return None
    command = decode_command(body[first.identity_bytes :])
    if isinstance(command, Malformed) or not isinstance(command, Intended):
        return None
    client = client_of(body[: first.identity_bytes], first.uid, first.pid)
    return Intent(client, command, first.received_ns, first.utc_ns, tuple(part.slot for part in parts))
