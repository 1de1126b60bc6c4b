"""Spot REST answers as the API pages print them; where a page has no sample, as public clients captured them."""

from typing import Final

CANCELED: Final = b"""{
  "error": [],
  "result": {
    "count": 1
  }
}"""
"""Source: docs.kraken.com, REST "Cancel Order"."""

PENDING: Final = b'{"error":[],"result":{"count":1,"pending":true}}'
"""Source: the same page's schema."""

BATCH_CANCELED: Final = b"""{
  "error": [],
  "result": {
    "count": 2
  }
}"""
"""Source: docs.kraken.com, REST "Cancel Order Batch"."""

UNKNOWN_ORDER: Final = b'{"error":["EOrder:Unknown order"]}'
"""Source: docs.kraken.com, "Errors"; the envelope without result is the one public clients captured."""

TIMER_ENABLED: Final = (
    b'{"error":[],"result":{"currentTime":"2023-03-24T17:41:56Z","triggerTime":"2023-03-24T17:42:56Z"}}'
)
TIMER_DISABLED: Final = b'{"error":[],"result":{"currentTime":"2023-03-24T17:41:56Z","triggerTime":"0"}}'
TIMER_DISABLED_SHORT: Final = b'{"error":[],"result":{"currentTime":"2023-03-24T17:41:56Z"}}'
"""Source: docs.kraken.com, REST "Cancel All Orders After X"; the short form krakenfx/kraken-api-sdk."""

TOKEN: Final = b'{"error":[],"result":{"token":"1Dwc4lzSwNWOAwkMdqhssNNFhs1ed606d1WcF3XfEMw","expires":900}}'
"""Source: docs.kraken.com, REST "Get Websockets Token"."""

OPEN_ORDERS: Final = b"""{
  "error": [],
  "result": {
    "open": {
      "OQCLML-BW3P3-BUCMWZ": {
        "refid": "None",
        "userref": 0,
        "status": "open",
        "opentm": 1688666559.8974,
        "starttm": 0,
        "expiretm": 0,
        "descr": {
          "pair": "XBTUSD",
          "type": "buy",
          "ordertype": "limit",
          "price": "30010.0",
          "price2": "0",
          "leverage": "none",
          "order": "buy 1.25000000 XBTUSD @ limit 30010.0",
          "close": ""
        },
        "vol": "1.25000000",
        "vol_exec": "0.37500000",
        "cost": "11253.7",
        "fee": "0.00000",
        "price": "30010.0",
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "fciq",
        "trades": [
          "TCCCTY-WE2O6-P3NB37"
        ]
      },
      "OB5VMB-B4U2U-DK2WRW": {
        "refid": "None",
        "userref": 45326,
        "status": "open",
        "opentm": 1688665899.5699,
        "starttm": 0,
        "expiretm": 0,
        "descr": {
          "pair": "XBTUSD",
          "type": "buy",
          "ordertype": "limit",
          "price": "14500.0",
          "price2": "0",
          "leverage": "5:1",
          "order": "buy 0.27500000 XBTUSD @ limit 14500.0 with 5:1 leverage",
          "close": ""
        },
        "vol": "0.27500000",
        "vol_exec": "0.00000000",
        "cost": "0.00000",
        "fee": "0.00000",
        "price": "0.00000",
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "fciq"
      }
    }
  }
}"""
"""Source: docs.kraken.com, REST "Get Open Orders"."""

NO_OPEN_ORDERS: Final = b'{"error":[],"result":{"open":{}}}'

QUERIED: Final = (
    b'{"error":[],"result":{"OBCMZD-JIEE7-77TH3F":{"refid":"None","userref":0,"status":"canceled",'
    b'"reason":"User requested","opentm":1688148493.7708,"closetm":1688148610.0482,"starttm":0,"expiretm":0,'
    b'"descr":{"pair":"XBTUSD","type":"buy","ordertype":"limit","price":"26500.0"},"vol":"0.50000000",'
    b'"vol_exec":"0.12500000","cost":"3312.5"}}}'
)
"""Shape: docs.kraken.com, REST "Query Orders Info"."""

SYSTEM_STATUS: Final = (
    b'{"error":[],"result":{"status":"cancel_only","timestamp":"2023-07-06T18:52:00Z",'
    b'"upcoming_maintenance":[],"emergency":[]}}'
)
"""Source: docs.kraken.com, REST "Get System Status"."""

TIME: Final = b'{"error":[],"result":{"unixtime":1688669448,"rfc1123":"Thu, 06 Jul 23 18:50:48 +0000"}}'
"""Source: docs.kraken.com, REST "Get Server Time"."""

KEY_INFO: Final = (
    b'{"error":[],"result":{"apiKeyName":"canceld","apiKey":"the-public-key","nonce":"1763630000000","nonceWindow":0,'
    b'"permissions":["query-open-trades","close-trades","create-ws-token"],"iban":"the-account","validUntil":"0",'
    b'"queryFrom":"0","queryTo":"0","createdTime":"1763600000","modifiedTime":"1763600000",'
    b'"ipAllowlist":["203.0.113.7"],"lastUsed":"1763630000"}}'
)
"""Shape: docs.kraken.com, REST "Get API Key Info"."""

KEY_INFO_SNAKE: Final = (
    b'{"error":[],"result":{"api_key_name":"canceld","api_key":"the-public-key","nonce":1763630000000000000,'
    b'"nonce_window":"0","permissions":["close-trades"],"iban":"the-account","valid_until":"1795166000",'
    b'"modified_time":"1763600000","ip_allowlist":[""],"last_used":"1763630000"}}'
)
"""Shape: JKorf/Kraken.Net, test answer of GetApiKeyInfo."""

HTML: Final = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>"
