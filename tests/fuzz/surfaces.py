"""Every place where bytes come in: what reads them, what it may give or raise, and documents to begin with."""

import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, Final, NamedTuple, get_args

import msgspec

from canceld.client import results
from canceld.contract import commands, evidence, frames
from canceld.contract.frames import Malformed, UnreadableReply, decode_command, encode, encoding_of, refusal_map
from canceld.contract.ids import Reqid, Target
from canceld.credentials import Secret
from canceld.engine import intents, journal, journal_check, latch, leases, nonces
from canceld.settings import BadSettings, Settings, parse, spot_ws_address
from canceld.transport.endpoints import check_endpoint
from canceld.venues import futures_feed, futures_rest, spot_rest, spot_ws, spot_ws_v2
from canceld.venues.prime_ws import Prime
from canceld.verbs.journal import told
from tests.frames import futures_feed as feed_samples
from tests.frames import futures_rest as futures_samples
from tests.frames import prime_ws as prime_samples
from tests.frames import spot_rest as rest_samples
from tests.frames import spot_ws as v1_samples
from tests.frames import spot_ws_v2 as v2_samples

from .grammar import (
    JSON_VALUES,
    MSGPACK_VALUES,
    TOML_VALUES,
    Language,
    json_parts,
    msgpack_parts,
    plain_parts,
    toml_parts,
)
from .mutants import Mutants, plain

Read = Callable[[bytes], object]


def _encodable(value: object) -> None:
    """What was read goes into replies, logs and the journal: it has to be text that an encoder takes."""
    msgspec.json.encode(value)


def anything(_: object) -> None:
    """For values of which nothing more is asked."""


class Surface(NamedTuple):
    """One parser.

    read: raises `declared` or gives one of `kinds`; every one of them is seen in a run that reaches anything.
    after: looks at some of the values more closely, since that costs more than reading them.
    dress: finishes a mutant, as a checksum over it does. read_all: reads many at once, where one alone takes long.
    """

    name: str
    read: Read
    kinds: frozenset[type]
    language: Language
    seeds: tuple[bytes, ...]
    declared: tuple[type[Exception], ...] = ()
    after: Callable[[Any], None] = _encodable
    dress: Callable[[bytes], bytes] = plain
    read_all: Callable[[Sequence[bytes]], list[object]] | None = None
    ours: bool = False

    def mutants(self, number: int) -> Mutants:
        """Its mutants; the same for the same number."""
        return Mutants(self.language, self.seeds, number ^ zlib.crc32(self.name.encode()), self.dress)


def _samples(module: ModuleType) -> tuple[bytes, ...]:
    """Every message in a file of samples, requests too: a venue may echo anything."""
    found = []
    for value in vars(module).values():
        text = value.encode() if isinstance(value, str) else value
        if isinstance(text, bytes) and text.startswith((b"{", b"[")):
            found.append(text)
    return tuple(found)


def _kinds(*unions: Any) -> frozenset[type]:
    members = (member for union in unions for member in (get_args(union) if isinstance(union, UnionType) else (union,)))
    return frozenset(members)


def _json(name: str, read: Read, kinds: frozenset[type], seeds: Iterable[bytes], **more: Any) -> Surface:
    given = tuple(seeds)
    return Surface(name, read, kinds, Language(json_parts, JSON_VALUES, given), given, **more)


# ---------------------------------------------------------------- strategies

