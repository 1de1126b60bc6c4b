"""What a seed decides before anything runs: which daemon, which venues, how fast, how much, and what may go wrong."""

import dataclasses
import random
from dataclasses import dataclass
from typing import Final, Literal

from msgspec.structs import replace

from canceld.contract.ids import Venue
from canceld.settings import Settings
from canceld.sim.rates import PRO, UNLIMITED, Tier
from tests.scenarios.world import settings_for

Mode = Literal["safety", "liveness"]

VENUES_DRAWN: Final[tuple[tuple[Venue, ...], ...]] = (
    *(("spot",),) * 10,
    *(("futures",),) * 4,
    *(("prime",),) * 4,
    ("spot", "futures"),
    ("spot", "prime", "futures"),
)
"""Spot most often: it has most ways to go wrong. Together they are costly and teach little that is new."""

LATE_WINDOWS: Final = 32
"""One seed in so many waits until no late answer can come any more, and looks for what is left in the tables."""

FAMILY_DAYS: Final = 0.22
"""Of the seeds with Spot alone, on so many hardly anything is asked for but families of orders: among everything else
most of them are gone before anybody cancels them."""

BATCH_SIZES: Final = (10, 60, 60)
BRIEF_BATCH_SIZES: Final = (120,)
"""Most orders that are named in one batch, as chance has it."""

PLACED: Final = (0, 10, 30)
BRIEF_PLACED: Final = (0, 30, 60)
"""Orders that rest when it begins, as chance has it."""

STRAIGHT: Final = 0.6
"""How many of the runs let plain cancels take the straight line."""

BRIEFLY: Final = 0.5
"""How much of its time a brief run has. More happens in each second of it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. Times are virtual seconds; `_per_s` are rates of Poisson processes.

    kinds: which troubles may happen; empty for a run without any. frozen: hosts that are lost for good at the end,
    liveness only. late_window: whether the end waits for the tables to be empty. brief: whether it is of the cheaper
    kind that each commit is tried with. straight: whether plain cancels take the straight line, or all the long way.
    """

    seed: int
    mode: Mode
    settings: Settings
    tier: Tier
    latency_s: float
    jitter_s: float
    slice_bytes: int
    venue_ahead_s: float
    span_s: float
    clients: int
    asks_per_s: float
    orders_per_s: float
    families_per_s: float
    troubles_per_s: float
    kinds: tuple[str, ...]
    kills: bool
    lives: int
    late_window: bool
    logs: bool
    placed: tuple[int, ...] = PLACED
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    brief: bool = False
    straight: bool = True

    @property
    def venues(self) -> tuple[Venue, ...]:
        return self.settings.venues


def plan_for(seed: int, kinds: tuple[str, ...]) -> Plan:
    """The plan of a seed. kinds: every trouble there is; some are switched off at random, so that each is seen
    without the others."""
    rng = random.Random(seed)
    venues = rng.choice(VENUES_DRAWN)
    settings = settings_for(*venues, uws="futures" in venues and rng.random() < 0.5)
    settings = replace(
        settings,
        spot=replace(
            settings.spot,
            protocol=rng.choice(("v1", "v2")),
            hedge_after_ms=rng.choice((50, 200, 400)),
            overtake_ms=rng.choice((0, 500, 1500)),
            sessions=rng.choice((1, 1, 2, 2, 2, 3)),
            canary_s=rng.choice((0, 0, 0, 2.0)),
        ),
        prime=replace(settings.prime, hedge_after_ms=rng.choice((50, 200, 400)), sessions=rng.choice((1, 1, 2, 2, 3))),
        futures=replace(settings.futures, hedge_after_ms=rng.choice((50, 200, 400))),
    )
    calm = rng.random() < 0.05
    odds = rng.choice((0.25, 0.5, 1.0))
    latency_s = rng.choice((0.0, 0.0, 0.001, 0.005, 0.03))
    span_s, troubles_per_s = rng.uniform(1.1, 3.4), rng.choice((6.0, 11.0, 20.0))
    families = venues == ("spot",) and rng.random() < FAMILY_DAYS
    if families:
        # Sessions that are up most of the time, as it is acks and streams that these are about.
        odds, span_s, troubles_per_s = 0.25, 1.6 * span_s, 0.25 * troubles_per_s
    return Plan(
        seed=seed,
        mode=rng.choice(("safety", "safety", "liveness")),
        settings=settings,
        tier=UNLIMITED if families else rng.choice((PRO, UNLIMITED)),
        latency_s=latency_s,
        jitter_s=latency_s * rng.choice((0.0, 0.5, 3.0)),
        slice_bytes=rng.choice((1 << 16, 1 << 16, 1 << 16, 97)),
        venue_ahead_s=rng.choice((0.0, 0.0, 0.0, 1.5, -1.5)),
        span_s=span_s,
        clients=rng.randint(1, 4),
        asks_per_s=1.0 if families else rng.uniform(13.2, 38.6),
        orders_per_s=rng.uniform(9.0, 32.0),
        families_per_s=6.0 if families else 0.0,
        troubles_per_s=0.0 if calm else troubles_per_s,
        kinds=() if calm else tuple(kind for kind in kinds if rng.random() < odds),
        kills=rng.random() < 0.35,
        lives=rng.choice((1, 1, 2, 4)),
        late_window=rng.randrange(LATE_WINDOWS) == 0,
        logs=rng.random() < 0.15,
        straight=rng.random() < STRAIGHT,
    )


def brief_plan_for(seed: int, kinds: tuple[str, ...]) -> Plan:
    """The plan of a seed in brief, for two thirds of the processor time: what a commit is tried with.

    There is one session less and there are two lives at the most, batches are larger, half as many runs are watched
    until everything is up again, and as much goes wrong in less time.
    """
    plan = plan_for(seed, kinds)
    settings = replace(
        plan.settings,
        spot=replace(plan.settings.spot, sessions=max(1, plan.settings.spot.sessions - 1)),
        prime=replace(plan.settings.prime, sessions=max(1, plan.settings.prime.sessions - 1)),
    )
    return dataclasses.replace(
        plan,
        mode=plan.mode if seed % 2 else "safety",
        settings=settings,
        span_s=BRIEFLY * plan.span_s,
        asks_per_s=1.2 * plan.asks_per_s,
        orders_per_s=1.15 * plan.orders_per_s,
        troubles_per_s=2.0 * plan.troubles_per_s,
        lives=min(plan.lives, 2),
        placed=BRIEF_PLACED,
        batch_sizes=BRIEF_BATCH_SIZES,
        brief=True,
    )
