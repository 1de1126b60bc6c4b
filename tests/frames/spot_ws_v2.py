"""WebSocket v2 messages, of Spot and of the Unified one: as the API pages print them, else as clients saw them."""

from typing import Final

CANCEL_REQUEST: Final = """{
    "method": "cancel_order",
    "params": {
        "order_id": [
            "OM5CRX-N2HAL-GFGWE9"
        ],
        "token": "0000000000000000000000000000000000000000"
    },
    "req_id": 123456789
}"""
"""Source: docs.kraken.com, Spot WebSocket v2 "Cancel Order", Request; with one of its two ids."""

ACK: Final = """{
    "method": "cancel_order",
    "req_id": 123456789,
    "result": {
        "order_id": "OLUMT4-UTEGU-ZYM7E9"
    },
    "success": true,
    "time_in": "2023-09-21T14:36:57.428972Z",
    "time_out": "2023-09-21T14:36:57.437952Z"
}"""
"""Source: the same page, Response."""

NAMED_ACK: Final = (
    '{"method":"cancel_order","req_id":9,"result":{"cl_ord_id":"s7-000042"},"success":true,'
    '"time_in":"2023-09-21T14:36:57.428972Z","time_out":"2023-09-21T14:36:57.428972Z"}'
)
REJECT: Final = (
    '{"error":"EOrder:Invalid order","method":"cancel_order","req_id":8,"success":false,'
    '"time_in":"2023-09-21T14:36:57.428972Z","time_out":"2023-09-21T14:36:57.437952Z"}'
)
DEAD_TOKEN: Final = (
    '{"error":"ESession:Invalid session","method":"subscribe","req_id":42,"status":"error","success":false,'
    '"time_in":"2023-09-21T14:36:57.428972Z","time_out":"2023-09-21T14:36:57.437952Z"}'
)
"""Source: krakenfx/kraken-api-sdk."""

BATCH_ACK: Final = (
    '{"method":"batch_cancel","req_id":42,"result":{"count":2},"success":true,'
    '"time_in":"2023-09-21T14:36:57.428972Z","time_out":"2023-09-21T14:36:57.437952Z"}'
)
CANCEL_ALL_ACK: Final = (
    '{"method":"cancel_all","req_id":43,"result":{"count":1,"warnings":[]},"success":true,'
    '"time_in":"2023-09-21T14:36:57.428972Z","time_out":"2023-09-21T14:36:57.437952Z"}'
)
TIMER_ENABLED: Final = (
    '{"method":"cancel_all_orders_after","req_id":44,"result":{"currentTime":"2023-09-21T15:49:29Z",'
    '"triggerTime":"2023-09-21T15:51:09Z"},"success":true,"time_in":"2023-09-21T15:49:28.627900Z",'
    '"time_out":"2023-09-21T15:49:28.649057Z"}'
)
TIMER_DISABLED: Final = (
    '{"method":"cancel_all_orders_after","req_id":45,"result":{"currentTime":"2023-09-21T15:49:29Z",'
    '"triggerTime":"0"},"success":true,"time_in":"2023-09-21T15:49:28.627900Z",'
    '"time_out":"2023-09-21T15:49:28.649057Z"}'
)
"""Shape: docs.kraken.com, Spot WebSocket v2 "Batch Cancel", "Cancel All", "Cancel All Orders After"."""

SUBSCRIBED: Final = (
    '{"method":"subscribe","req_id":1,"result":{"channel":"executions","maxratecount":180,"snapshot":true,'
    '"warnings":["cancel_reason is deprecated, use reason"]},"success":true,'
    '"time_in":"2023-09-21T14:36:57.428972Z","time_out":"2023-09-21T14:36:57.437952Z"}'
)
PONG: Final = (
    '{"method":"pong","req_id":101,"time_in":"2023-09-24T14:10:23.799685Z","time_out":"2023-09-24T14:10:23.799703Z"}'
)
HEARTBEAT: Final = '{"channel":"heartbeat"}'
STATUS: Final = (
    '{"channel":"status","data":[{"api_version":"v2","connection_id":13834774380200032777,"system":"online",'
    '"version":"2.0.0"}],"type":"update"}'
)
TICKER: Final = '{"channel":"ticker","type":"update","data":[{"symbol":"ALGO/USD","bid":0.10025}]}'
"""Shape: docs.kraken.com, Spot WebSocket v2 "Executions", "Ping", "Heartbeat", "Status", "Ticker"."""

SNAPSHOT: Final = (
    '{"channel":"executions","type":"snapshot","data":[{"order_id":"OK4GJX-KSTLS-7DZZO5","order_userref":3,'
    '"symbol":"BTC/USD","order_qty":0.005,"cum_cost":0.0,"time_in_force":"GTC","exec_type":"pending_new",'
    '"side":"sell","order_type":"limit","limit_price_type":"static","limit_price":26500.0,"stop_price":0.0,'
    '"order_status":"pending_new","fee_usd_equiv":0.0,"fee_ccy_pref":"fciq","cum_qty":0.00100000,'
    '"timestamp":"2023-09-22T10:33:05.709950Z"}],"sequence":1}'
)
OPENED: Final = (
    '{"channel":"executions","type":"update","data":[{"timestamp":"2023-09-22T10:33:05.709982Z",'
    '"order_status":"new","exec_type":"new","order_userref":0,"order_id":"OK4GJX-KSTLS-7DZZO5"}],"sequence":8}'
)
TRADE: Final = (
    '{"channel":"executions","type":"update","data":[{"order_id":"OK4GJX-KSTLS-7DZZO5","order_userref":3,'
    '"exec_id":"TYVIM3-LVI3P-M5MQWK","exec_type":"trade","trade_id":365573,"symbol":"BTC/USD","side":"sell",'
    '"last_qty":0.005,"last_price":26599.9,"liquidity_ind":"t","cost":132.9995,"order_status":"filled",'
    '"order_type":"limit","cum_qty":5e-3,"timestamp":"2023-09-22T10:33:05.709993Z"}],"sequence":9}'
)
CANCELED: Final = (
    '{"channel":"executions","type":"update","data":[{"order_id":"7d3c1f52-0b7e-4a55-9c1e-2f60d1a4b8c3",'
    '"cl_ord_id":"s7-000042","exec_type":"canceled","order_status":"canceled","cum_qty":0.1,'
    '"cancel_reason":"User requested","reason":"User requested","timestamp":"2023-09-22T10:33:06.709993Z"}],'
    '"sequence":10}'
)
"""Shape: docs.kraken.com, Spot WebSocket v2 "Executions"."""

NAMELESS_ERROR: Final = '{"error":"Exceeded msg rate","success":false}'

EVERY: Final = (
    ACK,
    NAMED_ACK,
    REJECT,
    DEAD_TOKEN,
    BATCH_ACK,
    CANCEL_ALL_ACK,
    TIMER_ENABLED,
    TIMER_DISABLED,
    SUBSCRIBED,
    PONG,
    HEARTBEAT,
    STATUS,
    TICKER,
    SNAPSHOT,
    OPENED,
    TRADE,
    CANCELED,
    NAMELESS_ERROR,
)
"""Every message the venue sends, for tests that mutate them."""