_NAMES: Final[tuple[dict[str, Any], ...]] = (
    {"order_id": "OAAAAA-BBBBB-CCCCCC"},
    {"cl_ord_id": "s7-000042"},
    {"userref": 7},
)
_ORDERS: Final = [{**name, "symbol": "BTC-USD"} for name in _NAMES]
_COMMANDS: Final[tuple[dict[str, Any], ...]] = (
    *({"type": "cancel", "id": "c1", "venue": "spot", **name} for name in _NAMES),
    {
        "type": "cancel", "id": 7, "venue": "prime", "order_id": "b35b1c3b-a304-4224-919f-9db1319de188",
        "symbol": "BTC-USD", "until": "proof", "deadline_ms": 900, "strategy": "s7", "sent_ns": 10**15,
    },
    {"type": "cancel_batch", "id": "b", "venue": "spot", "orders": _ORDERS, "until": "ack"},
    {"type": "cancel_all", "id": "a", "venue": "futures"},
    {"type": "cancel_all", "id": "a", "until": "proof"},
    {"type": "kill", "id": "k", "reason": "drill", "venues": ["spot", "prime"]},
    {"type": "kill", "id": "k", "reason": "St\x9brung", "drill": True},
    {"type": "drill", "id": "d", "reason": "weekly", "venues": ["spot"]},
    {"type": "what_rests", "id": "w", "scope": [{"symbol": "XBT/USD"}], "fresh": True},
    {"type": "kill_scope", "id": "s", "reason": "mm-1", "scope": [{"cl_ord_id_prefix": "mm1-", "side": "buy"}]},
    {"type": "rearm", "id": "r"},
    {"type": "timer_right", "id": "t", "token": 7, "for_ms": 12_000, "off": True},
    {"type": "rearm", "id": "r", "confirm": "ABCD2345", "reason": "over", "force": True},
    {
        "type": "lease", "id": "l", "strategy": "s7", "ttl_ms": 5000, "on_expiry": "cancel",
        "scope": [{"venue": "spot", "userref": 7}, {"venue": "prime"}],
    },
    {"type": "lease", "id": "l", "strategy": "s7", "ttl_ms": 0, "on_expiry": "kill"},
    {"type": "status", "id": 2**63 - 1, "detail": True},
    {"type": "ping", "id": 0, "deadline_ms": 1},
)  # fmt: skip
_COMMAND_KINDS: Final = _kinds(commands.Command, Malformed)


def _command(payload: bytes) -> object:
    """As the gateway does: whatever is no command is refused in its own encoding."""
    command = decode_command(payload)
    if type(command) is Malformed:
        encode(refusal_map(command.id, command.reason, command.detail), encoding_of(payload))
    return command


def _same_again(command: Any) -> None:
    """A command means the same in either encoding, and names what it is about."""
    if isinstance(command, Malformed):
        assert command.detail
        return
    if isinstance(command, commands.Kill) and command.ignored:
        # What was ignored is told of, and not said again.
        command = msgspec.structs.replace(command, ignored=())
        if command.id is None:
            return
    assert decode_command(msgspec.json.encode(command)) == command
    assert decode_command(msgspec.msgpack.encode(command)) == command
    if isinstance(command, commands.Cancel):
        assert command.target is not None


