"""What can go wrong in the world, each under the row of the fault catalogue that it belongs to.

A trouble begins in one step and tells how long it will be felt. What is not listed in `ROWS` needs a real machine or a
whole day.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from canceld.contract.ids import Venue
from canceld.transport.signals import Signal
from tests.scenarios.world import FEED_HOST, FUTURES_HOST, PRIME_HOST, REST_HOST, UWS_HOST, WS_HOST

from .world import SimulatedWorld

ROWS: Final[dict[int, str]] = {
    1: "half-open connection",
    2: "silent stall",
    3: "one-way stall",
    4: "stall during connect and handshakes",
    5: "stall during close",
    6: "slow ack",
    7: "ack lost before or after its effect",
    8: "acks twice, shuffled, foreign, before their event",
    9: "frames in many segments",
    10: "fragmented message with a ping inside",
    11: "ping and pong floods",
    13: "garbage, bad UTF-8, oversize",
    14: "reset, end of stream without a close frame",
    15: "close codes",
    16: "HTTP errors, HTML, redirects, cut answers",
    17: "strange JSON and unknown errors",
    18: "no address for the name",
    20: "connection refused, black hole",
    21: "reconnect storm, upgrade refused",
    22: "token expired, revoked, refused, not to be had",
    23: "nonce refused, key locked out",
    24: "rate limits",
    25: "maintenance and other market modes",
    26: "wall clock steps",
    27: "suspend",
    28: "nothing runs for seconds",
    30: "disk full, failing, slow, hanging",
    31: "state file damaged",
    32: "killed at any await",
    34: "clients that flood, go, never read, send junk",
    35: "second daemon",
    36: "stop and restart with commands pending",
    37: "the venue's clock is wrong",
}
"""Rows that the simulation reaches."""

ELSEWHERE: Final[dict[int, tuple[str, str]]] = {
    12: ("the reader's consumer is slow", "tests/transport/test_websocket.py"),
    19: ("an IPv6 that is a black hole", "tests/hurt/test_names.py"),
    29: ("no descriptor left", "tests/hurt/test_out_of_descriptors.py"),
    33: ("the log's pipe is not read", "tests/hurt/test_blocked_log.py"),
    38: ("memory grows over a day", "tests/simulation/day.py"),
}
"""The other rows, and where they are tested."""

LASTING: Final = 0.5
"""Seconds for which a trouble that strikes once counts as felt."""

EVENTS_DELAYED_S: Final = 2.5

WS_ROUTES: Final[dict[Venue, tuple[str, ...]]] = {
    "spot": ("spot_ws", "spot_ws_v2"),
    "prime": ("prime_ws",),
    "futures": ("futures_feed", "unified_ws"),
}
WS_HOSTS: Final[dict[Venue, tuple[str, ...]]] = {
    "spot": (WS_HOST,),
    "prime": (PRIME_HOST,),
    "futures": (FEED_HOST, UWS_HOST),
}
REST_HOSTS: Final[dict[Venue, str]] = {"spot": REST_HOST, "futures": FUTURES_HOST}
REST_ROUTES: Final[dict[Venue, str]] = {"spot": "spot_rest", "futures": "futures_rest"}

SPOT_ERRORS: Final = (
    "EService:Busy",
    "EService:Unavailable",
    "Exceeded msg rate",
    "EGeneral:Permission denied",
    "EGeneral:Invalid arguments:txid",
    "EGeneral:Internal error",
    "a text that nobody has seen before",
    "",
)
FUTURES_ERRORS: Final = ("Server Error", "Unavailable", "marketUnavailable", "a text that nobody has seen before")

STRANGE: Final = (
    '{"event":',
    "[" * 200_000,
    '{"event":"heartbeat","n":1e400}',
    '{"event":"cancelOrderStatus","reqid":1,"reqid":2,"status":"ok"}',
    '{"event":"cancelOrderStatus","reqid":true,"status":"ok"}',
    '{"event":"cancelOrderStatus","reqid":1.0,"status":"ok"}',
    "null",
    "[]",
    '[[],"openOrders",{"sequence":"x"}]',
    '{"method":"cancel_order","req_id":null,"success":"yes","result":[]}',
    '{"type":"ExecutionReport","data":[{"OrderID":7}]}',
    '{"feed":"open_orders","is_cancel":1}',
)
FLOOD: Final = 150
"""Pings or pongs at once: more than come in an hour. With two thousand, every third frame of all seeds was one."""

RAW: Final = {
    10: (
        # A heartbeat in two fragments, with a ping between them.
        (b'\x01\x09{"event":' + b"\x89\x00" + b'\x80\x0c"heartbeat"}').hex(),
    ),
    11: ((b"\x89\x00" * FLOOD).hex(), (b"\x8a\x00" * FLOOD).hex(), (b"\x89\x04ping" * FLOOD).hex()),
    13: (b"\x81\x02\xff\xfe".hex(), b"\xff\xff\xff\xff".hex(), b"\x83\x00".hex(), b"HTTP/1.1 200 OK\r\n\r\n".hex()),
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """begin: makes it happen to a venue; gives how many seconds it is felt. venues: whom it can happen to."""

    name: str
    row: int
    begin: Callable[[SimulatedWorld, random.Random, Venue], float]
    venues: tuple[Venue, ...] = ("spot", "prime", "futures")


TROUBLES: Final[list[Trouble]] = []


def _trouble(
    row: int, *venues: Venue
) -> Callable[[Callable[[SimulatedWorld, random.Random, Venue], float]], Callable[..., float]]:
    def list_it(begin: Callable[[SimulatedWorld, random.Random, Venue], float]) -> Callable[..., float]:
        name = begin.__name__.strip("_").replace("_", " ")
        TROUBLES.append(Trouble(name, row, begin, venues or ("spot", "prime", "futures")))
        return begin

    return list_it


def _while(rng: random.Random, longest_s: float = 3.0) -> float:
    return rng.uniform(0.1, longest_s)


def _cancels(world: SimulatedWorld, rng: random.Random, venue: Venue) -> dict[str, Any]:
    """A fault's members that aim it at the acks of single cancels over a WebSocket."""
    match venue:
        case "spot" if world.plan.settings.spot.protocol == "v1":
            return {"route": "spot_ws", "match": "cancelOrder"}
        case "spot":
            return {"route": "spot_ws_v2", "match": "cancel_order"}
        case "prime":
            return {"route": "prime_ws", "match": "OrderCancelRequest"}
    return {"route": "unified_ws", "match": "cancel_order"}


