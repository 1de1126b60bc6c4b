"""What of Futures REST depends on time: the venue's clock, learnt from its answers, and the deadline told by it."""

from datetime import datetime
from urllib.parse import parse_qs

from canceld.contract.ids import Target
from canceld.credentials import Keys, Secret
from canceld.engine.calls import Call
from canceld.tasks.futures import CLOCK_SAMPLES, SLACK_NS, FuturesRest
from canceld.transport.clock import VirtualClock, rfc3339

KEYS = Keys(Secret("key"), Secret(b"secret"))
ORDER = Target("order_id", "00000000-0000-4000-8000-000000000001")
S = 1_000_000_000
HOUR_NS = 3600 * S


class Venue:
    """A venue whose clock is `ahead_ns` of ours, and the dialect that talks to it."""

    def __init__(self, ahead_ns: int = 0) -> None:
        self.clock = VirtualClock()
        self.ahead_ns = ahead_ns
        self.rest = FuturesRest(KEYS, self.clock)

    def answer(self, *, late_ns: int = 0) -> None:
        """Let an answer come in that was written `late_ns` ago."""
        _, decode = self.rest.plan(Call(form="open_orders", targets=()))
        told = rfc3339(self.clock.utc_ns() + self.ahead_ns - late_ns)
        decode(200, f'{{"result":"success","serverTime":"{told}","openOrders":[]}}'.encode())

    def before_s(self, deadline_s: float | None = 2.0) -> float | None:
        """For how long, by its own clock, the venue may process a cancel that leaves now."""
        now_ns = self.clock.monotonic_ns()
        deadline_ns = None if deadline_s is None else now_ns + int(deadline_s * S)
        build, _ = self.rest.plan(Call(form="cancel", targets=(ORDER,), deadline_ns=deadline_ns))
        named = parse_qs(build(0).body.decode()).get("processBefore")
        if named is None:
            return None
        return datetime.fromisoformat(named[0]).timestamp() - (self.clock.utc_ns() + self.ahead_ns) / 1e9


def near(told_s: float | None, expected_s: float) -> bool:
    return told_s is not None and abs(told_s - expected_s) < 0.002


async def test_nothing_is_told_before_the_venues_clock_is_known(autojump_clock: object) -> None:
    assert Venue().before_s() is None


async def test_a_call_without_a_deadline_tells_none(autojump_clock: object) -> None:
    venue = Venue()
    venue.answer()
    assert venue.before_s(None) is None


async def test_the_deadline_is_told_by_the_venues_clock(autojump_clock: object) -> None:
    for ahead_ns in (-HOUR_NS, 0, HOUR_NS):
        venue = Venue(ahead_ns)
        venue.answer()
        assert near(venue.before_s(), 2.0 + SLACK_NS / S)


async def test_our_wall_clock_may_be_set_meanwhile(autojump_clock: object) -> None:
    venue = Venue()
    venue.answer()
    venue.clock.step_utc(HOUR_NS)
    venue.ahead_ns -= HOUR_NS
    assert near(venue.before_s(), 2.0 + SLACK_NS / S)


async def test_slow_answers_do_not_set_it_back(autojump_clock: object) -> None:
    venue = Venue()
    venue.answer()
    for _ in range(CLOCK_SAMPLES - 1):
        venue.answer(late_ns=2 * S)
    assert near(venue.before_s(), 2.0 + SLACK_NS / S)


async def test_a_venue_that_sets_its_clock_back_is_followed(autojump_clock: object) -> None:
    venue = Venue()
    venue.answer()
    venue.ahead_ns -= HOUR_NS
    for _ in range(CLOCK_SAMPLES):
        venue.answer()
    assert near(venue.before_s(), 2.0 + SLACK_NS / S)


async def test_an_answer_that_tells_no_time_changes_nothing(autojump_clock: object) -> None:
    venue = Venue()
    venue.answer()
    _, decode = venue.rest.plan(Call(form="open_orders", targets=()))
    for body in (b"", b"<html>", b'{"serverTime":7}', b'{"result":"success"}'):
        decode(502, body)
    assert near(venue.before_s(), 2.0 + SLACK_NS / S)