_OUTCOME: Final = {"type": "outcome", "id": "c1", "venue": "spot", "order_id": "O-1-2", "route": "ws", "attempts": 1}
_REPLIES: Final[tuple[dict[str, Any], ...]] = (
    {**_OUTCOME, "outcome": "acked", "received_ns": 1, "sent_ns": 2, "answered_ns": 3},
    {**_OUTCOME, "outcome": "canceled", "filled_qty": "0.5", "replayed": True},
    {**_OUTCOME, "outcome": "closed", "state": "filled", "filled_qty": "1"},
    {**_OUTCOME, "outcome": "not_open"},
    {**_OUTCOME, "outcome": "rejected", "class": "auth", "error": "EAPI:Invalid key"},
    {**_OUTCOME, "outcome": "unknown", "tried": ["ws", "rest"]},
    frames.refusal_map("c1", "invalid", "id: expected text"),
    {"type": "batch", "id": "b", "venue": "spot", "outcomes": [{**_OUTCOME, "outcome": "acked"}]},
    {"type": "all", "id": "a", "venues": {"spot": {"outcome": "canceled", "count": 2, "residual": ["O-1-2"]}}},
    {"type": "killed", "id": "k", "latched": True, "venues": {"spot": {"state": "flat", "residual": []}}},
    {"type": "rearm", "id": "r", "latched": True, "code": "ABCD", "expires_in_ms": 9, "residual": {"spot": ["O-1-2"]}},
    {"type": "lease", "id": "l", "strategy": "s7", "expires_in_ms": 5000},
    {"type": "status", "id": 1, "state": "serving", "in_flight": 0, "venues": {}, "alerts": []},
    {"type": "pong", "id": 0, "monotonic_ns": 12},
)
_ASKED: Final = results.Asked("c1", "spot", Target("order_id", "O-1-2"), False)
_READERS: Final[dict[object, Callable[[dict[str, Any]], object]]] = {
    "batch": lambda reply: tuple(results.read_batch([_ASKED], reply)),
    "all": lambda reply: results.read_all("a", reply),
    "killed": lambda reply: results.read_killed("k", reply),
    "rearm": lambda reply: results.read_rearm("r", reply),
    "lease": lambda reply: results.read_lease("l", reply),
    "status": results.read_status,
    "pong": results.read_pong,
}
_RESULTS: Final = _kinds(
    results.CancelResult, tuple, results.CancelAllResult, results.KillResult, results.RearmResult, results.LeaseResult,
    dict, results.Pong,
)  # fmt: skip


def _as_cancel(reply: dict[str, Any]) -> object:
    return results.read_cancel(_ASKED, reply)


def _reply(payload: bytes) -> object:
    """As the client does, which asked for whatever the reply says it is."""
    reply = frames.decode_reply(payload)
    return _READERS.get(reply["type"], _as_cancel)(reply)