def _inject(world: SimulatedWorld, kind: str, members: Mapping[str, Any]) -> None:
    world.exchange.faults.inject({"kind": kind, **members})


def _on_acks(world: SimulatedWorld, rng: random.Random, venue: Venue, kind: str, **members: Any) -> float:
    lasts_s = _while(rng)
    aimed = _cancels(world, rng, venue)
    _inject(world, kind, {**aimed, "fraction": rng.uniform(0.2, 1.0), "for_s": lasts_s, **members})
    return lasts_s


def _on_rest(world: SimulatedWorld, rng: random.Random, venue: Venue, kind: str, **members: Any) -> float:
    lasts_s = _while(rng)
    _inject(world, kind, {"route": REST_ROUTES[venue], "fraction": rng.uniform(0.2, 1.0), "for_s": lasts_s, **members})
    return lasts_s


def _effect(rng: random.Random) -> str:
    return rng.choice(("before", "after"))


def _socket(world: SimulatedWorld, rng: random.Random, venue: Venue) -> dict[str, Any]:
    """One live WebSocket of a venue, or all of them."""
    live = [number for number, session in world.exchange.sessions.items() if session.route in WS_ROUTES[venue]]
    if not live or rng.random() < 0.3:
        return {"route": rng.choice(WS_ROUTES[venue])}
    return {"session": rng.choice(sorted(live))}


