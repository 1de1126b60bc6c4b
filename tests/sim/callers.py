"""Callers of the simulated exchange: an HTTP client and a WebSocket client, over memory streams.

They are written apart from the daemon and from the simulator, so that neither is checked against itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote, urlencode

import h11
import trio
import wsproto
from trio.testing import memory_stream_pair
from wsproto.events import AcceptConnection, CloseConnection, RejectConnection, Request, TextMessage

from canceld.sim.server import SimulatedKraken

START_S = 1_700_000_000.0
ANSWER_S = 5.0
WS_HOST = "ws-auth.kraken.com"
PRIME_HOST = "wss.prime.kraken.com"


def kraken(**options: Any) -> SimulatedKraken:
    """A simulated exchange whose clock is trio's (virtual or not), always from the same seed."""
    return SimulatedKraken(now=lambda: START_S + trio.current_time(), rng=random.Random(7), **options)


class Gone(Exception):
    """The exchange closed the connection. code: of the close frame, 1006 when there was none."""

    def __init__(self, code: int = 1006) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Http:
    """One keep-alive connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._h11 = h11.Connection(h11.CLIENT)

    @classmethod
    def dial(cls, venue: SimulatedKraken, nursery: trio.Nursery) -> Self:
        ours, theirs = memory_stream_pair()
        nursery.start_soon(venue.serve_stream, theirs)
        return cls(ours)

    async def request(
        self, method: str, target: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        if self._h11.our_state is h11.DONE:
            self._h11.start_next_cycle()
        head = h11.Request(
            method=method,
            target=target,
            headers=[("host", "api.kraken.com"), ("content-length", str(len(body))), *(headers or {}).items()],
        )
        sent = (self._h11.send(head) or b"") + (self._h11.send(h11.Data(data=body)) or b"")
        try:
            await self.stream.send_all(sent + (self._h11.send(h11.EndOfMessage()) or b""))
            with trio.fail_after(ANSWER_S):
                return await self._answer()
        except (trio.BrokenResourceError, h11.RemoteProtocolError) as broken:
            raise Gone from broken

    async def _answer(self) -> Answer:
        response: h11.Response | None = None
        body = b""
        while True:
            match self._h11.next_event():
                case h11.NEED_DATA:
                    self._h11.receive_data(bytes(await self.stream.receive_some(65536)))
                case h11.Response() as response:
                    pass
                case h11.Data(data=data):
                    body += data
                case h11.ConnectionClosed():
                    raise Gone
                case h11.EndOfMessage():
                    assert response is not None
                    headers = {name.decode(): value.decode() for name, value in response.headers}
                    return Answer(response.status_code, headers, body)

    async def control(self, method: str, path: str, value: Any = None) -> Answer:
        return await self.request(method, path, body=b"" if value is None else json.dumps(value).encode())


def sign(secret: str, path: str, nonce: str, body: bytes) -> str:
    """API-Sign as the authentication guide describes it."""
    digest = hashlib.sha256(nonce.encode() + body).digest()
    return base64.b64encode(hmac.digest(base64.b64decode(secret), path.encode() + digest, hashlib.sha512)).decode()


class Rest(Http):
    """A signing caller of Spot REST. Nonces count up from 1."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        super().__init__(stream)
        self.key = self.secret = ""
        self.nonces = itertools.count(1)

    @classmethod
    def dial(cls, venue: SimulatedKraken, nursery: trio.Nursery) -> Self:
        caller = super().dial(venue, nursery)
        caller.key, caller.secret = venue.credentials["spot"]["key"], venue.credentials["spot"]["secret"]
        # Nonces go on where an earlier caller with the same key left off.
        known = venue.keys.find("spot", caller.key)
        assert known is not None
        caller.nonces = itertools.count(known.last_nonce + 1)
        return caller

    async def private(self, method: str, *, as_json: bool = False, **params: Any) -> Any:
        """The decoded body of one private call."""
        return (await self.post(method, as_json=as_json, **params)).json

    async def post(self, method: str, *, as_json: bool = False, **params: Any) -> Answer:
        path, nonce = f"/0/private/{method}", next(self.nonces)
        params = {"nonce": nonce} | params
        body = json.dumps(params).encode() if as_json else urlencode(params).encode()
        headers = {
            "api-key": self.key,
            "api-sign": sign(self.secret, path, str(nonce), body),
            "content-type": "application/json" if as_json else "application/x-www-form-urlencoded",
        }
        return await self.request("POST", path, body=body, headers=headers)

    async def token(self) -> str:
        return str((await self.private("GetWebSocketsToken"))["result"]["token"])


def authent(secret: str, post_data: bytes, nonce: str, path: str) -> str:
    """Authent as the Futures REST guide describes it; path without /derivatives."""
    digest = hashlib.sha256(post_data + nonce.encode() + path.encode()).digest()
    return base64.b64encode(hmac.digest(base64.b64decode(secret), digest, hashlib.sha512)).decode()


