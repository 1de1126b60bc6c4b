"""Spot WebSocket v1 messages: as the API pages print them, then as public clients captured them."""

from typing import Final

CANCEL_REQUEST: Final = """{
    "event": "cancelOrder",
    "token": "0000000000000000000000000000000000000000",
    "txid": [
        "OGTT3Y-C6I3P-XRI6HX",
        "OGTT3Y-C6I3P-X2I6HX"
    ]
}"""
"""Source: docs.kraken.com, Spot WebSocket v1 "Cancel Order", Request."""

CANCEL_RESPONSE: Final = """{
    "event": "cancelOrderStatus",
    "status": "ok"
}"""
"""Source: the same page, Response. No reqid, because the request has none."""

CANCEL_ERROR: Final = """{
    "errorMessage": "EOrder:Unknown order",
    "event": "cancelOrderStatus",
    "status": "error"
}"""
"""Source: the same page, Error."""

CANCEL_ALL_RESPONSE: Final = """{
    "count": 2,
    "event": "cancelAllStatus",
    "status": "ok"
}"""
"""Source: docs.kraken.com, Spot WebSocket v1 "Cancel All Orders", Response. Its schema calls count a string."""

TIMER_REQUEST: Final = """{
    "event": "cancelAllOrdersAfter",
    "reqid": 1608543428050,
    "timeout": 60,
    "token": "0000000000000000000000000000000000000000"
}"""
"""Source: docs.kraken.com, Spot WebSocket v1 "Cancel All Orders After", Request."""

TIMER_ENABLED: Final = """{
    "currentTime": "2020-12-21T09:37:09Z",
    "event": "cancelAllOrdersAfterStatus",
    "reqid": 1608543428050,
    "status": "ok",
    "triggerTime": "2020-12-21T09:38:09Z"
}"""
"""Source: the same page, Response."""

TIMER_DISABLED: Final = """{
    "currentTime": "2020-12-21T09:37:09Z",
    "event": "cancelAllOrdersAfterStatus",
    "reqid": 1608543428051,
    "status": "ok",
    "triggerTime": "0"
}"""
"""Source: the same page, Response after timeout 0."""

SYSTEM_STATUS: Final = """{
    "connectionID": 8628615390848610000,
    "event": "systemStatus",
    "status": "online",
    "version": "1.9.1"
}"""
"""Source: docs.kraken.com, Spot WebSocket v1 "System Status"."""

SUBSCRIBED_TO_TRADES: Final = """{
    "channelName": "ownTrades",
    "event": "subscriptionStatus",
    "status": "subscribed",
    "subscription": {
        "name": "ownTrades"
    }
}"""
"""Source: docs.kraken.com, Spot WebSocket v1 "Subscription Status"."""

HEARTBEAT: Final = '{"event":"heartbeat"}'
"""Source: docs.kraken.com, Spot WebSocket v1 "Heartbeat"."""

# Captured by public clients (kraken-async-rs, purple-goctopus, piker), with our reqid.

PONG: Final = '{"event":"pong","reqid":42}'
ACK: Final = '{"event":"cancelOrderStatus","reqid":7,"status":"ok"}'
REJECT: Final = '{"errorMessage":"EOrder:Unknown order","event":"cancelOrderStatus","reqid":7,"status":"error"}'
CANCEL_ALL_ACK: Final = '{"count":2,"event":"cancelAllStatus","reqid":8,"status":"ok"}'
SUBSCRIBED: Final = (
    '{"channelName":"openOrders","event":"subscriptionStatus","reqid":1,"status":"subscribed",'
    '"subscription":{"maxratecount":125,"name":"openOrders"}}'
)
DEAD_TOKEN: Final = (
    '{"errorMessage":"ESession:Invalid session","event":"subscriptionStatus","status":"error",'
    '"subscription":{"name":"openOrders"}}'
)
"""Source: knowm/XChange issue 3683; it lacks channelName."""
MALFORMED: Final = '{"errorMessage":"Malformed request","event":"error"}'
MSG_RATE: Final = '{"errorMessage":"Exceeded msg rate","event":"error","reqid":42}'

SNAPSHOT: Final = (
    '[[{"OKJASZ-554YM-L7YMU7":{"avg_price":"0.000000","cost":"0.000000","descr":{"close":null,"leverage":null,'
    '"order":"buy 5.00000000 ATOM/USD @ limit 9.250000","ordertype":"limit","pair":"ATOM/USD","price":"9.250000",'
    '"price2":"0.000000","type":"buy"},"expiretm":null,"fee":"0.000000","limitprice":"0.000000","misc":"",'
    '"oflags":"fciq","opentm":"1700076648.883709","refid":null,"starttm":null,"status":"open","stopprice":"0.000000",'
    '"timeinforce":"GTC","userref":0,"vol":"5.00000000","vol_exec":"0.00000000"}}],"openOrders",{"sequence":1}]'
)
PENDING: Final = (
    '[[{"O7AIWV-HEBBH-COCEUU":{"descr":{"pair":"SOL/USD","type":"buy"},"opentm":"1700220661.985020",'
    '"status":"pending","userref":4711,"vol":"1.00000000","vol_exec":"0.00000000"}}],"openOrders",{"sequence":2}]'
)
OPENED: Final = '[[{"O7AIWV-HEBBH-COCEUU":{"status":"open","userref":0}}],"openOrders",{"sequence":3}]'
CANCELED: Final = (
    '[[{"O7AIWV-HEBBH-COCEUU":{"lastupdated":"1700220675.012776","status":"canceled","vol_exec":"0.00000000",'
    '"cost":"0.00000","fee":"0.00000","avg_price":"0.00000","userref":0,"cancel_reason":"User requested"}}],'
    '"openOrders",{"sequence":4}]'
)
FILL: Final = (
    '[[{"O7AIWV-HEBBH-COCEUU":{"vol_exec":"0.40000000","cost":"22.10000","fee":"0.05746","avg_price":"55.25000",'
    '"userref":0}}],"openOrders",{"sequence":5}]'
)
TRADES: Final = (
    '[[{"TDLH43-DVQXD-2KHVYY":{"cost":"1000000.00000","fee":"1600.00000","margin":"0.00000",'
    '"ordertxid":"OGTT3Y-C6I3P-XRI6HX","ordertype":"limit","pair":"XBT/EUR","postxid":"OGTT3Y-C6I3P-XRI6HX",'
    '"price":"100000.00000","time":"1560516023.070651","type":"sell","vol":"1000000000.00000000"}}],'
    '"ownTrades",{"sequence":2948}]'
)

EVERY: Final = (
    CANCEL_RESPONSE,
    CANCEL_ERROR,
    CANCEL_ALL_RESPONSE,
    TIMER_ENABLED,
    TIMER_DISABLED,
    SYSTEM_STATUS,
    SUBSCRIBED_TO_TRADES,
    HEARTBEAT,
    PONG,
    ACK,
    REJECT,
    CANCEL_ALL_ACK,
    SUBSCRIBED,
    DEAD_TOKEN,
    MALFORMED,
    MSG_RATE,
    SNAPSHOT,
    PENDING,
    OPENED,
    CANCELED,
    FILL,
    TRADES,
)
"""Every message the venue sends, for tests that mutate them."""
