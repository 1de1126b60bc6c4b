"""The exchange as a process of its own: real TLS, real files, real signals."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio

from tests.sim.callers import Futures, Gone, Http, Rest, WebSocket, micros, prime_headers

STOP_S = 10


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "canceld.sim.process", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told_by(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()
    told: dict[str, Any] = json.loads(line)
    return told


@pytest.fixture
def running(tmp_path: Path) -> Iterator[dict[str, Any]]:
    process = start("--dir", str(tmp_path / "sim"))
    try:
        yield told_by(process)
    finally:
        process.terminate()
        process.communicate(timeout=STOP_S)


async def dial_tls(told: dict[str, Any]) -> trio.SSLStream[trio.SocketStream]:
    where = urlsplit(told["spot_rest_url"])
    assert where.hostname is not None
    assert where.port is not None
    context = ssl.create_default_context(cafile=told["ca_file"])
    return await trio.open_ssl_over_tcp_stream(where.hostname, where.port, ssl_context=context, https_compatible=True)


def signing(told: dict[str, Any], stream: trio.abc.Stream) -> Rest:
    rest = Rest(stream)
    rest.key, rest.secret = told["credentials"]["spot"]["key"], told["credentials"]["spot"]["secret"]
    return rest


async def test_rest_and_websocket_are_served_on_one_tls_port(running: dict[str, Any]) -> None:
    rest = signing(running, await dial_tls(running))
    added = await rest.private("AddOrder", ordertype="limit", type="buy", pair="XBTUSD", price="1", volume="1")
    [txid] = added["result"]["txid"]
    ws = WebSocket(await dial_tls(running))
    await ws.open("/")
    assert (await ws.get())["event"] == "systemStatus"
    ack = await ws.ask({"event": "cancelOrder", "token": await rest.token(), "txid": [txid]})
    assert ack == {"event": "cancelOrderStatus", "status": "ok"}
    assert (await rest.request("GET", "/sim/orders")).json == {"spot": [], "prime": [], "futures": []}


async def test_every_other_front_is_served_on_the_same_port(running: dict[str, Any]) -> None:
    futures = Futures(await dial_tls(running))
    futures.key, futures.secret = running["credentials"]["futures"].values()
    sent = await futures.post("sendorder", orderType="lmt", symbol="PF_XBTUSD", side="buy", size="1", limitPrice="1000")
    order_id = sent["sendStatus"]["order_id"]
    unified = WebSocket(await dial_tls(running))
    await unified.open(urlsplit(running["uws_url"]).path)
    await unified.get()
    token = await signing(running, await dial_tls(running)).token()
    cancel = {"asset_class": "derivatives", "order_id": [order_id], "token": token}
    assert (await unified.ask({"method": "cancel_order", "params": cancel}))["result"] == {"order_id": order_id}
    assert (await futures.get("openorders"))["openOrders"] == []
    where = urlsplit(running["prime_ws_url"])
    prime = WebSocket(await dial_tls(running))
    key, secret = running["credentials"]["prime"].values()
    signed = prime_headers(key, secret, micros(time.time()), "127.0.0.1", where.path)
    await prime.open(where.path, headers=signed, host=where.netloc)
    assert (await prime.get())["type"] == "hello"


async def test_a_reset_reaches_the_peer_as_a_reset(running: dict[str, Any]) -> None:
    control = Http(await dial_tls(running))
    tls = await dial_tls(running)
    ws = WebSocket(tls)
    await ws.open("/")
    await ws.get()
    await control.control("POST", "/sim/faults", {"kind": "reset_sockets"})
    with pytest.raises(Gone):
        await ws.get()
    with pytest.raises(trio.BrokenResourceError) as broken:
        await tls.transport_stream.send_all(b"x")
    assert isinstance(broken.value.__cause__, OSError)


async def test_a_tls_handshake_is_left_unanswered(running: dict[str, Any]) -> None:
    control = Http(await dial_tls(running))
    await control.control("POST", "/sim/faults", {"kind": "stall_tls", "times": 1})
    tls = await dial_tls(running)
    with pytest.raises(trio.TooSlowError), trio.fail_after(0.5):
        await tls.do_handshake()
    await (await dial_tls(running)).do_handshake()


async def test_a_refused_connection_is_reset_before_tls(running: dict[str, Any]) -> None:
    control = Http(await dial_tls(running))
    await control.control("POST", "/sim/faults", {"kind": "refuse_connections", "times": 1})
    # On a quick machine the reset overtakes the very answer to the dial.
    with pytest.raises((trio.BrokenResourceError, OSError)):
        await (await dial_tls(running)).do_handshake()


def test_the_line_names_every_place_and_the_files_are_private(running: dict[str, Any]) -> None:
    assert set(running) == {
        "spot_rest_url",
        "spot_ws_url",
        "spot_ws_v2_url",
        "prime_ws_url",
        "futures_rest_url",
        "futures_ws_url",
        "uws_url",
        "control_url",
        "ca_file",
        "credentials_dir",
        "credentials",
    }
    directory = Path(running["credentials_dir"])
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for venue, pair in running["credentials"].items():
        for part in ("key", "secret"):
            file = directory / f"{venue}.{part}"
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert file.read_text() == pair[part]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_its_own_directory_goes(number: signal.Signals) -> None:
    process = start()
    home = Path(told_by(process)["ca_file"]).parent
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    process.send_signal(number)
    _, complaints = process.communicate(timeout=STOP_S)
    assert (process.returncode, complaints) == (0, "")
    assert not home.exists()


def test_a_busy_port_is_one_line_and_status_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start("--port", str(port))
        output, complaints = process.communicate(timeout=STOP_S)
    assert (process.returncode, output) == (2, "")
    assert complaints == f"canceld sim: port {port} is in use\n"


async def test_a_later_run_in_the_same_directory_has_the_same_authority_and_keys(tmp_path: Path) -> None:
    """A strategy that is tried against the simulator needs no new trust and no new keys when that is started again."""
    told = []
    for damage in ((), (), ("credentials/spot.key", "ca.key")):
        for name in damage:
            (tmp_path / "sim" / name).write_bytes(b"\xff")
        process = start("--dir", str(tmp_path / "sim"))
        try:
            told.append((told_by(process), (tmp_path / "sim" / "ca.pem").read_bytes()))
            rest = signing(told[-1][0], await dial_tls(told[-1][0]))
            assert (await rest.private("OpenOrders"))["error"] == []
        finally:
            process.terminate()
            process.communicate(timeout=STOP_S)
    (first, ca), (second, same_ca), (third, new_ca) = told
    assert first["credentials"] == second["credentials"]
    assert ca == same_ca != new_ca
    assert first["credentials"]["prime"] == third["credentials"]["prime"]
    assert first["credentials"]["spot"] != third["credentials"]["spot"]
    assert (tmp_path / "sim" / "ca.key").stat().st_mode & 0o777 == 0o600
