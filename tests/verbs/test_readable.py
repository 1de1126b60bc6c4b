"""A configuration that is broken somewhere: what is left of it, and what is said about the rest."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.settings import Settings, parse
from canceld.verbs.readable import REMARKS_LIMIT, parse_what_can_be, read_what_can_be

WHOLE = (Path(__file__).parent.parent.parent / "config" / "canceld.toml").read_text()
SHORT = '[spot]\nrest_url = "https://spot.test"\n[futures]\nenabled = true\n[state]\ndir = "/s"\n'


def test_a_configuration_that_is_whole_is_read_as_run_reads_it() -> None:
    found = parse_what_can_be(WHOLE)
    assert (found.settings, found.doubted, found.remarks) == (parse(WHOLE), frozenset(), ())


@pytest.mark.parametrize(
    ("broken", "remark"),
    [
        ('[log]\nlevle = "info"\n', "log.levle: unknown key"),
        ('[log]\nlevel = "loud"\n', "log.level: Invalid enum value 'loud'; its default is used"),
        ("[log]\nlevel = info\n", "line 8: log.level cannot be read"),
        ("log = 3\n", "log: Expected `object`, got `int`; its default is used"),
        ('[gateway]\ncommands = "tcp://*:5"\n', "gateway.commands: is no socket of the daemon's; its default is used"),
        ('[tls]\nca_file = "a\\u0007b"\n', "tls.ca_file: is no path; its default is used"),
        (
            '[prime]\nws_url = "ftp://x"\n',
            "prime.ws_url: 'ftp://x': expected wss://host[:port][/path]; its default is used",
        ),
        ("[deadman]\nrefresh_s = 900000\n", "deadman.refresh_s: Expected `int` <= 43200; its default is used"),
        ("\x00\n", "line 7: state cannot be read"),
    ],
)
def test_a_fault_costs_what_it_stands_in_and_no_more(broken: str, remark: str) -> None:
    text = broken + SHORT if broken.startswith("log =") else SHORT + broken
    found = parse_what_can_be(text)
    assert found.settings.spot.rest_url == "https://spot.test"
    assert found.settings.venues == ("spot", "futures")
    assert found.settings.state.dir == "/s"
    assert found.remarks[-1] == remark
    assert len(found.remarks) == (2 if remark.startswith("line") else 1)


def test_a_long_socket_path_is_none_of_our_business() -> None:
    endpoint = "ipc:///" + "x" * 200
    found = parse_what_can_be(f'[gateway]\ncontrol = "{endpoint}"\n')
    assert (found.settings.gateway.control, found.remarks) == (endpoint, ())


@pytest.mark.parametrize(
    ("text", "doubted"),
    [
        ("[futures]\nenable = true\n", {"futures"}),
        ('[prime]\nenabled = "yes"\n', {"prime"}),
        ("[futurs]\nenabled = true\n", {"spot", "prime", "futures"}),
        ("[futures\nenabled = true\n[spot]\nenabled = false\n", {"prime"}),
        ("[prime]\nenabled = ja\n", {"spot", "prime", "futures"}),
        ('[log]\nlevle = "info"\n', set()),
        ("", set()),
    ],
)
def test_whether_a_venue_is_enabled_is_in_doubt_only_where_the_file_does_not_tell(text: str, doubted: set[str]) -> None:
    assert parse_what_can_be(text).doubted == doubted


def test_a_file_that_is_not_there_leaves_the_defaults(tmp_path: Path) -> None:
    for path in (str(tmp_path / "none.toml"), str(tmp_path), "nul\0byte"):
        found = read_what_can_be(path)
        assert (found.settings, found.missing) == (Settings(), True)
        assert found.remarks[0].startswith(f"{path}: ")


def test_a_file_of_other_letters_is_read(tmp_path: Path) -> None:
    path = tmp_path / "canceld.toml"
    path.write_bytes("# für alle Fälle\n".encode("latin-1") + SHORT.encode())
    found = read_what_can_be(str(path))
    assert found.settings.state.dir == "/s"


LINES = st.sampled_from(
    [*WHOLE.splitlines(), "[", "]", "=", '"', "'''", "[[spot]]", "spot = 1", "\x00", "[spot.ws_url]"]
)


@given(st.lists(LINES | st.text(max_size=20), max_size=30))
def test_any_text_is_read_somehow(lines: list[str]) -> None:
    found = parse_what_can_be("\n".join(lines))
    assert len(found.remarks) <= REMARKS_LIMIT
    assert all(remark.isprintable() for remark in found.remarks)
