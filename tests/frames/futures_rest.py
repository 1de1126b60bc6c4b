"""Futures REST answers: as the API pages print them, else in the shapes that their schemas and public clients tell."""

from typing import Final

ORDER_ID: Final = "cb4e34f6-4eb3-4d4b-9724-4c3035b99d47"
OTHER_ID: Final = "89e3edbe-27a3-4d4b-9724-4c3035b99d47"

CANCELED: Final = b"""{
  "result": "success",
  "cancelStatus": {
    "status": "cancelled",
    "order_id": "cb4e34f6-4eb3-4d4b-9724-4c3035b99d47",
    "receivedTime": "2020-07-22T13:26:20.806Z",
    "orderEvents": [
      {
        "type": "CANCEL",
        "uid": "cb4e34f6-4eb3-4d4b-9724-4c3035b99d47",
        "order": {
          "orderId": "cb4e34f6-4eb3-4d4b-9724-4c3035b99d47",
          "cliOrdId": "1234568",
          "type": "lmt",
          "symbol": "PF_XBTUSD",
          "side": "buy",
          "quantity": 5500,
          "filled": 0,
          "limitPrice": 8000,
          "reduceOnly": false,
          "timestamp": "2020-07-22T13:25:56.366Z",
          "lastUpdateTimestamp": "2020-07-22T13:25:56.366Z"
        }
      }
    ]
  },
  "serverTime": "2020-07-22T13:26:20.806Z"
}"""
"""Source: docs.kraken.com, Futures "Cancel order", CancelOrderExample."""

FILLED: Final = (
    b'{"result":"success","serverTime":"2026-11-03T09:20:01.000Z","cancelStatus":{"status":"filled",'
    b'"order_id":"cb4e34f6-4eb3-4d4b-9724-4c3035b99d47"}}'
)
NOT_FOUND: Final = b'{"result":"success","serverTime":"2026-11-03T09:20:01.000Z","cancelStatus":{"status":"notFound"}}'
TRIGGER_CANCELED: Final = (
    b'{"result":"success","serverTime":"2026-11-03T09:20:01.000Z","cancelStatus":{"status":"cancelled",'
    b'"orderEvents":[{"type":"CANCEL","uid":"cb4e34f6-4eb3-4d4b-9724-4c3035b99d47","orderTrigger":{'
    b'"uid":"cb4e34f6-4eb3-4d4b-9724-4c3035b99d47","clientId":"s7-000042","type":"stp","symbol":"PF_XBTUSD",'
    b'"side":"sell","quantity":1,"timestamp":"2020-07-22T13:25:56.366Z"}}]}}'
)
"""Shape: the same page's schema."""

BATCH: Final = (
    b'{"result":"success","serverTime":"2026-11-03T09:20:01.000Z","batchStatus":['
    b'{"status":"notFound","cliOrdId":"s7-000043","orderEvents":[]},'
    b'{"status":"cancelled","order_id":"cb4e34f6-4eb3-4d4b-9724-4c3035b99d47","orderEvents":[{"type":"CANCEL",'
    b'"uid":"cb4e34f6-4eb3-4d4b-9724-4c3035b99d47","order":{"orderId":"cb4e34f6-4eb3-4d4b-9724-4c3035b99d47",'
    b'"cliOrdId":"s7-000042","symbol":"PF_XBTUSD","filled":0.0002,"timestamp":"2020-07-22T13:25:56.366Z"}}]}]}'
)
"""Shape: docs.kraken.com, Futures "Batch order management"; its sequence, and notFound, as ccxt pull 19638 has them."""

ALL_CANCELED: Final = (
    b'{"result":"success","serverTime":"2026-11-03T09:20:01.000Z","cancelStatus":{'
    b'"receivedTime":"2026-11-03T09:20:00.999Z","cancelOnly":"all","status":"cancelled","cancelledOrders":['
    b'{"order_id":"6180adfa-e4b1-4a52-adac-ea5417620dbd","cliOrdId":null},'
    b'{"order_id":"89e57b62-19d9-40fe-9d81-1f0b9d4b3f3d","cliOrdId":"s7-1"},'
    b'{"order_id":"9c2e7b62-19d9-40fe-9d81-1f0b9d4b3f3d","cliOrdId":null}],"orderEvents":[{"type":"CANCEL",'
    b'"uid":"6180adfa-e4b1-4a52-adac-ea5417620dbd","order":{}}]}}'
)
NOTHING_TO_CANCEL: Final = (
    b'{"result":"success","serverTime":"2026-11-03T09:20:01.000Z","cancelStatus":{"status":"noOrdersToCancel",'
    b'"cancelOnly":"all","cancelledOrders":[],"orderEvents":[]}}'
)
"""Shape: docs.kraken.com, Futures "Cancel all orders", which lists more orders than events."""

