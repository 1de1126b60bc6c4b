"""One REST call from its turn to its answer.

Where the venue wants nonces they must arrive in order, so requests take turns; else some go side by side. A turn ends
with the answer, or when the venue has been silent for so long that waiting for it would hold up every other cancel; the
silent request is then still awaited. What must never happen here: a request called unsent that may have left in part.
"""

from collections.abc import Callable, Iterator
from typing import Final

import structlog
import trio
from msgspec.structs import replace

from ..contract.evidence import Fault, RestAnswer, RestFailed, RestPart
from ..contract.ids import Venue
from ..engine.gate import KEY_REFUSED, Gate, has_seen_key
from ..engine.journal import clipped
from ..engine.nonces import Nonces
from ..engine.overtaken import WINDOW_NS, Overtaken
from ..engine.venue_clock import VenueClock
from ..transport.https import AnswerLost, HttpConnection, NotSent, Response, date_ns
from ..transport.world import World
from .events import Events
from .rest_dialect import Plan, SignedRequest
from .rest_pool import CallFailed, Pool
from .spent_file import SpentFile
from .telemetry import Histogram

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

PARALLEL: Final = 4
"""Calls side by side where no nonce puts them in sequence: enough for 500 cancels in batches of 20 inside a default
deadline, and few enough for the venue's own limits."""

CALL_TIMEOUT_S: Final = 2.5
"""From the request to its whole answer; above the slowest honest answers, below a patient caller's deadline."""

TRIES: Final = 4
"""Connections tried for one call: when each turns out to have been closed while idle, and after a refusal that a second
try may overcome."""


