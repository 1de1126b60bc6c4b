"""Throws mutants at one parser, and tells what came of it or which input it did not stand."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from .surfaces import Surface

SLOW_S: Final = 0.05
"""No input may cost more processor time than this."""

LOOKS: Final = 3
"""A slow input is read again so many times: what the machine did meanwhile is not the parser's fault."""

CLOSELY: Final = 8
"""One value in so many is looked at closely."""

SHOWN_BYTES: Final = 2000

_HOUSE: Final = Path(__file__).parent.parent.parent / "daemon"


class Finding(AssertionError):
    """An input that a parser did not stand."""

    def __init__(self, surface: Surface, document: bytes, what: str) -> None:
        by = getattr(surface.read, "last", "")
        super().__init__(f"{surface.name}: {what}{by and f' ({by})'}; the input was {document[:SHOWN_BYTES]!r}")


class Told(NamedTuple):
    """What came of a run. kinds: how often each kind of value was read; refused: how often a declared error came."""

    surface: str
    inputs: int
    refused: int
    kinds: Counter[type]
    took_s: float
    """Processor time, with that of making the mutants."""

    @property
    def missed(self) -> str:
        """The kinds of value that no mutant brought about."""
        return ", ".join(sorted(kind.__name__ for kind, times in self.kinds.items() if not times))


def number_of_the_day() -> int:
    """The number from which the mutants of this state of the code come: a changed parser meets others."""
    digest = hashlib.sha256()
    for path in sorted(_HOUSE.rglob("*.py")):
        if path.parent.name in ("contract", "venues", "engine") or path.name in ("settings.py", "journal.py"):
            digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:4])


class _Declared:
    """Stands for a declared error among the values."""


_DECLARED: Final = _Declared()


def attack(surface: Surface, inputs: int, number: int) -> Told:
    """Let a parser read so many mutants. Raises Finding at the first that it does not stand."""
    began_s = time.thread_time()
    seen: Counter[type] = Counter(dict.fromkeys(surface.kinds, 0))
    mutants = surface.mutants(number)
    for block in mutants.blocks(inputs):
        block_began_s = time.thread_time()
        values = _read(surface, block)
        if time.thread_time() - block_began_s > SLOW_S:
            _find_slow(surface, block)
        seen.update(map(type, values))
        if len(seen) > len(surface.kinds) + 1 or not seen.keys() <= {*surface.kinds, _Declared}:
            _find_strange(surface, block, values)
        _look_closely(surface, block, values)
        # What was read as something rare is worth more tries: most mutants are nothing at all.
        mutants.adopt(min(range(len(values)), key=lambda place: seen[type(values[place])]))
    refused = seen.pop(_Declared, 0)
    return Told(surface.name, inputs, refused, seen, time.thread_time() - began_s)


def _read(surface: Surface, block: list[bytes]) -> list[object]:
    if surface.read_all is not None:
        return _read_all(surface, surface.read_all, block)
    read, declared = surface.read, surface.declared
    values: list[object] = []
    try:
        for document in block:
            try:
                values.append(read(document))
            except declared:
                values.append(_DECLARED)
    except Exception as error:
        raise Finding(surface, block[len(values)], f"raised {error!r}") from error
    return values


def _read_all(
    surface: Surface, read_all: Callable[[Sequence[bytes]], list[object]], block: list[bytes]
) -> list[object]:
    try:
        return read_all(block)
    except Exception as error:
        if len(block) > 1:
            for document in block:
                _read_all(surface, read_all, [document])
        raise Finding(surface, block[0], f"raised {error!r}") from error


def _find_slow(surface: Surface, block: list[bytes]) -> None:
    for document in block:
        fastest_s = min(_time_s(surface, document) for _ in range(LOOKS))
        if fastest_s > SLOW_S:
            raise Finding(surface, document, f"took {fastest_s * 1000:.0f} ms")


def _time_s(surface: Surface, document: bytes) -> float:
    began_s = time.thread_time()
    _read(surface, [document])
    return time.thread_time() - began_s


def _find_strange(surface: Surface, block: list[bytes], values: list[object]) -> None:
    for document, value in zip(block, values, strict=True):
        if type(value) not in surface.kinds and value is not _DECLARED:
            raise Finding(surface, document, f"gave a {type(value).__name__}")


def _look_closely(surface: Surface, block: list[bytes], values: list[object]) -> None:
    for document, value in zip(block[::CLOSELY], values[::CLOSELY], strict=True):
        if value is not _DECLARED:
            try:
                surface.after(value)
            except Exception as error:
                raise Finding(surface, document, f"gave {value!r}, of which {error!r}") from error
