"""What can be read of a configuration file, for programs that must go on whatever is wrong with it.

`run` and `check` read strictly (settings.py). A kill finds its socket and `panic` its venues by what is left of a file
that somebody broke after the daemon was started: what cannot be read has its default, and a line says so.
"""

import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import FieldInfo, fields, replace

from ..contract.ids import VENUES, Venue
from ..contract.plain_text import plain
from ..settings import REST_SCHEMES, WEBSOCKET_SCHEMES, BadSettings, Settings, address_of

FILE_BYTES: Final = 1 << 20
"""More than any configuration has; what follows is left out."""

REMARKS_LIMIT: Final = 20
"""Most lines about one file: a file that is no configuration at all has one fault a line."""

_HEADER: Final = re.compile(r"^[ \t]*\[", re.MULTILINE)
_SECTION: Final = re.compile(r"\s*\[+\s*([A-Za-z0-9_-]+)")
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")

_URLS: Final = (
    ("spot", "rest_url", REST_SCHEMES),
    ("prime", "ws_url", WEBSOCKET_SCHEMES),
    ("futures", "rest_url", REST_SCHEMES),
    ("futures", "uws_url", WEBSOCKET_SCHEMES),
)
"""Where `panic` goes."""

_PATHS: Final = (("state", "dir"), ("tls", "ca_file"), ("credentials", "dir"))

_ENDPOINTS: Final = ("commands", "control", "events")


class Readable(NamedTuple):
    """What was read.

    doubted: venues of which the file does not tell whether they are enabled, since that part cannot be read.
    missing: there is no file, or none that may be read; everything is a default. remarks: a line for each thing that is
    left out, the file's path in front.
    """

    settings: Settings
    doubted: frozenset[Venue]
    remarks: tuple[str, ...]
    missing: bool = False


def read_what_can_be(path: str) -> Readable:
    """A configuration file as far as it can be read. Never raises."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(FILE_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return Readable(Settings(), frozenset(VENUES), (f"{path}: {why}",), missing=True)
    found = parse_what_can_be(text)
    return found._replace(remarks=tuple(f"{path}: {remark}" for remark in found.remarks))


def parse_what_can_be(text: str) -> Readable:
    """The same for a text."""
    remarks: list[str] = []
    tables, whole = _tables(text, remarks)
    sections: dict[str, Any] = {}
    faulty: set[str] = set()
    known = {field.name: field for field in fields(Settings)}
    for name, table in tables.items():
        if name not in known:
            remarks.append(f"{name}: there is no such section")
            # It may be meant for any of them.
            faulty |= set(VENUES)
            continue
        before = len(remarks)
        sections[name] = _section(known[name], table, remarks)
        if len(remarks) > before:
            faulty.add(name)
    settings = _usable(Settings(**sections), remarks)
    doubted = {venue for venue in VENUES if not _is_told(tables.get(venue)) and (venue in faulty or not whole)}
    if len(remarks) > REMARKS_LIMIT:
        remarks[REMARKS_LIMIT - 1 :] = [f"{len(remarks) - REMARKS_LIMIT + 1} more faults"]
    return Readable(settings, frozenset(doubted), tuple(map(plain, remarks)))


def _is_told(table: Any) -> bool:
    return isinstance(table, dict) and isinstance(table.get("enabled"), bool)


# ---------------------------------------------------------------- TOML that is broken somewhere


def _tables(text: str, remarks: list[str]) -> tuple[dict[str, Any], bool]:
    """The tables, and whether the text is TOML as a whole."""
    try:
        return tomllib.loads(text), True
    except (ValueError, RecursionError) as error:
        remarks.append(f"not TOML ({_first_line(error)}); what can be read of it is used")
    tables: dict[str, Any] = {}
    for number, chunk in _chunks(text):
        try:
            found = tomllib.loads(chunk)
        except (ValueError, RecursionError):
            found = _line_by_line(number, chunk, remarks)
        _merge(tables, found)
    return tables, False


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """The text cut before every line that begins a table, each part with the number of its first line."""
    starts = sorted({0, *(match.start() for match in _HEADER.finditer(text)), len(text)})
    for start, end in pairwise(starts):
        yield text.count("\n", 0, start) + 1, text[start:end]


def _line_by_line(first: int, chunk: str, remarks: list[str]) -> dict[str, Any]:
    """What single lines of a table say that cannot be read whole."""
    lines = chunk.splitlines()
    section = _SECTION.match(lines[0])
    keys: dict[str, Any] = {}
    for number, line in enumerate(lines[1:] if section else lines, first + bool(section)):
        try:
            _merge(keys, tomllib.loads(line))
        except (ValueError, RecursionError):
            key = _KEY.match(line)
            name = ".".join(match[1] for match in (section, key) if match)
            remarks.append(f"line {number}: {f'{name} ' if name else ''}cannot be read")
    return {section[1]: keys} if section else keys


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            into[name].update(value)
        else:
            into[name] = value


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


# ---------------------------------------------------------------- values that cannot be


def _section(field: FieldInfo, table: Any, remarks: list[str]) -> Any:
    """One section, key by key where it cannot be read whole."""
    try:
        return msgspec.convert(table, field.type)
    except msgspec.ValidationError as error:
        whole_fault = str(error)
    if not isinstance(table, dict) or not isinstance(field.type, type):
        remarks.append(f"{field.name}: {whole_fault}; its default is used")
        return getattr(Settings(), field.name)
    good: dict[str, Any] = {}
    for key, value in table.items():
        try:
            msgspec.convert({key: value}, field.type)
        except msgspec.ValidationError as error:
            why = str(error).partition(" - at ")[0]
            unknown = why.startswith("Object contains unknown field")
            remarks.append(f"{field.name}.{key}: {'unknown key' if unknown else f'{why}; its default is used'}")
        else:
            good[key] = value
    return msgspec.convert(good, field.type)


def _usable(settings: Settings, remarks: list[str]) -> Settings:
    """The same with defaults for addresses, sockets and paths that can be none."""
    default = Settings()
    for section, key, schemes in _URLS:
        url = getattr(getattr(settings, section), key)
        try:
            if url:
                address_of(url, schemes, f"{section}.{key}")
                continue
            if url == getattr(getattr(default, section), key):
                continue
            remarks.append(f"{section}.{key}: is empty; its default is used")
        except BadSettings as error:
            remarks.append(f"{error}; its default is used")
        settings = _with_default(settings, section, key)
    for section, key in _PATHS:
        if not getattr(getattr(settings, section), key).isprintable():
            remarks.append(f"{section}.{key}: is no path; its default is used")
            settings = _with_default(settings, section, key)
    for key in _ENDPOINTS:
        endpoint = getattr(settings.gateway, key)
        if not endpoint.startswith("ipc://") or not endpoint.isprintable():
            remarks.append(f"gateway.{key}: is no socket of the daemon's; its default is used")
            settings = _with_default(settings, "gateway", key)
    return settings


def _with_default(settings: Settings, section: str, key: str) -> Settings:
    value = getattr(getattr(Settings(), section), key)
    return replace(settings, **{section: replace(getattr(settings, section), **{key: value})})
