"""The schema of the messages belongs to a version of the contract, and the list of changes tells of both versions."""

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Final

from canceld import __version__
from canceld.contract.version import CONTRACT
from canceld.verbs.schema import wire_schema

CHANGES: Final = (Path(__file__).parents[2] / ".github" / "CHANGELOG.md").read_text()

SCHEMAS: Final = {2: "958d66abff5deb7c"}
"""Of each version of the contract, the hash of its schema. A released one is never changed."""


def _told(part: object) -> object:
    """A part of the schema without the words for people, which may be mended at any time."""
    if isinstance(part, dict):
        words = {name for name in ("description", "title") if isinstance(part.get(name), str)}
        return {name: _told(value) for name, value in part.items() if name not in words}
    return [_told(value) for value in part] if isinstance(part, list) else part


def _digest(schema: object) -> str:
    return sha256(json.dumps(_told(schema), sort_keys=True).encode()).hexdigest()[:16]


def test_a_schema_that_changes_is_a_new_version_of_the_contract() -> None:
    assert SCHEMAS.get(CONTRACT) == _digest(wire_schema()), (
        "the messages have changed: raise CONTRACT in daemon/contract/version.py, say there and in .github/CHANGELOG.md"
        " what changed, and enter the new hash here; while this version is not released, the new hash is enough"
    )


def test_a_member_more_or_another_type_changes_the_hash_and_a_better_sentence_does_not() -> None:
    before, schema = _digest(wire_schema()), wire_schema()
    schema["$defs"]["Cancel"]["description"] = "Cancels an order, better said."
    assert _digest(schema) == before
    schema["$defs"]["Cancel"]["properties"]["haste"] = {"type": "boolean"}
    assert _digest(schema) != before
    schema = wire_schema()
    schema["$defs"]["Cancel"]["required"].remove("venue")
    assert _digest(schema) != before


def test_the_changes_begin_with_this_version_and_this_contract() -> None:
    newest = CHANGES.partition("\n## ")[2].partition("\n## ")[0]
    assert re.match(rf"{re.escape(__version__)}, (not yet released|20\d\d-\d\d-\d\d)\n", newest), newest.splitlines()[0]
    assert f"Wire contract {CONTRACT}." in newest
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_every_version_in_the_changes_is_there_once_and_newer_than_the_next() -> None:
    versions = [tuple(map(int, found)) for found in re.findall(r"^## (\d+)\.(\d+)\.(\d+), ", CHANGES, re.MULTILINE)]
    assert len(versions) == CHANGES.count("\n## ")
    assert versions == sorted(set(versions), reverse=True)
