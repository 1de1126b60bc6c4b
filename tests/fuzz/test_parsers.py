"""Any bytes at any parser give a value or the one declared error: mutants without number, and a few monsters."""

import time
import tracemalloc
from collections.abc import Callable

import pytest

from .attack import LOOKS, SLOW_S, Finding, attack, number_of_the_day
from .grammar import Language, json_parts
from .monsters import DEPTH, SMALL_BYTES, monsters
from .surfaces import Surface, surfaces

INPUTS = 200_000
"""For each parser and each state of the code."""

LARGEST_BYTES = 1 << 20
"""The largest frame that a socket takes in."""

PEAK_BYTES = 4 << 20

SURFACES = surfaces()
EACH = pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)

OURS_BYTES = 4 << 10
"""Monsters among our own files are shorter: Python reads them, once at the start, and whoever writes them is let in."""


def read(surface: Surface, document: bytes) -> None:
    """Let a parser read, and nothing but what it declares come out."""
    try:
        value = surface.read(document)
    except surface.declared:
        return
    assert type(value) in surface.kinds


@EACH
def test_mutants_are_read_or_refused(surface: Surface, tell: Callable[[str], None]) -> None:
    told = attack(surface, INPUTS, number_of_the_day())
    tell(f"{told.surface}: {told.inputs:,} inputs in {told.took_s:.1f} s")
    assert not told.missed, f"no mutant is read as {told.missed}"


@pytest.mark.parametrize(
    "surface", [surface for surface in SURFACES if not surface.ours], ids=lambda surface: surface.name
)
def test_monsters_are_read_or_refused_and_cost_little(surface: Surface) -> None:
    for name, monster in monsters(SMALL_BYTES).items():
        took_s = []
        for _ in range(LOOKS):
            began_s = time.thread_time()
            read(surface, monster)
            took_s.append(time.thread_time() - began_s)
        assert min(took_s) < SLOW_S, name
        tracemalloc.start()
        try:
            before_bytes = tracemalloc.get_traced_memory()[0]
            read(surface, monster)
            peak_bytes = tracemalloc.get_traced_memory()[1] - before_bytes
        finally:
            tracemalloc.stop()
        assert peak_bytes < PEAK_BYTES, name


@EACH
def test_giants_are_read_or_refused(surface: Surface) -> None:
    for monster in monsters(OURS_BYTES if surface.ours else LARGEST_BYTES).values():
        read(surface, monster)
    for opening in (b"[", b'{"a":', b"\x91", b"\x81\xa1a"):
        read(surface, opening * DEPTH)


def test_one_number_gives_the_same_mutants_and_another_others() -> None:
    def first(number: int) -> list[list[bytes]]:
        return [next(surface.mutants(number).blocks(200)) for surface in surfaces()]

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_a_run_can_be_repeated() -> None:
    once, again = (attack(surfaces()[3], 5000, 7) for _ in range(2))
    assert once._replace(took_s=0.0) == again._replace(took_s=0.0)


class Teapot(Exception):
    """What a parser of these tests may raise."""


def clumsy(document: bytes) -> object:
    """A parser with a fault of each kind, for a few documents each."""
    if b"9223372036854775808" in document:
        raise OverflowError("too large")
    if b"NaN" in document:
        return 1.5
    if b"2147483649" in document:
        began_s = time.thread_time()
        while time.thread_time() - began_s < 2 * SLOW_S:
            pass
    if b"null" in document:
        raise Teapot
    return document.decode("latin-1")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (b"9223372036854775808", "raised OverflowError"),
        (b"NaN", "gave a float"),
        (b"2147483649", "took 1.. ms"),
        (b"true", "of which AssertionError"),
    ],
)
def test_what_a_parser_does_not_stand_is_found(fault: bytes, told: str) -> None:
    def never_true(text: str) -> None:
        assert "true" not in text

    seeds = (b'{"a":[1,2],"b":"x"}',)
    # Rare, since each of the slow ones costs a tenth of a second.
    words = Language(json_parts, (fault, *(b"null", b"1") * 50), seeds)
    surface = Surface("clumsy", clumsy, frozenset({str}), words, seeds, (Teapot,), never_true)
    with pytest.raises(Finding, match=told):
        attack(surface, 5000, 1)


def test_declared_errors_are_counted() -> None:
    seeds = (b'{"a":[1,2],"b":"x"}',)
    surface = Surface("clumsy", clumsy, frozenset({str}), Language(json_parts, (b"null",), seeds), seeds, (Teapot,))
    told = attack(surface, 2000, 1)
    assert told.refused + told.kinds[str] == told.inputs == 2000
    assert 200 < told.refused < 1800
