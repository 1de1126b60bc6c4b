"""Spot WebSocket v1."""

from typing import Final

from canceld.contract.evidence import (
    CancelAck,
    CancelAllAck,
    CancelReject,
    Fault,
    Heartbeat,
    Irrelevant,
    ModeChanged,
    Orders,
    OrderState,
    OrderTerms,
    Pong,
    Subscribed,
    SubscriptionLost,
    TimerAck,
    Unattributed,
    Unreadable,
)
from canceld.contract.ids import Reqid

from . import ASYNC_RS, XCHANGE, Shape

A, B = "OAAAAA-AAAAA-AAAAAA", "OBBBBB-BBBBB-BBBBBB"
UNNAMED: Final = Unreadable("ok that names no request of ours")

SHAPES: Final = (
    Shape(
        "greeting",
        ASYNC_RS,
        '{"connectionID":9000000000000000001,"event":"systemStatus","status":"online","version":"1.9.9"}',
        ModeChanged("online"),
    ),
    Shape("heartbeat", ASYNC_RS, '{"event":"heartbeat"}', Heartbeat()),
    Shape("pong", ASYNC_RS, '{"event":"pong","reqid":3}', Pong(Reqid(3))),
    Shape(
        "subscribed",
        ASYNC_RS,
        '{"channelName":"openOrders","event":"subscriptionStatus","reqid":5,"status":"subscribed",'
        '"subscription":{"maxratecount":180,"name":"openOrders"}}',
        Subscribed(Reqid(5), 180.0),
    ),
    Shape(
        "subscribed to another channel",
        ASYNC_RS,
        '{"channelName":"ownTrades","event":"subscriptionStatus","reqid":6,"status":"subscribed",'
        '"subscription":{"name":"ownTrades"}}',
        Irrelevant(),
    ),
    Shape(
        "subscription refused, without channelName",
        XCHANGE,
        '{"errorMessage":"ESession:Invalid session","event":"subscriptionStatus","status":"error",'
        '"subscription":{"name":"openOrders"}}',
        SubscriptionLost(None, Fault.STALE_TOKEN, "ESession:Invalid session", named=True),
    ),
    Shape(
        "snapshot, a whole record",
        ASYNC_RS,
        f'[[{{"{A}":{{"avg_price":"0.000000","cost":"0.000000","descr":{{"close":null,"leverage":null,'
        '"order":"sell 2.00000000 ETH/USD @ limit 9000.000000","ordertype":"limit","pair":"ETH/USD",'
        '"price":"9000.000000","price2":"0.000000","type":"sell"},"expiretm":null,"fee":"0.000000",'
        '"limitprice":"0.000000","misc":"","oflags":"fciq","opentm":"1790000000.500000","refid":null,"starttm":null,'
        '"status":"open","stopprice":"0.000000","timeinforce":"GTC","userref":0,"vol":"2.00000000",'
        '"vol_exec":"0.00000000"}}],"openOrders",{"sequence":1}]',
        Orders(
            (
                OrderState(
                    A,
                    "open",
                    symbol="ETH/USD",
                    opened_s=1790000000.5,
                    filled_qty="0.00000000",
                    terms=OrderTerms("ETH/USD", "sell", "2.00000000", "9000.000000"),
                ),
            ),
            snapshot=True,
            sequence=1,
        ),
    ),
    Shape(
        "opened",
        ASYNC_RS,
        f'[[{{"{A}":{{"status":"open","userref":0}}}}],"openOrders",{{"sequence":2}}]',
        Orders((OrderState(A, "open"),), snapshot=False, sequence=2),
    ),
    Shape(
        "a fill, without a status",
        ASYNC_RS,
        f'[[{{"{A}":{{"vol_exec":"0.50000000","cost":"4500.00","fee":"1.10","avg_price":"9000.0","userref":0}}}}],'
        '"openOrders",{"sequence":3}]',
        Orders((OrderState(A, filled_qty="0.50000000"),), snapshot=False, sequence=3),
    ),
    Shape(
        "canceled",
        ASYNC_RS,
        f'[[{{"{A}":{{"lastupdated":"1790000009.250000","status":"canceled","vol_exec":"0.50000000","cost":"4500.00",'
        '"fee":"1.10","avg_price":"9000.0","userref":0,"cancel_reason":"User requested"}}],"openOrders",'
        '{"sequence":4}]',
        Orders((OrderState(A, "canceled", filled_qty="0.50000000", reason="User requested"),), False, 4),
    ),
    Shape(
        "expired, without a reason",
        ASYNC_RS,
        f'[[{{"{B}":{{"status":"expired","userref":0}}}}],"openOrders",{{"sequence":5}}]',
        Orders((OrderState(B, "expired"),), snapshot=False, sequence=5),
    ),
    Shape("cancel accepted", ASYNC_RS, '{"event":"cancelOrderStatus","reqid":7,"status":"ok"}', CancelAck(Reqid(7))),
    Shape(
        "cancel refused",
        ASYNC_RS,
        '{"errorMessage":"EOrder:Unknown order","event":"cancelOrderStatus","reqid":7,"status":"error"}',
        CancelReject(Reqid(7), Fault.NOT_OPEN, "EOrder:Unknown order"),
    ),
    Shape("cancel accepted, no request", ASYNC_RS, '{"event":"cancelOrderStatus","status":"ok"}', UNNAMED),
    Shape(
        "what nobody asked for",
        ASYNC_RS,
        f'{{"descr":"buy 1.00000000 ETHUSD @ limit 1","event":"addOrderStatus","status":"ok","txid":"{A}"}}',
        Irrelevant(),
    ),
    Shape(
        "cancel-all accepted",
        "gbdevw/purple-goctopus, integration tests",
        '{"count":3,"event":"cancelAllStatus","reqid":8,"status":"ok"}',
        CancelAllAck(Reqid(8), 3),
    ),
    Shape(
        "timer armed",
        None,
        '{"currentTime":"2026-11-03T09:20:00Z","event":"cancelAllOrdersAfterStatus","reqid":9,"status":"ok",'
        '"triggerTime":"2026-11-03T09:21:00Z"}',
        TimerAck(Reqid(9), 1793697660.0),
    ),
    Shape(
        "malformed request",
        "ccxt/ccxt, pro/kraken",
        '{"errorMessage":"Malformed request","event":"error"}',
        Unattributed(Fault.INVALID, "Malformed request"),
    ),
    Shape(
        "rate exceeded, no event",
        XCHANGE,
        '{"Error":"Exceeded msg rate"}',
        Unattributed(Fault.ROUTE_BUSY, "Exceeded msg rate"),
    ),
)
