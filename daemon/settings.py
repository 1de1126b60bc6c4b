"""The configuration file, decoded strictly into frozen structs. Every default stands here with its reason.

What bounds the daemon as a whole stands here too; every other constant stands beside its use.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from .contract.ids import VENUES, Venue

Milliseconds: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=60_000)]
FleetName: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
Mode: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=0o777)]

IN_FLIGHT_LIMIT = 10_000
"""Most commands being worked on at once; one more is refused as overloaded rather than queued without end."""

REPLAY_WINDOW_S = 900
"""How long a command id is remembered for its client."""

REPLAY_LIMIT = 65_536
"""Most remembered command ids over all clients; past it the oldest go first, and status counts them."""

OUTBOX_REPLIES = 10_000
OUTBOX_BYTES = 4 * 1024 * 1024
"""What is kept for one client that does not read; past either, further replies are counted and left to a replay."""

OUTBOX_TOTAL_BYTES = 8 * 1024 * 1024
"""What is kept for all such clients together, objects included, so that many of them cannot take the daemon's memory:
past it all that is kept for whoever took nothing for the longest time goes."""

DRAIN_LIMIT = 64
"""Messages taken from the gateway before other tasks run, so that one flooding client cannot starve a session."""

LOOK_AHEAD = 512
"""Messages read in one round past those whose turn it is, in search of a kill: some 2 ms."""

DRAIN_AHEAD = 4
"""Messages taken in a round that has more to look through: a kill behind thousands of commands is found the sooner."""

BACKLOG_LIMIT = 10_000
BACKLOG_BYTES = 16 * 1024 * 1024
"""Most that is read ahead: as much as may be in flight, and of the largest batches a hundred."""

DRAIN_ON_STOP_S = 3.0
"""How long commands in flight may settle after SIGTERM; systemd's TimeoutStopSec stands above it."""

LATE_WINDOW_S = 60.0
"""How long an answered cancel is remembered so that a late answer of the venue is reported as `late`."""

LATE_LIMIT = 8_192
"""Most answered cancels remembered for late answers."""

RESTING_LIMIT = 50_000
"""Most ended orders remembered; open ones are always kept, since a kill walks them."""

LABEL_CHARS = 64
"""Longest name of a strategy, as in commands."""

SOCKET_PATH_BYTES = 107
"""Linux keeps 108 bytes for the path of a socket file, its final NUL included."""

HEDGE_FLOOR_MS = 20
"""A shorter hedge delay would send every cancel twice."""


class Gateway(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The local sockets. Only ipc:// endpoints: the file mode is the access control."""

    commands: str = "ipc:///run/canceld/commands.sock"
    control: str = "ipc:///run/canceld/control.sock"
    events: str = "ipc:///run/canceld/events.sock"
    mode: Mode = 0o660
    control_mode: Mode = 0o600
    deadline_ms: Milliseconds = 2000
    keep_warm_ms: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 1
    """How often a cancel's way is walked while nobody cancels, so that it stays in the caches; 0: never."""
    busy_poll: bool = False
    """Never sleep while waiting: for a core that belongs to the daemon."""


class Spot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Kraken Spot: two WebSocket sessions first, REST when they let us down."""

    enabled: bool = True
    protocol: Literal["v1", "v2"] = "v1"
    ws_url: str = "wss://ws-auth.kraken.com"
    rest_url: str = "https://api.kraken.com"
    # The exchange answers in about 10 ms; 400 ms is far outside of its tail and well inside the default deadline.
    hedge_after_ms: Annotated[int, msgspec.Meta(ge=HEDGE_FLOOR_MS, le=60_000)] = 400
    # A cancel can overtake its own add on Kraken's load-balanced WebSockets; seconds are seen, 1.5 s is common advice.
    overtake_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 1500
    sessions: Annotated[int, msgspec.Meta(ge=1, le=4)] = 2
    canary_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0


class Prime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Kraken Prime: WebSocket only, its REST cannot cancel."""

    enabled: bool = False
    ws_url: str = "wss://wss.prime.kraken.com/ws/v1"
    hedge_after_ms: Annotated[int, msgspec.Meta(ge=HEDGE_FLOOR_MS, le=60_000)] = 400
    sessions: Annotated[int, msgspec.Meta(ge=1, le=4)] = 2


class Futures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Kraken Futures: REST cancels, the private feed is the witness."""

    enabled: bool = False
    rest_url: str = "https://futures.kraken.com/derivatives/api/v3"
    ws_url: str = "wss://futures.kraken.com/ws/v1"
    uws_url: str = ""
    hedge_after_ms: Annotated[int, msgspec.Meta(ge=HEDGE_FLOOR_MS, le=60_000)] = 400


class Deadman(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The venues' own cancel-all timers; account-wide, so opt-in and with one owner.

    owner: "daemon" where this daemon alone has the account, "fleet" where agents agree on who keeps the timers.
    """

    spot: bool = False
    futures: bool = False
    owner: Literal["daemon", "fleet"] = "daemon"
    timeout_s: Annotated[int, msgspec.Meta(ge=5, le=86_399)] = 60
    refresh_s: Annotated[int, msgspec.Meta(ge=1, le=43_200)] = 15


class Strategy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which orders are a strategy's own: at least one of the two marks, neither of which another strategy may share."""

    cl_ord_id_prefix: Annotated[str, msgspec.Meta(max_length=100, pattern=r"^[\x20-\x7e]*$")] = ""
    userrefs: tuple[Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)], ...] = ()


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where what must survive a crash is kept. Never on a tmpfs."""

    dir: str = "/var/lib/canceld"


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An extra trust root beside the system's. Nothing here can turn verification off."""

    ca_file: str = ""


class CredentialFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the key files are; empty means $CREDENTIALS_DIRECTORY, as systemd sets it."""

    dir: str = ""


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Fleet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the programs beside the daemon need that speak to other hosts; the daemon itself reads none of it.

    servers: tls://HOST:PORT, or nats://HOST:PORT on loopback. creds, nkey: names of files as `credentials.dir` has
    them, or paths; at most one of the two. signing: likewise, the seed that orders and reports are signed with.
    operators, hosts: the public keys whose signatures are believed, by name.
    """

    servers: tuple[str, ...] = ()
    tls_ca: str = ""
    creds: str = ""
    nkey: str = ""
    signing: str = ""
    name: FleetName = "fleet"
    host: str = ""
    account: FleetName = "main"
    groups: tuple[FleetName, ...] = ()
    follow: Literal["all", "account", "none"] = "account"
    replicas: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1
    operators: dict[FleetName, str] = {}
    hosts: dict[FleetName, str] = {}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file; every section may be left out."""

    gateway: Gateway = Gateway()
    spot: Spot = Spot()
    prime: Prime = Prime()
    futures: Futures = Futures()
    deadman: Deadman = Deadman()
    strategies: dict[str, Strategy] = {}
    state: State = State()
    tls: Tls = Tls()
    credentials: CredentialFiles = CredentialFiles()
    log: Log = Log()
    fleet: Fleet = Fleet()

    @property
    def venues(self) -> tuple[Venue, ...]:
        """The enabled venues, in a fixed order."""
        on = {"spot": self.spot.enabled, "prime": self.prime.enabled, "futures": self.futures.enabled}
        return tuple(venue for venue in VENUES if on[venue])


class BadSettings(Exception):
    """The file cannot be used; the text is one line that names the key and the mend."""


class Address(msgspec.Struct, frozen=True):
    """A URL taken apart once, at start-up. `path` never ends in a slash; it is empty for a bare host."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host, with the port only where it is not the scheme's own: what the Host header carries."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def parse(text: str) -> Settings:
    """A configuration file's text to settings; raises BadSettings."""
    try:
        settings = msgspec.convert(tomllib.loads(text), Settings)
    except msgspec.ValidationError as error:
        raise BadSettings(_with_dotted_path(_on_one_line(str(error)))) from None
    except ValueError as error:
        # tomllib's own error, or Python's on a number of thousands of digits.
        raise BadSettings(f"not TOML: {_on_one_line(str(error))}") from None
    except RecursionError:
        raise BadSettings("nested too deeply") from None
    for key, url, schemes in _urls(settings):
        address_of(url, schemes, key)
    spot_ws_address(settings.spot)
    for key, endpoint in (
        ("gateway.commands", settings.gateway.commands),
        ("gateway.control", settings.gateway.control),
        ("gateway.events", settings.gateway.events),
    ):
        if not endpoint.startswith("ipc://") or endpoint.startswith("ipc://@"):
            raise BadSettings(f"{key}: {endpoint!r} is not offered; use ipc:// with a file path, its mode guards it")
        path = endpoint.removeprefix("ipc://")
        if path in ("", "*") or not path.isprintable():
            raise BadSettings(f"{key}: {endpoint!r}: name the path of the socket file")
        if len(path.encode()) > SOCKET_PATH_BYTES:
            raise BadSettings(f"{key}: a socket path has at most {SOCKET_PATH_BYTES} bytes; use a shorter one")
    for key, path in (
        ("state.dir", settings.state.dir),
        ("tls.ca_file", settings.tls.ca_file),
        ("credentials.dir", settings.credentials.dir),
    ):
        if not path.isprintable():
            raise BadSettings(f"{key}: {path!r} is no path; it holds unprintable characters")
    if len({settings.gateway.commands, settings.gateway.control, settings.gateway.events}) < 3:
        raise BadSettings("gateway: commands, control and events need three different endpoints")
    if not settings.venues:
        raise BadSettings("no venue is enabled; set spot.enabled, prime.enabled or futures.enabled")
    for key, mode in (("mode", settings.gateway.mode), ("control_mode", settings.gateway.control_mode)):
        if mode & 0o007:
            raise BadSettings(f"gateway.{key}: {mode:#o} lets every user of this machine in; expected 0 for the others")
    if (fault := _strategy_fault(settings.strategies)) is not None:
        raise BadSettings(f"strategies.{fault}")
    if settings.deadman.refresh_s * 2 > settings.deadman.timeout_s:
        raise BadSettings("deadman.refresh_s: at most half of timeout_s, so that one lost renewal does not fire it")
    for venue, on in (("spot", settings.deadman.spot), ("futures", settings.deadman.futures)):
        if on and venue not in settings.venues:
            raise BadSettings(f"deadman.{venue}: {venue} is not enabled; enable it, or take the timer out")
    return settings


