"""structlog set-up: one line per event, with only known fields, and no secret in any of them.

Two nets, since a leaked key is worth money: a field that is not on the list is not shown, and a known secret value is
replaced wherever it turns up, in whatever usual encoding. Nothing here opens a file; lines go to the given `write`.
"""

import base64
import logging
import struct
import sys
import traceback
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Final, Literal, TypeAlias

import msgspec
import structlog

from .contract.plain_text import BLOT, plain, plain_json
from .credentials import Secret
from .transport.clock import Clock, rfc3339

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
Format: TypeAlias = Literal["json", "console"]
AnySecret: TypeAlias = Secret[str] | Secret[bytes]

REDACTED: Final = "[redacted]"

# fmt: off
FIELDS: Final = frozenset({
    # one command and what it came to
    "attempts", "canceled", "cl_ord_id", "client", "command", "commands", "count", "deadline_ms", "door", "error",
    "errors", "filled_qty", "form", "id", "ids", "left", "order_id", "orders", "outcome", "replayed", "reqid",
    "residual", "route", "strategy", "symbol", "target", "tried", "userref", "venue", "venues", "who",
    # sessions, routes and the parts of the daemon
    "attempt", "close_code", "fault", "host", "mode", "name", "operation", "part", "phase", "port", "reason", "rest",
    "holder", "lane", "scope", "session", "session_id", "sessions", "state", "status", "task", "was", "what", "why",
    "do", "severity",
    # kill switch, leases, timer
    "armed", "at", "by", "disk", "force", "forced", "good", "latch", "latched", "leases", "trigger", "trigger_s",
    "verdict", "ways",
    # this process and its machine
    "config", "directory", "dropped", "endpoint", "format", "gid", "in_flight", "log_level", "logger", "path", "pid",
    "signal", "threads", "uid", "version", "zeromq",
    # figures; the unit is the last part of the name
    "age_s", "bytes", "delay_s", "drift_s", "expires_s", "lag_ms", "limit", "offset_s", "retry_s", "size", "timeout_s",
    "took_ms", "waited_s",
})
# fmt: on
"""Every field a line may carry; another one is shown as `[redacted]`. Put a name here once its values are sure to hold
no secret. Never: key, secret, token, signature, nonce, headers, body, frame, a URL with a query, the environment."""

VALUE_CHARS: Final = 2048
"""Longest text of one value. A venue's frame can have megabytes."""

ITEMS: Final = 50
"""Most members shown of a list or map."""

NESTING: Final = 4
FRAMES: Final = 30
CAUSES: Final = 8

TOKENS_LIMIT: Final = 32
"""Most secrets made known at run time that are kept, the latest ones: each venue renews a token every few minutes."""

DELETE: Final = b"\x7f"
"""The one control character of ASCII that JSON leaves as it is."""

CONCEALED_CHARS: Final = 6
"""A shorter value is not looked for: it would blot out innocent text, and it is no secret worth the name."""

PIECE_BYTES: Final = 8
"""Secrets are looked for by their pieces of this size, all at once: a search for each of their hundred spellings would
cost ten times the line itself. Of a text that is n pieces long, less one byte, every n-th piece of a line need be seen:
wherever it lies, it covers one of them."""

BLOCK_PIECES: Final = 16
"""How many of them are looked up in one go."""

LONG_BYTES: Final = 3 * PIECE_BYTES - 1
"""Spellings shorter than this, of which real secrets have none, are looked for one by one."""

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

# structlog passes the name of the method that was called.
_ALIASES: Final = {"exception": "error", "warn": "warning", "fatal": "critical"}

ALERT: Final = "alert"
"""The event that a person has to act on."""

_PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""As syslog counts them. Source: sd-daemon(3)."""

_to_json: Final = msgspec.json.Encoder().encode


class Logs:
    """The running set-up. The level may change at any time, and secrets may be made known at any time."""

    def __init__(
        self,
        level: Level,
        format: Format,
        write: Callable[[bytes], None],
        clock: Clock,
        secrets: Iterable[AnySecret],
        priorities: bool,
    ) -> None:
        self._priorities = priorities
        self._console = format == "console"
        self._write = write
        self._clock = clock
        self._keys = tuple(form for secret in secrets for form in _forms_of(secret.reveal()))
        self._tokens: dict[str, tuple[str, ...]] = {}
        self._line_forms: tuple[bytes, ...] = ()
        self._short_forms: tuple[bytes, ...] = ()
        self._key_forms = frozenset(_long_ones(_lines_of(self._keys)))
        self._key_pieces: frozenset[int] = frozenset().union(*map(_pieces_of, self._key_forms))
        self._pieces = self._key_pieces
        self._longest = 0
        self._handler = _Bridge()
        self._conceal_all()
        self.set_level(level)
        root = logging.getLogger()
        for other in root.handlers[:]:
            if isinstance(other, _Bridge):
                root.removeHandler(other)
        root.addHandler(self._handler)
        logging.captureWarnings(True)

    def set_level(self, level: Level) -> None:
        """Show events of this level and above from now on, for every logger there is."""
        structlog.configure(
            processors=[self._render],
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
            logger_factory=self._sink,
            # A cached logger would keep its first level and its first sink for good.
            cache_logger_on_first_use=False,
        )
        # Of libraries only what they warn of: their debug lines hold frames and headers.
        logging.getLogger().setLevel(max(_LEVELS[level], logging.WARNING))

    def conceal(self, token: AnySecret) -> None:
        """Never show this value, which was learnt at run time, as it is, in base64, hex or percent-encoded."""
        forms = _forms_of(token.reveal())
        if not forms:
            return
        self._tokens[forms[0]] = forms
        if len(self._tokens) > TOKENS_LIMIT:
            del self._tokens[next(iter(self._tokens))]
        self._conceal_all()

    def _conceal_all(self) -> None:
        every = {*self._keys, *(form for forms in self._tokens.values() for form in forms)}
        # Longest first: what holds another form goes as a whole.
        ordered = sorted(every, key=len, reverse=True)
        self._longest = len(ordered[0]) if ordered else 0
        self._line_forms = _lines_of(ordered)
        self._short_forms = tuple(form for form in self._line_forms if len(form) < LONG_BYTES)
        long_forms = _long_ones(self._line_forms)
        # A new token must not hold up the cancels for as long as it takes to put all of them together anew.
        self._pieces = self._key_pieces.union(*(_pieces_of(form) for form in long_forms if form not in self._key_forms))
        stride = (min(map(len, long_forms), default=LONG_BYTES) + 1) // PIECE_BYTES - 1
        self._every_nth = struct.Struct(f"Q{(stride - 1) * PIECE_BYTES}x" * BLOCK_PIECES)

    def close(self) -> None:
        """Take the bridge from the standard library's loggers away."""
        logging.getLogger().removeHandler(self._handler)
        logging.captureWarnings(False)

    def _sink(self, *_: Any) -> "_Sink":
        return _Sink(self._write)

    def _render(self, _: Any, method: str, fields: MutableMapping[str, Any]) -> bytes:
        try:
            return self._line(method, fields)
        except Exception as error:
            # A line that cannot be made must not end what it tells of.
            return _to_json({"level": "error", "event": "log line lost", "error": type(error).__name__}) + b"\n"

    def _line(self, method: str, fields: MutableMapping[str, Any]) -> bytes:
        line: dict[str, Any] = {
            "ts": rfc3339(self._clock.utc_ns()),
            "level": _ALIASES.get(method, method),
            "event": self._clean(fields.pop("event", "")),
        }
        failure = _exception_in(fields.pop("exc_info", None))
        for name, value in fields.items():
            if name not in line:
                line[name] = self._clean(value) if name in FIELDS else REDACTED
        if failure is not None:
            line.update(self._clean(_told(failure)))
        text = self.censored(_console_line(line) if self._console else _to_json(line))
        if not text.isascii() or DELETE in text:
            # Strangers' words are in the log too, and whoever reads it sits at a terminal.
            text = (plain if self._console else plain_json)(text.decode()).encode()
        return self._priority(line) + text + b"\n"

    def _priority(self, line: Mapping[str, Any]) -> bytes:
        """What journald takes off the line's beginning. Only alerts stand out: all else explains them."""
        if not self._priorities:
            return b""
        level = line["level"] if line["event"] == ALERT or line["level"] == "debug" else "info"
        return b"<%d>" % _PRIORITIES[level]

    def _clean(self, value: Any, depth: int = 0) -> Any:
        """The value as plain, bounded data."""
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return value if -(2**63) <= value < 2**63 else str(value)
        if isinstance(value, str):
            if not value.isascii():
                # Halves of characters, as file names may have them, are in no JSON.
                value = value.encode("utf-8", "backslashreplace").decode()
            return value if len(value) <= VALUE_CHARS else self._shortened(value)
        if depth >= NESTING:
            return f"<{type(value).__name__}>"
        if isinstance(value, bytes | bytearray):
            return self._clean(bytes(value[: VALUE_CHARS + self._longest]).decode("utf-8", "backslashreplace"))
        if isinstance(value, Mapping):
            return {str(self._clean(str(k))): self._clean(v, depth + 1) for k, v in list(value.items())[:ITEMS]}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(item, depth + 1) for item in list(value)[:ITEMS]]
        if isinstance(value, BaseException):
            return self._clean(f"{type(value).__name__}: {value}")
        # A repr may show anything, a type shows nothing.
        return f"<{type(value).__name__}>"

    def _shortened(self, text: str) -> str:
        """A long text, cut. Secrets go before the cut, or it would leave half of one that nobody recognises."""
        window = text[: VALUE_CHARS + self._longest].encode()
        shown = self.censored(window).decode()[:VALUE_CHARS]
        return f"{shown}… ({len(text)} characters)"

    def _holds_piece(self, line: bytes) -> bool:
        size, unpack, pieces = self._every_nth.size, self._every_nth.unpack_from, self._pieces
        padded = line + bytes(-len(line) % size)
        return not all(pieces.isdisjoint(unpack(padded, start)) for start in range(0, len(padded), size))

    def censored(self, line: bytes) -> bytes:
        """Encoded text with every secret that is known taken out, however it is spelt."""
        if not (self._holds_piece(line) or any(form in line for form in self._short_forms)):
            return line
        for form in self._line_forms:
            if form in line:
                line = line.replace(form, REDACTED.encode())
        return line

    def blotted(self, packed: bytes) -> bytes:
        """As `censored`, and not a byte shorter: for what holds the lengths of its texts. It costs little."""
        # Every frame holds the token it was sent with, and nothing else ever held a secret.
        for form in reversed(self._tokens):
            if not self._holds_piece(packed):
                break
            packed = _blot(packed, form.encode())
        if self._holds_piece(packed) or any(form in packed for form in self._short_forms):
            for spelt in self._line_forms:
                packed = _blot(packed, spelt)
        return packed