# ---------------------------------------------------------------- the line


@_trouble(1)
def _half_open(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    lasts_s = _while(rng, 7.0)
    _inject(world, "half_open", {**_socket(world, rng, venue), "both": rng.random() < 0.5, "for_s": lasts_s})
    return lasts_s


@_trouble(2)
def _silent_stall(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    return _stall(world, rng, venue, there=True, back=True)


@_trouble(3)
def _one_way_stall(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    there = rng.random() < 0.5
    return _stall(world, rng, venue, there=there, back=not there)


def _stall(world: SimulatedWorld, rng: random.Random, venue: Venue, *, there: bool, back: bool) -> float:
    lasts_s = _while(rng, 6.0)
    hosts = [rng.choice(world.hosts(venue))]
    world.stall(hosts, there=there, back=back, new=rng.random() < 0.5)
    world.courier.carry(lasts_s, lambda: world.mend(hosts))
    return lasts_s


@_trouble(4)
def _stall_while_connecting(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    lasts_s = _while(rng)
    kind = rng.choice(("stall_accept", "stall_tls", "stall_handshake", "stall_subscribe"))
    _inject(world, kind, {"for_s": lasts_s})
    _inject(world, "reset_sockets", _socket(world, rng, venue))
    return lasts_s


@_trouble(5)
def _stall_then_close(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    lasts_s = _while(rng)
    hosts = WS_HOSTS[venue]
    _inject(world, "close_code", {"code": 1001, **_socket(world, rng, venue)})
    # The close frame is under way or read; whatever the daemon says to it is never heard.
    world.stall(hosts, there=True, back=rng.random() < 0.5, new=False)
    world.courier.carry(lasts_s, lambda: world.mend(hosts))
    return lasts_s


@_trouble(10)
def _ping_inside_fragments(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    _inject(world, "garbage_frame", {**_socket(world, rng, venue), "raw_hex": rng.choice(RAW[10])})
    return LASTING


@_trouble(11)
def _ping_flood(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    _inject(world, "garbage_frame", {**_socket(world, rng, venue), "raw_hex": rng.choice(RAW[11])})
    return LASTING


@_trouble(13)
def _garbage(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    if rng.random() < 0.1:
        _inject(world, "oversize_frame", {**_socket(world, rng, venue), "size": 2 * 1024 * 1024})
    else:
        _inject(world, "garbage_frame", {**_socket(world, rng, venue), "raw_hex": rng.choice(RAW[13])})
    return LASTING


@_trouble(14)
def _reset(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    members = _cancels(world, rng, venue) if rng.random() < 0.4 else {}
    if members:
        _inject(world, "reset_sockets", {**members, "times": 1, "effect": _effect(rng)})
    else:
        _inject(world, "reset_sockets", _socket(world, rng, venue))
    return LASTING


@_trouble(14)
def _end_of_stream(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    hosts = world.hosts(venue)
    lines = [line for line in world.lines if line.host in hosts]
    if lines:
        rng.choice(lines).end()
    return LASTING


@_trouble(14)
def _lines_break(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    for line in list(world.lines):
        if line.host in world.hosts(venue) and rng.random() < 0.6:
            line.reset()
    return LASTING


@_trouble(15)
def _close_code(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    code = rng.choice((1000, 1001, 1011, 1012, 1013, 4000, 4123) if world.must_heal else (1000, 1008, 1012, 1013))
    _inject(world, "close_code", {**_socket(world, rng, venue), "code": code})
    return LASTING


@_trouble(18)
def _no_name(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    return _cut_off(world, rng, venue, "no name")


@_trouble(20)
def _refused(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    if rng.random() < 0.3:
        lasts_s = _while(rng)
        _inject(world, "refuse_connections", {"for_s": lasts_s})
        return lasts_s
    return _cut_off(world, rng, venue, "refused")


@_trouble(20)
def _black_hole(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    return _cut_off(world, rng, venue, "black hole")


def _cut_off(world: SimulatedWorld, rng: random.Random, venue: Venue, how: str) -> float:
    lasts_s = _while(rng, 4.0)
    hosts = world.hosts(venue)
    cut = hosts if rng.random() < 0.3 else [rng.choice(hosts)]
    world.cut_off(cut, how)
    world.courier.carry(lasts_s, lambda: world.mend(cut))
    return lasts_s


@_trouble(21)
def _reconnect_storm(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    route = rng.choice(WS_ROUTES[venue])
    for n in range(5):
        world.courier.carry(0.3 * n, lambda: _inject(world, "reset_sockets", {"route": route}))
    return 1.5


@_trouble(21)
def _upgrade_refused(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    lasts_s = _while(rng)
    status = rng.choice((500, 502, 503, 520) if world.must_heal else (401, 403, 429, 500, 503))
    _inject(world, "refuse_upgrade", {"route": rng.choice(WS_ROUTES[venue]), "status": status, "for_s": lasts_s})
    _inject(world, "reset_sockets", _socket(world, rng, venue))
    return lasts_s


# ---------------------------------------------------------------- one WebSocket request


@_trouble(6)
def _slow_acks(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    kind = rng.choice(("delay", "delay_request", "delay_events"))
    members: dict[str, Any] = {"seconds": rng.uniform(0.0, EVENTS_DELAYED_S)}
    if kind == "delay":
        members["jitter_s"] = rng.uniform(0.0, 2.0)
    if kind == "delay_events":
        lasts_s = _while(rng)
        _inject(world, kind, {**members, "route": rng.choice(WS_ROUTES[venue]), "for_s": lasts_s})
        return lasts_s
    return _on_acks(world, rng, venue, kind, **members)


@_trouble(7)
def _ack_lost(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    return _on_acks(world, rng, venue, f"swallow_ack_{_effect(rng)}_effect")


@_trouble(7)
def _event_lost(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    lasts_s = _while(rng)
    route = rng.choice(WS_ROUTES[venue])
    _inject(world, "drop_event", {"route": route, "fraction": rng.uniform(0.1, 1.0), "for_s": lasts_s})
    return lasts_s


@_trouble(8)
def _acks_in_disorder(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    kind = rng.choice(("duplicate_ack", "shuffle_acks", "event_before_ack"))
    return _on_acks(world, rng, venue, kind)


@_trouble(8, "spot", "futures")
def _foreign_ack(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    return _on_acks(world, rng, venue, "stale_reqid", reqid=rng.randrange(1, 99), instead=rng.random() < 0.5)


@_trouble(8)
def _gap_in_sequence(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    _inject(world, "sequence_gap", {"route": rng.choice(WS_ROUTES[venue]), "times": 1})
    return LASTING


@_trouble(17)
def _strange_frame(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    _inject(world, "garbage_frame", {**_socket(world, rng, venue), "text": rng.choice(STRANGE)})
    return LASTING


@_trouble(17, "spot")
def _unlisted_error(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    return _on_acks(world, rng, venue, "ack_error", error=rng.choice(SPOT_ERRORS))


@_trouble(17)
def _not_matched(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    errors = SPOT_ERRORS if venue == "spot" else FUTURES_ERRORS
    return _on_acks(world, rng, venue, "unmatched", error=rng.choice(errors), named=rng.random() < 0.7)


@_trouble(17)
def _refusal_of_nobodys(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    _inject(world, "stray_refusal", {**_socket(world, rng, venue), "error": rng.choice(SPOT_ERRORS)})
    return LASTING


@_trouble(24)
def _rate_notice(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    error = rng.choice(("Exceeded msg rate", "Rate limit exceeded"))
    _inject(world, "rate_notice", {**_socket(world, rng, venue), "error": error})
    return LASTING


@_trouble(24, "spot")
def _rate_limit(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    error = rng.choice(("EOrder:Rate limit exceeded", "EAPI:Rate limit exceeded", "Exceeded msg rate"))
    if rng.random() < 0.4:
        return _on_rest(world, rng, venue, "rest_error", error=error)
    return _on_acks(world, rng, venue, "ack_error", error=error)


@_trouble(24, "futures")
def _points_spent(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    return _on_rest(world, rng, venue, "rest_error", error="apiLimitExceeded")


@_trouble(7, "prime")
def _cancel_lingers(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    seconds = rng.choice((0.05, 0.5, 2.0))
    fill = rng.choice((None, "0.25", "all"))
    return _on_acks(world, rng, venue, "linger", seconds=seconds, **({} if fill is None else {"fill": fill}))


@_trouble(7, "prime")
def _list_in_parts(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    lasts_s = _while(rng)
    if rng.random() < 0.3:
        _inject(world, "empty_initial", {"route": "prime_ws", "for_s": lasts_s})
    else:
        _inject(world, "split_snapshot", {"route": "prime_ws", "rows": rng.choice((1, 3)), "for_s": lasts_s})
    return lasts_s


@_trouble(17, "prime")
def _cancel_rejected(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    return _on_acks(
        world, rng, venue, "cancel_rejected", bears=rng.choice(("cancel", "order")), nameless=rng.random() < 0.3
    )


# ---------------------------------------------------------------- REST


@_trouble(16, "spot", "futures")
def _http_error(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    kind = rng.choice(("rest_status", "rest_status", "rest_html_200", "rest_redirect", "rest_truncate"))
    members: dict[str, Any] = {}
    if kind == "rest_status":
        statuses = (404, 500, 502, 503, 504, 520, 524) if world.must_heal else (401, 403, 429, 500, 502)
        status = rng.choice(statuses)
        # What is turned away at the door was not carried out.
        members = {"status": status, "effect": "before" if status in (401, 403, 404, 429) else _effect(rng)}
        if rng.random() < 0.3:
            members["body"] = rng.choice(("", "{}", '{"error":["EService:Unavailable"]}', "<html>"))
    elif kind == "rest_html_200":
        members = {"effect": _effect(rng)}
    return _on_rest(world, rng, venue, kind, **members)


@_trouble(14, "spot", "futures")
def _rest_reset(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    return _on_rest(world, rng, venue, "rest_close_before_answer", effect=_effect(rng))


@_trouble(6, "spot", "futures")
def _rest_slow(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    return _on_rest(world, rng, venue, "rest_delay", seconds=rng.uniform(0.1, 4.0), request=rng.random() < 0.5)


@_trouble(17, "spot", "futures")
def _rest_error(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    if venue == "spot":
        return _on_rest(world, rng, venue, "rest_error", error=rng.choice(SPOT_ERRORS))
    form = rng.choice(("plain", "list", "code", "sentence", "framework"))
    return _on_rest(world, rng, venue, "rest_error", error=rng.choice(FUTURES_ERRORS), form=form)


@_trouble(7, "spot", "futures")
def _batch_cut(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    if venue == "futures":
        return _on_rest(world, rng, venue, "batch_missing", count=rng.choice((1, 2)))
    return _on_rest(world, rng, venue, "batch_partial", keep=rng.choice((1, 2)))


@_trouble(23, "spot")
def _nonce_refused(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    few = {"times": 3} if world.must_heal else {}
    return _on_rest(world, rng, venue, "rest_error", error="EAPI:Invalid nonce", **few)


@_trouble(23, "spot")
def _locked_out(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    if world.must_heal:
        return 0.0
    return _on_rest(world, rng, venue, "rest_error", error="EGeneral:Temporary lockout", times=1)


# ---------------------------------------------------------------- tokens, market


@_trouble(22, "spot", "futures")
def _tokens_revoked(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    _inject(world, "invalid_session", {})
    return LASTING


@_trouble(22, "spot")
def _token_refused(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    return _on_acks(world, rng, venue, "token_error")


@_trouble(22, "spot")
def _no_token_to_be_had(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    return _on_rest(world, rng, venue, "rest_error", error="EService:Unavailable", match="GetWebSocketsToken")


@_trouble(25, "spot", "futures")
def _maintenance(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    route = WS_ROUTES[venue][0]
    if rng.random() < 0.5:
        lasts_s, cancel_only_s = rng.uniform(0.5, 3.0), rng.choice((0.0, 0.5))
        _inject(world, "maintenance", {"route": route, "for_s": lasts_s, "cancel_only_s": cancel_only_s})
        return lasts_s + cancel_only_s
    lasts_s = _while(rng)
    _inject(world, "market_status", {"route": route, "mode": rng.choice(("cancel_only", "post_only", "limit_only"))})
    world.courier.carry(lasts_s, lambda: _inject(world, "market_status", {"route": route, "mode": "online"}))
    return lasts_s


# ---------------------------------------------------------------- this machine


@_trouble(26)
def _wall_clock_steps(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    # Prime judges the time in a signature, and Spot a nonce that is an hour ahead and then forgotten: until people see
    # to it, or the hour is over, neither takes anything.
    steps_s = (-2, 2) if world.must_heal else (-3_600, -2, 2, 3_600)
    step_ns = rng.choice(steps_s) * 1_000_000_000
    lasts_s = _while(rng)
    world.clock.step_utc(step_ns)
    world.courier.carry(lasts_s, lambda: world.clock.step_utc(-step_ns))
    return lasts_s


@_trouble(27)
def _suspended(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    slept_ns = rng.choice((2, 600)) * 1_000_000_000
    world.clock.suspend(slept_ns)
    # The venue went on meanwhile: the wall clock is right, and every connection has gone.
    world.clock.step_utc(-slept_ns)
    for line in list(world.lines):
        line.reset()
    return LASTING


@_trouble(28)
def _stopped_for_seconds(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    seconds = rng.choice((0.3, 2.0, 10.0))
    world.pause(seconds)
    return LASTING


@_trouble(30)
def _disk_fails(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    lasts_s = _while(rng)
    disk = world.disk.faults
    match rng.randrange(4):
        case 0:
            disk.detail = "Input/output error"
        case 1:
            disk.hangs = True
        case 2:
            disk.sync_s = rng.uniform(0.05, 1.5)
        case _:
            disk.room_bytes = rng.randrange(2000)

    def mend() -> None:
        faults = world.disk.faults
        faults.detail, faults.hangs, faults.sync_s, faults.room_bytes = None, False, 0.0, None

    world.courier.carry(lasts_s, mend)
    return lasts_s


@_trouble(32)
def _killed(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    steps, power_lost, down_s = rng.randrange(1, 400), rng.random() < 0.5, rng.choice((0.01, 0.05, 1.0))
    if world.may_die():
        world.after_steps(steps, lambda: world.crash(power_lost=power_lost, down_s=down_s))
    return LASTING


@_trouble(31)
def _state_damaged(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    if not world.may_die():
        return 0.0
    name = rng.choice(("nonce-spot", "latch", "journal"))
    how = rng.choice(("empty", "garbage", "cut"))
    world.crash(power_lost=rng.random() < 0.5, down_s=0.05)
    world.damage(name, how)
    return LASTING


@_trouble(36)
def _restarted(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    if world.may_die():
        world.terminate(rng.choice((0.01, 0.5)))
    return LASTING


@_trouble(35)
def _second_daemon(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    world.second_daemon()
    return LASTING


@_trouble(36)
def _other_signal(world: SimulatedWorld, rng: random.Random, venue: Venue) -> float:
    if world.life is not None and not world.life.dead:
        world.life.signals.raise_now(Signal.HANGUP)
    return LASTING
