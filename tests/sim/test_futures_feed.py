"""The Futures feed as a caller sees it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from canceld.sim.server import SimulatedKraken
from tests.sim.callers import Gone, WebSocket, kraken

# The published vector of https://docs.kraken.com/api/docs/guides/futures-websockets
CHALLENGE = "c100b894-1729-464d-ace1-52dbce11db42"
SECRET = "7zxMEF5p/Z8l2p2U7Ghv6x14Af+Fx+92tPgUdVQ748FOIrEoT9bgT+bTRfXc5pz8na+hL/QdrCVG7bh9KpT0eMTm"
SIGNED = "4JEpF3ix66GA2B+ooK128Ift4XQVtc137N9yeg4Kqsn9PI0Kpzbysl9M1IeCEdjg0zl00wkVqcsnG4bmnlMb3A=="
REFUSED = {"event": "alert", "message": "Failed to subscribe to authenticated feed"}


def sign_challenge(secret: str, challenge: str) -> str:
    digest = hashlib.sha256(challenge.encode()).digest()
    return base64.b64encode(hmac.digest(base64.b64decode(secret), digest, hashlib.sha512)).decode()


class Desk:
    """One venue and one connection of the feed, its challenge signed when it is first needed."""

    def __init__(self, venue: SimulatedKraken, ws: WebSocket) -> None:
        self.venue = venue
        self.ws = ws
        self.key, self.secret = venue.credentials["futures"]["key"], venue.credentials["futures"]["secret"]
        self.challenge = ""

    async def get(self) -> Any:
        return await self.ws.get()

    async def sign_in(self) -> None:
        answer = await self.ws.ask({"event": "challenge", "api_key": self.key})
        assert answer["event"] == "challenge"
        self.challenge = answer["message"]

    def signed(self) -> dict[str, str]:
        return {
            "api_key": self.key,
            "original_challenge": self.challenge,
            "signed_challenge": sign_challenge(self.secret, self.challenge),
        }

    async def subscribe(self, feed: str = "open_orders") -> Any:
        """Subscribe and return the snapshot."""
        await self.sign_in()
        answer = await self.ws.ask({"event": "subscribe", "feed": feed} | self.signed())
        assert answer == {"event": "subscribed", "feed": feed} | self.signed()
        return await self.get()


@pytest.fixture
async def desk(nursery: trio.Nursery) -> Desk:
    venue = kraken()
    ws = await WebSocket.dial(venue, nursery, "/ws/v1", greeted=False)
    assert await ws.get() == {"event": "info", "version": 1}
    return Desk(venue, ws)


def test_the_caller_of_these_tests_signs_as_the_guide_does() -> None:
    assert sign_challenge(SECRET, CHALLENGE) == SIGNED


async def test_the_published_signature_is_accepted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.venue.keys.enrol("futures", "default", key="sample", secret=SECRET)
    monkeypatch.setattr("canceld.sim.futures_feed.uuid.UUID", lambda **_: CHALLENGE)
    desk.key = "sample"
    await desk.sign_in()
    answer = await desk.ws.ask(
        {
            "event": "subscribe",
            "feed": "open_orders",
            "api_key": "sample",
            "original_challenge": CHALLENGE,
            "signed_challenge": SIGNED,
        }
    )
    assert answer["event"] == "subscribed"


async def test_ping_is_answered_without_signing_in(desk: Desk) -> None:
    assert await desk.ws.ask({"event": "ping"}) == {"event": "pong"}


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("{", {"event": "error", "message": "Json Error"}),
        ([], {"event": "alert", "message": "Bad websocket message"}),
        ({"event": "dance"}, {"event": "alert", "message": "Bad websocket message"}),
        ({"event": "challenge"}, {"event": "alert", "message": "Bad websocket message"}),
        ({"event": "subscribe", "feed": "nothing"}, {"event": "error", "message": "Invalid feed"}),
        ({"event": "subscribe", "feed": "open_orders"}, REFUSED),
        ({"event": "unsubscribe", "feed": "open_orders"}, {"event": "error", "message": "Invalid feed"}),
    ],
)
async def test_what_cannot_be_done_is_said(desk: Desk, message: Any, answer: Any) -> None:
    assert await desk.ws.ask(message) == answer


# --- signing in -----------------------------------------------------------------------------------------------------


async def test_a_challenge_is_handed_to_anyone_and_a_bad_key_shows_later(desk: Desk) -> None:
    desk.key = "nobody"
    await desk.sign_in()
    assert await desk.ws.ask({"event": "subscribe", "feed": "open_orders"} | desk.signed()) == REFUSED


async def test_a_wrong_signature_is_refused(desk: Desk) -> None:
    await desk.sign_in()
    desk.secret = SECRET
    assert await desk.ws.ask({"event": "subscribe", "feed": "open_orders"} | desk.signed()) == REFUSED


async def test_a_challenge_belongs_to_its_connection(desk: Desk, nursery: trio.Nursery) -> None:
    await desk.sign_in()
    other = await WebSocket.dial(desk.venue, nursery, "/ws/v1")
    assert await other.ask({"event": "subscribe", "feed": "open_orders"} | desk.signed()) == REFUSED
    assert (await desk.ws.ask({"event": "subscribe", "feed": "open_orders"} | desk.signed()))["event"] == "subscribed"


async def test_subscribing_again_is_harmless(desk: Desk) -> None:
    desk.venue.place("futures")
    await desk.subscribe()
    alert = await desk.ws.ask({"event": "subscribe", "feed": "open_orders"} | desk.signed())
    assert alert == {"event": "alert", "message": "Already subscribed to feed, re-requesting"}
    assert (await desk.get())["event"] == "subscribed"
    assert len((await desk.get())["orders"]) == 1
    desk.venue.place("futures")
    assert (await desk.get())["reason"] == "new_placed_order_by_user"
    assert await desk.ws.ask({"event": "ping"}) == {"event": "pong"}


# --- what is told of orders -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("feed", ["open_orders", "open_orders_verbose"])
async def test_the_snapshot_holds_every_open_order(desk: Desk, feed: str) -> None:
    order_id = desk.venue.place("futures", cl_ord_id="mine", quantity=Decimal(5))
    desk.venue.exchange.fill(desk.venue.resting("futures")[0], Decimal("1.5"))
    snapshot = await desk.subscribe(feed)
    assert (snapshot["feed"], len(snapshot["account"])) == (f"{feed}_snapshot", 36)
    [row] = snapshot["orders"]
    assert (row["order_id"], row["cli_ord_id"], row["instrument"]) == (order_id, "mine", "PF_XBTUSD")
    assert (row["qty"], row["filled"], row["direction"], row["type"]) == (3.5, 1.5, 0, "limit")
    assert row["time"] == int(desk.venue.resting("futures")[0].opened_s * 1000)


async def test_an_account_without_orders_has_an_empty_snapshot(desk: Desk) -> None:
    assert (await desk.subscribe())["orders"] == []


async def test_orders_come_go_and_trade(desk: Desk) -> None:
    await desk.subscribe()
    first, second = desk.venue.place("futures", cl_ord_id="mine"), desk.venue.place("futures", quantity=Decimal(2))
    placed = [await desk.get(), await desk.get()]
    assert [(told["order"]["order_id"], told["is_cancel"], told["reason"]) for told in placed] == [
        (first, False, "new_placed_order_by_user"),
        (second, False, "new_placed_order_by_user"),
    ]
    desk.venue.futures.cancel("default", order_id=first)
    assert await desk.get() == {
        "feed": "open_orders",
        "order_id": first,
        "cli_ord_id": "mine",
        "is_cancel": True,
        "reason": "cancelled_by_user",
    }
    [order] = desk.venue.resting("futures")
    desk.venue.exchange.fill(order, Decimal("0.5"))
    part = await desk.get()
    assert (part["order"]["qty"], part["order"]["filled"]) == (1.5, 0.5)
    assert (part["is_cancel"], part["reason"]) == (False, "partial_fill")
    desk.venue.exchange.fill(order)
    whole = await desk.get()
    assert (whole["order"]["order_id"], whole["order"]["qty"]) == (second, 0)
    assert (whole["is_cancel"], whole["reason"]) == (True, "full_fill")


async def test_a_countdown_and_an_expiry_have_their_reasons(desk: Desk, autojump_clock: MockClock) -> None:
    await desk.subscribe()
    desk.venue.place("futures")
    desk.venue.futures.cancel_all_after("default", 3)
    await desk.get()
    assert (await desk.get())["reason"] == "dead_man_switch"
    desk.venue.place("futures")
    await desk.get()
    desk.venue.exchange.expire(desk.venue.resting("futures")[0])
    assert (await desk.get())["reason"] == "contract_expired"


async def test_a_feed_is_left(desk: Desk) -> None:
    await desk.subscribe()
    answer = await desk.ws.ask({"event": "unsubscribe", "feed": "open_orders"} | desk.signed())
    assert answer == {"event": "unsubscribed", "feed": "open_orders"} | desk.signed()
    desk.venue.place("futures")
    assert await desk.ws.ask({"event": "ping"}) == {"event": "pong"}


# --- time and the market --------------------------------------------------------------------------------------------


async def test_the_heartbeat_feed_beats(desk: Desk, autojump_clock: MockClock) -> None:
    await desk.ws.silence(10)
    assert await desk.ws.ask({"event": "subscribe", "feed": "heartbeat"}) == {
        "event": "subscribed",
        "feed": "heartbeat",
    }
    beats = [await desk.get() for _ in range(3)]
    assert [beat["feed"] for beat in beats] == ["heartbeat"] * 3
    assert [beats[1]["time"] - beats[0]["time"], beats[2]["time"] - beats[1]["time"]] == [1000, 1000]


async def test_a_peer_that_never_pings_is_hung_up_on(desk: Desk, autojump_clock: MockClock) -> None:
    await desk.subscribe()
    with pytest.raises(Gone) as gone:
        await desk.ws.silence(70)
    assert gone.value.code == 1000


async def test_maintenance_is_announced(desk: Desk, autojump_clock: MockClock) -> None:
    assert (await desk.subscribe("notifications_auth"))["notifications"] == []
    desk.venue.faults.inject({"kind": "maintenance", "for_s": 5})
    told = await desk.get()
    assert [(note["type"], note["priority"]) for note in told["notifications"]] == [("maintenance", "high")]


# --- faults ---------------------------------------------------------------------------------------------------------


async def test_removals_have_either_shape_and_any_reason(desk: Desk) -> None:
    await desk.subscribe()
    desk.venue.faults.inject([{"kind": "removal_shape"}, {"kind": "status_word", "word": "odd", "match": "canceled"}])
    order_id = desk.venue.place("futures")
    await desk.get()
    desk.venue.futures.cancel("default", order_id=order_id)
    removed = await desk.get()
    assert (removed["order"]["order_id"], removed["is_cancel"], removed["reason"]) == (order_id, True, "odd")
    desk.venue.faults.clear()
    desk.venue.faults.inject({"kind": "removal_shape", "shape": "ids"})
    order_id = desk.venue.place("futures")
    await desk.get()
    desk.venue.exchange.fill(desk.venue.resting("futures")[0])
    assert (await desk.get()) == {
        "feed": "open_orders",
        "order_id": order_id,
        "is_cancel": True,
        "reason": "full_fill",
    }


async def test_events_get_lost_and_subscribes_go_unanswered(desk: Desk, autojump_clock: MockClock) -> None:
    await desk.subscribe()
    desk.venue.faults.inject({"kind": "drop_event", "match": "canceled", "times": 1})
    order_id = desk.venue.place("futures")
    await desk.get()
    desk.venue.futures.cancel("default", order_id=order_id)
    desk.venue.faults.inject({"kind": "stall_subscribe", "route": "futures_feed"})
    await desk.ws.put({"event": "subscribe", "feed": "open_orders_verbose"} | desk.signed())
    await desk.ws.silence(5)


async def test_signing_in_fails_when_told_to(desk: Desk) -> None:
    desk.venue.faults.inject({"kind": "token_error", "error": REFUSED["message"], "times": 1})
    await desk.sign_in()
    assert await desk.ws.ask({"event": "subscribe", "feed": "open_orders"} | desk.signed()) == REFUSED
