"""A small venue with a book. It takes what the daemon writes, answers as the pages say, or oddly, or not at all.

The judge is the book: what rests here, rests.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from canceld.contract.evidence import (
    CancelAck,
    CancelAllAck,
    CancelReject,
    Evidence,
    Fault,
    Looked,
    Mode,
    ModeChanged,
    Orders,
    OrderState,
    RestAnswer,
    RestBatch,
    RestCanceled,
    RestFailed,
    RestOrders,
    RestToken,
    Unattributed,
)
from canceld.contract.ids import Reqid, Target, Venue
from canceld.engine.effects import Bundle, Send
from canceld.engine.instants import MS
from canceld.engine.lane import FEED, Lane
from canceld.transport.https import AnswerLost, NotSent, Response

from .kernel import Kernel, Task
from .places import Place

if TYPE_CHECKING:
    from .daemon import Socket

HOP_NS: Final = 2 * MS
"""One way between the daemon and the venue."""

TIMEOUT_NS: Final = 2_500 * MS
"""When the daemon gives a silent call up. Source: tasks/rest_exchange.py."""

SILENCE_NS: Final = 5_000 * MS
"""When the daemon gives a mute session up. Source: Connection.silence_s."""

SYMBOL: Final = "BTC-USD"


class Odd(NamedTuple):
    """An answer as a bad day gives it, once.

    done: the request is carried out all the same. answer: (status, body) of REST, or a fault of a session; None for no
    answer. lost: there is none because the connection dies at once; unsent: before the request has left.
    """

    name: str
    answer: tuple[int, bytes] | Fault | None
    done: bool = False
    lost: bool = False
    unsent: bool = False

    @property
    def throttles(self) -> bool:
        """Whether it asks us to call less: looks then pause for a while, as they should."""
        said = b"" if not isinstance(self.answer, tuple) else self.answer[1]
        status = 0 if not isinstance(self.answer, tuple) else self.answer[0]
        return b"imit exceeded" in said or b"LimitExceeded" in said or status == 429


class Told(bytes):
    """The body of a good answer, which nobody has to spell."""

    answer: RestAnswer


class Order:
    def __init__(self, order_id: str, placed_ns: int, shown_ns: int) -> None:
        self.order_id = order_id
        self.placed_ns = placed_ns
        self.shown_ns = shown_ns
        """From when on lists show it."""


class Exchange:
    """One venue: its book, what it serves, and what it will answer oddly."""

    def __init__(self, place: Place, kernel: Kernel, *, mass: bool) -> None:
        self.venue: Venue = "futures" if place == "unified" else place
        self.unified = place == "unified"
        self.kernel = kernel
        self.mass = mass
        self.book: dict[str, Order] = {}
        self.ended: dict[str, str] = {}
        self.placed = 0
        self.sockets: dict[Lane, Socket] = {}
        self.serves_sockets = True
        self.rest: str = "serves"
        """Or "refuses connections", or "is silent", or "refuses the key"."""
        self.maintenance = False
        self.mute: set[Lane] = set()
        self.mute_until_ns = 0
        self.tokens = 0
        self.good_tokens: set[int] = set()
        self.gives_tokens = True
        """Where another venue's REST gives them, as for the Unified WebSocket."""
        self.told_ns = self.appeared_ns = 0
        """When an open order was last told of, in whichever way; and when by a stream."""
        self.pressed = False
        """Whether a kill is pulled."""
        self.refusals = 0
        self.refused_ns = 0
        """How often a kill was refused for its key in a row, and when last."""
        self.next_rest: Odd | None = None
        self.next_frame: Odd | None = None
        self.swallows = 0
        """How many frames are read next as if they had never come."""
        self.gone: set[str] = set()
        """"rest" or "sockets": what does not come back when all is well again."""
        self.events = 0
        # What the judge asks for.
        self.arrived: dict[Lane | str, int] = {}
        """When each way last brought a request that cancels or asks: a lane, or "rest"; "dial" for attempts."""
        self.listed_ns = 0
        """When the last list of what is open was made."""
        self.answered_ns: int | None = None
        """When the venue took a cancel, or showed an empty book: first since somebody forgot it."""
        self.odd_until_ns = 0
        self.throttled_ns = 0

    # ---------------------------------------------------------------- the book

    def place(self, lag_ms: int = 0) -> str:
        """Somebody places an order. lag_ms: for how long lists do not show it yet."""
        self.placed += 1
        order_id = f"00000000-0000-4000-8000-{self.placed:012d}"
        now_ns = self.told_ns = self.appeared_ns = self.kernel.now_ns
        self.book[order_id] = Order(order_id, now_ns, now_ns + lag_ms * MS)
        self._tell(OrderState(order_id, "open", symbol=SYMBOL))
        return order_id

    def _end(self, order_id: str) -> OrderState:
        del self.book[order_id]
        self.ended[order_id] = "canceled"
        state = OrderState(order_id, "canceled", symbol=SYMBOL, filled_qty="0")
        self._tell(state)
        return state

    def _hit(self, target: Target) -> list[str]:
        if target.kind == "all":
            return list(self.book)
        return [str(target.value)] if target.value in self.book else []

    def list_open(self) -> tuple[OrderState, ...]:
        self.listed_ns = self.kernel.now_ns
        if self.book:
            self.told_ns = self.listed_ns
        return tuple(
            OrderState(order.order_id, "open", symbol=SYMBOL)
            for order in self.book.values()
            if order.shown_ns <= self.kernel.now_ns
        )

    # ---------------------------------------------------------------- sessions

    def _tell(self, state: OrderState) -> None:
        for lane in self.sockets:
            if lane == FEED or self.venue != "futures" or self.unified:
                self._say(lane, Orders((state,), snapshot=False))

    def _say(self, lane: Lane, evidence: Evidence) -> None:
        socket = self.sockets.get(lane)
        if socket is None or lane in self.mute:
            return

        def arrive() -> None:
            if self.sockets.get(lane) is socket:
                socket.hear(evidence)

        self.kernel.at(HOP_NS, arrive)

    def drop(self, *lanes: Lane) -> None:
        """The venue resets these sessions."""
        for lane in lanes:
            socket = self.sockets.pop(lane, None)
            self.mute.discard(lane)
            if socket is not None:
                socket.lost()

    def silence(self, lane: Lane) -> None:
        """Nothing comes through on this session any more, either way, until the daemon gives it up."""
        socket = self.sockets[lane]
        self.mute.add(lane)
        self.mute_until_ns = self.kernel.now_ns + SILENCE_NS
        self.kernel.at(SILENCE_NS, lambda: self.drop(lane) if self.sockets.get(lane) is socket else None)

    def set_mode(self, mode: Mode) -> None:
        self.maintenance = mode == "maintenance"
        for lane in self.sockets:
            self._say(lane, ModeChanged(mode))

    def write(self, socket: "Socket", cancels: Sequence[Send]) -> None:
        """Frames leave for the venue."""
        for cancel in cancels:
            self.arrived[socket.lane] = self.kernel.now_ns
            self.kernel.at(HOP_NS, self._frame_of(socket, cancel))

    def _frame_of(self, socket: "Socket", cancel: Send) -> Callable[[], None]:
        def arrive() -> None:
            if self.sockets.get(socket.lane) is socket and socket.lane not in self.mute:
                self._take(socket, cancel)

        return arrive

    def _take(self, socket: "Socket", cancel: Send) -> None:
        if self.swallows:
            self.swallows -= 1
            return
        if self.venue != "prime" and socket.token not in self.good_tokens:
            self._refuse(socket, cancel.reqid, Fault.STALE_TOKEN)
            return
        odd, self.next_frame = self.next_frame, None
        if odd is not None:
            self.odd_until_ns = self.kernel.now_ns + 2 * HOP_NS
            if odd.done:
                for order_id in self._hit(cancel.target):
                    self._end(order_id)
            if isinstance(odd.answer, Fault):
                self._refuse(socket, cancel.reqid, odd.answer)
            elif odd.name.startswith("an error"):
                self._say(socket.lane, Unattributed(Fault.ROUTE_BUSY, "Exceeded msg rate"))
            return
        if self.maintenance:
            self._refuse(socket, cancel.reqid, Fault.UNAVAILABLE)
            return
        hit = self._hit(cancel.target)
        for order_id in hit:
            self._end(order_id)
        if cancel.target.kind == "all":
            self._well()
            self._say(socket.lane, CancelAllAck(cancel.reqid, len(hit)))
        elif not hit:
            self._refuse(socket, cancel.reqid, Fault.NOT_OPEN)
        else:
            self._well()
            for lane in self.sockets if self.venue == "prime" else (socket.lane,):
                self._say(lane, CancelAck(cancel.reqid, hit[0], event_id=self._event()))

    def write_bundles(self, socket: "Socket", bundles: Sequence[Bundle]) -> None:
        """Frames that cancel several orders each leave for the venue."""
        for bundle in bundles:
            self.arrived[socket.lane] = self.kernel.now_ns
            self.kernel.at(HOP_NS, self._bundle_of(socket, bundle))

    def _bundle_of(self, socket: "Socket", bundle: Bundle) -> Callable[[], None]:
        def arrive() -> None:
            if self.sockets.get(socket.lane) is not socket or socket.lane in self.mute:
                return
            if socket.token not in self.good_tokens or self.maintenance:
                dead = socket.token not in self.good_tokens
                self._refuse(socket, bundle.reqid, Fault.STALE_TOKEN if dead else Fault.UNAVAILABLE)
                return
            hit = [order_id for order_id in bundle.order_ids if order_id in self.book]
            for order_id in hit:
                self._end(order_id)
            self._well()
            self._say(socket.lane, CancelAllAck(bundle.reqid, len(hit)))

        return arrive

    def token_for(self, task: Task) -> None:
        """A token is asked for, at a venue whose tokens are another one's; the task is resumed with it, or None."""

        def answer() -> None:
            if self.gives_tokens:
                self.tokens += 1
                self.good_tokens.add(self.tokens)
            task.resume(self.tokens if self.gives_tokens else None)

        self.kernel.at(2 * HOP_NS, answer)

    def _event(self) -> str | None:
        if self.venue != "prime":
            return None
        self.events += 1
        return f"e-{self.events}"

    def _refuse(self, socket: "Socket", reqid: Reqid, fault: Fault) -> None:
        self._say(socket.lane, CancelReject(reqid, fault, fault.name, event_id=self._event()))

    def look(self, socket: "Socket", reqid: Reqid, order_id: str | None) -> None:
        """A look leaves for the venue."""
        asked_ns = self.kernel.now_ns
        self.arrived[socket.lane] = asked_ns

        def arrive() -> None:
            if self.sockets.get(socket.lane) is not socket or socket.lane in self.mute:
                return
            states = self.list_open()
            self._well(listed=True)
            if order_id is not None:
                states = tuple(state for state in states if state.order_id == order_id)
            self._say(socket.lane, Looked(reqid, states, True, asked_ns))

        self.kernel.at(HOP_NS, arrive)

    # ---------------------------------------------------------------- REST

    def called(self, form: str, targets: Sequence[Target], task: Task) -> None:
        """A REST call leaves for the venue; the task is resumed with its answer."""
        kernel = self.kernel
        self.arrived["rest"] = self.arrived[f"rest {form}"] = kernel.now_ns
        odd, self.next_rest = self.next_rest, None
        if self.rest != "serves":
            odd = STANDING[self.venue, self.rest]

        def arrive() -> None:
            if odd is None:
                told = Told()
                told.answer = self._answer(form, targets)
                kernel.at(HOP_NS, lambda: task.resume(Response(200, [], told)))
                return
            if odd.done:
                self._answer(form, targets)
                self.answered_ns = None
            if odd.unsent:
                task.resume(NotSent("closed while idle"))
            elif odd.lost:
                task.resume(AnswerLost("connection reset"))
            elif odd.answer is None:
                self._oddly(TIMEOUT_NS)
                kernel.at(TIMEOUT_NS - HOP_NS, lambda: task.resume(AnswerLost("no answer in 2.5 s")))
            else:
                assert isinstance(odd.answer, tuple)
                status, body = odd.answer
                if odd.throttles:
                    self.throttled_ns = kernel.now_ns
                elif self.pressed:
                    self.refusals += 1
                    self.refused_ns = kernel.now_ns
                kernel.at(HOP_NS, lambda: task.resume(Response(status, [], body)))
            self._oddly(2 * HOP_NS)

        kernel.at(HOP_NS, arrive)

    def _oddly(self, for_ns: int) -> None:
        self.odd_until_ns = max(self.odd_until_ns, self.kernel.now_ns + for_ns)

    def _well(self, *, listed: bool = False) -> None:
        """It has answered as it should; a list of what rests takes nothing off the book."""
        if self.answered_ns is None and not (listed and self.book):
            self.answered_ns = self.kernel.now_ns

    def _answer(self, form: str, targets: Sequence[Target]) -> RestAnswer:
        if form == "token":
            self.tokens += 1
            self.good_tokens.add(self.tokens)
            return RestToken(f"t{self.tokens}", 900.0)
        if self.maintenance:
            return RestFailed(Fault.UNAVAILABLE, "EService:Unavailable")
        if form == "open_orders":
            self._well(listed=True)
            return RestOrders(self.list_open())
        if form == "ended":
            return RestFailed(Fault.PERMISSION, "EGeneral:Permission denied")
        if form == "query":
            known = tuple(
                OrderState(str(t.value), "open" if t.value in self.book else "canceled", filled_qty="0")
                for t in targets
                if t.value in self.book or t.value in self.ended
            )
            if any(state.status == "open" for state in known):
                self.told_ns = self.kernel.now_ns
            return RestOrders(known) if known else RestFailed(Fault.NOT_OPEN, "EOrder:Invalid order")
        ends = [self._end(order_id) for target in targets for order_id in self._hit(target)]
        named = {Target("order_id", state.order_id): state for state in ends}
        if form == "all":
            self._well()
            return RestCanceled(len(ends), False, tuple(ends) if self.venue == "futures" else ())
        if self.venue == "futures":
            gone = RestFailed(Fault.NOT_OPEN, "notFound")
            verdicts: dict[Target, Any] = {t: RestOrders((named[t],)) if t in named else gone for t in targets}
            return verdicts[targets[0]] if form == "cancel" else RestBatch(verdicts)
        return RestCanceled(len(ends), False) if ends else RestFailed(Fault.NOT_OPEN, "EOrder:Unknown order")