class _Turn:
    """One request's turn: ended once, by its answer or by its silence. turns: None for one that took none."""

    def __init__(self, turns: trio.Semaphore | None) -> None:
        self._turns = turns

    def end(self) -> None:
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.release()

    async def end_after(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self.end()


class Exchanges:
    """What every call of one REST endpoint goes through.

    calls: how many requests were made. round_trips: how long their answers took. eased: whether an answer has shortened
    what a kill's other calls stay away for, until somebody takes that in.
    """

    def __init__(
        self,
        venue: Venue,
        pool: Pool,
        world: World,
        nonces: Nonces | None,
        events: Events,
        venue_clock: VenueClock,
        *,
        exclusive_s: float,
        killed: Callable[[], bool],
        spent: SpentFile | None = None,
    ) -> None:
        """nonces: None where the venue wants none. exclusive_s: how long a silent request keeps its turn.

        killed: whether the venue is under a kill. spent: where refused nonces outlive the process.
        """
        self.venue = venue
        self.calls = 0
        self.eased = False
        self.round_trips = Histogram()
        self.turns: Final = PARALLEL if nonces is None else 1
        self._pool = pool
        self._world = world
        self._nonces = nonces
        self._events = events
        self._venue_clock = venue_clock
        self._exclusive_s = exclusive_s
        self._turn = trio.Semaphore(self.turns, max_value=self.turns)
        self._killed = killed
        self._gate = Gate()
        self._spent = spent
        self._overtaken = Overtaken(() if spent is None else spent.before("bad nonce", WINDOW_NS))
        self._shared_key = f"{venue}: another program uses this key: our nonces are overtaken"
        self._key_refused = f"{venue} REST refuses the key"

    async def exchange(
        self,
        choose: Callable[[], Plan | None],
        *,
        pressing: str | None = None,
        told: Callable[[RestPart], None] | None = None,
    ) -> RestAnswer | None:
        """Take a turn, then do what `choose` says at that moment; None when it says that there is nothing to do.

        A nonce that another one overtook is replaced once, and a key that is refused is shown once more on another
        connection. pressing: the form of a kill's call, which waits for no turn and for no pause but its own. told:
        hears the parts of a long list, before its answer is given. Raises CallFailed.
        """
        plan: Plan | None = None
        refused: RestFailed | None = None
        seen: set[Fault] = set()
        why = ""
        for _ in range(TRIES):
            try:
                self._raise_if_shut(pressing)
                connection = await self._pool.take(at_once=pressing is not None)
            except CallFailed as failed:
                why = failed.why
                break
            turn = await self._take_turn(connection) if pressing is None else _Turn(None)
            plan = plan or _chosen(choose, turn)
            if plan is None:
                turn.end()
                self._pool.give_back(connection)
                return None
            try:
                answer = await self._ask(plan, connection, turn, told)
            except NotSent as stale:
                # The venue had closed it while it was idle. The next one may be open, or is dialled.
                why = stale.detail
                continue
            if isinstance(answer, RestFailed) and self._tries_again(answer, seen, connection, pressing):
                refused = answer
                continue
            self._heed(answer, pressing)
            return answer
        if refused is None:
            raise CallFailed(why, left=False)
        # The second try cannot be sent any more: the refusal of the first is the answer, since a request did leave.
        # What one connection alone was told of the key proves nothing against it.
        return replace(refused, fault=Fault.UNAVAILABLE) if refused.fault in KEY_REFUSED else refused

    async def _take_turn(self, connection: HttpConnection) -> _Turn:
        """Wait for a turn; whoever gives up waiting for it leaves the connection to the next."""
        try:
            await self._turn.acquire()
        except trio.Cancelled:
            self._pool.give_back(connection)
            raise
        return _Turn(self._turn)

    async def _ask(
        self, plan: Plan, connection: HttpConnection, turn: _Turn, told: Callable[[RestPart], None] | None
    ) -> RestAnswer:
        """The request and what its answer says. Raises NotSent and CallFailed."""
        build, decode = plan
        request = build(0 if self._nonces is None else self._nonces.draw(self._world.clock.utc_ns()))
        try:
            response = await self._request(connection, request, turn)
        except AnswerLost as lost:
            raise CallFailed(lost.detail, left=True) from None
        answer = decode(response.status, response.body)
        if not isinstance(answer, Iterator):
            return answer
        for one in answer:
            # Whoever else is ready runs between any two pieces: the request's turn is over, and no answer waits.
            await trio.lowlevel.checkpoint()
            if isinstance(one, RestPart):
                if told is not None:
                    told(one)
            elif one is not None:
                return one
        raise AssertionError("a list ends with an answer")

    def _tries_again(
        self, failed: RestFailed, seen: set[Fault], connection: HttpConnection, pressing: str | None
    ) -> bool:
        """Whether the same call is worth a second try. seen: the refusals that it had a second try for already."""
        if failed.fault is Fault.STALE_NONCE and self._nonces is not None:
            # One that has just started may be far behind whoever used the key before, and has no way until it is not.
            behind = not self._nonces.proven
            jumped = self._is_jumped(failed, urgent=behind or pressing is not None)
            if not jumped or (failed.fault in seen and not behind):
                return False
            # The venue has seen a later one: the next ones are drawn ahead of that.
            self._nonces.overtaken(self._world.clock.utc_ns())
            seen.add(failed.fault)
            return True
        if failed.fault in KEY_REFUSED and self._gate.doubts and not seen & KEY_REFUSED:
            # One odd answer, perhaps of one machine of many. The next connection must be another one.
            self._pool.discard(connection)
            log.warning("key refused, tried on another connection", venue=self.venue, error=failed.error)
            seen.add(failed.fault)
            return True
        return False

    def _is_jumped(self, failed: RestFailed, *, urgent: bool) -> bool:
        """Whether to go on above a nonce that was refused, or to leave the key to its other user for a while."""
        log.warning("nonce overtaken", venue=self.venue, error=failed.error)
        now_ns = self._world.clock.monotonic_ns()
        if self._spent is not None:
            self._spent.note("bad nonce")
        jumped = self._overtaken.refused(now_ns, pressing=urgent or self._killed())
        if self._overtaken.shared(now_ns):
            self._events.alert(
                "critical",
                self._shared_key,
                "stop it, or give each program a key of its own; until then cancels by REST may fail",
            )
        return jumped

    def look_for_others(self) -> None:
        """Take back what was told of another program once its nonces are met no more."""
        if not self._overtaken.shared(self._world.clock.monotonic_ns()):
            self._events.clear(self._shared_key)

    async def _request(self, connection: HttpConnection, request: SignedRequest, turn: _Turn) -> Response:
        """One request in the turn that the caller took. Raises NotSent or AnswerLost."""
        headers = [(name.encode(), value.encode()) for name, value in request.headers]
        failure: NotSent | AnswerLost | None = None
        response: Response | None = None
        sent_ns, asked_ns = self._world.clock.monotonic_ns(), self._world.clock.boottime_ns()
        self.calls += 1
        # What pairs an answer with its request in the record.
        told = {"session": f"{self.venue}-rest", "call": self.calls}
        self._events.note("frame_out", **told, asked=f"{request.method} {request.path}", frame=clipped(request.body))
        try:
            async with trio.open_nursery() as overdue:
                overdue.start_soon(turn.end_after, self._exclusive_s)
                try:
                    response = await connection.request(
                        request.method, request.path, headers, request.body, timeout_s=CALL_TIMEOUT_S
                    )
                except (NotSent, AnswerLost) as error:
                    failure = error
                overdue.cancel_scope.cancel()
        except BaseException:
            # Cancelled with the whole answer read, it is still open, and nobody else holds it.
            self._pool.drop(connection)
            raise
        finally:
            turn.end()
        if failure is not None:
            self._events.note("frame_in", **told, error=failure.detail, left=isinstance(failure, AnswerLost))
            raise failure
        assert response is not None
        self._events.note("frame_in", **told, status=response.status, frame=clipped(response.body))
        self.round_trips.record(self._world.clock.monotonic_ns() - sent_ns)
        served_ns = date_ns(response.headers)
        if served_ns is not None:
            self._venue_clock.dated(served_ns, asked_ns, self._world.clock.boottime_ns())
        if connection.is_open:
            self._pool.give_back(connection)
        return response

    # ---------------------------------------------------------------- closed for a while

    @property
    def closed(self) -> str | None:
        """After which refusal no ordinary call is made for a while; None when calls are made."""
        return self._shut(None)

    def opens_ns(self, pressing: str) -> int:
        """When a kill's calls of this form may be made: in the past where they may be made now."""
        return self._gate.opens_ns(pressing)

    def reopen(self) -> None:
        """Another key is in use from here on: what the venue refused to the last one says nothing about it."""
        self._gate.reopen()

    def pulled(self) -> None:
        """A kill was pulled, perhaps once more: its calls wait for no pause that grew before."""
        self._gate.pulled()

    def released(self) -> None:
        """The kill is over: the next one waits for no pause of this one's."""
        self._gate.released()

    def _heed(self, answer: RestAnswer, pressing: str | None) -> None:
        """After a refusal of the key itself ordinary calls stay away for a while: repeating it leads to a lockout."""
        if not isinstance(answer, RestFailed) or answer.fault not in KEY_REFUSED:
            self.eased |= self._gate.answered(answer, pressing)
            if has_seen_key(answer):
                self._events.clear(self._key_refused)
                if self._nonces is not None:
                    self._nonces.taken()
            return
        self._gate.refused(answer, self._world.clock.monotonic_ns(), pressing)
        self._events.alert("critical", self._key_refused, f"{answer.error}: check the key; sessions are kept")

    def _raise_if_shut(self, pressing: str | None) -> None:
        why = self._shut(pressing)
        if why is not None:
            raise CallFailed(f"REST is left alone after: {why}", left=False)

    def _shut(self, pressing: str | None) -> str | None:
        now_ns = self._world.clock.monotonic_ns()
        if pressing is None and self._overtaken.away(now_ns) and not self._killed():
            return self._shared_key
        return self._gate.shut(now_ns, pressing)


def _chosen(choose: Callable[[], Plan | None], turn: _Turn) -> Plan | None:
    try:
        return choose()
    except BaseException:
        turn.end()
        raise
