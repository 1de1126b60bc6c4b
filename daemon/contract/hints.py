"""A decoder's complaint with its mend: what is allowed in that place, and what was probably meant."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, get_args

import msgspec

from .commands import Command, Lease, LeaseScope, OrderRef, Until
from .ids import VENUES

WORD_CHARS: Final = 32
"""Longest word whose like is looked for: every one of ours is shorter, and looking costs the square of it."""

KEPT: Final = 256
"""Complaints whose hint is remembered: who sends one wrong command mostly sends it again."""

_COMMANDS: Final = get_args(Command)
_VALUES: Final[dict[str, Sequence[str]]] = {
    "type": [str(command.__struct_config__.tag) for command in _COMMANDS],
    "venue": VENUES,
    "venues": VENUES,
    "until": get_args(Until),
    "on_expiry": get_args(Lease.__annotations__["on_expiry"]),
}
_FIELDS: Final = sorted(
    {field.name for kind in (*_COMMANDS, OrderRef, LeaseScope) for field in msgspec.structs.fields(kind)} | {"type"}
)

# The texts of msgspec, which names the place from the top: `$.scope[0].venue`.
_VALUE: Final = re.compile(r"Invalid (?:enum )?value '(.*)' - at `\$(?:.*\.)?(\w+)(?:\[\.*\d*\.*\])?`", re.DOTALL)
_FIELD: Final = re.compile(r"Object contains unknown field `([^`]*)`")


@lru_cache(maxsize=KEPT)
def with_hint(complaint: str) -> str:
    """The complaint, followed by what would have been right where that is one of few words."""
    value = _VALUE.search(complaint)
    if value is not None and value[2] in _VALUES:
        allowed = _VALUES[value[2]]
        return f"{complaint}: {_nearest(value[1], allowed)}allowed are {', '.join(allowed)}"
    field = _FIELD.search(complaint)
    near = _nearest(field[1], _FIELDS) if field is not None else ""
    return f"{complaint}: {near.removesuffix('; ')}" if near else complaint


def _nearest(word: str, among: Sequence[str]) -> str:
    near = get_close_matches(word, among, 1) if len(word) <= WORD_CHARS else []
    return f"did you mean {near[0]}?; " if near else ""
