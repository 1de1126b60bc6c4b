"""A kill in whatever form it comes: its `type` has to be understood, and nothing else.

What is odd about it is named and never a reason to refuse; where a field cannot be followed, the kill is as wide as it
can be. So `kill` is the one command that is not read strictly, and only the literal `drill: true` makes a rehearsal of
it.
"""

import json
from typing import Any, Final

import msgspec
from msgspec import UNSET

from .commands import NO_REASON, DeadlineMs, Kill, Label, MonotonicNs
from .ids import CommandID, Venue
from .texts import REASON_BYTES, cleaned

NOTE_BYTES: Final = 200
NOTES_LIMIT: Final = 20
"""How much is told of what was ignored: a message may consist of a hundred thousand unknown fields."""

TOLERANT_BYTES: Final = 128 * 1024
"""Largest JSON that is read a second time by a tolerant reader, which makes an object of everything in it."""

_SIGN: Final = b"kill"
_ESCAPE: Final = b"\\u"
"""What every kill shows: these letters, or JSON's escapes in their place. Nothing else is looked at twice."""

JSON_BEGINS: Final = frozenset((b"{", b"[", b'"', b" ", b"\t", b"\r", b"\n"))
"""First bytes of JSON; no map of msgpack begins with any of them."""

_Raw = msgspec.Raw

_UNREADABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)


class _Fields(msgspec.Struct, gc=False):
    """The fields of a kill, still encoded; others are skipped and never made."""

    type: _Raw = _Raw()
    id: _Raw = _Raw()
    reason: _Raw = _Raw()
    venues: _Raw = _Raw()
    drill: _Raw = _Raw()
    deadline_ms: _Raw = _Raw()
    sent_ns: _Raw = _Raw()
    strategy: _Raw = _Raw()


_fields_json: Final = msgspec.json.Decoder(_Fields)
_fields_msgpack: Final = msgspec.msgpack.Decoder(_Fields)
_members_json: Final = msgspec.json.Decoder(dict[str, _Raw])
_members_msgpack: Final = msgspec.msgpack.Decoder(dict[Any, _Raw])
_value_json: Final = msgspec.json.Decoder()
_value_msgpack: Final = msgspec.msgpack.Decoder()

_TYPES: Final[dict[str, Any]] = {
    "id": CommandID,
    "deadline_ms": DeadlineMs,
    "sent_ns": MonotonicNs,
    "strategy": Label | None,
    "venues": tuple[Venue, ...] | None,
    "drill": bool,
}

_INSTEAD: Final = {
    "id": "the reply bears none",
    "deadline_ms": "the default holds",
    "venues": "every venue is killed",
    "drill": "this is no drill",
}
"""What is done where a field is ignored."""


class _Unreadable:
    """Stands for a value that no decoder takes."""

    def __repr__(self) -> str:
        return "an unreadable value"


_NOTHING: Final = _Unreadable()


def may_be_kill(payload: bytes) -> bool:
    """Whether a payload is worth a second look: costs a search through its bytes."""
    return _SIGN in payload or _ESCAPE in payload


def read_kill(payload: bytes) -> Kill | None:
    """The kill in a payload, whatever else stands in it; None when it is no map with the type `kill`."""
    if not may_be_kill(payload):
        return None
    notes: list[str] = []
    members = _members(payload, notes)
    if members is None or members.pop("type", None) != "kill":
        return None
    reason = _reason(members.pop("reason", None), notes)
    understood = {name: _understood(name, members.pop(name), notes) for name in _TYPES if name in members}
    if "id" not in understood:
        notes.append("id: missing; the reply bears none")
    notes += [f"{cleaned(str(name), NOTE_BYTES)}: unknown field" for name in members]
    if len(notes) > NOTES_LIMIT:
        notes[NOTES_LIMIT:] = [f"and {len(notes) - NOTES_LIMIT} more"]
    return Kill(
        id=understood.get("id"),
        deadline_ms=UNSET if (deadline_ms := understood.get("deadline_ms")) is None else deadline_ms,
        sent_ns=UNSET if (sent_ns := understood.get("sent_ns")) is None else sent_ns,
        strategy=understood.get("strategy"),
        reason=reason,
        # No venue at all is what a program says whose list was empty.
        venues=understood.get("venues") or None,
        drill=understood.get("drill") or False,
        ignored=tuple(notes),
    )