def configure(
    level: Level,
    format: Format,
    write: Callable[[bytes], None],
    clock: Clock,
    secrets: Iterable[AnySecret] = (),
    *,
    priorities: bool = False,
) -> Logs:
    """Send every event of structlog, and the warnings of libraries, to `write`: one line per call, its break included.

    write: must not block; it is called from whichever thread logs.
    secrets: what must never be shown, for as long as the process lives. priorities: whether lines begin with their
    priority, as journald reads it.
    """
    return Logs(level, format, write, clock, secrets, priorities)


def _blot(packed: bytes, form: bytes) -> bytes:
    return packed.replace(form, BLOT.encode() * len(form)) if form in packed else packed


class _Sink:
    """What structlog takes for a logger: every method writes."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = write
        self.exception = self.warn = self.fatal = self.msg = self.log = write


class _Bridge(logging.Handler):
    """Takes what libraries tell the standard library's loggers."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event = record.getMessage()
        except Exception:
            # A library's own mistake in its arguments: told without them.
            event = str(record.msg)
        # Libraries may use levels of their own; each is told as the named level below it.
        level = max((known for known in _LEVELS.values() if known <= record.levelno), default=logging.DEBUG)
        structlog.get_logger().log(level, event, logger=record.name, exc_info=record.exc_info)


def _forms_of(value: str | bytes) -> tuple[str, ...]:
    """The usual spellings of a secret, the plainest first; none for a value too short to look for."""
    raw = value.encode() if isinstance(value, str) else value
    if len(raw) < CONCEALED_CHARS:
        return ()
    spelled = [
        # Bytes that are no text turn up in tracebacks the way Python writes them.
        value if isinstance(value, str) else raw.decode("utf-8", "backslashreplace"),
        repr(raw)[2:-1],
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
        raw.hex().upper(),
    ]
    quoted = [urllib.parse.quote(form, safe="") for form in spelled] + [urllib.parse.quote(raw, safe="")]
    lower = [_lower_escapes(form) for form in quoted]
    return tuple(dict.fromkeys([*spelled, *quoted, *lower]))


def _lines_of(forms: Iterable[str]) -> tuple[bytes, ...]:
    """Each as it stands in a text, and as it stands in a JSON string."""
    return tuple(text.encode() for text in dict.fromkeys(text for form in forms for text in (form, _in_json(form))))


def _in_json(text: str) -> str:
    return _to_json(text)[1:-1].decode()


def _long_ones(forms: Iterable[bytes]) -> list[bytes]:
    """Those that are looked for by their pieces."""
    return [form for form in forms if len(form) >= LONG_BYTES]


@lru_cache(maxsize=1024)
def _pieces_of(form: bytes) -> frozenset[int]:
    """Every piece of a spelling, as the numbers that the aligned pieces of a line read as."""
    pieces = (form[start : start + PIECE_BYTES] for start in range(len(form) - PIECE_BYTES + 1))
    return frozenset(int.from_bytes(piece, sys.byteorder) for piece in pieces)


def _lower_escapes(text: str) -> str:
    head, *parts = text.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in parts)])


def _exception_in(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if len(exc_info) > 1 and isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


def _told(failure: BaseException) -> dict[str, Any]:
    """Type and message, where it was raised, and what lies behind it. No locals, no source lines."""
    told: dict[str, Any] = {
        "exception": failure,
        "frames": [
            f"{'/'.join(PurePath(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(failure.__traceback__)[-FRAMES:]
        ],
    }
    causes: list[BaseException] = []
    waiting = [failure]
    while waiting and len(causes) < CAUSES:
        one = waiting.pop(0)
        behind = list(one.exceptions) if isinstance(one, BaseExceptionGroup) else []
        cause = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        behind += [cause] if cause is not None else []
        causes += behind
        waiting += behind
    if causes:
        told["causes"] = causes[:CAUSES]
    return told


def _console_line(line: dict[str, Any]) -> bytes:
    head = f"{line.pop('ts')} {line.pop('level'):<8} {_printable(line.pop('event'))}"
    return " ".join([head, *(f"{name}={_printable(value)}" for name, value in line.items())]).encode()


def _printable(value: Any) -> str:
    """A value that cannot break the line or paint the terminal."""
    return plain(value) if isinstance(value, str) else _to_json(value).decode()
