"""What may happen to one venue of the daemon, and the states in which it begins."""

from collections.abc import Callable
from typing import Final

from canceld.contract.evidence import Fault
from canceld.engine.lane import FEED, Lane

from .places import Place
from .run import Run
from .venue import FRAME_ODD, REST_ODD, STANDING, Odd

Event = Callable[[Run], None]

STARTS: Final = ("idle", "busy", "degraded")
"""idle: all is up, and orders rest. busy: cancels are in flight when the first event strikes. degraded: the venue takes
one way less, and does not for now."""


def _lanes(run: Run) -> list[Lane]:
    """The sockets that take cancels."""
    return [lane for lane in run.exchange.sockets if lane != FEED]


def begin(run: Run, start: str) -> None:
    """Bring a fresh run into one of STARTS."""
    run.daemon_up()
    for _ in range(3):
        run.exchange.place()
    run.advance(2_100)
    if start == "busy":
        for order_id in list(run.exchange.book)[:2]:
            run.daemon.cancel(order_id)
    elif start == "degraded":
        run.exchange.serves_sockets = False
        run.exchange.drop(*(_lanes(run) or list(run.exchange.sockets))[:1])
        run.advance(100)


def _odd_rest(odd: Odd) -> Event:
    """REST answers its next call oddly; if nobody makes one, an ordinary one is made."""

    def happen(run: Run) -> None:
        run.exchange.next_rest = odd
        if run.exchange.venue == "futures" and not run.exchange.unified and run.exchange.book:
            run.daemon.cancel(next(iter(run.exchange.book)))
        else:
            run.daemon.survey()

    return happen


def _odd_frame(odd: Odd) -> Event:
    """A session's next cancel is answered oddly, and one is sent."""

    def happen(run: Run) -> None:
        run.exchange.next_frame = odd
        if run.exchange.book:
            run.daemon.cancel(next(iter(run.exchange.book)))

    return happen


def _rest(state: str) -> Event:
    def happen(run: Run) -> None:
        if "rest" not in run.exchange.gone:
            run.exchange.rest = state

    return happen


def _drop_all(run: Run) -> None:
    run.exchange.drop(*run.exchange.sockets)


def _drop_one(run: Run) -> None:
    run.exchange.drop(*_lanes(run)[:1])


def _refuse_sockets(run: Run) -> None:
    run.exchange.serves_sockets = False
    _drop_all(run)


def _mute(place: int) -> Event:
    def happen(run: Run) -> None:
        if lanes := _lanes(run):
            run.exchange.silence(lanes[place])

    return happen


def _kill_token(run: Run) -> None:
    if not _bars_tokens(run):
        run.exchange.good_tokens.clear()


def _no_tokens(run: Run) -> None:
    run.exchange.gives_tokens = False


def _heal(run: Run) -> None:
    run.heal()


def _maintain(run: Run) -> None:
    run.exchange.set_mode("maintenance")


def _cancel_only(run: Run) -> None:
    run.exchange.set_mode("cancel_only")


def _place(run: Run) -> None:
    run.place()


def _place_unlisted(run: Run) -> None:
    run.place(lag_ms=150)


def _swallow(run: Run) -> None:
    run.exchange.swallows = 2


def _no_more_rest(run: Run) -> None:
    exchange = run.exchange
    tokens = {socket.token for socket in run.daemon.sockets}
    if "sockets" not in exchange.gone and (exchange.unified or tokens & exchange.good_tokens):
        run.exchange.gone.add("rest")
        run.exchange.rest = "refuses connections"


def _no_more_sockets(run: Run) -> None:
    if "rest" not in run.exchange.gone:
        run.exchange.gone.add("sockets")
        _refuse_sockets(run)


def _cancel(run: Run) -> None:
    if run.exchange.book:
        run.daemon.cancel(next(iter(run.exchange.book)), proof=True)


def _kill(run: Run) -> None:
    run.kill()


def _rearm(run: Run) -> None:
    run.daemon.rearm()


def _bars_tokens(run: Run) -> bool:
    """Whether no token can be had any more: then Spot is cancelled by those that are there, or not at all."""
    return "rest" in run.exchange.gone and not run.exchange.unified


def _restart(run: Run) -> None:
    if _bars_tokens(run):
        return
    run.daemon.die()
    run.daemon_up()


def _wait(ms: int) -> Event:
    def happen(run: Run) -> None:
        run.advance(ms)

    return happen


def events_of(place: Place) -> dict[str, Event]:
    """Everything that may happen at a venue, by its name."""
    events: dict[str, Event] = {
        "a kill": _kill,
        "a re-arm": _rearm,
        "a crash, and a start": _restart,
        "a cancel": _cancel,
        "an order placed": _place,
        "an order placed that lists lack": _place_unlisted,
        "maintenance": _maintain,
        "cancel_only": _cancel_only,
        "all is well again": _heal,
        "1.3 s pass": _wait(1300),
        "6 s pass": _wait(6000),
        "all sockets reset": _drop_all,
        "sockets refused": _refuse_sockets,
    }
    if place != "futures":
        events["one socket reset"] = _drop_one
        events["the active socket mute"] = _mute(0)
        events["the other socket mute"] = _mute(-1)
        events |= {f"frame: {odd.name}": _odd_frame(odd) for odd in FRAME_ODD}
    if place in ("spot", "unified"):
        events["every token dead"] = _kill_token
        events["two frames that come next are swallowed"] = _swallow
        events["no REST any more"] = _no_more_rest
        events["no sockets any more"] = _no_more_sockets
        events["frame: STALE_TOKEN"] = _odd_frame(Odd("STALE_TOKEN", Fault.STALE_TOKEN))
    if place == "unified":
        events["no token to be had"] = _no_tokens
    if place != "prime":
        at = "spot" if place == "spot" else "futures"
        events |= {f"REST: {odd.name}": _odd_rest(odd) for odd in REST_ODD[place]}
        events |= {f"REST {state}": _rest(state) for where, state in STANDING if where == at}
    return events
