"""Spot REST and Futures REST: bodies, each with the reader that the daemon gives it to."""

from typing import Final

from canceld.contract.evidence import (
    Fault,
    OrderState,
    OrderTerms,
    RestCanceled,
    RestFailed,
    RestKey,
    RestOrders,
    RestTimer,
)
from canceld.contract.ids import Target
from canceld.venues import futures_rest, spot_rest

from . import CCXT, KRAKEN_NET, NAUTILUS, ROQ_FUTURES, SDK, Shape

A, B = "OAAAAA-AAAAA-AAAAAA", "OBBBBB-BBBBB-BBBBBB"
U, V = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"

SPOT: Final = (
    (
        spot_rest.decode_cancel,
        Shape("canceled", KRAKEN_NET, '{"error":[],"result":{"count":1}}', RestCanceled(1, False)),
    ),
    (
        spot_rest.decode_cancel,
        Shape("canceled, pending", None, '{"error":[],"result":{"count":1,"pending":true}}', RestCanceled(1, True)),
    ),
    (
        spot_rest.decode_cancel,
        Shape(
            "refused",
            "hummingbot/hummingbot issue 1664",
            '{"error":["EOrder:Unknown order"]}',
            RestFailed(Fault.NOT_OPEN, "EOrder:Unknown order"),
        ),
    ),
    (
        spot_rest.decode_timer,
        Shape(
            "timer armed",
            KRAKEN_NET,
            '{"error":[],"result":{"currentTime":"2026-11-03T09:20:00Z","triggerTime":"2026-11-03T09:21:00Z"}}',
            RestTimer(1793697660.0),
        ),
    ),
    (
        spot_rest.decode_orders,
        Shape(
            "open orders",
            KRAKEN_NET,
            f'{{"error":[],"result":{{"open":{{"{A}":{{"refid":"None","userref":0,"status":"open",'
            '"opentm":1790000000.5,"starttm":0,"expiretm":0,"descr":{"pair":"XBTUSD","type":"buy","ordertype":"limit",'
            '"price":"9000.0","price2":"0","leverage":"none","order":"buy 1.00000000 XBTUSD @ limit 9000.0",'
            '"close":""},"vol":"1.00000000","vol_exec":"0.25000000","cost":"2250.0","fee":"0.00000","price":"9000.0",'
            '"stopprice":"0.00000","limitprice":"0.00000","misc":"","oflags":"fciq","trades":["TAAAAA-AAAAA-AAAAAA"]},'
            f'"{B}":{{"refid":"None","userref":45,"status":"open","opentm":1790000001.25,"starttm":0,"expiretm":0,'
            '"descr":{"pair":"XBTUSD","type":"buy","ordertype":"limit","price":"9.0","price2":"0","leverage":"5:1",'
            '"order":"buy 1.00000000 XBTUSD @ limit 9.0 with 5:1 leverage","close":""},"vol":"1.00000000",'
            '"vol_exec":"0.00000000","cost":"0.00000","fee":"0.00000","price":"0.00000","stopprice":"0.00000",'
            '"limitprice":"0.00000","misc":"","oflags":"fciq"}}}}',
            RestOrders(
                (
                    OrderState(
                        A,
                        "open",
                        opened_s=1790000000.5,
                        filled_qty="0.25000000",
                        terms=OrderTerms("XBTUSD", "buy", "1.00000000", "9000.0"),
                    ),
                    OrderState(
                        B,
                        "open",
                        userref=45,
                        opened_s=1790000001.25,
                        filled_qty="0.00000000",
                        terms=OrderTerms("XBTUSD", "buy", "1.00000000", "9.0"),
                    ),
                )
            ),
        ),
    ),
    (
        spot_rest.decode_key_info,
        Shape(
            "key info, in snake case",
            KRAKEN_NET,
            '{"error":[],"result":{"api_key_name":"n","api_key":"k","nonce":"5","nonce_window":"15","permissions":'
            '["query-open-trades","close-trades","create-ws-token"],"iban":"i","valid_until":"0","query_from":"0",'
            '"query_to":"0","created_time":"1700000000","modified_time":"1700000001","ip_allowlist":[""],'
            '"last_used":"1790000000"}}',
            RestKey(("query-open-trades", "close-trades", "create-ws-token"), 5),
        ),
    ),
)

_ORDER: Final = (
    f'"orderId":"{U}","cliOrdId":null,"type":"lmt","symbol":"PI_XBTUSD","side":"buy","quantity":1000,"filled":200,'
    '"limitPrice":9000,"stopPrice":null,"reduceOnly":false,"timestamp":"2026-11-03T09:20:00.500Z"'
)
_STATE: Final = OrderState(
    U,
    "canceled",
    symbol="PI_XBTUSD",
    opened_s=1793697600.5,
    filled_qty="200",
    terms=OrderTerms("PI_XBTUSD", "buy", "1000", "9000"),
)


def _cancel(status: int, body: bytes) -> object:
    return futures_rest.decode_cancel(status, body, Target("order_id", U))