class Futures(Http):
    """A signing caller of Futures REST, parameters in the form body, without nonces."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        super().__init__(stream)
        self.key = self.secret = ""

    @classmethod
    def dial(cls, venue: SimulatedKraken, nursery: trio.Nursery) -> Self:
        caller = super().dial(venue, nursery)
        caller.key, caller.secret = venue.credentials["futures"]["key"], venue.credentials["futures"]["secret"]
        return caller

    async def post(self, method: str, **params: Any) -> Any:
        return (await self.signed("POST", method, body=urlencode(params, quote_via=quote).encode())).json

    async def get(self, method: str, **params: Any) -> Any:
        return (await self.signed("GET", method, query=urlencode(params))).json

    async def batch(self, *elements: Any) -> Any:
        return await self.post("batchorder", json=json.dumps({"batchOrder": elements}))

    async def signed(self, verb: str, method: str, *, body: bytes = b"", query: str = "", nonce: str = "") -> Answer:
        path = f"/api/v3/{method}"
        headers = {
            "APIKey": self.key,
            "Authent": authent(self.secret, query.encode() + body, nonce, path),
            "Content-Type": "application/x-www-form-urlencoded",
        } | ({"Nonce": nonce} if nonce else {})
        target = f"/derivatives{path}" + (f"?{query}" if query else "")
        return await self.request(verb, target, body=body, headers=headers)


def prime_headers(key: str, secret: str, timestamp: str, host: str, path: str = "/ws/v1") -> dict[str, str]:
    """The signed headers of a Prime upgrade request."""
    signed = "\n".join(["GET", timestamp, host, path])
    signature = base64.urlsafe_b64encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())
    return {"ApiKey": key, "ApiSign": signature.decode(), "ApiTimestamp": timestamp}


def micros(unix_s: float) -> str:
    """The form Prime writes every time in."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class WebSocket:
    """One WebSocket connection; messages are JSON values."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._ws = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._messages: list[Any] = []
        self._partial = ""

    @classmethod
    async def dial(
        cls,
        venue: SimulatedKraken,
        nursery: trio.Nursery,
        path: str = "/",
        *,
        greeted: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Connect and, unless told not to, take the greeting."""
        ours, theirs = memory_stream_pair()
        nursery.start_soon(venue.serve_stream, theirs)
        caller = cls(ours)
        await caller.open(path, headers=headers)
        if greeted:
            await caller.get()
        return caller

    async def open(self, path: str, *, headers: Mapping[str, str] | None = None, host: str = WS_HOST) -> None:
        extra = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        await self.stream.send_all(self._ws.send(Request(host=host, target=path, extra_headers=extra)))
        with trio.fail_after(ANSWER_S):
            while True:
                for event in self._ws.events():
                    match event:
                        case AcceptConnection():
                            return
                        case RejectConnection(status_code=status):
                            raise Gone(status)
                await self._feed()

    async def put(self, message: Any) -> None:
        """Send one message: text as it is, anything else as JSON."""
        text = message if isinstance(message, str) else json.dumps(message)
        await self.stream.send_all(self._ws.send(TextMessage(data=text)))

    async def put_together(self, messages: Sequence[Any]) -> None:
        """Send several messages in one write."""
        sent = [self._ws.send(TextMessage(data=json.dumps(message))) for message in messages]
        await self.stream.send_all(b"".join(sent))

    async def get(self, *, within_s: float = ANSWER_S, heartbeats: bool = False) -> Any:
        """The next message, heartbeats skipped unless asked for. Raises Gone, or trio.TooSlowError."""
        with trio.fail_after(within_s):
            while True:
                if self._messages:
                    message = self._messages.pop(0)
                    if heartbeats or not _is_heartbeat(message):
                        return message
                    continue
                for event in self._ws.events():
                    match event:
                        case TextMessage(data=text, message_finished=finished):
                            self._partial += text
                            if finished:
                                self._messages.append(_decoded(self._partial))
                                self._partial = ""
                        case CloseConnection(code=code):
                            raise Gone(int(code))
                if not self._messages:
                    await self._feed()

    async def ask(self, message: Any) -> Any:
        """Send one message and take the next that comes."""
        await self.put(message)
        return await self.get()

    async def silence(self, for_s: float) -> None:
        """Fails when anything but a heartbeat arrives within so long."""
        try:
            message = await self.get(within_s=for_s)
        except trio.TooSlowError:
            return
        raise AssertionError(f"expected silence, got {message}")

    async def close(self) -> None:
        """Begin the closing handshake; the exchange's answer comes out of `get` as Gone."""
        await self.stream.send_all(self._ws.send(CloseConnection(code=1000)))

    async def hang_up(self) -> None:
        """Vanish without a word."""
        await trio.aclose_forcefully(self.stream)

    async def _feed(self) -> None:
        try:
            received = bytes(await self.stream.receive_some(65536))
        except trio.BrokenResourceError as broken:
            raise Gone from broken
        if not received:
            raise Gone
        self._ws.receive_data(received)


def _is_heartbeat(message: Any) -> bool:
    return bool(message in ({"event": "heartbeat"}, {"channel": "heartbeat"}))


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
