"""Spot WebSocket v2. The Unified WebSocket declares this format as its own; nobody has shown a frame of that one."""

from typing import Final

from canceld.contract.evidence import (
    CancelAck,
    CancelAllAck,
    CancelReject,
    Fault,
    Heartbeat,
    Orders,
    OrderState,
    OrderTerms,
    Pong,
    Subscribed,
    SubscriptionLost,
    TimerAck,
    Unattributed,
)
from canceld.contract.ids import Reqid

from . import ASYNC_RS, GCT, ROQ_SPOT, SDK_GUIDES, Shape

A = "OAAAAA-AAAAA-AAAAAA"
TIMES: Final = '"time_in":"2026-11-03T09:20:00.100000Z","time_out":"2026-11-03T09:20:00.102000Z"'

SHAPES: Final = (
    Shape("heartbeat", ASYNC_RS, '{"channel":"heartbeat"}', Heartbeat()),
    Shape("pong", ASYNC_RS, f'{{"method":"pong","req_id":3,{TIMES}}}', Pong(Reqid(3))),
    Shape(
        "subscribed, with options",
        GCT,
        '{"method":"subscribe","result":{"channel":"executions","snap_orders":true,"snap_trades":true},'
        '"success":true,"req_id":3}',
        Subscribed(Reqid(3)),
    ),
    Shape(
        "subscribed, with a ceiling and warnings",
        ASYNC_RS,
        '{"method":"subscribe","req_id":3,"result":{"channel":"executions","maxratecount":125,"snapshot":true,'
        f'"warnings":["cancel_reason is deprecated, use reason"]}},"success":true,{TIMES}}}',
        Subscribed(Reqid(3), 125.0),
    ),
    Shape(
        "subscription refused",
        SDK_GUIDES,
        '{"error":"ESession:Invalid session","method":"subscribe","req_id":3,"status":"error","success":false,'
        f"{TIMES}}}",
        SubscriptionLost(Reqid(3), Fault.STALE_TOKEN, "ESession:Invalid session"),
    ),
    Shape(
        "cancel accepted",
        ASYNC_RS,
        f'{{"method":"cancel_order","req_id":7,"result":{{"order_id":"{A}"}},"success":true,{TIMES}}}',
        CancelAck(Reqid(7), A, None, 2_000_000),
    ),
    Shape(
        "cancel refused",
        SDK_GUIDES,
        f'{{"error":"EOrder:Invalid order","method":"cancel_order","req_id":7,"success":false,{TIMES}}}',
        CancelReject(Reqid(7), Fault.NOT_OPEN, "EOrder:Invalid order", 2_000_000),
    ),
    Shape(
        "cancel refused, no request",
        ROQ_SPOT,
        f'{{"error":"EOrder:Unknown order","method":"cancel_order","success":false,{TIMES}}}',
        Unattributed(Fault.NOT_OPEN, "EOrder:Unknown order"),
    ),
    Shape(
        "not matched to a method",
        ROQ_SPOT,
        f'{{"error":"Malformed request","method":"error","success":false,{TIMES}}}',
        Unattributed(Fault.INVALID, "Malformed request"),
    ),
    Shape(
        "batch, counted beside the result",
        ASYNC_RS,
        f'{{"method":"batch_cancel","orders_cancelled":2,"req_id":8,"success":true,{TIMES}}}',
        CancelAllAck(Reqid(8), 2),
    ),
    Shape(
        "cancel-all accepted",
        ASYNC_RS,
        f'{{"method":"cancel_all","req_id":8,"result":{{"count":1}},"success":true,{TIMES}}}',
        CancelAllAck(Reqid(8), 1),
    ),
    Shape(
        "timer armed",
        ASYNC_RS,
        '{"method":"cancel_all_orders_after","req_id":9,"result":{"currentTime":"2026-11-03T09:20:00Z",'
        f'"triggerTime":"2026-11-03T09:21:00Z"}},"success":true,{TIMES}}}',
        TimerAck(Reqid(9), 1793697660.0),
    ),
    Shape(
        "an order is born",
        "a public recorder's log (February 2025)",
        f'{{"channel":"executions","type":"update","data":[{{"order_id":"{A}","symbol":"BTC/USD","order_qty":0.00020000,'
        '"cum_cost":0.00000,"time_in_force":"GTC","exec_type":"pending_new","side":"buy","order_type":"limit",'
        '"order_userref":0,"limit_price_type":"static","limit_price":9000.5,"stop_price":0.0,"post_only":true,'
        '"order_status":"pending_new","fee_usd_equiv":0.00000,"fee_ccy_pref":"fciq",'
        '"timestamp":"2026-11-03T09:20:00.500000Z"}],"sequence":2}',
        Orders(
            (
                OrderState(
                    A,
                    "open",
                    symbol="BTC/USD",
                    opened_s=1793697600.5,
                    terms=OrderTerms("BTC/USD", "buy", "0.00020000", "9000.5"),
                ),
            ),
            snapshot=False,
            sequence=2,
        ),
    ),
    Shape(
        "a trade",
        ASYNC_RS,
        f'{{"channel":"executions","type":"update","data":[{{"order_id":"{A}","order_userref":3,'
        '"exec_id":"TAAAAA-AAAAA-AAAAAA","exec_type":"trade","trade_id":1,"symbol":"BTC/USD","side":"sell",'
        '"last_qty":0.005,"last_price":9000.5,"liquidity_ind":"t","cost":45.0025,"order_type":"limit",'
        '"timestamp":"2026-11-03T09:20:01.000000Z","order_status":"partially_filled","cum_qty":0.005,'
        '"cum_cost":45.0025,"avg_price":9000.5,"fee_usd_equiv":0.1,"fees":[{"asset":"USD","qty":0.1}]}],"sequence":3}',
        Orders((OrderState(A, "open", userref=3, symbol="BTC/USD", filled_qty="0.005"),), False, 3),
    ),
    Shape(
        "canceled",
        ASYNC_RS,
        f'{{"channel":"executions","type":"update","data":[{{"timestamp":"2026-11-03T09:20:02.000000Z","order_id":"{A}",'
        '"exec_type":"canceled","order_status":"canceled","cum_qty":0.005,"cum_cost":45.0025,"fee_usd_equiv":0.1,'
        '"avg_price":9000.5,"cancel_reason":"User requested","reason":"User requested"}],"sequence":4}',
        Orders((OrderState(A, "canceled", filled_qty="0.005", reason="User requested"),), False, 4),
    ),
)
