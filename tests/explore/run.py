"""One run: a venue, a daemon at it, and time; and what a kill has to come to."""

from canceld.engine.backoff import ConnectBudget
from canceld.engine.inflight import Reqids
from canceld.engine.instants import MS
from canceld.engine.lane import FEED
from canceld.engine.resting import FRESH_NS
from canceld.engine.sweep import GAP_NS, THROTTLED_NS

from .daemon import FIRST_REQID, Daemon, Disk
from .kernel import Kernel, at_work
from .places import Place
from .venue import Exchange

STEP_MS = 60
"""How long an event has before the next one strikes."""

SOON_NS = 1_000 * MS
"""What the kill promises: bytes on every way that was closed, and flat once the venue answers."""

PAUSES_MS = (1_000, 2_000, 4_000, 8_000, 15_000)
"""How long a kill may stay away after each refusal in a row."""

PAUSE_NS = PAUSES_MS[-1] * MS

AT_ONCE_NS = 300 * MS
"""How soon REST is called after the pause that it asked for, where nothing else can be: a usual round, and a hop."""

SIGHT_MS = 20
"""On sight: news of the order, a cancel, and its way."""

JUDGED_NS = 25_000 * MS
"""When a run that is not flat is given up."""


def _pause_ns(refusals: int) -> int:
    """How long a kill's calls stay away after so many refusals in a row."""
    return PAUSES_MS[min(refusals, len(PAUSES_MS)) - 1] * MS


