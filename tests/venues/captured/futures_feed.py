"""Futures feed."""

from typing import Final

from canceld.contract.evidence import (
    Challenge,
    Fault,
    Heartbeat,
    Hello,
    Irrelevant,
    Orders,
    OrderState,
    OrderTerms,
    Pong,
    Subscribed,
    SubscriptionLost,
    Unattributed,
)

from . import FIELD, NAUTILUS, SDK, Shape

A = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"

SHAPES: Final = (
    Shape("greeting", NAUTILUS, '{"event":"info","version":1}', Hello()),
    Shape("pong", NAUTILUS, '{"event":"pong"}', Pong(None)),
    Shape("heartbeat", None, '{"feed":"heartbeat","time":1790000000500}', Heartbeat()),
    Shape(
        "challenge",
        NAUTILUS,
        f'{{"event":"challenge","message":"{A}"}}',
        Challenge(A),
    ),
    Shape(
        "subscribed, with the secrets in it",
        None,
        '{"event":"subscribed","feed":"open_orders_verbose","api_key":"k","original_challenge":"c","signed_challenge":"s"}',
        Subscribed(None),
    ),
    Shape(
        "refused",
        SDK,
        '{"event":"alert","message":"Failed to subscribe to authenticated feed"}',
        SubscriptionLost(None, Fault.CREDENTIALS, "Failed to subscribe to authenticated feed"),
    ),
    Shape(
        "subscribed twice", SDK, '{"event":"alert","message":"Already subscribed to feed, re-requesting"}', Irrelevant()
    ),
    Shape(
        "rate exceeded",
        FIELD,
        '{"event":"alert","message":"Rate limit exceeded"}',
        Unattributed(Fault.ROUTE_BUSY, "Rate limit exceeded"),
    ),
    Shape(
        "snapshot, a stop",
        NAUTILUS,
        f'{{"feed":"open_orders_snapshot","account":"{A}","orders":[{{"instrument":"PI_XBTUSD","time":1790000000500,'
        '"last_update_time":1790000000500,"qty":1000,"filled":0,"limit_price":9000,"stop_price":9100,"type":"stop",'
        f'"order_id":"{A}","direction":1,"reduce_only":false,"triggerSignal":"last"}}]}}',
        Orders(
            (
                OrderState(
                    A,
                    "open",
                    symbol="PI_XBTUSD",
                    opened_s=1790000000.5,
                    filled_qty="0",
                    terms=OrderTerms("PI_XBTUSD", "sell", "1000", "9000"),
                ),
            ),
            snapshot=True,
        ),
    ),
    Shape(
        "removed, ids alone",
        NAUTILUS,
        f'{{"feed":"open_orders","order_id":"{A}","is_cancel":true,"reason":"cancelled_by_user"}}',
        Orders((OrderState(A, "canceled", reason="cancelled_by_user"),), snapshot=False),
    ),
    Shape(
        "removed, the whole order",
        NAUTILUS,
        '{"feed":"open_orders","order":{"instrument":"PF_XBTUSD","time":1790000000500,"last_update_time":1790000001000,'
        f'"qty":0.0,"filled":0.0001,"limit_price":9000.0,"stop_price":0.0,"type":"limit","order_id":"{A}",'
        '"direction":0,"reduce_only":false},"is_cancel":true,"reason":"full_fill"}',
        Orders(
            (
                OrderState(
                    A,
                    "filled",
                    symbol="PF_XBTUSD",
                    opened_s=1790000000.5,
                    filled_qty="0.0001",
                    reason="full_fill",
                    terms=OrderTerms("PF_XBTUSD", "buy", "0.0001", "9000.0"),
                ),
            ),
            snapshot=False,
        ),
    ),
)
