"""The straight line leaves nothing behind that the long way would not: both are driven with the same histories."""

import enum
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canceld.contract.ids import Venue
from canceld.credentials import Secret
from canceld.engine.backoff import ConnectBudget
from canceld.engine.budget import Budget, PointBudget
from canceld.engine.inflight import Reqids
from canceld.engine.instants import MS
from canceld.engine.intents import SLOT_BYTES, Intents
from canceld.engine.policy import Policy
from canceld.engine.pursuits.front import Pursuits
from canceld.engine.pursuits.straight import Straight
from canceld.engine.resting import Resting
from canceld.engine.timer_right import RightToRenew
from canceld.engine.venue_clock import VenueClock
from canceld.settings import DRAIN_LIMIT, Address
from canceld.tasks.conversation import Parts
from canceld.tasks.dispatcher import Dispatcher
from canceld.tasks.events import Events
from canceld.tasks.gateway import Gateway
from canceld.tasks.killswitch import KillSwitch
from canceld.tasks.leasing import Leasing
from canceld.tasks.origins import Origins
from canceld.tasks.scoping import Scoping
from canceld.tasks.session import Session
from canceld.tasks.straight import PlainAcks, StraightLine
from canceld.tasks.telemetry import Histogram
from canceld.tasks.unified import UnifiedSession
from canceld.transport.clock import VirtualClock
from canceld.transport.entropy import SeededEntropy
from canceld.transport.memory.disk import MemoryDirectory
from canceld.transport.messages import Message, Peer, Sent
from canceld.transport.origins import nobody_knows
from canceld.transport.websocket import SessionEnded
from canceld.venue_table import TRAITS
from canceld.venues import spot_ws

HEDGE_NS: Final = 200 * MS
ORDERS: Final = ("OAAAAA-BBBBB-CCCCC1", "OAAAAA-BBBBB-CCCCC2", "OAAAAA-BBBBB-CCCCC3")
UUIDS: Final = ("f6f81c8f-4b3d-4d8e-a33a-000000000001", "f6f81c8f-4b3d-4d8e-a33a-000000000002")
SLOTS: Final = 400


class _Clock(VirtualClock):
    """Stands still but where it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.ns = 0

    def monotonic_ns(self) -> int:
        return 10**12 + self.ns

    def utc_ns(self) -> int:
        return 10**18 + self.ns


class _Router:
    """A command socket: what comes is put into it, what goes stays in it."""

    def __init__(self) -> None:
        self.inbox: deque[Message] = deque()
        self.sent: list[tuple[bytes, list[bytes]]] = []
        self.full = False
        self.rescues = 0

    def receive_nowait(self) -> Message | None:
        return self.inbox.popleft() if self.inbox else None

    def send_nowait(self, identity: bytes, frames: Sequence[bytes]) -> Sent:
        self.sent.append((identity, list(frames)))
        return Sent.FULL if self.full else Sent.OK

    def rouse(self) -> None:
        """Nobody waits."""


class _Publisher:
    """Everybody listens to everything."""

    dropped = 0

    def __init__(self) -> None:
        self.told: list[tuple[bytes, bytes]] = []

    def wants(self, topic: bytes) -> bool:
        return True

    def publish_nowait(self, topic: bytes, body: bytes) -> None:
        self.told.append((topic, body))


class _Socket:
    """A session's socket; the write that it is told to die with may have left."""

    def __init__(self) -> None:
        self.writes: list[tuple[bytes, ...]] = []
        self.dies = False
        self.why: list[str] = []

    def send_now(self, payload: bytes) -> None:
        self.send_many_now((payload,))

    def send_many_now(self, payloads: Sequence[bytes]) -> None:
        self.writes.append(tuple(payloads))
        if self.dies:
            raise SessionEnded("connection lost: the peer is gone")

    def abandon(self, reason: str) -> None:
        self.why.append(reason)


