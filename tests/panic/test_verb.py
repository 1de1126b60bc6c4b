"""The verb around its sweeps."""

import json
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canceld.contract.ids import Venue
from canceld.credentials import BadCredentials
from canceld.panic import state_files, verb
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


CONFIGURATION = (Path(__file__).parent.parent.parent / "config" / "canceld.toml").read_text().splitlines()


@given(
    st.lists(st.sampled_from([*CONFIGURATION, "[", "[state", "[[spot]]", "enabled = ja", "spot = 1"]), max_size=12),
    st.text(max_size=20),
    st.booleans(),
)
@settings(deadline=None)
def test_whatever_the_configuration_and_the_reason_it_ends_with_a_status(
    lines: list[str], reason: str, as_json: bool
) -> None:
    def unusable(_: Routes, venue: Venue) -> NoReturn:
        raise BadCredentials(f"{venue}.key")

    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Routes, "to", unusable)
        # Whatever directory the configuration names, nothing is written.
        patch.setattr(state_files, "replace", lambda *_: None)
        config = Path(name) / "canceld.toml"
        config.write_text("\n".join(lines))
        assert verb.main(str(config), reason, 1, as_json) in (2, 3)