def _strategy_fault(strategies: dict[str, Strategy]) -> str | None:
    """Why these strategies cannot be told apart, naming them; None when they can."""
    seen: list[tuple[str, Strategy]] = []
    for name, strategy in strategies.items():
        prefix = strategy.cl_ord_id_prefix
        if not 1 <= len(name) <= LABEL_CHARS or not name.isprintable() or not name.isascii():
            return f"{name!r}: a strategy's name has 1..{LABEL_CHARS} printable ASCII characters"
        if not prefix and not strategy.userrefs:
            return f"{name}: says of no order that it is its own; give it cl_ord_id_prefix, userrefs, or both"
        if prefix.startswith(" "):
            return f"{name}.cl_ord_id_prefix: begins with a space, as no client order id does; take it out"
        if 0 in strategy.userrefs:
            return f"{name}.userrefs: 0 is what orders without a userref report; take it out"
        for other, theirs in seen:
            longer, shorter = sorted((prefix, theirs.cl_ord_id_prefix), key=len, reverse=True)
            if shorter and longer.startswith(shorter):
                which = f"{prefix!r} and {theirs.cl_ord_id_prefix!r} of {other}"
                return f"{name}.cl_ord_id_prefix: {which} overlap; let neither begin with the other"
            if shared := set(strategy.userrefs) & set(theirs.userrefs):
                return f"{name}.userrefs: {min(shared)} is of {other} too; give each userref to one strategy"
        seen.append((name, strategy))
    return None


def read(path: str) -> Settings:
    """A configuration file to settings. Raises BadSettings, which then begins with the path."""
    try:
        return parse(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise BadSettings(f"{path}: {why}") from None
    except BadSettings as error:
        raise BadSettings(f"{path}: {error}") from None


def address_of(url: str, schemes: dict[str, bool], key: str) -> Address:
    """Take a URL apart; `schemes` maps each scheme taken to whether it is TLS. Raises BadSettings naming `key`."""
    # urlsplit takes some of these out and leaves others in, and what is left goes into a request line.
    if not url.isascii() or not url.isprintable() or " " in url:
        raise BadSettings(f"{key}: {url!r}: a URL has printable ASCII only; write a host of other letters as xn--…")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadSettings(f"{key}: {url!r}: {error}") from None
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        raise BadSettings(f"{key}: {url!r}: expected {' or '.join(schemes)}://host[:port][/path]")
    if parts.username is not None or parts.query or parts.fragment:
        raise BadSettings(f"{key}: a URL with user, query or fragment is not taken")
    tls = schemes[parts.scheme]
    return Address(tls, parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/"))


WEBSOCKET_SCHEMES = {"wss": True}
REST_SCHEMES = {"https": True}

V2_PATH = "/v2"
"""What Kraken adds to the address of Spot's WebSocket for its second version."""


def spot_ws_address(spot: Spot) -> Address:
    """Where Spot's sessions dial to: `ws_url`, with the path that `protocol` needs. Raises BadSettings."""
    address = address_of(spot.ws_url, WEBSOCKET_SCHEMES, "spot.ws_url")
    if address.path.endswith(V2_PATH):
        if spot.protocol == "v1":
            raise BadSettings(f'spot.ws_url: {spot.ws_url!r} speaks v2; take {V2_PATH} off, or set protocol = "v2"')
        return address
    return address if spot.protocol == "v1" else replace(address, path=address.path + V2_PATH)


def _urls(settings: Settings) -> list[tuple[str, str, dict[str, bool]]]:
    urls = [
        ("spot.ws_url", settings.spot.ws_url, WEBSOCKET_SCHEMES),
        ("spot.rest_url", settings.spot.rest_url, REST_SCHEMES),
        ("prime.ws_url", settings.prime.ws_url, WEBSOCKET_SCHEMES),
        ("futures.rest_url", settings.futures.rest_url, REST_SCHEMES),
        ("futures.ws_url", settings.futures.ws_url, WEBSOCKET_SCHEMES),
    ]
    if settings.futures.uws_url:
        urls.append(("futures.uws_url", settings.futures.uws_url, WEBSOCKET_SCHEMES))
    return urls


def _on_one_line(text: str) -> str:
    """An error may quote a key, and a quoted key may hold anything."""
    return text if text.isprintable() else ascii(text)[1:-1]


def _with_dotted_path(error: str) -> str:
    """msgspec's "… - at `$.spot.ws_url`" to "spot.ws_url: …", as a person would look for it in the file."""
    text, _, at = error.partition(" - at `$.")
    path = at.rstrip("`")
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", text):
        key = f"{path}.{unknown[1]}" if path else unknown[1]
        return f"{key}: unknown key; see config/canceld.toml for the keys there are"
    return f"{path}: {text}" if path else text