def also_ignored(kill: Kill, note: str) -> Kill:
    """The same kill with one more thing to tell about its message."""
    return msgspec.structs.replace(kill, ignored=(*kill.ignored, note))


def _members(payload: bytes, notes: list[str]) -> dict[Any, Any] | None:
    """The members of a map; None when it is none, or surely no kill. The last of several with one name counts."""
    is_json = payload[:1] in JSON_BEGINS
    fields = None
    try:
        fields = (_fields_json if is_json else _fields_msgpack).decode(payload)
        if fields.type and _value(bytes(fields.type), is_json) != "kill":
            return None
    except _UNREADABLE:
        # Names that are no text, or JSON by another book.
        pass
    try:
        members: dict[Any, _Raw] = (_members_json if is_json else _members_msgpack).decode(payload)
    except _UNREADABLE:
        if fields is None:
            return _tolerant(payload) if is_json else None
        notes.append("a field's name cannot be read")
        members = {name: raw for name in _Fields.__struct_fields__ if (raw := getattr(fields, name))}
    return {_name(name): _value(bytes(raw), is_json) for name, raw in members.items()}


def _tolerant(payload: bytes) -> dict[Any, Any] | None:
    """JSON with control characters in its text, NaN, or half characters, as many programs write it."""
    if len(payload) > TOLERANT_BYTES:
        return None
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        text = payload.decode("latin-1")
    try:
        read = json.loads(text, strict=False)
    except _UNREADABLE:
        return None
    return read if isinstance(read, dict) else None


def _name(name: Any) -> Any:
    """A member's name; some encoders know bytes alone."""
    return name.decode(errors="replace") if isinstance(name, bytes) else name


def _value(raw: bytes, is_json: bool) -> Any:
    """One value; text that is no UTF-8 is given as its bytes."""
    try:
        value = (_value_json if is_json else _value_msgpack).decode(raw)
    except _UNREADABLE:
        text = raw[1:-1] if is_json and raw[:1] == b'"' else b"" if is_json else _packed_text(raw)
        return text or _NOTHING
    if isinstance(value, bytes) and len(value) <= NOTE_BYTES:
        # Some encoders know bytes alone.
        return value.decode(errors="replace")
    return value


def _packed_text(raw: bytes) -> bytes:
    """The bytes of a msgpack text, whose length stands in 0, 1, 2 or 4 bytes behind the first."""
    if 0xA0 <= raw[0] <= 0xBF:
        return raw[1:]
    return raw[{0xD9: 2, 0xDA: 3, 0xDB: 5}.get(raw[0], len(raw)) :]


def _understood(name: str, value: Any, notes: list[str]) -> Any:
    """A field's value where it is what it should be; None, and a note, where it is not."""
    try:
        if isinstance(value, str):
            value.encode()  # half a character fits a label and ends whoever writes the record
        return msgspec.convert(value, _TYPES[name])
    except _UNREADABLE as error:
        instead = f"; {_INSTEAD[name]}" if name in _INSTEAD else ""
        notes.append(f"{name}: {cleaned(str(error), NOTE_BYTES)}{instead}")
        return None


def _reason(value: Any, notes: list[str]) -> str:
    """Why, in words that can be shown."""
    if value is None:
        return NO_REASON
    if not isinstance(value, str | bytes):
        notes.append("reason: expected text")
        value = _shown(value)
    text = cleaned(value, REASON_BYTES)
    if len(value) > REASON_BYTES:
        notes.append(f"reason: cut at {REASON_BYTES} bytes")
    return text or NO_REASON


def _shown(value: Any) -> str:
    try:
        return str(value)
    except (ValueError, RecursionError):
        return repr(_NOTHING)
