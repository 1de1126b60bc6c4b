"""The configuration: defaults, limits, and errors that name the key. The files in config/ are held to it."""

import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from canceld.settings import (
    REST_SCHEMES,
    WEBSOCKET_SCHEMES,
    Address,
    BadSettings,
    Settings,
    Spot,
    Strategy,
    address_of,
    parse,
    spot_ws_address,
)

CONFIG = Path(__file__).parent.parent / "config"


def test_nothing_said_is_the_defaults() -> None:
    assert parse("") == Settings()
    assert Settings().venues == ("spot",)


def test_canceld_toml_names_every_key_with_its_default() -> None:
    written = tomllib.loads((CONFIG / "canceld.toml").read_text())
    assert written == msgspec.json.decode(msgspec.json.encode(Settings()))


def test_canceld_toml_gives_a_reason_for_every_section() -> None:
    lines = (CONFIG / "canceld.toml").read_text().splitlines()
    sections = [n for n, line in enumerate(lines) if line.startswith("[")]
    for start, end in zip(sections, [*sections[1:], len(lines)], strict=True):
        assert any("#" in line for line in lines[start:end]), lines[start]


def test_demo_toml_stays_on_this_machine_and_holds_no_key() -> None:
    settings = parse((CONFIG / "demo.toml").read_text())
    assert settings.venues == ("spot", "prime", "futures")
    futures = settings.futures
    for url in (settings.spot.ws_url, settings.spot.rest_url, settings.prime.ws_url, futures.rest_url, futures.ws_url):
        assert "//127.0.0.1:9443" in url
    # Everything in the one directory that `canceld sim --dir` makes.
    directory = Path("canceld-demo")
    places = (settings.state.dir, settings.tls.ca_file, settings.credentials.dir, settings.gateway.commands[6:])
    assert all(directory in (Path(place), *Path(place).parents) for place in places)


@pytest.mark.parametrize("name", ["canceld.toml", "demo.toml"])
def test_the_files_hold_no_secret(name: str) -> None:
    written = tomllib.loads((CONFIG / name).read_text())
    keys = [key for section in written.values() for key in section]
    assert not {"key", "secret", "token", "password"} & set(keys)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[spott]\n", "spott: unknown key"),
        ("[spot]\nenabeld = true\n", "spot.enabeld: unknown key"),
        ("[spot]\nenabled = 1\n", "spot.enabled: "),
        ("[spot]\nenabled = 'yes'\n", "spot.enabled: "),
        ("[spot]\nprotocol = 'v3'\n", "spot.protocol: "),
        ("[spot]\nws_url = 'wss://ws-auth.kraken.com/v2'\n", "spot.ws_url: "),
        ("[spot]\nhedge_after_ms = 19\n", "spot.hedge_after_ms: "),
        ("[spot]\nhedge_after_ms = 400.0\n", "spot.hedge_after_ms: "),
        ("[spot]\nsessions = 0\n", "spot.sessions: "),
        ("[spot]\nsessions = 5\n", "spot.sessions: "),
        ("[gateway]\ndeadline_ms = 0\n", "gateway.deadline_ms: "),
        ("[gateway]\ndeadline_ms = 60001\n", "gateway.deadline_ms: "),
        ("[gateway]\nmode = 0o1777\n", "gateway.mode: "),
        ("[gateway]\ncommands = 'tcp://127.0.0.1:5555'\n", "gateway.commands: "),
        ("[gateway]\ncontrol = 'ipc://@canceld'\n", "gateway.control: "),
        ("[gateway]\nevents = 'ipc:///run/canceld/control.sock'\n", "gateway: "),
        ("[spot]\nenabled = false\n", "no venue is enabled"),
        ("[spot]\nws_url = 'ws://ws-auth.kraken.com'\n", "spot.ws_url: "),
        ("[spot]\nws_url = 'wss://user@ws-auth.kraken.com'\n", "spot.ws_url: "),
        ("[spot]\nrest_url = 'http://api.kraken.com'\n", "spot.rest_url: "),
        ("[spot]\nrest_url = 'https://api.kraken.com:99999'\n", "spot.rest_url: "),
        ("[spot]\nrest_url = 'https://'\n", "spot.rest_url: "),
        ("[futures]\nuws_url = 'https://x'\n", "futures.uws_url: "),
        ("[deadman]\nrefresh_s = 31\n", "deadman.refresh_s: "),
        ("[deadman]\nfutures = true\n", "deadman.futures: futures is not enabled"),
        ("[log]\nlevel = 'loud'\n", "log.level: "),
        ("[log]\nlevel = 'info'\nlevel = 'debug'\n", "not TOML: "),
        ("[spot\n", "not TOML: "),
        ("[gateway]\ncommands = 'ipc://'\n", "gateway.commands: "),
        ("[gateway]\ncommands = 'ipc://*'\n", "gateway.commands: "),
        ('[gateway]\ncommands = "ipc:///a\\u0000"\n', "gateway.commands: "),
        ('[state]\ndir = "/a\\u0000"\n', "state.dir: "),
        ('[tls]\nca_file = "/a\\n"\n', "tls.ca_file: "),
        ('[credentials]\ndir = "\\u001b[2J"\n', "credentials.dir: "),
        ('[spot]\nrest_url = "https://a/\\r\\nX: y"\n', "spot.rest_url: "),
        ("[spot]\nws_url = 'wss://a b'\n", "spot.ws_url: "),
        ("[spot]\nws_url = 'wss://\u00e9'\n", "spot.ws_url: "),
        ("[spot]\nws_url = 'wss://a:0'\n", "spot.ws_url: "),
        ('"a\\nb" = 1\n', "a\\nb: unknown key"),
        (f"x = {'9' * 5000}\n", "not TOML: "),
        ("x = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(text: str, named: str) -> None:
    with pytest.raises(BadSettings) as caught:
        parse(text)
    assert str(caught.value).startswith(named)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "schemes", "address", "authority"),
    [
        ("wss://a.b", WEBSOCKET_SCHEMES, Address(True, "a.b", 443, ""), "a.b"),
        ("wss://a.b:443/v2/", WEBSOCKET_SCHEMES, Address(True, "a.b", 443, "/v2"), "a.b"),
        ("https://127.0.0.1:9443/x", REST_SCHEMES, Address(True, "127.0.0.1", 9443, "/x"), "127.0.0.1:9443"),
        ("wss://[::1]:8443", WEBSOCKET_SCHEMES, Address(True, "::1", 8443, ""), "[::1]:8443"),
    ],
)
def test_a_url_is_taken_apart_once(url: str, schemes: dict[str, bool], address: Address, authority: str) -> None:
    assert address_of(url, schemes, "key") == address
    assert address.authority == authority


