"""Spot REST as a signing caller sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from canceld.sim.rates import RestLimit
from canceld.sim.server import SimulatedKraken
from tests.sim.callers import START_S, Rest, kraken, sign

# The published sample of https://docs.kraken.com/exchange/guides/rest/authentication
SAMPLE_SECRET = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
SAMPLE_NONCE = 1616492376594
SAMPLES = [
    (
        "AddOrder",
        "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25",
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==",
    ),
    # The rest is computed from the same inputs by the same algorithm; Kraken prints no further results.
    (
        "CancelOrder",
        "nonce=1616492376594&txid=OHYO67-6LP66-HMQ437",
        "fQFa1ZX8+ZpQnIRLCJoDl4VBmI2UuIar6lhBQbfJlG18dfOGQ+2nu7TUq/bqJ+mKXb4jmFz5Si4GndEVvNy/mQ==",
    ),
    (
        "CancelOrderBatch",
        '{"nonce":1616492376594,"orders":["OP5V2Y-RYKVL-ET3V3B","OP5V2Y-7YKVL-ET3V3B"]}',
        "GqbaY5YcWQnIphtqzRcLBUP8mWkDYgR/MVn98NiTGv3dZkATqyp7WPvdhNEBp6HUI2zz4/dgVA6z910JbmSHUg==",
    ),
    (
        "GetWebSocketsToken",
        "nonce=1616492376594",
        "+mRDmY9Ks0Moc1zjv/BjfvYa98buO0x1yHChZR5onlfAzAUbfIYlLggUZzdQ0RsmXm4Sh+Q8iAIZdo2wSeHeiA==",
    ),
    (
        "CancelAll",
        "nonce=1616492376594",
        "OfXInJKG/CGUVlF8/2IGsoLjxoXdjGyjKbm/G/iWqfYNVVdF97YvCNsSn7F2MNZScPQycb4EsrhJFm5OtQCTYQ==",
    ),
]


@pytest.fixture
async def venue() -> SimulatedKraken:
    return kraken()


@pytest.fixture
async def rest(venue: SimulatedKraken, nursery: trio.Nursery) -> Rest:
    return Rest.dial(venue, nursery)


@pytest.mark.parametrize(("method", "body", "signature"), SAMPLES, ids=[sample[0] for sample in SAMPLES])
async def test_known_signatures_are_accepted(
    venue: SimulatedKraken, rest: Rest, method: str, body: str, signature: str
) -> None:
    venue.keys.enrol("spot", "sample", key="sample", secret=SAMPLE_SECRET)
    headers = {
        "api-key": "sample",
        "api-sign": signature,
        "content-type": "application/json" if body.startswith("{") else "application/x-www-form-urlencoded",
    }
    answer = await rest.request("POST", f"/0/private/{method}", body=body.encode(), headers=headers)
    errors = answer.json["error"]
    # An order of the sample does not rest here, so the cancels may find nothing; the signature is what is asked.
    assert errors in ([], ["EOrder:Unknown order"])


async def test_a_wrong_key_signature_or_nonce_is_refused_by_name(venue: SimulatedKraken, rest: Rest) -> None:
    good_key, good_secret = rest.key, rest.secret
    rest.key = "nobody"
    assert await rest.private("CancelAll") == {"error": ["EAPI:Invalid key"]}
    rest.key, rest.secret = good_key, SAMPLE_SECRET
    assert await rest.private("CancelAll") == {"error": ["EAPI:Invalid signature"]}
    rest.secret = good_secret
    assert (await rest.private("CancelAll"))["error"] == []
    rest.nonces = iter([1])  # type: ignore[assignment]
    assert await rest.private("CancelAll") == {"error": ["EAPI:Invalid nonce"]}


async def test_a_nonce_is_not_used_up_by_a_bad_signature(rest: Rest) -> None:
    path, body = "/0/private/CancelAll", b"nonce=900"
    headers = {"api-key": rest.key, "content-type": "application/x-www-form-urlencoded"}
    refused = await rest.request("POST", path, body=body, headers=headers | {"api-sign": "bm8="})
    assert refused.json["error"] == ["EAPI:Invalid signature"]
    accepted = await rest.request(
        "POST", path, body=body, headers=headers | {"api-sign": sign(rest.secret, path, "900", body)}
    )
    assert accepted.json["error"] == []


@pytest.mark.parametrize("as_json", [False, True])
async def test_an_order_is_added_listed_canceled_and_found_closed(
    venue: SimulatedKraken, rest: Rest, as_json: bool
) -> None:
    added = await rest.private(
        "AddOrder",
        as_json=as_json,
        ordertype="limit",
        type="buy",
        pair="XBTUSD",
        price="37500",
        volume="1.25",
        userref=5,
    )
    [txid] = added["result"]["txid"]
    assert added["result"]["descr"] == {"order": "buy 1.25000000 XBTUSD @ limit 37500"}
    listed = (await rest.private("OpenOrders", as_json=as_json))["result"]["open"]
    assert listed[txid]["userref"] == 5
    assert listed[txid]["vol"] == "1.25000000"
    assert listed[txid]["opentm"] == pytest.approx(START_S + trio.current_time(), abs=5)
    assert await rest.private("CancelOrder", as_json=as_json, txid=txid) == {"error": [], "result": {"count": 1}}
    assert await rest.private("CancelOrder", as_json=as_json, txid=txid) == {"error": ["EOrder:Unknown order"]}
    queried = (await rest.private("QueryOrders", as_json=as_json, txid=txid))["result"][txid]
    assert (queried["status"], queried["reason"]) == ("canceled", "User requested")
    closed = (await rest.private("ClosedOrders", as_json=as_json))["result"]
    assert list(closed["closed"]) == [txid]
    assert closed["count"] == 1
    assert venue.resting() == []


async def test_a_cancel_takes_a_txid_a_userref_or_a_client_id(venue: SimulatedKraken, rest: Rest) -> None:
    for _ in range(3):
        venue.place(userref=77)
    venue.place(cl_ord_id="mine")
    assert (await rest.private("CancelOrder", txid="77"))["result"] == {"count": 3}
    venue.place(userref=-78)
    assert (await rest.private("CancelOrder", as_json=True, txid=-78))["result"] == {"count": 1}
    assert (await rest.private("CancelOrder", cl_ord_id="mine"))["result"] == {"count": 1}


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, "EGeneral:Invalid arguments"),
        ({"txid": "OHYO67-6LP66-HMQ437", "cl_ord_id": "a"}, "EGeneral:Invalid arguments"),
        ({"txid": "0"}, "EGeneral:Invalid arguments:userref"),
        ({"txid": "not an id"}, "EOrder:Invalid order"),
        ({"txid": "OHYO67-6LP66-HMQ437"}, "EOrder:Unknown order"),
        ({"txId": "OHYO67-6LP66-HMQ437"}, "EGeneral:Invalid arguments:txId"),
        ({"cl_ord_id": "longer than eighteen"}, "EGeneral:Invalid arguments:cl_ord_id"),
    ],
)
async def test_a_wrong_cancel_gets_the_venues_words(rest: Rest, params: dict[str, str], error: str) -> None:
    assert await rest.private("CancelOrder", **params) == {"error": [error]}


async def test_a_batch_tells_only_how_many(venue: SimulatedKraken, rest: Rest) -> None:
    txids = [venue.place() for _ in range(3)]
    venue.place(userref=9)
    venue.place(cl_ord_id="c")
    orders = [txids[0], {"txid": txids[1]}, 9, "OHYO67-6LP66-HMQ437", txids[0]]
    answer = await rest.private("CancelOrderBatch", as_json=True, orders=orders, cl_ord_ids=[{"cl_ord_id": "c"}])
    assert answer == {"error": [], "result": {"count": 4}}
    assert [order.order_id for order in venue.resting()] == [txids[2]]


@pytest.mark.parametrize("count", [0, 51])
async def test_a_batch_takes_one_to_fifty_ids(rest: Rest, count: int) -> None:
    orders = [f"O{n:05d}-AAAAA-BBBBBB" for n in range(count)]
    answer = await rest.private("CancelOrderBatch", as_json=True, orders=orders)
    assert answer == {"error": ["EGeneral:Invalid arguments:orders"]}


async def test_a_batch_can_be_told_to_leave_some(venue: SimulatedKraken, rest: Rest) -> None:
    txids = [venue.place() for _ in range(4)]
    venue.faults.inject({"kind": "batch_partial", "keep": 2, "times": 1})
    answer = await rest.private("CancelOrderBatch", as_json=True, orders=txids)
    assert answer["result"] == {"count": 2}
    assert [order.order_id for order in venue.resting()] == txids[2:]


async def test_single_cancels_meet_the_pair_counter_and_a_batch_does_not(venue: SimulatedKraken, rest: Rest) -> None:
    txids = [venue.place() for _ in range(30)]
    answers = [await rest.private("CancelOrder", txid=txid) for txid in txids[:23]]
    assert [bool(answer["error"]) for answer in answers] == [False] * 22 + [True]
    assert answers[-1] == {"error": ["EOrder:Rate limit exceeded"]}
    assert (await rest.private("CancelOrderBatch", as_json=True, orders=txids[22:]))["result"] == {"count": 8}


async def test_cancel_all_counts(venue: SimulatedKraken, rest: Rest) -> None:
    for _ in range(5):
        venue.place()
    venue.place(account="bob")
    assert (await rest.private("CancelAll"))["result"] == {"count": 5}
    assert (await rest.private("CancelAll"))["result"] == {"count": 0}
    assert len(venue.resting()) == 1


async def test_the_dead_mans_switch_counts_down(venue: SimulatedKraken, rest: Rest, autojump_clock: MockClock) -> None:
    venue.place()
    answer = await rest.private("CancelAllOrdersAfter", timeout=60)
    assert answer["result"] == {"currentTime": "2023-11-14T22:13:20Z", "triggerTime": "2023-11-14T22:14:20Z"}
    await trio.sleep(59)
    assert len(venue.resting()) == 1
    await trio.sleep(2)
    assert venue.resting() == []
    disarmed = await rest.private("CancelAllOrdersAfter", timeout=0)
    assert disarmed["result"]["triggerTime"] == "0"
    too_long = await rest.private("CancelAllOrdersAfter", timeout=86_400)
    assert too_long == {"error": ["EGeneral:Invalid arguments:Invalid timeout argument"]}


async def test_rights_are_checked(venue: SimulatedKraken, rest: Rest) -> None:
    key = venue.keys.issue("spot", "default", rights={"close-trades"})
    venue.place()
    rest.key, rest.secret = key.key, key.secret
    for method, params in {
        "AddOrder": {"ordertype": "limit", "type": "buy", "pair": "XBTUSD", "price": "1", "volume": "1"},
        "GetWebSocketsToken": {},
        "OpenOrders": {},
        "ClosedOrders": {},
        "Balance": {},
    }.items():
        assert await rest.private(method, **params) == {"error": ["EGeneral:Permission denied"]}, method
    assert (await rest.private("CancelAll"))["result"] == {"count": 1}
    info = (await rest.private("GetApiKeyInfo"))["result"]
    assert info["permissions"] == ["close-trades"]
    assert info["nonce"] == str(key.last_nonce)


async def test_the_rest_counter_is_there_when_asked_for(nursery: trio.Nursery) -> None:
    rest = Rest.dial(kraken(rest_limit=RestLimit(maximum=3, decay_per_s=0.33)), nursery)
    answers = [await rest.private("OpenOrders") for _ in range(4)]
    assert [answer["error"] for answer in answers] == [[], [], [], ["EAPI:Rate limit exceeded"]]
    assert (await rest.private("CancelOrder", txid="OHYO67-6LP66-HMQ437"))["error"] == ["EOrder:Unknown order"]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"pair": "DOGEMOON"}, "EQuery:Unknown asset pair"),
        ({"volume": "0.00001"}, "EOrder:Order minimum not met"),
        ({"volume": "NaN"}, "EGeneral:Invalid arguments:volume"),
        ({"price": "-1"}, "EGeneral:Invalid arguments:price"),
        ({"type": "hold"}, "EGeneral:Invalid arguments:type"),
        ({"ordertype": "wish"}, "EGeneral:Invalid arguments:ordertype"),
        ({"userref": "2147483648"}, "EGeneral:Invalid arguments:userref"),
        ({"cl_ord_id": "a", "userref": "3"}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"cl_ord_id": "taken"}, "EGeneral:Invalid arguments:cl_ord_id must be unique"),
    ],
)
async def test_a_wrong_order_is_refused(
    venue: SimulatedKraken, rest: Rest, changed: dict[str, str], error: str
) -> None:
    venue.place(cl_ord_id="taken")
    params: dict[str, Any] = {"ordertype": "limit", "type": "buy", "pair": "XBTUSD", "price": "1", "volume": "1"}
    assert await rest.private("AddOrder", **(params | changed)) == {"error": [error]}
    assert len(venue.resting()) == 1


async def test_a_market_order_fills_at_once_and_validation_places_nothing(venue: SimulatedKraken, rest: Rest) -> None:
    params = {"type": "buy", "pair": "XBT/USD", "volume": "1"}
    [txid] = (await rest.private("AddOrder", ordertype="market", **params))["result"]["txid"]
    queried = (await rest.private("QueryOrders", txid=txid, trades="true"))["result"][txid]
    assert (queried["status"], queried["vol_exec"], len(queried["trades"])) == ("closed", "1.00000000", 1)
    validated = await rest.private("AddOrder", ordertype="limit", price="5", validate="true", **params)
    assert validated == {"error": [], "result": {"descr": {"order": "buy 1.00000000 XBTUSD @ limit 5"}}}
    assert venue.resting() == []


async def test_a_query_for_an_id_that_never_was_fails(rest: Rest) -> None:
    assert await rest.private("QueryOrders", txid="OHYO67-6LP66-HMQ437") == {"error": ["EOrder:Invalid order"]}


async def test_public_methods_need_no_key(rest: Rest) -> None:
    time = (await rest.request("GET", "/0/public/Time")).json["result"]
    assert time["unixtime"] == pytest.approx(START_S + trio.current_time(), abs=5)
    status = (await rest.request("GET", "/0/public/SystemStatus")).json["result"]
    assert status["status"] == "online"
    pairs = (await rest.request("GET", "/0/public/AssetPairs?pair=XBTUSD")).json["result"]
    assert pairs["XXBTZUSD"]["wsname"] == "XBT/USD"
    assert "XXBT" in (await rest.request("GET", "/0/public/Assets")).json["result"]


async def test_an_unknown_method_says_so(rest: Rest) -> None:
    assert await rest.private("WithdrawEverything") == {"error": ["EGeneral:Unknown method"]}
    assert (await rest.request("GET", "/0/private/CancelAll")).json == {"error": ["EGeneral:Unknown method"]}


# --- faults ---------------------------------------------------------------------------------------------------------


async def test_a_bad_gateway_hides_what_happened(venue: SimulatedKraken, rest: Rest) -> None:
    venue.place()
    venue.faults.inject({"kind": "rest_status", "status": 502, "times": 1, "match": "CancelAll"})
    answer = await rest.post("CancelAll")
    assert (answer.status, answer.headers["content-type"]) == (502, "text/html")
    assert b"cloudflare" in answer.body
    assert len(venue.resting()) == 1
    venue.faults.inject({"kind": "rest_status", "status": 520, "times": 1, "effect": "after"})
    assert (await rest.post("CancelAll")).status == 520
    assert venue.resting() == []


async def test_an_html_page_can_come_with_status_200(venue: SimulatedKraken, rest: Rest) -> None:
    venue.faults.inject({"kind": "rest_html_200", "times": 1})
    answer = await rest.post("CancelAll")
    assert answer.status == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json  # noqa: B018


async def test_a_redirect_names_another_host(venue: SimulatedKraken, rest: Rest) -> None:
    venue.faults.inject({"kind": "rest_redirect", "times": 1, "location": "https://elsewhere.example/"})
    answer = await rest.post("CancelAll")
    assert (answer.status, answer.headers["location"]) == (302, "https://elsewhere.example/")


async def test_a_named_error_leaves_the_order_alone(venue: SimulatedKraken, rest: Rest) -> None:
    txid = venue.place()
    venue.faults.inject({"kind": "rest_error", "error": "EGeneral:Temporary lockout", "times": 1})
    assert await rest.private("CancelOrder", txid=txid) == {"error": ["EGeneral:Temporary lockout"]}
    assert len(venue.resting()) == 1


async def test_a_matched_fault_spares_the_method_with_the_longer_name(venue: SimulatedKraken, rest: Rest) -> None:
    venue.faults.inject({"kind": "rest_error", "match": "CancelOrder"})
    answer = await rest.private("CancelOrderBatch", as_json=True, orders=[venue.place()])
    assert answer["result"] == {"count": 1}


async def test_an_answer_can_be_held_back(venue: SimulatedKraken, rest: Rest, autojump_clock: MockClock) -> None:
    venue.place()
    venue.faults.inject({"kind": "rest_delay", "seconds": 3.0, "times": 1})
    async with trio.open_nursery() as calls:
        calls.start_soon(rest.private, "CancelAll")
        await trio.sleep(1)
        assert venue.resting() == []
        assert trio.current_time() < 3
    assert trio.current_time() == pytest.approx(3.0)


async def test_a_request_can_be_held_back(venue: SimulatedKraken, rest: Rest, autojump_clock: MockClock) -> None:
    venue.place()
    venue.faults.inject({"kind": "rest_delay", "seconds": 3.0, "request": True, "times": 1})
    async with trio.open_nursery() as calls:
        calls.start_soon(rest.private, "CancelAll")
        await trio.sleep(1)
        assert len(venue.resting()) == 1
    assert venue.resting() == []
