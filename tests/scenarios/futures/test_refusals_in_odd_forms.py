"""Futures refuses in two forms that its pages lack: sentences under a status by name, and the web framework's own body.

Either is a plain refusal. The strategy hears it with its class after one try, a refused key is tried on a second
connection, raises its alert and is not used on, a spent budget is waited for, and in none of them an order is believed
to be gone.
"""

import pytest

from ..world import SEEDS
from .stages import rest_state, stage

SENTENCE = {"form": "sentence", "error": "Argument invalid: order_id"}
NO_SUCH_PATH = {"form": "framework", "error": "Not Found"}
NO_KEY = {"form": "framework", "error": "Unauthorized", "status": 401}
NO_KEY_IN_WORDS = {"form": "sentence", "error": "no such user", "status": 401}
TOO_MANY = {"form": "framework", "error": "Too Many Requests", "status": 429}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("refusal", "reject_class"),
    [(SENTENCE, "invalid"), (NO_SUCH_PATH, "invalid"), (NO_KEY, "auth"), (NO_KEY_IN_WORDS, "auth")],
)
async def test_one_try_and_the_refusal_is_told(
    autojump_clock: object, seed: int, refusal: dict[str, str], reject_class: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        alerts = world.listen("alert")
        [order_id] = await world.place_seen(1)
        world.inject("rest_error", route="futures_rest", match="cancelorder", **refusal)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["class"]) == ("rejected", reject_class)
        assert refusal["error"] in reply["error"]
        # A key counts as refused once the API said so on two connections.
        assert len(world.received("cancelorder")) == (2 if reject_class == "auth" else 1)
        critical = [alert["do"] for alert in alerts.events if alert["severity"] == "critical"]
        assert any(refusal["error"] in what for what in critical) == (reject_class == "auth")
        if reject_class == "auth":
            assert rest_state(world)["state"] == "closed"
        assert world.resting == [order_id]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_spent_budget_is_waited_for(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("rest_error", route="futures_rest", match="cancelorder", times=1, **TOO_MANY)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "canceled"
        first, second = world.received("cancelorder")
        assert second.at_s - first.at_s >= 1.0
        assert world.resting == []