def _packed(documents: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """The documents in msgpack, and each of them with one member less or one more, which no cut could bring about:
    a map's size stands in front of it."""
    for document in documents:
        yield msgspec.msgpack.encode(document)
        for name in document:
            yield msgspec.msgpack.encode({kept: value for kept, value in document.items() if kept != name})
        yield msgspec.msgpack.encode({**document, "surplus": {"status": [None, "canceled"]}})


def _strategies() -> Iterator[Surface]:
    spoken = tuple(json.dumps(command, separators=(",", ":")).encode() for command in _COMMANDS)
    packed = tuple(_packed(_COMMANDS))
    words = Language(msgpack_parts, MSGPACK_VALUES, packed)
    yield _json("command, JSON", _command, _COMMAND_KINDS, spoken, after=_same_again)
    yield Surface("command, msgpack", _command, _COMMAND_KINDS, words, packed, after=_same_again)
    replies = (msgspec.json.encode(reply) for reply in _REPLIES)
    declared = (UnreadableReply, results.CommandRefused)
    yield _json("reply, at the client", _reply, _RESULTS, replies, declared=declared, after=anything, ours=True)


# ---------------------------------------------------------------- venues' sockets


def _evidence(*names: str) -> frozenset[type]:
    """Those kinds of evidence, and the two that tell nothing."""
    return frozenset(getattr(evidence, name) for name in (*names, "Irrelevant", "Unreadable"))


_TAG: Final = "0123456789abcde"
_PRIME: Final = Prime(_TAG)
_PRIME_KINDS: Final = _evidence(
    "CancelAck", "CancelReject", "Orders", "Unlisted", "Hello", "Pong", "Permissions", "Unattributed"
)


def _prime(frame: bytes) -> object:
    """The most telling part of what a frame says; never nothing."""
    told = _PRIME.decode(frame)
    strange = {type(part) for part in told} - _PRIME_KINDS
    assert not strange, f"told as {strange}"
    return told[0]


def _prime_seeds() -> Iterator[bytes]:
    """The samples, and each again as the answer to a cancel of ours."""
    ours = _PRIME.cl_ord_id_of(Reqid(13)).encode()
    for sample in _samples(prime_samples):
        yield sample
        yield sample.replace(b"{", b'{"action":"Remove",', 1)
        yield re.sub(rb'"ClOrdID": ?"[^"]*"', b'"ClOrdID":"%b"' % ours, sample)
        yield re.sub(rb'"ExecType": ?"[^"]*"', b'"ExecType":"CancelRejected"', sample)


def _sockets() -> Iterator[Surface]:
    common = ("CancelAck", "CancelReject", "CancelAllAck", "TimerAck", "Orders", "Subscribed", "SubscriptionLost")
    spot = _evidence(*common, "ModeChanged", "Heartbeat", "Pong", "Unattributed")
    v2 = _samples(v2_samples)
    yield _json("Spot WebSocket v1", spot_ws.decode, spot, _samples(v1_samples))
    yield _json("Spot WebSocket v2", spot_ws_v2.SPOT.decode, spot, v2)
    yield _json("Unified WebSocket", spot_ws_v2.UNIFIED.decode, spot - {evidence.ModeChanged}, v2)
    yield _json("Prime WebSocket", _prime, _PRIME_KINDS, _prime_seeds())
    feed = _evidence(
        "Orders", "Unlisted", "Subscribed", "SubscriptionLost", "Unattributed", "Heartbeat", "Hello", "Pong",
        "Challenge",
    )  # fmt: skip
    yield _json("Futures feed", futures_feed.decode, feed, _samples(feed_samples))


# ---------------------------------------------------------------- venues' REST

_STATUSES: Final = (200, 200, 200, 200, 200, 200, 200, 400, 429, 503, 302)
"""A prime number of them, so that every reader meets every status."""


class _InTurn:
    """Gives each body to the next of several readers, under the next status; `last` tells who had it."""

    def __init__(self, *readers: Callable[[int, bytes], object]) -> None:
        self._turns = itertools.cycle(tuple(itertools.product(_STATUSES, readers)))
        self.last = ""

    def __call__(self, body: bytes) -> object:
        status, read = next(self._turns)
        self.last = f"{getattr(read, '__name__', read)} under HTTP {status}"
        return read(status, body)


_ASKED_ORDERS: Final = (
    Target("order_id", futures_samples.ORDER_ID),
    Target("order_id", futures_samples.OTHER_ID),
    Target("cl_ord_id", "1234568"),
)


def _futures_cancel(status: int, body: bytes) -> object:
    return futures_rest.decode_cancel(status, body, _ASKED_ORDERS[0])


def _futures_named_cancel(status: int, body: bytes) -> object:
    return futures_rest.decode_cancel(status, body, _ASKED_ORDERS[2])


def _futures_batch(status: int, body: bytes) -> object:
    return futures_rest.decode_batch(status, body, _ASKED_ORDERS)


def _futures_clock(status: int, body: bytes) -> object:
    at_ns = futures_rest.server_time_ns(body)
    return evidence.RestUnreadable("no time") if at_ns is None else evidence.RestTime(at_ns / 1e9)


def _rest_encodable(answer: Any) -> None:
    _encodable(list(answer.verdicts.items()) if isinstance(answer, evidence.RestBatch) else answer)


def _sendable(token: Any) -> None:
    """A token goes into frames by concatenation: nothing in it may need an escape."""
    if isinstance(token, evidence.RestToken):
        frame = spot_ws.subscribe_frame(Secret(token.token), Reqid(1))
        assert json.loads(frame)["subscription"]["token"] == token.token
        assert token.expires_s > 0


def _rest() -> Iterator[Surface]:
    failed = (evidence.RestFailed, evidence.RestUnreadable)
    spot, futures = _samples(rest_samples), _samples(futures_samples)
    yield _json(
        "Spot REST, cancels and orders",
        _InTurn(spot_rest.decode_cancel, spot_rest.decode_orders),
        _kinds(evidence.RestCanceled, evidence.RestOrders, *failed),
        spot,
    )
    yield _json(
        "Spot REST, account and clock",
        _InTurn(spot_rest.decode_timer, spot_rest.decode_mode, spot_rest.decode_time, spot_rest.decode_key_info),
        _kinds(evidence.RestTimer, evidence.RestMode, evidence.RestTime, evidence.RestKey, *failed),
        spot,
    )
    yield _json(
        "Futures REST, cancels",
        _InTurn(_futures_cancel, _futures_named_cancel, _futures_batch, futures_rest.decode_cancel_all),
        _kinds(evidence.RestOrders, evidence.RestEnded, evidence.RestBatch, evidence.RestCanceled, *failed),
        futures,
        after=_rest_encodable,
    )
    yield _json(
        "Futures REST, orders and clock",
        _InTurn(
            futures_rest.decode_open_orders, futures_rest.decode_status, futures_rest.decode_timer,
            futures_rest.decode_instruments, _futures_clock,
        ),
        _kinds(evidence.RestOrders, evidence.RestTimer, evidence.RestMode, evidence.RestTime, *failed),
        futures,
    )  # fmt: skip
    tokens = (rest_samples.TOKEN, rest_samples.UNKNOWN_ORDER, rest_samples.CANCELED)
    yield _json(
        "WebSocket token", _InTurn(spot_rest.decode_token), _kinds(evidence.RestToken, *failed), tokens, after=_sendable
    )


# ---------------------------------------------------------------- files

_CONFIG: Final = Path(__file__).parent.parent.parent / "config"
_SECTIONS: Final = (
    b'[gateway]\ncommands = "ipc:///tmp/c.sock"\ncontrol = "ipc:///tmp/k.sock"\nevents = "ipc:///tmp/e.sock"\n'
    b"mode = 0o660\ndeadline_ms = 2000\n",
    b'[spot]\nenabled = true\nprotocol = "v2"\nws_url = "wss://ws-auth.kraken.com/v2"\nsessions = 2\ncanary_s = 1.5\n',
    b'[prime]\nenabled = true\nws_url = "wss://localhost:8443/ws/v1"\nhedge_after_ms = 400\n',
    b'[futures]\nenabled = true\nrest_url = "https://localhost/derivatives/api/v3"\nuws_url = "wss://[::1]:1/v2"\n',
    b'[deadman]\nspot = true\ntimeout_s = 60\nrefresh_s = 15\n\n[log]\nlevel = "debug"\nformat = "console"\n',
    b'[state]\ndir = "/var/lib/canceld"\n[tls]\nca_file = "/a.pem"\n[credentials]\ndir = "/run/c"\n',
)


def _settings(content: bytes) -> object:
    try:
        return parse(content.decode())
    except UnicodeDecodeError:
        # `read` tells of it before anything is parsed; the same document, with other letters, is as good.
        return parse(content.decode("latin-1"))
    except BadSettings as error:
        if not str(error).isprintable():
            raise AssertionError(f"told on more than one line: {error!r}") from error
        raise


def _servable(settings: Any) -> None:
    """What passes the check can be opened and dialled: nothing of it is found out in the middle of a start."""
    for endpoint in (settings.gateway.commands, settings.gateway.control, settings.gateway.events):
        check_endpoint(endpoint)
    for path in (settings.state.dir, settings.tls.ca_file, settings.credentials.dir):
        assert "\0" not in path
    address = spot_ws_address(settings.spot)
    line = address.authority + address.path
    assert line.isascii(), line
    assert line.isprintable(), line
    assert " " not in line


def _latch(content: bytes) -> object:
    """A file that is there is a latch, whatever is in it; and the latch can be told and written again."""
    read = latch.parse_latch(content)
    assert read is not None, "a file re-armed the kill switch"
    assert read.at is None or read.at.endswith("Z")
    assert latch.parse_latch(latch.format_latch(read)) is not None
    return read


def _leases(content: bytes) -> object:
    stored = leases.parse_leases(content)
    held = leases.Leases()
    held.restore(stored.terms, 0)
    assert len(held) <= len(stored.terms)
    assert leases.parse_leases(leases.format_leases(held.terms)).why is None
    return stored


def _mark(content: bytes) -> object:
    mark = nonces.parse_mark(content)
    assert mark is None or 0 <= mark <= nonces.NONCE_LIMIT
    return mark


def _sealed(content: bytes) -> bytes:
    """A state file's members as a whole file of them: the checksum fits, whatever became of what it covers."""
    body = content.rstrip(b"}\n")
    return b'%b,"crc32":"%08x"}\n' % (body, zlib.crc32(body))


def _marked(digits: bytes) -> bytes:
    return b"%b %08x\n" % (digits, zlib.crc32(digits))


def _unsealed(content: bytes) -> bytes:
    return content.partition(b',"crc32"')[0]


_FRAME: Final = '{"event":"cancelOrder","token":"[redacted]"}'
_ENTRIES: Final[tuple[journal.Entry, ...]] = (
    (10**18, 1, "start", {"version": "0.1.0", "config": "ab" * 32}),
    (10**18, 2, "command", {"type": "cancel", "id": "c1", "venue": "spot", "order_id": "OAAAAA-BBBBB-CCCCCC"}),
    (10**18, 3, "frame_out", {"venue": "spot", "session": "spot-0", "frame": _FRAME}),
    (10**18, 4, "kill", {"trigger": "command", "reason": "drill", "who": "uid 1 pid 2"}),
    (10**18, 5, "outcome", {"type": "outcome", "id": "c1", "outcome": "acked", "route": "ws", "attempts": 1}),
    (10**18, 6, "rearm", {"latched": False}),
    (10**18, 7, "recovery", {"torn": {"bytes": 3, "sha256": "cd" * 32}, "lost": 2}),
)
_FILE: Final = "00000001.jsonl"


def _journal() -> tuple[bytes, ...]:
    """A record, whole and in parts."""
    record = journal.Chain(journal.ROOT, None, lambda body: body).lines(_ENTRIES)
    lines = record.splitlines(keepends=True)
    return (record, *(b"".join(lines[:n]) for n in (1, 3, 4)), b"".join(lines[2:]), lines[0] + lines[0][:40])


def _record(content: bytes) -> object:
    """As a start and `canceld journal --verify` read it; each line can be shown on a terminal."""

    def read(_: str, offset: int, limit: int) -> bytes:
        return content[offset : offset + limit]

    check = journal_check.Check(None)
    check.begin(_FILE)
    for line in journal_check.lines_of(read, _FILE):
        record = check.take(line)
        if record is not None:
            assert told(record).isprintable()
    check.end()
    resumed = journal_check.resume([_FILE], read, None)
    assert resumed.size == len(content)
    return resumed


_HEAD: Final = journal.Head(_FILE, 4096, 12, "ef" * 32, {"n": 4, "reason": "drill"})


def _slots() -> tuple[bytes, ...]:
    """Recorded commands, slot by slot as they lie in the file, without the seals."""
    memory = bytearray(intents.HEADER.ljust(intents.RECORD_BYTES, b"\0"))
    book = intents.Intents(memory)
    for command in _COMMANDS[:7]:
        book.enter(msgspec.json.encode(command), b"strategy-7", 1000, 4242, 10**9, 10**18)
        book.enter(msgspec.msgpack.encode(command), b"\0auto", 1000, 4242, 10**9, 10**18)
    slots = (memory[n * intents.SLOT_BYTES : (n + 1) * intents.SLOT_BYTES] for n in range(1, 1 + intents.SLOT_LIMIT))
    return tuple(bytes(slot[_SEAL:]).rstrip(b"\0") for slot in slots if any(slot))


_SEAL: Final = 4
_SERIAL: Final = 8
_SIZE: Final = 36
"""Where behind the seal a slot tells the size of its body, which its length tells here."""
_HEAD_BYTES: Final = 39


def _slot(content: bytes, serial: int) -> bytes:
    """A slot with its seal on, and a serial of its own, since slots of one serial are parts of one command."""
    content = content[: intents.SLOT_BYTES - _SEAL].ljust(_HEAD_BYTES, b"\0")
    size = (len(content) - _HEAD_BYTES).to_bytes(2, "little")
    whole = serial.to_bytes(_SERIAL, "little") + content[_SERIAL:_SIZE] + size + content[_SIZE + 2 :]
    return ((zlib.crc32(whole) or 1).to_bytes(_SEAL, "little") + whole).ljust(intents.SLOT_BYTES, b"\0")


def _in_flight(contents: Sequence[bytes]) -> list[object]:
    """Each content as a slot of one record; every eighth as it is, with its first bytes for a seal."""
    slots = [
        _slot(content, n) if n % 8 else content[: intents.SLOT_BYTES].ljust(intents.SLOT_BYTES, b"\1")
        for n, content in enumerate(contents, 1)
    ]
    found = intents.read((intents.HEADER + b"".join(slots)).ljust(intents.RECORD_BYTES, b"\0"))
    values: list[object] = [None] * len(contents)
    for intent in found.intents:
        [slot] = intent.slots
        values[slot - 1] = intent
    free = sum(slot[:_SEAL] == bytes(_SEAL) for slot in slots)
    assert len(found.intents) + len(found.torn) + free == len(slots), "a slot was passed over"
    return values


def _alone(content: bytes) -> object:
    return _in_flight([content])[0]


def _files() -> Iterator[Surface]:
    config = (*_SECTIONS, *(path.read_bytes() for path in sorted(_CONFIG.glob("*.toml"))))
    settings = Language(toml_parts, TOML_VALUES, config)
    declared = (BadSettings,)
    sections = config[: len(_SECTIONS)]
    yield Surface("configuration", _settings, _kinds(Settings), settings, sections, declared, _servable, ours=True)
    tripped = (
        latch.Latch(trigger="command", reason="drill", who="uid 1 pid 2", utc_ns=10**18, venues=("spot", "futures")),
        latch.Latch(trigger="unreadable", reason=""),
    )
    yield _json(
        "latch",
        _latch,
        _kinds(latch.Latch),
        (_unsealed(latch.format_latch(one)) for one in tripped),
        dress=_sealed,
        ours=True,
    )
    scope = (commands.LeaseScope("spot", userref=7), commands.LeaseScope("prime"))
    terms = (leases.Terms("s7", 5000, "cancel", scope), leases.Terms("s8", 500, "kill", ()))
    held = (_unsealed(leases.format_leases(some)) for some in (terms, terms[:1], ()))
    yield _json("leases", _leases, _kinds(leases.Stored), held, dress=_sealed, ours=True)
    digits = (b"1700000000000000000", b"0", b"18446744073709551615", nonces.format_mark(10**18))
    marks = Language(plain_parts, (*JSON_VALUES, b" ", b"\n"), digits)
    yield Surface("nonce mark", _mark, _kinds(int, type(None)), marks, digits, dress=_marked, ours=True)
    yield _json("journal", _record, _kinds(journal_check.Resumed), _journal(), after=anything, ours=True)
    heads = (journal.format_head(_HEAD), journal.format_head(msgspec.structs.replace(_HEAD, kill=None)))
    yield _json("journal's head", journal.parse_head, _kinds(journal.Head, type(None)), heads, ours=True)
    slots = _slots()
    recorded = Language(plain_parts, (*JSON_VALUES, *MSGPACK_VALUES), slots)
    yield Surface(
        "record of what is in flight", _alone, _kinds(intents.Intent, type(None)), recorded, slots,
        after=anything, read_all=_in_flight, ours=True,
    )  # fmt: skip


def surfaces() -> Sequence[Surface]:
    """All of them."""
    return (*_strategies(), *_sockets(), *_rest(), *_files())
