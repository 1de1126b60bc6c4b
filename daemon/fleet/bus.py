"""The bus of a fleet: one connection to NATS, with every wait bounded and every failure told in one line.

Of the bus nothing is believed but that it is the one whose certificate we trust: what it carries is judged elsewhere.
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import nats.errors
from nats.aio.client import Client as NatsClient
from nats.aio.client import RawCredentials
from nats.aio.msg import Msg
from nats.js.errors import APIError

from ..contract.plain_text import plain
from ..verbs.output import complain
from .settings import FleetSettings

CONNECT_S: Final = 5.0
"""How long the first connection may take, over all servers."""

CONNECT_ONE_S: Final = 2
TRIES: Final = 2
"""How often each server is tried for the first connection."""

RECONNECT_PAUSE_S: Final = 1
"""The least pause before a server is tried again."""

PING_S: Final = 5
PINGS_UNANSWERED: Final = 2
"""A server that is silent for so long is left for another."""

REQUEST_S: Final = 5.0
CLOSE_S: Final = 2.0

API: Final = "$JS.API"
VERSION: Final = "canceld fleet 1"
"""What the description of each of our streams and buckets begins with."""

NOT_FOUND: Final = frozenset({10014, 10037, 10059})
FULL: Final = frozenset({10023, 10047, 10054, 10077})
"""The server's codes for: no room in memory or on disk, for a message too large, past the stream's own bounds."""

EXISTS: Final = 10058
WRONG_SEQUENCE: Final = 10071


class BusFailed(Exception):
    """The bus did not do what was asked; the text is one line. code: the server's own, 0 where it gave none."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(plain(text))
        self.code = code


class _Unencrypted(nats.errors.Error):
    pass


class _Client(NatsClient):
    """Tells a server nothing, and answers none of its challenges, before the line is encrypted where it has to be."""

    encrypted_only = False

    def _connect_command(self) -> bytes:
        # A server, or somebody in its place, may say that it does without; the library would go along.
        writer = getattr(self._transport, "_io_writer", None)
        if self.encrypted_only and (writer is None or writer.get_extra_info("ssl_object") is None):
            raise _Unencrypted
        return super()._connect_command()


class Bus:
    """A connection. It comes back by itself after a loss; `connected` tells how it stands, `refusal` what the server
    last forbade us."""

    def __init__(self, client: NatsClient, where: str) -> None:
        self.client = client
        self.where = where
        self.refusal: str | None = None
        self.trouble: str | None = None

    @property
    def connected(self) -> bool:
        """Whether a server is there now."""
        return bool(self.client.is_connected)

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = REQUEST_S,
    ) -> Msg:
        """Ask, and wait for one answer. Raises BusFailed."""
        self.refusal = None
        try:
            answer = await self.client.request(subject, payload, timeout=timeout_s, headers=dict(headers or {}) or None)
            heed_cancel()
            return answer
        except nats.errors.NoRespondersError:
            raise BusFailed(f"{self.where}: JetStream is not there; start nats-server with it (-js)") from None
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise BusFailed(self.refusal or f"{self.where}: {told(error)}") from None

    async def api(self, what: str, body: Mapping[str, Any] | None = None, *, timeout_s: float = REQUEST_S) -> Any:
        """A call of JetStream's own API, like `STREAM.INFO.name`; gives its answer. Raises BusFailed."""
        answer = await self.request(f"{API}.{what}", json.dumps(body or {}).encode(), timeout_s=timeout_s)
        try:
            found = json.loads(answer.data)
        except ValueError:
            raise BusFailed(f"{self.where}: {what}: not an answer of JetStream") from None
        if isinstance(found, dict) and "error" in found:
            raise failed(self.where, found["error"], what)
        return found

    async def stream_info(self, stream: str) -> dict[str, Any] | None:
        """How a stream stands; None where there is none. Raises BusFailed, also for one of another version."""
        try:
            found: dict[str, Any] = await self.api(f"STREAM.INFO.{stream}")
        except BusFailed as error:
            if error.code in NOT_FOUND:
                return None
            raise
        described = str(found.get("config", {}).get("description", ""))
        if described.partition(":")[0] != VERSION:
            what = described or "no version at all"
            raise BusFailed(
                f"{self.where}: {stream}: is of {what!r}, this program knows {VERSION!r}; bring both to one version"
            )
        return found

    async def make_stream(self, config: Mapping[str, Any], what: str) -> None:
        """A stream, or the stream below a bucket, which must not be there yet in another shape. Raises BusFailed."""
        await self.api(f"STREAM.CREATE.{config['name']}", {**config, "description": f"{VERSION}: {what}"})