def _spot(error: str) -> tuple[int, bytes]:
    return 200, b'{"error":["%s"]}' % error.encode()


def _futures(error: str, status: int = 200) -> tuple[int, bytes]:
    return status, b'{"result":"error","error":"%s","serverTime":"2027-01-15T08:00:00.000Z"}' % error.encode()


HTML: Final = b"<html><head><title>Attention Required</title></head></html>"

ANYWHERE: Final = (
    Odd("403 in HTML", (403, HTML)),
    Odd("401 in HTML", (401, HTML)),
    Odd("429 in HTML", (429, HTML)),
    Odd("502 before it was read", (502, HTML)),
    Odd("502 after it was carried out", (502, HTML), done=True),
    Odd("a cut answer", (200, b'{"error":[],"resu'), done=True),
    Odd("an answer lost after the effect", None, done=True, lost=True),
    Odd("a connection reset before the effect", None, lost=True),
    Odd("a connection that had been closed while idle", None, unsent=True),
    Odd("silence", None),
)

REST_ODD: Final[dict[Place, tuple[Odd, ...]]] = {
    "spot": (
        *(
            Odd(error, _spot(error))
            for error in (
                "EAPI:Invalid key",
                "EAPI:Invalid signature",
                "EGeneral:Temporary lockout",
                "EAPI:Invalid nonce",
                "EGeneral:Permission denied",
                "EAPI:Rate limit exceeded",
                "EOrder:Rate limit exceeded",
                "EService:Unavailable",
                "EService:Busy",
                "EOrder:Unknown order",
                "EGeneral:Invalid arguments",
                "ENew:Never seen",
            )
        ),
        *ANYWHERE,
    ),
    "futures": (
        *(
            Odd(error, _futures(error))
            for error in (
                "authenticationError",
                "accountInactive",
                "nonceBelowThreshold",
                "nonceDuplicate",
                "apiLimitExceeded",
                "Unavailable",
                "Server Error",
                "insufficientPrivileges",
                "invalidArgument",
                "neverSeen",
            )
        ),
        Odd("authenticationError with 401", _futures("authenticationError", 401)),
        Odd("BAD_REQUEST", (400, b'{"status":"BAD_REQUEST","errors":[{"code":11,"message":"invalid"}]}')),
        Odd("a status that is a number", (404, b'{"timestamp":"2027","status":404,"error":"Not Found","path":"/"}')),
        *ANYWHERE,
    ),
    "prime": (),
}
REST_ODD["unified"] = REST_ODD["futures"]

FRAME_ODD: Final = (
    *(Odd(fault.name, fault) for fault in Fault if fault not in (Fault.STALE_NONCE, Fault.STALE_TOKEN)),
    Odd("an ack lost after the effect", None, done=True),
    Odd("a frame swallowed", None),
    Odd("an error that names no request", None),
)

STANDING: Final[dict[tuple[str, str], Odd]] = {
    **{(venue, "refuses connections"): Odd("closed", None, unsent=True) for venue in ("spot", "futures")},
    **{(venue, "is silent"): Odd("silence", None) for venue in ("spot", "futures")},
    ("spot", "refuses the key"): Odd("EAPI:Invalid key", _spot("EAPI:Invalid key")),
    ("futures", "refuses the key"): Odd("authenticationError", _futures("authenticationError")),
    ("spot", "is locked"): Odd("EGeneral:Temporary lockout", _spot("EGeneral:Temporary lockout")),
    ("futures", "is locked"): Odd("403 in HTML", (403, HTML)),
}
"""How REST answers everything for as long as an outage lasts."""