class Run:
    """What is asked of it is done at once; `advance` lets time pass. `blamed` is what went wrong."""

    def __init__(self, place: Place) -> None:
        self.kernel = Kernel()
        at_work(self.kernel)
        self.exchange = Exchange(place, self.kernel, mass=place != "prime")
        self.blamed: list[str] = []
        self.daemon: Daemon
        self._disk = Disk()
        self._dials = ConnectBudget()
        self._reqids = Reqids(FIRST_REQID)
        self._known_ns = 0

    def daemon_up(self) -> None:
        """A process starts."""
        self.daemon = Daemon(self.kernel, self.exchange, self._disk, self._dials, self._reqids)

    def heal(self) -> None:
        """The venue takes and answers everything from here on."""
        exchange = self.exchange
        exchange.serves_sockets = "sockets" not in exchange.gone
        if "rest" not in exchange.gone:
            exchange.rest = "serves"
        exchange.swallows = 0
        exchange.gives_tokens = True
        exchange.next_rest = exchange.next_frame = None
        if exchange.maintenance:
            exchange.set_mode("online")

    def advance(self, ms: int) -> None:
        """Let time pass, with all that happens in it."""
        self._until(self.kernel.now_ns + ms * MS)

    def _until(self, end_ns: int) -> None:
        kernel, daemon = self.kernel, self.daemon
        turns = 0
        while True:
            due_ns = min(kernel.due_ns, daemon.due_ns)
            if due_ns > end_ns:
                break
            kernel.now_ns = max(kernel.now_ns, due_ns)
            kernel.turn()
            daemon.turn()
            turns += 1
            if turns > 20_000:
                daemon.blame("turns without an end")
                break
        kernel.now_ns = max(kernel.now_ns, end_ns)
        self.blamed += daemon.blamed
        daemon.blamed.clear()

    def end(self) -> None:
        """Nothing goes on after this."""
        self.daemon.die()

    # ---------------------------------------------------------------- the kill

    def kill(self) -> None:
        """Pull, and see that the first bytes leave at once on every way that is open."""
        exchange, now_ns = self.exchange, self.kernel.now_ns
        just_pulled = self.daemon.pulled_ns is not None and now_ns - self.daemon.pulled_ns < GAP_NS
        lanes = [lane for lane in exchange.sockets if lane != FEED and lane in self.daemon.dispatcher.live]
        if not exchange.pressed:
            self._known_ns = exchange.told_ns
            exchange.refusals = 0
        self.daemon.kill()
        self._until(now_ns)
        if just_pulled:
            return
        arrived = exchange.arrived
        named = exchange.mass or len(self.daemon.dispatcher.resting)
        # Where every order is cancelled by itself, one session is enough for each.
        reached = [arrived.get(lane) == now_ns for lane in lanes]
        if named and reached and not (all(reached) if exchange.mass else any(reached)):
            self.blamed.append("kill: no byte on a session in its step")
        if self.daemon.lane is not None and now_ns not in (arrived.get("rest"), arrived.get("dial rest")):
            self.blamed.append("kill: no byte on REST in its step")

    def place(self, lag_ms: int = 0) -> None:
        """Somebody places an order. While a kill is on it is cancelled on sight, where it can be seen and cancelled."""
        order_id = self.exchange.place(lag_ms)
        if self.daemon.pulled_ns is None or not self._is_well():
            return
        self.advance(SIGHT_MS)
        if order_id in self.exchange.book:
            self.blamed.append("an order that appeared under a kill is not cancelled on sight")

    def _is_well(self) -> bool:
        """Whether nothing is wrong with any way: sessions, feed, tokens, REST."""
        exchange, kernel = self.exchange, self.kernel
        odd = exchange.next_frame or exchange.next_rest or exchange.swallows or exchange.maintenance or exchange.mute
        if odd or exchange.rest != "serves" or not exchange.serves_sockets:
            return False
        if max(exchange.odd_until_ns, exchange.refused_ns + PAUSE_NS if exchange.refusals else 0) > kernel.now_ns:
            return False
        live = self.daemon.dispatcher.live
        tokens = exchange.venue != "prime" and [exchange.sockets[lane].token for lane in live]
        return set(exchange.sockets) == {socket.lane for socket in self.daemon.sockets} and not (
            tokens and set(tokens) - exchange.good_tokens
        )

    def _see_every_way(self, pulled_ns: int) -> None:
        """A second after the pull, each way has brought bytes, or was dialled, whether or not it was closed.

        Where nothing is known to rest at a venue without a request for everything only a look leaves, by one session;
        that session may be mute for as long as it takes to give it up.
        """
        if self.exchange.mute_until_ns > pulled_ns and not self.exchange.mass:
            return
        ways = [(socket.lane, f"dial {socket.lane}") for socket in self.daemon.sockets if socket.lane != FEED]
        if self.daemon.lane is not None:
            ways.append(("rest", "dial rest"))  # type: ignore[arg-type]
        for way, dial in ways:
            if max(self.exchange.arrived.get(way, 0), self.exchange.arrived.get(dial, 0)) < pulled_ns:
                self.blamed.append(f"kill: no byte on {way} in a second")

    def judge(self) -> None:
        """Pull if nobody has, let the venue be well, and see that all is flat soon."""
        exchange, kernel = self.exchange, self.kernel
        fresh = self.daemon.pulled_ns is None
        if fresh:
            self.kill()
        self.heal()
        began_ns = kernel.now_ns
        exchange.answered_ns = None
        if self.daemon.flat and not exchange.book:
            return
        while not (self.daemon.flat and not exchange.book) and kernel.now_ns < began_ns + JUDGED_NS:
            self.advance(10)
            if fresh and kernel.now_ns - began_ns == SOON_NS:
                self._see_every_way(began_ns)
        flat_ns = kernel.now_ns
        answered_ns = exchange.answered_ns
        if answered_ns is None or not self.daemon.flat:
            self.blamed.append(f"not flat {JUDGED_NS // 10**9} s after the venue was well")
            return
        # What the venue has asked for, or done to us, is waited out.
        waits_ns = exchange.odd_until_ns
        if exchange.rest != "serves" or self.daemon.lane is None:
            waits_ns = max(waits_ns, exchange.mute_until_ns)
        if exchange.refusals:
            waits_ns = max(waits_ns, exchange.refused_ns + _pause_ns(exchange.refusals))
        # A list may lack an order that appeared a moment ago, so those are believed in for longer.
        young_ns = max(self._known_ns, exchange.appeared_ns) + FRESH_NS
        since_ns = max(answered_ns, waits_ns, young_ns)
        if exchange.throttled_ns:
            since_ns = max(since_ns, exchange.throttled_ns + THROTTLED_NS)
        if flat_ns - since_ns > SOON_NS:
            self.blamed.append(f"flat {(flat_ns - since_ns) / 1e9:.2f} s after the venue answered")
        tried_ns = answered_ns - max(began_ns, waits_ns)
        if exchange.refusals and not exchange.sockets.keys() - {FEED} and tried_ns > AT_ONCE_NS:
            self.blamed.append(f"first answered {tried_ns / 1e9:.2f} s after the end of its pause")
        elif tried_ns > (SOON_NS if fresh else PAUSE_NS):
            self.blamed.append(f"first answered {tried_ns / 1e9:.2f} s after the venue was well")