def heed_cancel() -> None:
    """To be called after whatever waits inside the library: its `wait_for`, in Python 3.11, gives a result that comes
    together with a cancellation, and the cancellation is lost. Raises CancelledError then."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def failed(where: str, error: Mapping[str, Any], what: str) -> BusFailed:
    """An answer of JetStream that says no, as one line with the mend."""
    code, description = int(error.get("err_code", 0)), str(error.get("description", ""))
    if code in FULL:
        return BusFailed(f"{where}: {what}: full ({description}); give it more room, nothing is lost meanwhile", code)
    return BusFailed(f"{where}: {what}: {description or error}", code)


def told(error: BaseException) -> str:
    """What went wrong, in one line with the mend."""
    if isinstance(error, _Unencrypted):
        return "the server does not encrypt; configure its tls, nothing was told to it"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); name its authority as fleet.tls_ca"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason}); does the server want a certificate of ours, or no TLS at all?"
    if isinstance(error, nats.errors.NoServersError | ConnectionRefusedError):
        return "no server answers; is nats-server running there?"
    text = str(error)
    if "authorization violation" in text.lower() or isinstance(error, nats.errors.AuthorizationError):
        return (
            "the server does not take our credentials; look at fleet.creds or fleet.nkey and at the server's accounts"
        )
    if "permissions violation" in text.lower():
        return f"{text.removeprefix('nats: ')}; the rights that each program needs are in `canceld help fleet`"
    if isinstance(error, ConnectionError | nats.errors.UnexpectedEOF):
        # Who signs in wrongly is told so and cut off; the second may come before the first was read.
        return "the server hangs up; does it take our credentials? look at fleet.creds or fleet.nkey"
    if isinstance(error, TimeoutError | nats.errors.TimeoutError):
        return "no answer in time"
    if isinstance(error, APIError):
        return f"{error.description} ({error.err_code})"
    return text or type(error).__name__


@contextlib.asynccontextmanager
async def connect(
    settings: FleetSettings,
    program: str,
    *,
    servers: tuple[str, ...] = (),
    on_change: Callable[[Bus, str | None], None] = lambda bus, why: None,
) -> AsyncIterator[Bus]:
    """The connection of a program, closed at the end of the block. Raises BusFailed where none comes about in time.

    on_change: called with None at each new connection, and with a line at each loss.
    """
    urls = list(servers or settings.fleet.servers)
    asyncio.get_running_loop().set_exception_handler(_told_by_loop)
    client = _Client()
    bus = Bus(client, urls[0])
    tries_left = TRIES * len(urls)
    ending = False

    async def on_error(error: Exception) -> None:
        nonlocal tries_left
        bus.trouble = told(error)
        if tries_left:
            tries_left -= 1
            if not tries_left:
                # Left to itself the library would try on for ever.
                raise BusFailed(f"{bus.where}: {bus.trouble}")
            return
        if "permissions violation" in str(error).lower():
            # For whoever asked: it is told as the reason why there was no answer.
            bus.refusal = f"{bus.where}: {bus.trouble}"
            return
        on_change(bus, bus.trouble)

    async def on_lost() -> None:
        if not ending:
            on_change(bus, bus.trouble or "the connection was lost")

    async def on_back() -> None:
        bus.trouble = None
        on_change(bus, None)

    options: dict[str, Any] = {
        "servers": urls,
        "name": program,
        "connect_timeout": CONNECT_ONE_S,
        "reconnect_time_wait": RECONNECT_PAUSE_S,
        "max_reconnect_attempts": -1,
        "ping_interval": PING_S,
        "max_outstanding_pings": PINGS_UNANSWERED,
        "error_cb": on_error,
        "disconnected_cb": on_lost,
        "reconnected_cb": on_back,
        "inbox_prefix": f"_INBOX_{settings.host}",
    }
    if any(url.startswith("tls:") for url in urls):
        client.encrypted_only = True
        options["tls"] = _context(settings.fleet.tls_ca)
    if settings.secret is not None:
        if settings.secret.kind == "creds":
            options["user_credentials"] = RawCredentials(settings.secret.text)
        else:
            options["nkeys_seed_str"] = settings.secret.text
    try:
        async with asyncio.timeout(CONNECT_S):
            await client.connect(**options)
        tries_left = 0
    except BusFailed:
        await _close(client)
        raise
    except (nats.errors.Error, TimeoutError, OSError, ValueError) as error:
        await _close(client)
        raise BusFailed(f"{bus.where}: {bus.trouble or told(error)}") from None
    except Exception as error:
        await _close(client)
        # nkeys tells of a seed that is none by exceptions of its own; they may hold it.
        raise BusFailed(f"{bus.where}: fleet.creds or fleet.nkey: cannot be used ({type(error).__name__})") from None
    try:
        heed_cancel()
        yield bus
    finally:
        ending = True
        await _close(client)


def _told_by_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What the event loop would print as a traceback, in one line."""
    text = str(context.get("message", ""))
    if not text.startswith("Task was destroyed"):
        # Those the library drops after it has cancelled them.
        complain(f"{text}: {context.get('exception')!r}")


def _context(ca_file: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise BusFailed(
            f"fleet.tls_ca: {ca_file}: {getattr(error, 'strerror', None) or 'holds no certificate'}"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def _close(client: NatsClient) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_S):
            await client.close()
