"""What people captured from the venues, run through the parsers; and which dialects nobody has shown in public."""

from collections.abc import Callable
from typing import Any

import pytest

from canceld.venues import futures_feed as feed_dialect
from canceld.venues import spot_ws
from canceld.venues.prime_ws import Prime
from canceld.venues.spot_ws_v2 import SPOT, UNIFIED
from tests.frames import prime_ws as prime_pages

from . import Shape, futures_feed, rest, spot_v1, spot_v2

FRAMES: list[tuple[str, Callable[[str], Any], Shape]] = [
    *(("spot v1", spot_ws.decode, shape) for shape in spot_v1.SHAPES),
    *(("spot v2", SPOT.decode, shape) for shape in spot_v2.SHAPES),
    # The format is the same. That it is, nobody has shown: each of these is unseen there.
    *(("unified", UNIFIED.decode, shape._replace(seen=None)) for shape in spot_v2.SHAPES),
    *(("futures feed", feed_dialect.decode, shape) for shape in futures_feed.SHAPES),
]
BODIES: list[tuple[str, Callable[[int, bytes], Any], Shape]] = [
    *(("spot rest", decode, shape) for decode, shape in rest.SPOT),
    *(("futures rest", decode, shape) for decode, shape in rest.FUTURES),
]


@pytest.mark.parametrize(("decode", "shape"), [pytest.param(d, s, id=f"{n}: {s.kind}") for n, d, s in FRAMES])
def test_frame_is_read_as_what_it_says(decode: Callable[[str], Any], shape: Shape) -> None:
    assert decode(shape.text) == shape.told


@pytest.mark.parametrize(("decode", "shape"), [pytest.param(d, s, id=f"{n}: {s.kind}") for n, d, s in BODIES])
def test_body_is_read_as_what_it_says(decode: Callable[[int, bytes], Any], shape: Shape) -> None:
    assert decode(shape.status, shape.text.encode()) == shape.told


def test_what_nobody_has_shown_is_known_by_name() -> None:
    """Whoever can show one of these gives it its source, and this list gets shorter."""
    unseen = {f"{name}: {shape.kind}" for name, _, shape in [*FRAMES, *BODIES] if shape.seen is None}
    of_unified = {f"unified: {shape.kind}" for shape in spot_v2.SHAPES}
    assert unseen == of_unified | {
        "spot v1: timer armed",
        "spot rest: canceled, pending",
        "futures feed: heartbeat",
        "futures feed: subscribed, with the secrets in it",
        "futures rest: refused, a word",
    }


@pytest.mark.parametrize("frame", prime_pages.EVERY)
def test_prime_was_seen_by_nobody_and_its_pages_are_read(frame: str) -> None:
    """No capture of Prime's WebSocket is public: every kind of its frames is marked as unseen by standing here."""
    assert Prime("0" * 15).decode(frame)