TIMER_ENABLED: Final = (
    b'{"result":"success","serverTime":"2026-11-03T09:20:23.839Z","status":{'
    b'"currentTime":"2026-11-03T09:20:23.839Z","triggerTime":"2026-11-03T09:21:23.839Z"}}'
)
TIMER_DISABLED: Final = (
    b'{"result":"success","serverTime":"2026-11-03T09:20:23.839Z","status":{'
    b'"currentTime":"2026-11-03T09:20:23.839Z","triggerTime":"0"}}'
)
"""Shape: docs.kraken.com, Futures "Dead man's switch"."""

OPEN_ORDERS: Final = (
    b'{"result":"success","serverTime":"2026-11-03T09:20:23.839Z","openOrders":['
    b'{"order_id":"59302619-41d2-4f0b-941f-7e7914760ad3","symbol":"PI_XBTUSD","side":"sell","orderType":"lmt",'
    b'"limitPrice":10640,"unfilledSize":304,"receivedTime":"2019-09-05T17:01:17.410Z","status":"untouched",'
    b'"filledSize":0,"reduceOnly":true,"lastUpdateTime":"2019-09-05T17:01:17.410Z"},'
    b'{"order_id":"022774bc-2c4a-4f26-9317-436c8d85746d","cliOrdId":"s7-000042","symbol":"pf_xbtusd","side":"buy",'
    b'"orderType":"lmt","limitPrice":1000,"unfilledSize":0.9,"filledSize":0.10,"status":"partiallyFilled",'
    b'"receivedTime":"2019-09-05T16:33:50.734Z"}]}'
)
NO_OPEN_ORDERS: Final = b'{"result":"success","openOrders":[],"serverTime":"2026-11-03T09:20:23.839Z"}'
"""Shape: JKorf/Kraken.Net and nautechsystems/nautilus_trader."""

STATUSES: Final = (
    b'{"result":"success","serverTime":"2026-11-03T09:20:23.839Z","orders":[{"order":{"type":"ORDER",'
    b'"orderId":"cb4e34f6-4eb3-4d4b-9724-4c3035b99d47","cliOrdId":"s7-000042","symbol":"PF_XBTUSD","side":"buy",'
    b'"quantity":5500,"filled":"200.0","limitPrice":8000,"reduceOnly":false,'
    b'"timestamp":"2020-07-22T13:25:56.366Z","lastUpdateTimestamp":"2020-07-22T13:26:20.806Z"},'
    b'"status":"CANCELLED","updateReason":"CANCELLED_BY_USER","error":null}]}'
)
NO_STATUSES: Final = b'{"result":"success","serverTime":"2026-11-03T09:20:23.839Z","orders":[]}'
"""Shape: docs.kraken.com, Futures "Get order status"."""

INSTRUMENTS: Final = (
    b'{"result":"success","instruments":[{"symbol":"PF_XBTUSD","tradeable":true}],'
    b'"serverTime":"2026-11-03T09:20:23.839Z"}'
)

ERROR: Final = b'{"result":"error","error":"authenticationError","serverTime":"2026-11-03T09:20:00.000Z"}'
"""Source: docs.kraken.com, Futures REST guide."""

ERRORS: Final = (
    b'{"result":"error","errors":["invalidArgument"],"error":"invalidArgument","serverTime":"2026-11-03T09:20:00Z"}'
)
"""Shape: docs.kraken.com, Futures "Cancel order", ErrorResponse."""

NUMBERED_ERRORS: Final = (
    b'{"result":"error","errors":[{"code":95,"message":"something new"}],"serverTime":"2026-11-03T09:20:00.000Z"}'
)
"""Shape: JKorf/Kraken.Net."""

HTML: Final = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>"

SENTENCE: Final = (
    b'{"status":"BAD_REQUEST","result":"error","errors":[{"code":11,"message":"Argument invalid: order_id"}],'
    b'"serverTime":"2026-11-03T09:20:00.000Z"}'
)
"""Shape: issues of btschwertfeger/python-kraken-sdk, ccxt pull 20437; under HTTP 400."""

FRAMEWORK: Final = (
    b'{"timestamp":"2026-11-03T09:20:00.000+00:00","path":"/derivatives/api/v3/cancelorder","status":404,'
    b'"error":"Not Found","message":"","requestId":"4f1c2a9e-17"}'
)
"""Shape: the tests of roq-kraken-futures; the web framework speaks, not the API."""
