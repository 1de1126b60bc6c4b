"""The verb around its sweeps."""

import json
from pathlib import Path
from typing import Any

import pytest

from canceld.contract.ids import Venue
from canceld.panic import verb
from canceld.panic.routes import Routes


def test_a_fault_of_our_own_at_one_venue_is_named_and_stays_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "canceld.toml"
    config.write_text(f'[state]\ndir = "{tmp_path}"\n[futures]\nenabled = true\n')

    class Flat:
        def cancel(self, *_: object) -> None: ...

        def look(self, *_: object) -> list[Any]:
            return []

    def to(_: Routes, venue: Venue) -> Flat:
        if venue == "spot":
            raise KeyError("what a secret may be in")
        return Flat()

    monkeypatch.setattr(Routes, "to", to)
    assert verb.main(str(config), "smoke", 5, True) == 3
    told = json.loads(capsys.readouterr().out)
    states = {venue: part["state"] for venue, part in told["venues"].items()}
    assert states == {"spot": "unreachable", "futures": "flat"}
    assert told["venues"]["spot"]["error"] == "a fault of this program: KeyError"
