"""At level debug, through every failure that can be had: nothing the daemon says, writes or shows holds a secret."""

import base64
import contextlib
import json
import signal
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, canceld, until

PATIENCE_S = 8.0
FORGED_SECRET = "Zm9yZ2Vk" * 10 + "Zm9yZ2U="
"""Base64 of 64 bytes and then some: refused by length, so it must show up in no complaint either."""

MISFORTUNES: tuple[dict[str, Any], ...] = (
    {"kind": "garbage_frame"},
    {"kind": "garbage_frame", "raw_hex": "ff00ff00ff00"},
    {"kind": "close_code", "code": 1012},
    {"kind": "reset_sockets"},
    {"kind": "oversize_frame"},
)
REFUSALS: tuple[dict[str, Any], ...] = (
    {"kind": "invalid_session"},
    {"kind": "token_error", "times": 3},
    {"kind": "ack_error", "error": "EGeneral:Internal error", "times": 3},
    {"kind": "rest_error", "error": "EAPI:Invalid nonce", "times": 2},
    {"kind": "rest_status", "status": 520, "times": 2},
    {"kind": "rest_html_200", "times": 2},
    {"kind": "rest_redirect", "times": 2},
    {"kind": "rest_truncate", "times": 2},
    {"kind": "rest_close_before_answer", "times": 2},
)
# After these the venue is left alone for a while, so they come last.
TURNED_AWAY = {"kind": "close_code", "code": 1008, "reason": "policy"}
REFUSED_KEY = {"kind": "rest_error", "error": "EAPI:Invalid key", "times": 1}


def spellings(secret: str) -> Iterator[bytes]:
    """A secret as it might turn up: as it is, decoded, re-encoded, in hex, percent-encoded."""
    raws = [secret.encode()]
    with contextlib.suppress(ValueError):
        # Tokens come without padding; a decoder of ours would not mind.
        raws.append(base64.b64decode(secret + "=" * (-len(secret) % 4), validate=True))
    for raw in raws:
        yield raw
        for text in (
            base64.b64encode(raw).decode().rstrip("="),
            base64.urlsafe_b64encode(raw).decode().rstrip("="),
            raw.hex(),
            raw.hex().upper(),
        ):
            yield text.encode()
            yield urllib.parse.quote(text, safe="").encode()
        yield urllib.parse.quote_from_bytes(raw, safe="").encode()
        yield urllib.parse.quote_from_bytes(raw, safe="").lower().encode()
        yield json.dumps(raw.decode("latin-1"))[1:-1].encode()
        yield repr(raw)[2:-1].encode()


def found_in(haystack: bytes, secrets: list[str]) -> list[int]:
    """Which of the secrets turn up: their places only, so that a failing test does not print one."""
    return [number for number, secret in enumerate(secrets) if any(form in haystack for form in spellings(secret))]


def live_through_failures(exchange: Exchange, service: Service, dealer: Dealer) -> list[bytes]:
    """Everything that can be refused, lost or misread; gives the status replies seen on the way."""
    seen: list[bytes] = []
    for fault in (*MISFORTUNES, *REFUSALS, REFUSED_KEY):
        service.await_up(PATIENCE_S)
        order_ids = exchange.place(3)
        if fault["kind"].startswith("rest"):
            # So that REST is needed: the sockets say nothing to cancels.
            exchange.inject({"kind": "swallow_ack_before_effect", "match": "cancelOrder", "times": 6})
        exchange.inject(fault)
        dealer.hear_all([dealer.cancel(one, deadline_ms=400) for one in order_ids], PATIENCE_S)
        seen.append(json.dumps(service.status(detail=True)).encode())
    # Commands that are none; what they held is no secret of ours, but the refusal quotes them.
    for payload in (b"{", b"\x81", b'{"type":"cancel","id":1,"token":"x"}'):
        dealer.socket.send(payload)
        seen += dealer.receive(PATIENCE_S)
    exchange.clear()
    return seen


def test_no_secret_is_in_anything_that_can_be_read(
    home: Path, exchange: Exchange, start: Callable[..., Service]
) -> None:
    service = start(log={"level": "debug"}, spot={"hedge_after_ms": 100})
    credentials = exchange.told["credentials"]["spot"]
    with service.listen(exchange) as subscriber, Dealer(service.commands) as dealer:
        read = live_through_failures(exchange, service, dealer)
        read += reload_bad_keys(exchange, service)
        exchange.inject(TURNED_AWAY)
        until(lambda: service.sessions()["spot-0"] == "down", PATIENCE_S, "the venue turns it away")
        read.append(json.dumps(service.status(detail=True)).encode())
        for arguments in (("status", "--detail", "--json"), ("check", "--json"), ("check",)):
            ended = canceld(*arguments, "--config", str(service.config))
            assert ended.stderr == ""
            read += [ended.stdout.encode()]
        process = Path("/proc", str(service.program.pid))
        read += [(process / name).read_bytes() for name in ("environ", "cmdline", "comm")]
        while subscriber.take():
            pass
    service.program.process.terminate()
    assert service.program.wait() == 0
    read += subscriber.raw
    read += [file.read_bytes() for file in (*service.state.rglob("*"), service.config) if file.is_file()]
    read += [service.program.out_file.read_bytes(), service.program.err_file.read_bytes()]

    tokens = sorted(set(tokens_of(exchange)))
    secrets = [credentials["key"], credentials["secret"], *tokens, FORGED_SECRET]
    assert len(tokens) >= 3, "the run went through several tokens"
    # The search would find one: the exchange itself prints its keys, as it must.
    assert found_in(exchange.program.out_file.read_bytes(), secrets[:2]) == [0, 1]
    assert found_in(b"x" + base64.b64decode(credentials["secret"]).hex().encode(), secrets) == [1]
    assert sum(map(len, read)) > 10_000, "there was something to search"
    assert found_in(b"\0".join(read), secrets) == []


def reload_bad_keys(exchange: Exchange, service: Service) -> list[bytes]:
    """A secret that cannot be one, and then a key that the venue does not know."""
    directory = Path(exchange.told["credentials_dir"])
    right = {name: (directory / name).read_text() for name in ("spot.key", "spot.secret")}
    (directory / "spot.secret").write_text(FORGED_SECRET)
    service.program.signal(signal.SIGHUP)
    until(lambda: service.logged("reload refused, nothing changed"), PATIENCE_S, "it is refused")
    (directory / "spot.secret").write_text(base64.b64encode(b"\0" * 64).decode())
    service.program.signal(signal.SIGHUP)
    until(
        lambda: service.status()["venues"]["spot"]["rest"].get("why") == "EAPI:Invalid signature",
        PATIENCE_S,
        "the venue says no",
    )
    shown = [json.dumps(service.status(detail=True)).encode()]
    for name, value in right.items():
        (directory / name).write_text(value)
    service.program.signal(signal.SIGHUP)
    until(lambda: len(service.logged("reloaded")) == 2, PATIENCE_S, "it takes the right one back")
    return shown


def tokens_of(exchange: Exchange) -> Iterator[str]:
    """Every token that the venue was shown."""
    for one in exchange.log():
        body = one["body"]
        if one["route"] == "spot_ws" and isinstance(body, dict):
            for place in (body, body.get("subscription") or {}):
                if place.get("token"):
                    yield place["token"]


def test_its_memory_is_left_to_no_dump(service: Service) -> None:
    limits = Path(f"/proc/{service.program.pid}/limits").read_text().splitlines()
    [line] = [line for line in limits if "core file" in line]
    assert line.split()[-3:-1] == ["0", "0"]