class House:
    """A gateway, two venues and their sessions, without tasks: every step is a call."""

    def __init__(self, *, straight: bool) -> None:
        self.clock, self.publisher = _Clock(), _Publisher()
        self.notes: list[tuple[int, str, dict[str, Any]]] = []
        events = Events(self.publisher, self.clock, self._note)  # type: ignore[arg-type]
        reqids = Reqids(1)
        self.desks: dict[Venue, Dispatcher] = {}
        self.sessions: dict[Venue, list[Session]] = {}
        self.directory = MemoryDirectory("/state")
        for venue, count, budget in (("spot", 2, Budget()), ("futures", 1, PointBudget())):
            policy = Policy(
                hedge_ns=HEDGE_NS, overtake_ns=500 * MS, late_ns=1000 * MS, late_limit=64, **TRAITS[venue]
            )
            desk = Dispatcher(venue, Pursuits(venue, policy, reqids, Resting(16)), self.clock, events, budget)
            desk.straight.on = straight
            # An alarm that never rings: what it was set to is compared.
            desk._alarm = SimpleNamespace(deadline=0.0)  # type: ignore[assignment]
            desk._trio_time = lambda ns: ns / 1e9  # type: ignore[method-assign]
            self.desks[venue] = desk
            world = SimpleNamespace(clock=self.clock, entropy=SeededEntropy(1))
            parts = Parts(
                venue,
                Address(True, "nowhere", 443, "/"),
                world,  # type: ignore[arg-type]
                desk,
                events,
                ConnectBudget(),
                reqids,
                Histogram(),
                Histogram(),
                VenueClock(),
            )
            tokens = SimpleNamespace(refused=lambda token: None)
            self.sessions[venue] = [
                Session(parts, lane, spot_ws, tokens) if venue == "spot" else UnifiedSession(parts, lane, tokens)  # type: ignore[arg-type]
                for lane in range(count)
            ]
            for session in self.sessions[venue]:
                desk.attach(session.lane, session)
                desk.attach_line(session)
                session._token = Secret("token-" + 20 * "0")
                self.up(session)
                if isinstance(session, UnifiedSession):
                    desk.attach_bundler(session.lane, session.write_bundles)
        self.router = _Router()
        scoping = Scoping(self.desks, self.clock, {})
        kill = KillSwitch({}, self.directory, self.clock, SeededEntropy(1), events, scoping)
        self.memory = bytearray((1 + SLOTS) * SLOT_BYTES)
        self.gateway = Gateway(
            self.router,  # type: ignore[arg-type]
            _Router(),  # type: ignore[arg-type]
            self.desks,
            self.clock,
            events,
            lambda detail: {"state": "serving"},
            kill=kill,
            intents=Intents(self.memory),
            successor=SimpleNamespace(expects=False),  # type: ignore[arg-type]
            leasing=Leasing({}, self.directory, self.clock, events, kill, scoping),  # type: ignore[arg-type]
            scoping=scoping,
            origins=Origins(nobody_knows, events),
            timer_right=RightToRenew(shared=False),
            deadline_ms=1000,
        )
        self.wicket = self.gateway._wickets[0]
        self._rows = 0

    def _note(self, kind: str, /, **fields: Any) -> None:
        self.notes.append((self.clock.monotonic_ns(), kind, fields))

    # ---------------------------------------------------------------- what happens

    def up(self, session: Session) -> None:
        session._socket = _Socket()  # type: ignore[assignment]
        self.desks[session._parts.venue].session_up(session.lane)

    def ask(self, client: int, frames: list[bytes]) -> None:
        self.router.inbox.append(Message(b"\0client%d" % client, frames, Peer(1000, client)))

    def turn(self, *, burst: bool) -> None:
        self.wicket.burst = burst
        self.gateway._take_turns(self.wicket, DRAIN_LIMIT)
        self.gateway._perform()

    def hear(self, venue: Venue, lane: int, texts: list[str]) -> None:
        session = self.sessions[venue][lane]
        if session._socket is not None:
            session._take_in(session._socket, texts)

    def wait(self, ms: int) -> None:
        self.clock.ns += ms * MS
        for desk in self.desks.values():
            desk._pursuits.on_time(self.clock.monotonic_ns())
            desk.perform()

    def written(self) -> list[tuple[Venue, int, dict[str, Any]]]:
        """Every request that was written, oldest first by reqid."""
        frames = [
            (venue, session.lane, msgspec.json.decode(frame))
            for venue, sessions in self.sessions.items()
            for session in sessions
            for write in self.writes(session)
            for frame in write
        ]
        return sorted(frames, key=lambda one: _reqid(one[2]))

    def writes(self, session: Session) -> list[tuple[bytes, ...]]:
        socket: Any = session._socket
        return [] if socket is None else socket.writes

    def play(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("ask", asks, burst):
                for client, frames in asks:
                    self.ask(client, frames)
                self.turn(burst=burst)
            case ("hear", (venue, lane), answers):
                lane = min(lane, len(self.sessions[venue]) - 1)
                texts = [text for answer in answers if (text := self._answer(venue, lane, answer)) is not None]
                if texts:
                    self.hear(venue, lane, texts)
            case ("wait", ms):
                self.wait(ms)
            case ("dies", (venue, lane)):
                socket: Any = self.sessions[venue][min(lane, len(self.sessions[venue]) - 1)]._socket
                if socket is not None:
                    socket.dies = True
            case ("down", (venue, lane)):
                session = self.sessions[venue][min(lane, len(self.sessions[venue]) - 1)]
                if session._socket is not None:
                    session._socket = None
                    self.desks[venue].session_down(session.lane)
            case ("up", (venue, lane)):
                session = self.sessions[venue][min(lane, len(self.sessions[venue]) - 1)]
                if session._socket is None:
                    self.up(session)
            case ("mode", mode):
                self.desks["spot"].mode_changed(mode)
            case ("rest", left):
                if (call := self.desks["spot"].next_call(settles=True, looks=True)) is not None:
                    self.desks["spot"].call_failed(call, left, "nobody answered")
            case ("full", full):
                self.router.full = full
            case ("draining",):
                self.gateway.admission.draining = True

    def _answer(self, venue: Venue, lane: int, answer: tuple[str, int]) -> str | None:
        """What the venue says on a lane. Requests are told by their place among those that left by it."""
        what, place = answer
        if what == "state":
            self._rows += 1
            status = ("open", "canceled", "closed")[place % 3]
            record = {ORDERS[place % len(ORDERS)]: {"status": status, "descr": {"pair": "XBT/USD"}, "vol": "1.0"}}
            return msgspec.json.encode([[record], "openOrders", {"sequence": 1 + self._rows}]).decode()
        asked = [request for at, on, request in self.written() if (at, on) == (venue, lane)]
        if not asked:
            return None
        reqid = _reqid(asked[-1 - place % len(asked)])
        if venue == "futures":
            method = {"method": "cancel_order", "req_id": reqid, "time_in": "t", "time_out": "t"}
            if what == "no":
                return msgspec.json.encode({**method, "success": False, "error": "no"}).decode()
            result = {"order_id": UUIDS[0]} if what == "named" else {}
            return msgspec.json.encode({**method, "success": True, "result": result}).decode()
        if what == "no":
            error = {"status": "error", "errorMessage": "EOrder:Unknown order", "reqid": reqid}
            return msgspec.json.encode({"event": "cancelOrderStatus", **error}).decode()
        named = {"txid": ORDERS[place % len(ORDERS)]} if what == "named" else {}
        return msgspec.json.encode({"event": "cancelOrderStatus", "status": "ok", "reqid": reqid, **named}).decode()

    # ---------------------------------------------------------------- what is left behind

    def told(self) -> tuple[Any, ...]:
        """What others can see: frames, replies, the record, events, and the file of what is in flight."""
        frames = {venue: [self.writes(session) for session in sessions] for venue, sessions in self.sessions.items()}
        return frames, self.router.sent, self.notes, self.publisher.told, bytes(self.memory)

    def state(self) -> Any:
        """All there is in memory, in plain values."""
        return _plain([self.gateway, self.desks, self.sessions], {})


def _reqid(request: Mapping[str, Any]) -> int:
    return int(request.get("reqid") or request["req_id"])


NOT_COMPARED: Final = (StraightLine, PlainAcks, Straight, VirtualClock, ModuleType, bytearray)
LEFT_OUT: Final = {"_took_long_way"}
"""What only the straight line itself knows."""


def _plain(value: Any, met: dict[int, int]) -> Any:
    """Any object as plain values; what is met again is told by its number."""
    if value is None or isinstance(value, str | bytes | int | float | type | enum.Enum):
        return value
    if isinstance(value, NOT_COMPARED) or (callable(value) and not hasattr(value, "__dict__")):
        return type(value).__name__
    if id(value) in met:
        return f"#{met[id(value)]}"
    met[id(value)] = len(met)
    if isinstance(value, Mapping):
        return [(_plain(name, met), _plain(one, met)) for name, one in value.items()]
    if isinstance(value, list | tuple | deque):
        if len(value) > 1000:
            return len(value), hash(tuple(value))
        return [_plain(one, met) for one in value]
    if isinstance(value, Set):
        return sorted(repr(_plain(one, met)) for one in value)
    if callable(value):
        return getattr(value, "__qualname__", type(value).__name__)
    names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    names += list(getattr(value, "__struct_fields__", ())) + list(getattr(value, "__dict__", ()))
    told = {name: getattr(value, name) for name in sorted(names) if name not in LEFT_OUT and hasattr(value, name)}
    return type(value).__name__, [(name, _plain(one, met)) for name, one in told.items()]


def _difference(one: Any, other: Any) -> str | None:
    """Where two plain values differ first; None where they do not."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            if (below := _difference(left, right)) is not None:
                return f"{one[0] if place and isinstance(one[0], str) else place}/{below}"
        return None
    return None if one == other else f"{one!r} is not {other!r}"


def _cancel(
    order: int,
    venue: Venue,
    id: int,
    until: str | None,
    urgent: bool | None,
    deadline_ms: int | None,
    symbol: str | None,
) -> dict[str, Any]:
    orders = ORDERS if venue == "spot" else UUIDS
    options = {"until": until, "urgent": urgent, "deadline_ms": deadline_ms, "symbol": symbol}
    told = {name: value for name, value in options.items() if value is not None}
    return {"type": "cancel", "id": id, "venue": venue, "order_id": orders[order % len(orders)], **told}


PLAIN: Final = st.builds(
    _cancel,
    st.integers(0, 2),
    st.sampled_from(["spot", "spot", "spot", "futures"]),
    st.integers(1, 200),
    st.just(None),
    st.just(None),
    st.sampled_from([None, None, 300]),
    st.sampled_from([None, None, "XBT/USD"]),
)
COMMANDS: Final = st.one_of(
    PLAIN,
    PLAIN,
    PLAIN,
    st.builds(
        _cancel,
        st.integers(0, 2),
        st.sampled_from(["spot", "futures", "prime"]),
        st.integers(1, 5),
        st.sampled_from([None, "proof"]),
        st.sampled_from([None, True, False]),
        st.sampled_from([None, 1, 300]),
        st.none(),
    ),
    st.builds(lambda id: {"type": "cancel", "id": id, "venue": "spot", "cl_ord_id": "slot-1"}, st.integers(1, 9)),
    st.builds(lambda id: {"type": "cancel_all", "id": id, "venue": "spot"}, st.integers(1, 9)),
    st.builds(
        lambda id: {"type": "cancel_batch", "id": id, "venue": "spot", "orders": [{"order_id": o} for o in ORDERS]},
        st.integers(1, 9),
    ),
    st.just({"type": "ping", "id": 1}),
    st.just({"type": "what"}),
)
JSON: Final[Callable[[Any], bytes]] = msgspec.json.encode
ASKS: Final = st.tuples(
    st.integers(1, 2),
    st.one_of(
        COMMANDS.map(lambda command: [JSON(command)]),
        COMMANDS.map(lambda command: [msgspec.msgpack.encode(command)]),
        COMMANDS.map(lambda command: [b"", JSON(command)]),
    ),
)
LANES: Final = st.sampled_from([("spot", 0), ("spot", 0), ("spot", 1), ("futures", 0)])
ACKS: Final = st.tuples(st.just("ok"), st.integers(0, 3))
ANSWERS: Final = st.one_of(ACKS, ACKS, st.tuples(st.sampled_from(["ok", "named", "no", "state"]), st.integers(0, 5)))
STEPS: Final = st.one_of(
    st.tuples(st.just("ask"), st.lists(ASKS, min_size=1, max_size=5), st.booleans()),
    st.tuples(st.just("ask"), st.lists(ASKS, min_size=1, max_size=1), st.just(False)),
    st.tuples(st.just("hear"), LANES, st.lists(ANSWERS, min_size=1, max_size=3)),
    st.tuples(st.just("hear"), LANES, st.lists(ACKS, min_size=1, max_size=3)),
    st.tuples(st.just("wait"), st.sampled_from([1, 60, 250, 1100])),
    st.tuples(st.sampled_from(["dies", "down", "up", "up"]), LANES),
    st.one_of(
        st.tuples(st.just("mode"), st.sampled_from(["maintenance", "online"])),
        st.tuples(st.just("rest"), st.booleans()),
        st.tuples(st.just("full"), st.booleans()),
        st.just(("draining",)),
    ),
)


@settings(max_examples=int(os.environ.get("CANCELD_EXAMPLES", "120")), deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=14))
def test_both_ways_leave_the_same_behind(history: list[tuple[Any, ...]]) -> None:
    """Frames and writes, replies, the record, events, the file of what is in flight, and every table in memory."""
    line, long_way = House(straight=True), House(straight=False)
    for step in history:
        line.play(step)
        long_way.play(step)
        assert _difference(line.told(), long_way.told()) is None
    assert _difference(line.state(), long_way.state()) is None


def _plain_cancel(id: int, order: int) -> dict[str, Any]:
    return _cancel(order, "spot", id, None, None, None, None)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which way every cancel and every ack took."""
    ways: list[str] = []
    take, hear = StraightLine.take, PlainAcks.take

    def taking(self: StraightLine, *args: Any, **kwargs: Any) -> bool:
        taken = take(self, *args, **kwargs)
        ways.append("straight" if taken else "long")
        return taken

    def hearing(self: PlainAcks, *args: Any) -> int:
        heard = hear(self, *args)
        ways.append("straight ack" if heard else "long ack")
        return heard

    monkeypatch.setattr(StraightLine, "take", taking)
    monkeypatch.setattr(PlainAcks, "take", hearing)
    return ways


def test_a_plain_cancel_and_its_ack_are_straight_and_a_second_asker_is_not(ways: list[str]) -> None:
    house = House(straight=True)
    house.play(("ask", [(1, [JSON(_plain_cancel(1, 0))])], False))
    house.play(("ask", [(1, [JSON(_plain_cancel(2, 0))])], False))
    house.play(("hear", ("spot", 0), [("ok", 0)]))
    assert ways == ["straight", "long", "long ack"]
    house.play(("ask", [(1, [JSON(_plain_cancel(3, 1))])], False))
    house.play(("hear", ("spot", 0), [("ok", 0)]))
    assert ways[3:] == ["straight", "straight ack"]
    assert [msgspec.json.decode(frames[-1])["id"] for _, frames in house.router.sent] == [1, 2, 3]


def test_a_burst_leaves_in_one_write(ways: list[str]) -> None:
    house = House(straight=True)
    house.play(("ask", [(1, [JSON(_plain_cancel(n, n))]) for n in range(3)], True))
    house.play(("hear", ("spot", 0), [("ok", 0), ("ok", 1), ("ok", 2)]))
    assert ways == ["straight", "straight", "straight", "straight ack"]
    assert [len(write) for write in house.writes(house.sessions["spot"][0])] == [3]


def test_of_one_burst_an_order_is_cancelled_once(ways: list[str]) -> None:
    """The second asker joins the first, by the long way."""
    house = House(straight=True)
    house.play(("ask", [(n, [JSON(_plain_cancel(n, 0))]) for n in (1, 2)], True))
    house.play(("hear", ("spot", 0), [("ok", 0)]))
    assert ways == ["straight", "long", "long ack"]
    assert len(house.written()) == 1
    assert [msgspec.json.decode(frames[-1])["outcome"] for _, frames in house.router.sent] == ["acked", "acked"]


@pytest.mark.parametrize("burst", [False, True])
def test_a_cancel_whose_write_fails_is_entered_before_its_session_is_down(ways: list[str], burst: bool) -> None:
    """It may have left: it goes on by the other session in the same step, and its reply counts both."""
    house = House(straight=True)
    house.play(("dies", ("spot", 0)))
    house.play(("ask", [(1, [JSON(_plain_cancel(1, 0))])], burst))
    assert ways == ["straight"]
    first, second = house.written()
    assert (first[1], second[1]) == (0, 1)
    assert [kind for _, kind, _ in house.notes] == ["command", "frame_out", "frame_out", "decision"]
    assert [fields.get("left") for _, kind, fields in house.notes if kind == "frame_out"] == ["unknown", None]
    assert house.desks["spot"].live == (1,)
    house.play(("hear", ("spot", 1), [("ok", 0)]))
    [(_, [reply])] = house.router.sent
    told = msgspec.json.decode(reply)
    assert (told["outcome"], told["attempts"]) == ("acked", 2)
