"""A strategy pulls its whole grid on Prime: five hundred orders in one command.

Prime shows one order per request, so five hundred requests leave, and the reply holds one outcome per order in the
asked sequence, however many of the ids are wrong.
"""

import pytest

from ..world import PRIME_HOST, SEEDS, Staging


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_one_outcome_per_order_in_the_asked_sequence(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(500)
        named = [{"order_id": order_id} for order_id in orders]
        reply = await strategy.do("cancel_batch", orders=named, until=until)
        assert [outcome["order_id"] for outcome in reply["outcomes"]] == orders
        expected = "acked" if until == "ack" else "canceled"
        assert {outcome["outcome"] for outcome in reply["outcomes"]} == {expected}
        assert len(world.frames("OrderCancelRequest")) == 500
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_good_and_wrong_ids_each_have_their_own_outcome(
    autojump_clock: object, stage: Staging, seed: int
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(100)
        wrong = {n: f"16a55364-4248-4575-aa0b-{n:012d}" for n in range(3, 100, 10)}
        named = [{"order_id": wrong.get(n, orders[n]), "symbol": "BTC-USD"} for n in range(100)]
        reply = await strategy.do("cancel_batch", orders=named, deadline_ms=5000)
        for n, outcome in enumerate(reply["outcomes"]):
            assert outcome["outcome"] in (("not_open",) if n in wrong else ("acked", "canceled")), outcome
        assert sorted(world.resting) == sorted(orders[n] for n in wrong)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", ["ack", "proof"])
async def test_half_of_them_lost_with_their_socket(
    autojump_clock: object, stage: Staging, seed: int, until: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(500)
        world.inject("swallow_ack_before_effect", match="OrderCancelRequest", fraction=0.5, times=250)
        named = [{"order_id": order_id} for order_id in orders]
        strategy.ask("cancel_batch", orders=named, until=until, deadline_ms=5000)
        await world.passed(0.1)
        world.inject("reset_sockets", session=world.received("OrderCancelRequest")[0].session)
        reply = await strategy.hear()
        assert {outcome["outcome"] for outcome in reply["outcomes"]} <= {"acked", "canceled"}
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_no_session_up_they_are_all_refused(autojump_clock: object, stage: Staging, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        orders = await world.place_seen(500)
        world.cut_off(PRIME_HOST)
        await world.passed(0.05)
        reply = await strategy.do("cancel_batch", orders=[{"order_id": order_id} for order_id in orders])
        told = {(outcome["outcome"], outcome["reason"]) for outcome in reply["outcomes"]}
        assert told == {("refused", "no_route")}
        assert len(world.resting) == 500