FUTURES: Final = (
    (
        _cancel,
        Shape(
            "canceled, no events",
            NAUTILUS,
            '{"result":"success","serverTime":"2026-11-03T09:20:01.000Z",'
            f'"cancelStatus":{{"status":"cancelled","order_id":"{U}"}}}}',
            RestOrders((OrderState(U, "canceled"),)),
        ),
    ),
    (
        _cancel,
        Shape(
            "canceled",
            KRAKEN_NET,
            f'{{"result":"success","cancelStatus":{{"status":"cancelled","order_id":"{U}",'
            f'"receivedTime":"2026-11-03T09:20:01.000Z","orderEvents":[{{"uid":"{U}","order":{{{_ORDER}}},"type":"CANCEL"}}]}},'
            '"serverTime":"2026-11-03T09:20:01.000Z"}',
            RestOrders((_STATE,), "2026-11-03T09:20:01.000Z"),
        ),
    ),
    (
        futures_rest.decode_cancel_all,
        Shape(
            "all canceled",
            KRAKEN_NET,
            '{"result":"success","cancelStatus":{"receivedTime":"2026-11-03T09:20:01.000Z","cancelOnly":"all",'
            f'"status":"cancelled","cancelledOrders":[{{"order_id":"{U}"}},{{"order_id":"{V}"}}],"orderEvents":[{{'
            f'"uid":"{U}","order":{{{_ORDER}}},"type":"CANCEL"}}]}},"serverTime":"2026-11-03T09:20:01.000Z"}}',
            RestCanceled(2, False, (_STATE, OrderState(V, "canceled")), "2026-11-03T09:20:01.000Z"),
        ),
    ),
    (
        futures_rest.decode_open_orders,
        Shape(
            "open orders, one without quantities, one with the other spelling of its name",
            NAUTILUS,
            '{"result":"success","serverTime":"2026-11-03T09:20:01.000Z","openOrders":['
            f'{{"order_id":"{U}","symbol":"PI_XBTUSD","side":"buy","orderType":"take_profit","stopPrice":9000.5,'
            '"receivedTime":"2026-11-03T09:20:00.500Z","status":"untouched","filledSize":0.0,"reduceOnly":true,'
            '"triggerSignal":"last","lastUpdateTime":"2026-11-03T09:20:00.500Z"},'
            f'{{"order_id":"{V}","symbol":"PI_XBTUSD","side":"sell","orderType":"lmt","limitPrice":9500.0,'
            '"unfilledSize":5000.0,"receivedTime":"2026-11-03T09:20:00.500Z","status":"partiallyFilled",'
            '"filledSize":2000.0,"reduceOnly":true,"lastUpdateTime":"2026-11-03T09:20:00.900Z","cli_ord_id":"mine-1"}]}',
            RestOrders(
                (
                    OrderState(
                        U,
                        "open",
                        symbol="PI_XBTUSD",
                        opened_s=1793697600.5,
                        filled_qty="0.0",
                        terms=OrderTerms("PI_XBTUSD", "buy", None),
                    ),
                    OrderState(
                        V,
                        "open",
                        "mine-1",
                        symbol="PI_XBTUSD",
                        opened_s=1793697600.5,
                        filled_qty="2000.0",
                        terms=OrderTerms("PI_XBTUSD", "sell", "7000.0", "9500.0"),
                    ),
                )
            ),
        ),
    ),
    (
        futures_rest.decode_status,
        Shape(
            "state of an order that was canceled after a fill",
            NAUTILUS,
            '{"result":"success","serverTime":"2026-11-03T09:20:01.000Z","orders":[{"order":{"type":"ORDER",'
            f'"orderId":"{U}","cliOrdId":"mine-1","symbol":"PF_XBTUSD","side":"buy","quantity":0.001,"filled":0.0004,'
            '"limitPrice":9000.0,"reduceOnly":false,"timestamp":"2026-11-03T09:20:00.500Z",'
            '"lastUpdateTimestamp":"2026-11-03T09:20:00.900Z","algoId":null,"priceTriggerOptions":null,'
            '"triggerTime":null},"status":"CANCELLED","updateReason":"PARTIAL_FILL","error":null}]}',
            RestOrders(
                (
                    OrderState(
                        U,
                        "canceled",
                        "mine-1",
                        symbol="PF_XBTUSD",
                        opened_s=1793697600.5,
                        filled_qty="0.0004",
                        reason="PARTIAL_FILL",
                        terms=OrderTerms("PF_XBTUSD", "buy", "0.001", "9000.0"),
                    ),
                )
            ),
        ),
    ),
    (
        _cancel,
        Shape(
            "refused, a sentence",
            f"{SDK}; {CCXT}",
            '{"status":"BAD_REQUEST","result":"error","errors":[{"code":11,"message":"Argument invalid: order_id"}],'
            '"serverTime":"2026-11-03T09:20:01.000Z"}',
            RestFailed(Fault.INVALID, "11: Argument invalid: order_id"),
            400,
        ),
    ),
    (
        _cancel,
        Shape(
            "refused, the web framework's own body",
            ROQ_FUTURES,
            '{"timestamp":"2026-11-03T09:20:01.000+00:00","path":"/derivatives/api/v3/cancelorder","status":404,'
            '"error":"Not Found","message":"","requestId":"r-1"}',
            RestFailed(Fault.INVALID, "Not Found"),
            404,
        ),
    ),
    (
        _cancel,
        Shape(
            "refused, a word",
            None,
            '{"result":"error","error":"apiLimitExceeded","serverTime":"2026-11-03T09:20:01.000Z"}',
            RestFailed(Fault.ROUTE_BUSY, "apiLimitExceeded"),
        ),
    ),
)