@pytest.mark.parametrize(
    ("protocol", "url", "path"),
    [
        ("v1", "wss://a.b", ""),
        ("v1", "wss://a.b/edge/", "/edge"),
        ("v2", "wss://a.b", "/v2"),
        ("v2", "wss://a.b/v2/", "/v2"),
        ("v2", "wss://a.b/edge", "/edge/v2"),
    ],
)
def test_v2_has_a_path_of_its_own(protocol: Literal["v1", "v2"], url: str, path: str) -> None:
    assert spot_ws_address(Spot(protocol=protocol, ws_url=url)).path == path


def test_settings_cannot_be_changed() -> None:
    settings: Any = Settings()
    with pytest.raises(AttributeError):
        settings.spot.enabled = False


def test_venues_come_in_a_fixed_order() -> None:
    assert parse("[futures]\nenabled = true\n[prime]\nenabled = true\n").venues == ("spot", "prime", "futures")


@pytest.mark.parametrize("key", ["mode", "control_mode"])
@pytest.mark.parametrize("mode", ["0o666", "0o777", "0o601"])
def test_a_socket_that_lets_every_user_in_is_refused(key: str, mode: str) -> None:
    with pytest.raises(BadSettings, match=rf"gateway\.{key}: {mode} lets every user"):
        parse(f"[gateway]\n{key} = {mode}\n[spot]\nenabled = true\n")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[strategies.a]\n", ("strategies.a", "give it")),
        ('[strategies.a]\ncl_ord_id_prefix = ""\n', ("strategies.a", "give it")),
        (
            '[strategies.a]\ncl_ord_id_prefix = "x"\n[strategies.b]\ncl_ord_id_prefix = "x"\n',
            ("strategies.b", "'x' of a"),
        ),
        (
            '[strategies.a]\ncl_ord_id_prefix = "x"\n[strategies.b]\ncl_ord_id_prefix = "xy"\n',
            ("strategies.b", "'x' of a"),
        ),
        (
            '[strategies.a]\ncl_ord_id_prefix = "xy"\n[strategies.b]\ncl_ord_id_prefix = "x"\n',
            ("strategies.b", "'xy' of a"),
        ),
        (
            "[strategies.a]\nuserrefs = [7, 8]\n[strategies.b]\nuserrefs = [8]\n",
            ("strategies.b.userrefs", "8 is of a too"),
        ),
        ("[strategies.a]\nuserrefs = [0]\n", ("strategies.a.userrefs", "take it out")),
        ("[strategies.a]\nuserrefs = [2147483648]\n", ("strategies", "userrefs")),
        ('[strategies.a]\ncl_ord_id_prefix = " x"\n', ("strategies.a.cl_ord_id_prefix", "space")),
        ('[strategies."é"]\nuserrefs = [1]\n', ("strategies.", "printable ASCII")),
        ('[strategies.a]\nprefix = "x"\n', ("strategies", "prefix: unknown key")),
    ],
)
def test_strategies_that_cannot_be_told_apart_are_refused_by_name(text: str, names: tuple[str, ...]) -> None:
    with pytest.raises(BadSettings) as refused:
        parse(text)
    for name in names:
        assert name in str(refused.value)


def test_a_strategy_says_which_orders_are_its_own() -> None:
    text = '[strategies.mm-1]\ncl_ord_id_prefix = "mm1-"\nuserrefs = [7, 8]\n[strategies.arb]\nuserrefs = [9]\n'
    strategies = parse(text).strategies
    assert strategies["mm-1"] == Strategy("mm1-", (7, 8))
    assert strategies["arb"] == Strategy("", (9,))
