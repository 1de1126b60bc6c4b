"""Another program used the same API key with higher nonces: every REST call of ours is refused as too low.

One jump above whatever can have been drawn, and the same cancel goes through. If that is not enough either, there is no
storm of tries: too many bad nonces get a key banned.
"""

import pytest

from canceld.engine.latch import Latch, format_latch
from canceld.engine.nonces import format_mark
from canceld.sim.keys import ApiKey
from canceld.tasks.latch_file import LATCH_FILE

from .world import SEEDS, WS_HOST, Stage, stage


def _key(world: Stage) -> ApiKey:
    key = world.exchange.keys.find("spot", world.exchange.credentials["spot"]["key"])
    assert key is not None
    return key


def _used_elsewhere(world: Stage, ahead_s: float) -> None:
    _key(world).last_nonce = world.clock.utc_ns() + round(ahead_s * 1e9)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ahead_s", [1.0, 3600.0])
async def test_one_jump_and_the_cancel_is_done(autojump_clock: object, seed: int, ahead_s: float) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.cut_off(WS_HOST)
        await world.passed(0.01)
        _used_elsewhere(world, ahead_s)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["route"]) == ("acked", "rest")
        assert strategy.took(reply["id"]) < 0.01
        assert len(world.frames("CancelOrder")) == 2
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_key_on_a_finer_scale_costs_two_tries_per_cancel_and_the_sockets_go_on(
    autojump_clock: object, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        _used_elsewhere(world, 1e9)
        world.inject("swallow_ack_before_effect", route="spot_ws", match="cancelOrder", times=2)
        reply = await strategy.cancel(order_id=first)
        assert reply["outcome"] != "not_open"
        assert len(world.frames("CancelOrder")) == 2
        reply = await strategy.cancel(order_id=second)
        assert reply["outcome"] in ("acked", "canceled")
        assert second not in world.resting


@pytest.mark.parametrize("seed", SEEDS)
async def test_refused_and_not_to_be_sent_again_is_told_as_refused_by_the_venue(
    autojump_clock: object, seed: int
) -> None:
    """The daemon starts. While a cancel waits for its turn at REST the venue locks the key out over a token; then the
    cancel's own nonce is too low as well, and a better one may not be sent any more. It did reach the venue, whose
    answer is what is known of it: that nothing had left would be untrue."""
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        await world.die()
        token = {"route": "spot_rest", "match": "GetWebSocketsToken"}
        world.inject("rest_delay", **token, seconds=0.02, request=True, times=1)
        world.inject("rest_error", **token, error="EGeneral:Temporary lockout")
        cancel = {"route": "spot_rest", "match": "CancelOrder", "times": 1}
        # Its answer comes after its turn is over, so that the token is refused a second time meanwhile, and believed.
        world.inject("rest_delay", **cancel, seconds=0.45)
        world.inject("rest_error", **cancel, error="EAPI:Invalid nonce")
        world.begin()
        await world.passed(0.01)
        reply = await strategy.cancel(order_id=order_id, deadline_ms=500)
        assert (reply["outcome"], reply["attempts"], reply.get("error")) == ("rejected", 1, "EAPI:Invalid nonce")
        assert len(world.asked_of_venue(order_id)) == 1
        assert world.resting == [order_id]


def _alerts(world: Stage) -> list[str]:
    assert world.daemon is not None
    return [alert["what"] for alert in world.daemon.events.alerts]


SHARED = "spot: another program uses this key: our nonces are overtaken"


class _Other:
    """A program on the same key that jumps above us as soon as we have jumped above it."""

    def __init__(self, world: Stage) -> None:
        self._world = world
        self.gone = False
        self.met = 0

    async def run(self) -> None:
        key = _key(self._world)
        theirs = 0
        while not self.gone:
            if key.last_nonce > theirs:
                self.met += 1
                theirs = key.last_nonce = key.last_nonce + 10**9
            await self._world.passed(0.01)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ahead_s", [600.0, 36_000.0, 200_000.0])
async def test_a_daemon_that_starts_behind_another_one_is_not_kept_away_for_it(
    autojump_clock: object, seed: int, ahead_s: float
) -> None:
    """The other one was started with our key by mistake, found no mark, and has jumped about since; now it is gone."""
    async with stage(seed) as world:
        await world.die()
        key = _key(world)
        key.last_nonce = max(key.last_nonce, world.clock.utc_ns() + 86_400 * 10**9) + round(ahead_s * 1e9)
        began = world.now_s
        await world.restart()
        await world.live()
        assert world.now_s - began < 3.0


CANCELS = 30


@pytest.mark.parametrize("seed", SEEDS)
async def test_another_program_on_the_key_is_named_and_is_not_fought_with(autojump_clock: object, seed: int) -> None:
    """Somebody has started a second program with our key. Each jumps above the other's nonces; the sockets are down, so
    that every cancel goes by REST. After three refusals the operator reads who is to blame, and jumps become rare, so
    that the venue does not lock the key. A kill waits for none of that. Once the other program has ended, so does the
    alert."""
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(CANCELS + 1)
        world.cut_off(WS_HOST)
        await world.passed(0.01)
        other = _Other(world)
        world.start(other.run)
        outcomes = []
        for order_id in orders[:CANCELS]:
            outcomes.append((await strategy.cancel(order_id=order_id, deadline_ms=1000))["outcome"])
            await world.passed(1.0)
        assert SHARED in _alerts(world)
        # Without pauses there were two requests for each cancel, and as many jumps as cancels.
        assert other.met <= 12
        assert len(world.frames("CancelOrder")) <= CANCELS
        assert len(world.resting) == 1 + sum(outcome != "acked" for outcome in outcomes)
        began = world.now_s
        reply = await strategy.do("kill", reason="enough", deadline_ms=10_000)
        assert reply["venues"]["spot"]["state"] == "flat"
        assert world.now_s - began < 1.0
        assert world.resting == []
        other.gone = True
        await world.passed(61.0)
        assert SHARED not in _alerts(world)


@pytest.mark.parametrize("seed", SEEDS)
async def test_after_a_panic_no_nonce_of_ours_is_refused(autojump_clock: object, seed: int) -> None:
    """The daemon hangs; the operator runs `canceld panic`, which uses the same key, stores how far it came, and latches
    the state directory. Then the daemon is continued: it finds the latch, and the mark with it, before it says a word
    to the venue."""
    async with stage(seed) as world:
        order_ids = await world.place_seen(2)
        world.cut_off(WS_HOST)
        await world.passed(0.01)
        _used_elsewhere(world, 3600.0)
        state = world.directory(world.settings.state.dir)
        state.replace_now("nonce-spot", format_mark(_key(world).last_nonce + 1000))
        state.replace_now(LATCH_FILE, format_latch(Latch(trigger="panic", reason="it hung")))
        await world.passed(2.0)
        assert world.resting == []
        assert len(order_ids) == 2
        nonces = [int(str(frame["nonce"])) for frame in world.frames("CancelAll")]
        assert nonces
        assert min(nonces) > world.clock.utc_ns() + 3500 * 10**9
