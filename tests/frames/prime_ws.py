"""Prime WebSocket messages: shapes as the API pages print them, filled with values of the same form."""

from typing import Final

CANCEL_REQUEST: Final = """{
  "reqid": 13,
  "type": "OrderCancelRequest",
  "data": [
    {
      "Symbol": "BTC-USD",
      "ClOrdID": "c0be17e0-15da-11ec-b5e7-7f4881f01b7d",
      "OrderID": "16a55364-4248-4575-aa0b-dddd3f694ca3",
      "TransactTime": "2021-09-15T04:09:42.238000Z"
    }
  ]
}"""
"""Source: docs.kraken.com, Prime WebSocket "Order Cancel Request", Example."""

HELLO: Final = '{"type":"hello","ts":"2026-11-03T09:12:44.168807Z","session_id":"1109RQ13KXR00"}'
"""Source: docs.kraken.com, Prime WebSocket "Hello"."""

PONG: Final = '{"reqid":2,"type":"Pong","seqNum":0,"ts":"2026-11-03T09:12:50.002Z","data":[{}]}'
PING_ERROR: Final = (
    '{"reqid":2,"seq":1,"type":"error","ts":"2026-11-03T09:12:50.001Z","error":{"code":1,"msg":"missing Ping data"}}'
)
"""Source: docs.kraken.com, Prime WebSocket "Ping"; the type of `code` is not published."""

NAMELESS_ERROR: Final = '{"seq":1,"type":"error","ts":"2026-11-03T09:12:50.001Z","error":{"code":"x","msg":"no"}}'

USER: Final = (
    '{"reqid":3,"type":"User","ts":"2026-11-03T09:12:45.000000Z","initial":true,"seqNum":1,'
    '"data":[{"Email":"desk@example.com","Permissions":["read::orders","write::orders"]}]}'
)
"""Shape: docs.kraken.com, Prime WebSocket "User"."""

ORDER_ID: Final = "b35b1c3b-a304-4224-919f-9db1319de188"
OWN_NAME: Final = "d7635e40-15d9-11ec-b5e7-7f4881f01b01"
OTHERS_CANCEL: Final = "5f0e1d52-15da-11ec-b5e7-7f4881f01bc1"

CANCELED: Final = (
    '{"reqid":7,"type":"Order","ts":"2026-11-03T09:13:02.518538Z","initial":false,"seqNum":3,"action":"Update",'
    '"data":[{"Timestamp":"2026-11-03T09:13:02.505519Z","Symbol":"BTC-USD",'
    '"OrderID":"b35b1c3b-a304-4224-919f-9db1319de188","ClOrdID":"5f0e1d52-15da-11ec-b5e7-7f4881f01bc1",'
    '"OrigClOrdID":"d7635e40-15d9-11ec-b5e7-7f4881f01b01","SubmitTime":"2026-11-03T09:12:55.457050Z",'
    '"ExecID":"c73fcf77-15da-11ec-b5e7-7f4881f01b7d","Side":"Buy","ExecType":"Canceled","OrdStatus":"Canceled",'
    '"OrderQty":"0.50000000","OrdType":"Limit","Currency":"BTC","LeavesQty":"0","CumQty":"0.10000000",'
    '"AvgPx":"43000"}]}'
)
"""Shape: docs.kraken.com, Prime WebSocket "Order". The cancel was another program's."""

# The rows below have {ours} where the id of a cancel of ours stands.

_ROW: Final = (
    '{{"reqid":8,"type":"ExecutionReport","ts":"2026-11-03T09:13:02.518538Z","initial":false,"seqNum":4,'
    '"action":"Update","data":[{{"Timestamp":"2026-11-03T09:13:02.505519Z","Symbol":"BTC-USD",'
    '"OrderID":"{order_id}","ClOrdID":"{{ours}}","OrigClOrdID":"d7635e40-15d9-11ec-b5e7-7f4881f01b01",'
    '"SubmitTime":"2026-11-03T09:12:55.457050Z","ExecID":"c73fcf77-15da-11ec-b5e7-7f4881f01b7d","Side":"Buy",'
    '"ExecType":"{exec_type}","OrdStatus":"{status}","OrderQty":"0.50000000","OrdType":"Limit","Currency":"BTC",'
    '"LeavesQty":"0.4","CumQty":"0.10000000"{more}}}]}}'
)


def _row(exec_type: str, status: str, order_id: str = ORDER_ID, more: str = "") -> str:
    return _ROW.format(exec_type=exec_type, status=status, order_id=order_id, more=more)


OUR_PENDING: Final = _row("PendingCancel", "PendingCancel")
OUR_CANCELED: Final = _row("Canceled", "Canceled")
OUR_FILLED: Final = _row("Trade", "Filled")
REFUSED_UNKNOWN: Final = _row("CancelRejected", "Rejected", "NONE", ',"CxlRejReason":1,"Text":"no such order"')
REFUSED_LATE: Final = _row("CancelRejected", "Filled", more=',"CxlRejReason":0')
REFUSED_OPEN: Final = _row("CancelRejected", "PartiallyFilled", more=',"Text":"Broker option"')
"""Shape: docs.kraken.com, Prime WebSocket "Execution Report"; reasons as on the FIX page, whose spelling on the
WebSocket is not published."""

OURS: Final = (OUR_PENDING, OUR_CANCELED, OUR_FILLED, REFUSED_UNKNOWN, REFUSED_LATE, REFUSED_OPEN)


def borne_by(row: str, cl_ord_id: str) -> str:
    """One of the rows of OURS with the id of a cancel in it."""
    return row.replace("{ours}", cl_ord_id)


EVERY: Final = (HELLO, PONG, PING_ERROR, NAMELESS_ERROR, USER, CANCELED)
"""Every other message that the venue sends, for tests that mutate them."""
