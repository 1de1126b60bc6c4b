"""Futures REST as a signing caller sees it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from canceld.sim.rates import Budget
from canceld.sim.server import SimulatedKraken
from tests.sim.callers import START_S, Futures, Gone, authent, kraken

NOBODY = "cb4e34f6-4eb3-4d4b-9724-4c3035b99d47"
# Inputs and results of a third party's unit test of the same algorithm.
ROQ_SECRET = "DuWQ3317vPm8tlOoylWmhfQJwGkKiR+ABuNNocaPxU2DA5H9aZAKkGO0sYBSGKirtdlkm8dL9DAp6husEABgWyOr"
# The secret of the published challenge vector; the results below are computed from it.
FEED_SECRET = "7zxMEF5p/Z8l2p2U7Ghv6x14Af+Fx+92tPgUdVQ748FOIrEoT9bgT+bTRfXc5pz8na+hL/QdrCVG7bh9KpT0eMTm"
# Kraken's own inputs (the printed secret lacks its padding), results from two unrelated tests.
GUIDE_SECRET = "rttp4AzwRfYEdQ7R7X8Z/04Y4TZPa97pqCypi3xXxAqftygftnI6H9yGV+OcUOOJeFtZkr8mVwbAndU3Kz4Q+eG="
SENDORDER = "orderType=lmt&symbol=PI_XBTUSD&side=buy&size=1&limitPrice=44587.5&cliOrdId=123%2B%2F%3D&reduceOnly=false"
BATCH = (
    "json=%7B%22batchOrder%22%3A%5B%7B%22order%22%3A%22cancel%22%2C%22order_id%22%3A%22"
    "cb4e34f6-4eb3-4d4b-9724-4c3035b99d47%22%7D%5D%7D"
)
VECTORS = [
    (
        ROQ_SECRET,
        SENDORDER,
        "1629361663947",
        "sendorder",
        "YU08zbwSTBmsVOSQQh8EPPW6eAZUmqgpRy6t5EmO2j/5aEyX3LTw1G2H+CP0dqUWOhLIFoQAXuZQcK5vU/B/qQ==",
    ),
    (
        FEED_SECRET,
        f"order_id={NOBODY}",
        "",
        "cancelorder",
        "RsJUAGKHRANTCXN4yfIJ6YLZxUG3GFenqV/XrSrFYFmxosX9EWvg1P+Ja0kNBx8y/RXW1/tXTYKQmSxWzRH9cw==",
    ),
    (
        FEED_SECRET,
        BATCH,
        "",
        "batchorder",
        "ui6S65hm67tgtBd5ZbJu9YEtuCwdk4PFWfuVlG8uwyiHG/95WUvr0ekkmAYbV+BCEZgYH/9Y1y8rMuhBtWI/fA==",
    ),
    (
        FEED_SECRET,
        "timeout=60",
        "",
        "cancelallordersafter",
        "Fy/R8IfTKZoUDUcQijs6KCU7r+PAoHHKtAFxhgnKNE2ErSs39cMyBWmmTRFkgRTf+rxHD9FgQDxNjyrDO8WMcQ==",
    ),
]


@pytest.fixture
async def venue() -> SimulatedKraken:
    return kraken()


@pytest.fixture
async def futures(venue: SimulatedKraken, nursery: trio.Nursery) -> Futures:
    return Futures.dial(venue, nursery)


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["order_id"] for row in rows]


# --- signatures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("secret", "body", "nonce", "method", "signature"), VECTORS, ids=lambda part: str(part)[:12])
async def test_known_signatures_are_accepted(
    venue: SimulatedKraken, futures: Futures, secret: str, body: str, nonce: str, method: str, signature: str
) -> None:
    venue.keys.enrol("futures", "sample", key="sample", secret=secret)
    headers = {"APIKey": "sample", "Authent": signature, "Content-Type": "application/x-www-form-urlencoded"}
    headers |= {"Nonce": nonce} if nonce else {}
    answer = await futures.request("POST", f"/derivatives/api/v3/{method}", body=body.encode(), headers=headers)
    assert (answer.status, answer.json["result"]) == (200, "success")


@pytest.mark.parametrize(
    ("nonce", "signature"),
    [
        ("1415957147987", "DqUyz8Wh/72af7dimSXHw91IFxrAriTgVodyg2s67PU2mVStwLDQak+uIoCtfb43XONq0xVAp+vm5dqnhFAB1Q=="),
        ("", "BGOdiF//YXbOtKUkyFFRqKAft7gai33YfScxFrXMdMHGUJ6wSaMA6y0p6UzfYzj5Flgvv+SFQe53h2KrEe37Ng=="),
    ],
)
def test_the_caller_of_these_tests_signs_as_the_guide_does(nonce: str, signature: str) -> None:
    assert authent(GUIDE_SECRET, b"symbol=fi_xbtusd_180615", nonce, "/api/v3/orderbook") == signature


async def test_a_wrong_key_or_signature_is_no_authentication(futures: Futures) -> None:
    refused = {"result": "error", "error": "authenticationError"}
    good_key, futures.key = futures.key, "nobody"
    answer = await futures.post("cancelallorders")
    assert answer.pop("serverTime").endswith("Z")
    assert answer == refused
    futures.key, futures.secret = good_key, FEED_SECRET
    assert (await futures.post("cancelallorders"))["error"] == "authenticationError"


async def test_what_is_signed_is_what_was_sent_not_what_it_means(futures: Futures) -> None:
    body = b"cliOrdId=a%20b"
    signature = authent(futures.secret, b"cliOrdId=a+b", "", "/api/v3/cancelorder")
    headers = {"APIKey": futures.key, "Authent": signature, "Content-Type": "application/x-www-form-urlencoded"}
    answer = await futures.request("POST", "/derivatives/api/v3/cancelorder", body=body, headers=headers)
    assert answer.json["error"] == "authenticationError"


async def test_the_prefix_is_not_signed(futures: Futures) -> None:
    signature = authent(futures.secret, b"", "", "/derivatives/api/v3/openorders")
    headers = {"APIKey": futures.key, "Authent": signature}
    answer = await futures.request("GET", "/derivatives/api/v3/openorders", headers=headers)
    assert answer.json["error"] == "authenticationError"


async def test_a_nonce_may_come_late_but_not_twice(futures: Futures) -> None:
    async def with_nonce(nonce: str) -> Any:
        return (await futures.signed("GET", "openorders", nonce=nonce)).json.get("error")

    assert [await with_nonce(nonce) for nonce in ("200", "100", "200", "many")] == [
        None,
        None,
        "nonceDuplicate",
        "authenticationError",
    ]
    assert {await with_nonce(str(1000 + number)) for number in range(120)} == {None}
    assert await with_nonce("5") == "nonceBelowThreshold"


async def test_parameters_may_come_in_the_query(venue: SimulatedKraken, futures: Futures) -> None:
    order_id = venue.place("futures")
    answer = await futures.signed("POST", "cancelorder", query=f"order_id={order_id}")
    assert answer.json["cancelStatus"]["status"] == "cancelled"


async def test_a_key_that_may_only_read_cannot_cancel(venue: SimulatedKraken, futures: Futures) -> None:
    reader = venue.keys.issue("futures", "default", rights={"read-only"})
    venue.place("futures")
    futures.key, futures.secret = reader.key, reader.secret
    assert len((await futures.get("openorders"))["openOrders"]) == 1
    assert (await futures.post("cancelallorders"))["error"] == "insufficientPrivileges"
    assert len(venue.resting("futures")) == 1


# --- one order ------------------------------------------------------------------------------------------------------


async def test_an_order_is_sent_listed_canceled_and_still_known_for_a_moment(
    venue: SimulatedKraken, futures: Futures, autojump_clock: MockClock
) -> None:
    sent = await futures.post(
        "sendorder", orderType="lmt", symbol="pf_xbtusd", side="buy", size="2", limitPrice="8000", cliOrdId="mine"
    )
    status = sent["sendStatus"]
    order_id = status["order_id"]
    assert (sent["result"], status["status"], status["cliOrdId"]) == ("success", "placed", "mine")
    assert [event["type"] for event in status["orderEvents"]] == ["PLACE"]
    [row] = (await futures.get("openorders"))["openOrders"]
    assert (row["order_id"], row["cliOrdId"], row["symbol"], row["status"]) == (
        order_id,
        "mine",
        "PF_XBTUSD",
        "untouched",
    )
    canceled = (await futures.post("cancelorder", order_id=order_id))["cancelStatus"]
    assert (canceled["status"], canceled["order_id"], canceled["cliOrdId"]) == ("cancelled", order_id, "mine")
    [event] = canceled["orderEvents"]
    assert (event["type"], event["uid"]) == ("CANCEL", order_id)
    assert (event["order"]["quantity"], event["order"]["filled"], event["order"]["type"]) == (2, 0, "lmt")
    assert (await futures.post("cancelorder", order_id=order_id))["cancelStatus"] == {"status": "notFound"}
    [known] = (await futures.post("orders/status", orderIds=order_id))["orders"]
    assert (known["status"], known["updateReason"]) == ("CANCELLED", "CANCELLED_BY_USER")
    assert known["order"]["orderId"] == order_id
    await trio.sleep(5.1)
    assert (await futures.post("orders/status", orderIds=order_id))["orders"] == []
    assert venue.resting("futures") == []


async def test_a_cancel_takes_a_client_id(venue: SimulatedKraken, futures: Futures) -> None:
    order_id = venue.place("futures", cl_ord_id="a b+c")
    canceled = (await futures.post("cancelorder", cliOrdId="a b+c"))["cancelStatus"]
    assert (canceled["status"], canceled["order_id"]) == ("cancelled", order_id)


async def test_a_partly_filled_order_is_canceled_with_what_it_traded(venue: SimulatedKraken, futures: Futures) -> None:
    order_id = venue.place("futures", quantity=Decimal(5))
    await futures.control("POST", "/sim/fill", {"order_id": order_id, "quantity": "1.5"})
    [row] = (await futures.get("openorders"))["openOrders"]
    assert (row["status"], row["filledSize"], row["unfilledSize"]) == ("partiallyFilled", 1.5, 3.5)
    canceled = (await futures.post("cancelorder", order_id=order_id))["cancelStatus"]
    assert canceled["orderEvents"][0]["order"]["filled"] == 1.5


async def test_a_filled_order_says_so_and_is_forgotten_soon(
    venue: SimulatedKraken, futures: Futures, autojump_clock: MockClock
) -> None:
    order_id = venue.place("futures")
    await futures.control("POST", "/sim/fill", {"order_id": order_id})
    told = (await futures.post("cancelorder", order_id=order_id))["cancelStatus"]
    assert (told["status"], told["orderEvents"]) == ("filled", [])
    [known] = (await futures.get("orders/status", orderIds=order_id))["orders"]
    assert (known["status"], known["updateReason"]) == ("FULLY_EXECUTED", "FULL_FILL")
    await trio.sleep(5.1)
    assert (await futures.post("cancelorder", order_id=order_id))["cancelStatus"] == {"status": "notFound"}


async def test_a_trigger_has_its_own_shapes(venue: SimulatedKraken, futures: Futures) -> None:
    sent = await futures.post(
        "sendorder", orderType="stp", symbol="PF_XBTUSD", side="sell", size="1", stopPrice="50000"
    )
    order_id = sent["sendStatus"]["order_id"]
    assert (await futures.get("orders/status", orderIds=order_id))["orders"][0]["status"] == "TRIGGER_PLACED"
    [event] = (await futures.post("cancelorder", order_id=order_id))["cancelStatus"]["orderEvents"]
    assert (event["orderTrigger"]["uid"], event["orderTrigger"]["triggerPrice"]) == (order_id, 50000)
    assert "order" not in event


async def test_a_market_order_fills_at_once(venue: SimulatedKraken, futures: Futures) -> None:
    sent = await futures.post("sendorder", orderType="mkt", symbol="PF_XBTUSD", side="buy", size="1")
    assert [event["type"] for event in sent["sendStatus"]["orderEvents"]] == ["EXECUTION"]
    assert venue.resting("futures") == []


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"cliOrdId": "taken"}, "clientOrderIdAlreadyExist"),
        ({"cliOrdId": "x" * 101}, "clientOrderIdTooLong"),
        ({"size": "-1"}, "invalidSize"),
        ({"limitPrice": "x"}, "invalidPrice"),
        ({"side": "up"}, "invalidSide"),
        ({"orderType": "odd"}, "invalidOrderType"),
        ({"orderType": "ioc"}, "iocWouldNotExecute"),
    ],
)
async def test_an_order_that_is_not_placed_says_why(
    venue: SimulatedKraken, futures: Futures, changed: dict[str, str], word: str
) -> None:
    venue.place("futures", cl_ord_id="taken")
    order = {"orderType": "lmt", "symbol": "PF_XBTUSD", "side": "buy", "size": "1", "limitPrice": "8000"}
    answer = await futures.post("sendorder", **order | changed)
    assert (answer["result"], answer["sendStatus"]["status"]) == ("success", word)
    assert len(venue.resting("futures")) == 1


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, "requiredArgumentMissing"),
        ({"order_id": NOBODY, "cliOrdId": "mine"}, "invalidArgument"),
        ({"order_id": NOBODY, "txid": "mine"}, "invalidArgument"),
        ({"order_id": NOBODY, "processBefore": "soon"}, "invalidArgument"),
    ],
)
async def test_a_malformed_cancel_is_refused(futures: Futures, params: dict[str, str], error: str) -> None:
    assert (await futures.post("cancelorder", **params))["error"] == error


@pytest.mark.parametrize(("before", "left"), [("2023-11-14T22:13:19Z", 1), ("2023-11-14T23:13:19.000Z", 0)])
async def test_a_cancel_is_processed_in_time_or_not_at_all(
    venue: SimulatedKraken, futures: Futures, autojump_clock: MockClock, before: str, left: int
) -> None:
    assert START_S == 1_700_000_000  # 22:13:20
    order_id = venue.place("futures")
    await futures.post("cancelorder", order_id=order_id, processBefore=before)
    assert len(venue.resting("futures")) == left


# --- many orders ----------------------------------------------------------------------------------------------------


async def test_a_batch_answers_each_element_in_another_order(venue: SimulatedKraken, futures: Futures) -> None:
    first, second = venue.place("futures"), venue.place("futures", cl_ord_id="mine")
    asked = [
        {"order": "cancel", "order_id": first},
        {"order": "cancel", "cliOrdId": "mine"},
        {"order": "cancel", "order_id": NOBODY},
    ]
    told = (await futures.batch(*asked))["batchStatus"]
    by_id = {row["order_id"]: row for row in told}
    assert by_id[first]["status"] == by_id[second]["status"] == "cancelled"
    assert by_id[NOBODY] == {"status": "notFound", "order_id": NOBODY, "orderEvents": []}
    assert by_id[second]["cliOrdId"] == "mine"
    assert by_id[first]["orderEvents"][0]["order"]["filled"] == "0E-11"
    assert [row["order_id"] for row in told] != [first, second, NOBODY]
    assert venue.resting("futures") == []


async def test_a_batch_may_send_too(venue: SimulatedKraken, futures: Futures) -> None:
    new = {"order": "send", "order_tag": "1", "orderType": "lmt", "symbol": "PF_ETHUSD", "side": "buy"}
    told = (await futures.batch(new | {"size": 1, "limitPrice": 1000}, {"order": "cancel"}, {"order": "dance"}))[
        "batchStatus"
    ]
    assert sorted(row["status"] for row in told) == ["invalidArgument", "placed", "requiredArgumentMissing"]
    [placed] = [row for row in told if row["status"] == "placed"]
    assert placed["order_tag"] == "1"
    assert [order.order_id for order in venue.resting("futures")] == [placed["order_id"]]


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, "requiredArgumentMissing"),
        ({"batchOrder": "[]"}, "invalidArgument"),
        ({"json": "{"}, "Json Parse Error"),
        ({"json": "{}"}, "requiredArgumentMissing"),
        ({"json": '{"batchOrder":[]}'}, "invalidArgument"),
        ({"json": json.dumps({"batchOrder": [{"order": "cancel", "order_id": NOBODY}] * 51})}, "invalidArgument"),
    ],
)
async def test_a_malformed_batch_is_refused(futures: Futures, params: dict[str, str], error: str) -> None:
    assert (await futures.post("batchorder", **params))["error"] == error


async def test_cancel_all_takes_a_symbol_or_everything(venue: SimulatedKraken, futures: Futures) -> None:
    first, other = venue.place("futures"), venue.place("futures", pair="PF_ETHUSD", cl_ord_id="mine")
    one = (await futures.post("cancelallorders", symbol="pf_xbtusd"))["cancelStatus"]
    assert (one["status"], one["cancelOnly"], ids(one["cancelledOrders"])) == ("cancelled", "PF_XBTUSD", [first])
    rest = (await futures.post("cancelallorders"))["cancelStatus"]
    assert (rest["cancelOnly"], rest["cancelledOrders"]) == ("all", [{"order_id": other, "cliOrdId": "mine"}])
    none = (await futures.post("cancelallorders"))["cancelStatus"]
    assert (none["status"], none["cancelledOrders"]) == ("noOrdersToCancel", [])


async def test_the_dead_mans_switch_fires_when_nobody_refreshes_it(
    venue: SimulatedKraken, futures: Futures, autojump_clock: MockClock
) -> None:
    order_id = venue.place("futures")
    armed = (await futures.post("cancelallordersafter", timeout=60))["status"]
    assert (armed["currentTime"], armed["triggerTime"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:14:20.000Z")
    await trio.sleep(59)
    assert len(venue.resting("futures")) == 1
    await trio.sleep(1.5)
    assert venue.resting("futures") == []
    [known] = (await futures.post("orders/status", orderIds=order_id))["orders"]
    assert known["updateReason"] == "DEAD_MAN_SWITCH"
    assert (await futures.post("cancelallordersafter", timeout=0))["status"]["triggerTime"] == "0"


# --- the budget and the market --------------------------------------------------------------------------------------


async def test_the_budget_is_500_points_in_10_seconds(
    venue: SimulatedKraken, futures: Futures, autojump_clock: MockClock
) -> None:
    for _ in range(50):
        assert (await futures.post("cancelorder", order_id=NOBODY))["result"] == "success"
    over = await futures.post("cancelorder", order_id=NOBODY)
    assert (over["result"], over["error"]) == ("error", "apiLimitExceeded")
    assert (await futures.request("GET", "/derivatives/api/v3/instruments")).json["result"] == "success"
    await trio.sleep(10.1)
    assert (await futures.post("cancelorder", order_id=NOBODY))["result"] == "success"


async def test_a_batch_costs_nine_and_one_each(nursery: trio.Nursery) -> None:
    futures = Futures.dial(kraken(futures_budget=Budget(points=12, window_s=10)), nursery)
    cancel = {"order": "cancel", "order_id": NOBODY}
    assert (await futures.batch(*[cancel] * 4))["error"] == "apiLimitExceeded"
    assert (await futures.batch(*[cancel] * 3))["result"] == "success"
    assert (await futures.get("openorders"))["error"] == "apiLimitExceeded"


async def test_in_maintenance_nothing_is_canceled(venue: SimulatedKraken, futures: Futures) -> None:
    order_id = venue.place("futures")
    venue.faults.inject({"kind": "maintenance", "for_s": 60, "route": "futures_rest"})
    assert (await futures.post("cancelorder", order_id=order_id))["error"] == "marketUnavailable"
    assert venue.spot.status == "online"
    assert len(venue.resting("futures")) == 1


# --- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "members"),
    [
        ("plain", {"error": "Server Error"}),
        ("list", {"error": "Server Error", "errors": ["Server Error"]}),
        ("code", {"errors": [{"code": 95, "message": "Server Error"}]}),
    ],
)
async def test_an_injected_error_has_any_of_the_documented_forms(
    venue: SimulatedKraken, futures: Futures, form: str, members: dict[str, Any]
) -> None:
    venue.faults.inject({"kind": "rest_error", "error": "Server Error", "form": form, "route": "futures_rest"})
    answer = await futures.post("cancelallorders")
    del answer["serverTime"]
    assert answer == {"result": "error"} | members


async def test_an_injected_error_may_be_a_sentence_or_the_web_frameworks(
    venue: SimulatedKraken, futures: Futures
) -> None:
    fault = {"kind": "rest_error", "route": "futures_rest", "times": 1}
    venue.faults.inject({**fault, "form": "sentence", "error": "Argument invalid: order_id"})
    answer = await futures.post("cancelallorders")
    assert (answer["status"], answer["result"]) == ("BAD_REQUEST", "error")
    assert answer["errors"] == [{"code": 11, "message": "Argument invalid: order_id"}]
    venue.faults.inject({**fault, "form": "framework", "error": "Unauthorized", "status": 401})
    answer = await futures.post("cancelallorders")
    assert (answer["status"], answer["error"], answer["message"]) == (401, "Unauthorized", "")
    assert "result" not in answer


@pytest.mark.parametrize(("effect", "left"), [("before", 1), ("after", 0)])
async def test_a_state_may_have_an_unheard_name(
    venue: SimulatedKraken, futures: Futures, effect: str, left: int
) -> None:
    venue.faults.inject({"kind": "status_word", "word": "vanished", "effect": effect, "times": 1})
    order_id = venue.place("futures")
    told = (await futures.post("cancelorder", order_id=order_id))["cancelStatus"]
    assert (told["status"], told["order_id"]) == ("vanished", order_id)
    assert len(venue.resting("futures")) == left


@pytest.mark.parametrize(("fault", "left"), [({"kind": "batch_missing"}, 0), ({"kind": "batch_partial"}, 1)])
async def test_batch_elements_may_be_missing_from_the_answer(
    venue: SimulatedKraken, futures: Futures, fault: dict[str, Any], left: int
) -> None:
    asked = [venue.place("futures") for _ in range(3)]
    venue.faults.inject(fault | {"times": 1})
    told = (await futures.batch(*({"order": "cancel", "order_id": order_id} for order_id in asked)))["batchStatus"]
    assert sorted(ids(told)) == sorted(asked[:2])
    assert len(venue.resting("futures")) == left


async def test_the_faults_of_rest_answers_reach_futures(venue: SimulatedKraken, futures: Futures) -> None:
    venue.place("futures")
    venue.faults.inject({"kind": "rest_html_200", "route": "futures_rest", "times": 1})
    answer = await futures.signed("POST", "cancelallorders")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html")
    assert len(venue.resting("futures")) == 1
    venue.faults.inject({"kind": "rest_close_before_answer", "effect": "after", "match": "cancelallorders", "times": 1})
    with pytest.raises(Gone):
        await futures.post("cancelallorders")
    assert venue.resting("futures") == []


async def test_warm_connections_are_reset_by_route(venue: SimulatedKraken, nursery: trio.Nursery) -> None:
    first, second = Futures.dial(venue, nursery), Futures.dial(venue, nursery)
    await first.get("openorders")
    venue.faults.inject({"kind": "reset_sockets", "route": "futures_rest"})
    with pytest.raises(Gone):
        await first.get("openorders")
    assert (await second.get("openorders"))["result"] == "success"


async def test_an_unknown_path_is_not_found(futures: Futures) -> None:
    answer = await futures.signed("POST", "editorder")
    assert (answer.status, answer.json["error"]) == (404, "notFound")
