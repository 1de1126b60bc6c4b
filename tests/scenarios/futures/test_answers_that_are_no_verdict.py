"""REST answers with an error, a web page, a redirect or a gateway's 5xx instead of a verdict.

Some say that nothing was done, some leave it open; none of them is a success, and a redirect is never followed. The
cancel is tried again while its deadline lasts, and what the strategy hears is what is proved.
"""

from typing import Any

import pytest

from ..world import SEEDS
from .stages import stage

PASSING: dict[str, dict[str, Any]] = {
    "502": {"kind": "rest_status", "status": 502},
    "503 after the effect": {"kind": "rest_status", "status": 503, "effect": "after"},
    "504 after the effect": {"kind": "rest_status", "status": 504, "effect": "after"},
    "HTML": {"kind": "rest_html_200"},
    "HTML after the effect": {"kind": "rest_html_200", "effect": "after"},
    "truncated": {"kind": "rest_truncate"},
    "redirect": {"kind": "rest_redirect"},
    "429": {"kind": "rest_status", "status": 429, "body": "", "content_type": "text/plain"},
    "Unavailable": {"kind": "rest_error", "error": "Unavailable"},
    "Server Error": {"kind": "rest_error", "error": "Server Error"},
    "unknownError": {"kind": "rest_error", "error": "unknownError", "form": "list"},
    "marketUnavailable": {"kind": "rest_error", "error": "marketUnavailable"},
    "a number": {"kind": "rest_error", "error": "Unavailable", "form": "code"},
    "notFound as an error": {"kind": "rest_error", "error": "notFound"},
    "an empty object": {"kind": "rest_status", "status": 200, "body": "{}", "content_type": "application/json"},
    "success of nothing": {
        "kind": "rest_status", "status": 200, "body": '{"result":"success"}', "content_type": "application/json",
    },
    "another order's": {
        "kind": "rest_status", "status": 200, "content_type": "application/json",
        "body": '{"result":"success","cancelStatus":{"status":"cancelled",'
        '"order_id":"00000000-0000-4000-8000-00000000beef"}}',
    },
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("misfortune", PASSING)
async def test_one_such_answer_costs_no_more_than_a_moment(autojump_clock: object, seed: int, misfortune: str) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject(**PASSING[misfortune], route="futures_rest", match="cancelorder", times=1)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "canceled", reply
        assert strategy.took(reply["id"]) < 1.2
        assert world.resting == []
        assert {dial.host for dial in world.dials} <= {"futures.sim.invalid", "feed.sim.invalid"}


@pytest.mark.parametrize("misfortune", PASSING)
async def test_nothing_but_such_answers_is_no_success(autojump_clock: object, misfortune: str) -> None:
    async with stage() as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        fault = {**PASSING[misfortune], "effect": "before"}
        if fault["kind"] in ("rest_truncate", "rest_redirect", "rest_error"):
            del fault["effect"]
        world.inject(**fault, route="futures_rest", match="cancelorder")
        reply = await strategy.cancel(order_id=order_id)
        if misfortune == "truncated":
            assert reply["outcome"] == "canceled"
            assert world.resting == []
            return
        assert reply["outcome"] in ("unknown", "rejected"), reply
        assert world.resting == [order_id]
        assert len(world.received("cancelorder")) <= 16


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("error", ["invalidArgument", "requiredArgumentMissing", "Json Parse Error"])
async def test_a_request_that_the_venue_calls_wrong_is_rejected_at_once(
    autojump_clock: object, seed: int, error: str
) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("rest_error", route="futures_rest", match="cancelorder", error=error)
        reply = await strategy.cancel(order_id=order_id)
        assert (reply["outcome"], reply["class"], reply["error"]) == ("rejected", "invalid", error)
        assert len(world.received("cancelorder")) == 1
        assert world.resting == [order_id]
