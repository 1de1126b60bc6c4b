"""Every way to add, remove or rename one member of one object in a JSON document."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from canceld.contract.evidence import OrderTerms

_ORDER_ID = re.compile(r"[A-Z0-9]{6}-[A-Z0-9]{5}-[A-Z0-9]{6}")

ADDED: dict[str, Any] = {
    "errorMessage": "EOrder:Rate limit exceeded",
    "error": ["EOrder:Rate limit exceeded"],
    "surplus": [None, {"status": "canceled"}],
}


def mutants(text: str | bytes) -> Iterator[tuple[str, Any]]:
    """Each mutant of a document with a word on what was done to it. Whole orders are not removed: fewer orders are a
    different message, not a damaged one."""
    document = json.loads(text)
    for path in _objects(document, ()):
        names = list(_at(document, path))
        for name in names:
            mutant = copy.deepcopy(document)
            value = _at(mutant, path).pop(name)
            if not _ORDER_ID.fullmatch(name):
                yield f"without {name}", mutant
            renamed = copy.deepcopy(mutant)
            _at(renamed, path)[name + "_"] = value
            yield f"{name} renamed", renamed
        for name, value in ADDED.items():
            if name not in names:
                mutant = copy.deepcopy(document)
                _at(mutant, path)[name] = value
                yield f"with {name}", mutant


def says_no_more(mine: object, theirs: object) -> bool:
    """Whether one value of an order's state claims nothing that the other does not."""
    if isinstance(mine, OrderTerms) and isinstance(theirs, OrderTerms):
        pairs = zip(msgspec.structs.astuple(mine), msgspec.structs.astuple(theirs), strict=True)
        return all(says_no_more(one, other) for one, other in pairs)
    return mine in (theirs, None)


def _objects(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, dict):
        yield path
        for name, value in node.items():
            yield from _objects(value, (*path, name))
    elif isinstance(node, list):
        for at, value in enumerate(node):
            yield from _objects(value, (*path, at))


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        document = document[step]
    return document
