"""Spot REST: `/0/public/...` and `/0/private/...`, with the venue's signature, nonce and error texts.

Sources: the REST guides and method pages under https://docs.kraken.com. An error is an HTTP 200 with a non-empty
`error` list; other HTTP codes come from the injected faults only. A parameter the method's page does not list is
refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

from .exchange import Order
from .faults import Fault
from .http import HttpAnswer, HttpRequest, json_answer
from .keys import (
    QUERY_CLOSED_RIGHT,
    QUERY_FUNDS_RIGHT,
    QUERY_OPEN_RIGHT,
    TOKEN_FIRST_USE_S,
    TOKEN_RIGHT,
    ApiKey,
)
from .markets import ASSETS, BY_REST_NAME, PAIRS, Asset, Pair
from .rates import RestCounters
from .refusal import Refusal
from .spot import (
    BATCH_LIMIT,
    INVALID_ARGUMENTS,
    INVALID_ORDER,
    Kind,
    Name,
    SpotEngine,
    Ticket,
    cl_ord_id_of,
    name_of,
    userref_of,
)
from .spot_records import description, rest_record
from .times import rfc1123, rfc3339_down, rfc3339_up

INVALID_KEY = "EAPI:Invalid key"
INVALID_SIGNATURE = "EAPI:Invalid signature"
INVALID_NONCE = "EAPI:Invalid nonce"
RATE_LIMIT = "EAPI:Rate limit exceeded"
UNKNOWN_METHOD = "EGeneral:Unknown method"

QUERY_LIMIT = 50  # txids in one QueryOrders, rows in one ClosedOrders
_NONCE_LIMIT = 2**64
_BALANCE = Decimal("1000000")

Params = dict[str, Any]
Method = Callable[[ApiKey, Params], Any]


class SpotRest:
    """The REST front. take: a fault of this kind that applies to this method now."""

    route = "spot_rest"

    def __init__(
        self,
        engine: SpotEngine,
        *,
        counters: RestCounters,
        take: Callable[[str, str], Fault | None],
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._counters = counters
        self._take = take
        self._now = now
        # method → (what it does, parameters it knows, cost on the REST counter)
        self._public: dict[str, Callable[[Params], Any]] = {
            "Time": self._time,
            "SystemStatus": self._system_status,
            "Assets": self._assets,
            "AssetPairs": self._asset_pairs,
            "Ticker": self._ticker,
        }
        self._private: dict[str, tuple[Method, str, float]] = {
            "AddOrder": (
                self._add_order,
                "ordertype type volume pair price price2 userref cl_ord_id timeinforce expiretm oflags validate "
                "leverage reduce_only starttm deadline displayvol trigger stptype asset_class",
                0,
            ),
            # `pair` is in the page's example body, though not in its schema.
            "CancelOrder": (self._cancel_order, "txid cl_ord_id pair", 0),
            "CancelOrderBatch": (self._cancel_order_batch, "orders cl_ord_ids", 1),
            "CancelAll": (self._cancel_all, "", 1),
            "CancelAllOrdersAfter": (self._cancel_all_orders_after, "timeout", 1),
            "GetWebSocketsToken": (self._get_websockets_token, "", 1),
            "OpenOrders": (self._open_orders, "trades userref cl_ord_id rebase_multiplier", 1),
            "QueryOrders": (self._query_orders, "txid trades userref consolidate_taker rebase_multiplier", 1),
            "ClosedOrders": (
                self._closed_orders,
                "trades userref cl_ord_id start end ofs closetime consolidate_taker without_count rebase_multiplier",
                1,
            ),
            "GetApiKeyInfo": (self._get_api_key_info, "", 1),
            "Balance": (self._balance, "rebase_multiplier", 1),
            "BalanceEx": (self._balance_ex, "rebase_multiplier", 1),
        }

    def operation(self, request: HttpRequest) -> str:
        """The method's name: `CancelOrder` for `/0/private/CancelOrder`."""
        return request.path.rsplit("/", 1)[-1]

    def error(self, text: str, form: str = "plain", status: int | None = None) -> HttpAnswer:
        """The venue's way to say no; on Spot there is one form."""
        return json_answer({"error": [text]}, status or 200)

    def parsed(self, request: HttpRequest) -> Params:
        """The parameters in query or body; empty when they cannot be read. Repeated form fields: the last counts."""
        if request.method == "GET":
            return dict(request.query)
        if request.headers.get("content-type", "").startswith("application/json"):
            try:
                params = json.loads(request.body)
            except ValueError:
                return {}
            return params if isinstance(params, dict) else {}
        return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """Carry one request out."""
        match request.path.split("/"):
            case ["", "0", "public", method] if method in self._public:
                result = self._public[method]
                try:
                    return json_answer({"error": [], "result": result(self.parsed(request))})
                except Refusal as refusal:
                    return self.error(refusal.text)
            case ["", "0", "private", method] if method in self._private and request.method == "POST":
                try:
                    return json_answer({"error": [], "result": self._serve_private(method, request)})
                except Refusal as refusal:
                    return self.error(refusal.text)
        return self.error(UNKNOWN_METHOD)

    def _serve_private(self, method: str, request: HttpRequest) -> Any:
        carry_out, known, cost = self._private[method]
        params = self.parsed(request)
        key = self._authenticate(request, params)
        if not self._counters.charge(key.key, cost):
            raise Refusal(RATE_LIMIT)
        for name in sorted(params.keys() - set(known.split()) - {"nonce", "otp"}):
            raise Refusal(f"{INVALID_ARGUMENTS}:{name}")
        return carry_out(key, params)

    def _authenticate(self, request: HttpRequest, params: Params) -> ApiKey:
        """The key that signed the request. A nonce counts as used only once the signature over it was right.

        Source: https://docs.kraken.com/exchange/guides/rest/authentication
        """
        key = self._engine.keys.find("spot", request.headers.get("api-key", ""))
        if key is None:
            raise Refusal(INVALID_KEY)
        nonce_text = str(params.get("nonce", ""))
        if not nonce_text.isascii() or not nonce_text.isdigit() or int(nonce_text) >= _NONCE_LIMIT:
            raise Refusal(INVALID_NONCE)
        digest = hashlib.sha256(nonce_text.encode() + request.body).digest()
        expected = hmac.digest(base64.b64decode(key.secret), request.path.encode() + digest, "sha512")
        try:
            given = base64.b64decode(request.headers.get("api-sign", ""), validate=True)
        except (binascii.Error, ValueError):
            given = b""
        if not hmac.compare_digest(given, expected):
            raise Refusal(INVALID_SIGNATURE)
        if int(nonce_text) <= key.last_nonce:
            raise Refusal(INVALID_NONCE)
        key.last_nonce = int(nonce_text)
        key.last_used_s = self._now()
        return key

    # --- public ---------------------------------------------------------------------------------------------------

    def _time(self, _: Params) -> Any:
        return {"unixtime": int(self._now()), "rfc1123": rfc1123(self._now())}

    def _system_status(self, _: Params) -> Any:
        return {
            "status": self._engine.status,
            "timestamp": rfc3339_down(self._now()),
            "upcoming_maintenance": [_announced(*window) for window in self._engine.market.announced()],
            "emergency": [],
        }

    def _assets(self, params: Params) -> Any:
        wanted = _split(params, "asset")
        return {
            asset.key: {
                "aclass": "currency",
                "altname": asset.altname,
                "decimals": asset.decimals,
                "display_decimals": asset.display_decimals,
                "status": "enabled",
            }
            for asset in ASSETS
            if not wanted or asset.key in wanted or asset.altname in wanted
        }

    def _asset_pairs(self, params: Params) -> Any:
        return {pair.key: _pair_record(pair) for pair in _pairs(params)}

    def _ticker(self, params: Params) -> Any:
        return {pair.key: _ticker_record(pair) for pair in _pairs(params)}

    # --- trading --------------------------------------------------------------------------------------------------

    def _add_order(self, key: ApiKey, params: Params) -> Any:
        pair = BY_REST_NAME.get(str(params.get("pair")))
        if pair is None:
            raise Refusal("EQuery:Unknown asset pair")
        order_type, side = params.get("ordertype"), params.get("type")
        if order_type not in ("limit", "market"):
            raise Refusal(f"{INVALID_ARGUMENTS}:ordertype")
        if side not in ("buy", "sell"):
            raise Refusal(f"{INVALID_ARGUMENTS}:type")
        time_in_force = params.get("timeinforce", "GTC")
        if time_in_force not in ("GTC", "IOC", "GTD"):
            raise Refusal(f"{INVALID_ARGUMENTS}:timeinforce")
        cl_ord_id = params.get("cl_ord_id")
        ticket = Ticket(
            pair=pair,
            side=side,
            order_type=order_type,
            quantity=_amount(params, "volume"),
            price=_amount(params, "price") if order_type == "limit" else pair.last_price,
            # 0 is how a client says "none" here.
            userref=userref_of(_integer(params, "userref")) if str(params.get("userref", "0")) != "0" else 0,
            cl_ord_id=None if cl_ord_id is None else cl_ord_id_of(str(cl_ord_id)),
            time_in_force=time_in_force,
            expires_s=self._expiry(str(params.get("expiretm", "0"))),
            validate_only=str(params.get("validate", "false")).lower() in {"true", "1"},
        )
        order = self._engine.add(key, ticket)
        if order is None:
            terms = "market" if order_type == "market" else f"limit {ticket.price}"
            return {"descr": {"order": f"{side} {ticket.quantity:.8f} {pair.altname} @ {terms}"}}
        return {"descr": {"order": description(order, pair.altname)["order"]}, "txid": [order.order_id]}

    def _expiry(self, text: str) -> float | None:
        """`+n`: so many seconds from now; other digits: unix seconds; 0: never."""
        digits = text.removeprefix("+")
        if not digits.isdigit():
            raise Refusal(f"{INVALID_ARGUMENTS}:expiretm")
        if text == "0":
            return None
        return self._now() + int(digits) if text.startswith("+") else float(digits)

    def _cancel_order(self, key: ApiKey, params: Params) -> Any:
        if ("txid" in params) == ("cl_ord_id" in params):
            raise Refusal(INVALID_ARGUMENTS)
        if "txid" in params:
            name = _name(params["txid"])
        else:
            name = Name(Kind.CL_ORD_ID, cl_ord_id_of(str(params["cl_ord_id"])))

        def told_to_refuse() -> str | None:
            fault = self._take("ack_error", "CancelOrder")
            return fault["error"] if fault else None

        pending = self._take("cancel_pending", "CancelOrder")
        pending_s = None if pending is None else float(pending["seconds"])
        verdicts = self._engine.cancel_each(key, [name], refuse=told_to_refuse, pending_s=pending_s)
        canceled = sum(verdict.order is not None for verdict in verdicts)
        if not canceled:
            raise Refusal(verdicts[0].error)
        return {"count": canceled} if pending is None else {"count": canceled, "pending": True}

    def _cancel_order_batch(self, key: ApiKey, params: Params) -> Any:
        """Elements as plain values, as the page's example and every client has them, or as its schema's objects."""
        names = [_name(value) for value in _unwrapped(params, "orders", "txid")]
        names += [
            Name(Kind.CL_ORD_ID, cl_ord_id_of(str(value))) for value in _unwrapped(params, "cl_ord_ids", "cl_ord_id")
        ]
        names = list(dict.fromkeys(names))
        if not 1 <= len(names) <= BATCH_LIMIT:
            raise Refusal(f"{INVALID_ARGUMENTS}:orders")
        if fault := self._take("batch_partial", "CancelOrderBatch"):
            names = names[: max(0, len(names) - fault["keep"])]
        pending = self._take("cancel_pending", "CancelOrderBatch")
        if pending is None:
            return {"count": self._engine.cancel_batch(key, names)}
        return {"count": self._engine.cancel_batch(key, names, float(pending["seconds"])), "pending": True}

    def _cancel_all(self, key: ApiKey, _: Params) -> Any:
        return {"count": self._engine.cancel_all(key)}

    def _cancel_all_orders_after(self, key: ApiKey, params: Params) -> Any:
        fires_s = self._engine.cancel_all_after(key, _integer(params, "timeout"))
        return {
            "currentTime": rfc3339_up(self._now()),
            "triggerTime": "0" if fires_s is None else rfc3339_up(fires_s),
        }

    # --- account --------------------------------------------------------------------------------------------------

    def _get_websockets_token(self, key: ApiKey, _: Params) -> Any:
        self._engine.require(key, {TOKEN_RIGHT})
        return {"token": self._engine.keys.issue_token(key), "expires": TOKEN_FIRST_USE_S}

    def _open_orders(self, key: ApiKey, params: Params) -> Any:
        self._engine.require(key, {QUERY_OPEN_RIGHT})
        orders = _filtered(self._engine.exchange.open_orders(key.account, "spot"), params)
        return {"open": {order.order_id: rest_record(order, trades=_flag(params, "trades")) for order in orders}}

    def _query_orders(self, key: ApiKey, params: Params) -> Any:
        self._engine.require(key, {QUERY_OPEN_RIGHT, QUERY_CLOSED_RIGHT})
        txids = _split(params, "txid")
        if not 1 <= len(txids) <= QUERY_LIMIT:
            raise Refusal(f"{INVALID_ARGUMENTS}:txid")
        found = []
        for txid in txids:
            order = self._engine.exchange.order(key.account, "spot", txid)
            if order is None:
                raise Refusal(INVALID_ORDER)
            found.append(order)
        orders = _filtered(found, params)
        return {order.order_id: rest_record(order, trades=_flag(params, "trades")) for order in orders}

    def _closed_orders(self, key: ApiKey, params: Params) -> Any:
        self._engine.require(key, {QUERY_CLOSED_RIGHT})
        orders = _filtered(self._engine.exchange.ended_orders(key.account, "spot")[::-1], params)
        offset = _integer(params, "ofs") if "ofs" in params else 0
        page = orders[max(0, offset) :][:QUERY_LIMIT]
        closed = {order.order_id: rest_record(order, trades=_flag(params, "trades")) for order in page}
        return {"closed": closed, "count": len(orders)}

    def _get_api_key_info(self, key: ApiKey, _: Params) -> Any:
        """In camelCase, as the page has it. Source: https://docs.kraken.com/api-reference/account-data/get-api-key-info"""
        return {
            "apiKeyName": f"simulated {key.account}",
            "apiKey": key.key,
            "nonce": str(key.last_nonce),
            "nonceWindow": 0,
            "permissions": sorted(key.rights),
            "iban": "AA00 N84G 0000 0000",
            "validUntil": "0",
            "queryFrom": "0",
            "queryTo": "0",
            "createdTime": str(int(key.created_s)),
            "modifiedTime": str(int(key.created_s)),
            "ipAllowlist": [],
            "lastUsed": str(int(key.last_used_s)),
        }

    def _balance(self, key: ApiKey, _: Params) -> Any:
        self._engine.require(key, {QUERY_FUNDS_RIGHT})
        return {asset.key: _shown(asset) for asset in ASSETS}

    def _balance_ex(self, key: ApiKey, _: Params) -> Any:
        self._engine.require(key, {QUERY_FUNDS_RIGHT})
        return {asset.key: {"balance": _shown(asset), "hold_trade": "0"} for asset in ASSETS}


def _pairs(params: Params) -> list[Pair]:
    names = _split(params, "pair")
    if not names:
        return list(PAIRS)
    if any(name not in BY_REST_NAME for name in names):
        raise Refusal("EQuery:Unknown asset pair")
    return [BY_REST_NAME[name] for name in names]


def _pair_record(pair: Pair) -> dict[str, Any]:
    return {
        "altname": pair.altname,
        "wsname": pair.wsname,
        "aclass_base": "currency",
        "base": pair.base.key,
        "aclass_quote": "currency",
        "quote": pair.quote.key,
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": pair.price_decimals,
        "lot_decimals": pair.quantity_decimals,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.26]],
        "fees_maker": [[0, 0.16]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": str(pair.minimum_quantity),
        "costmin": "0.5",
        "tick_size": f"{Decimal(1).scaleb(-pair.price_decimals)}",
        "status": "online",
    }


def _ticker_record(pair: Pair) -> dict[str, Any]:
    price = str(pair.last_price)
    book = [price, "1", "1.000"]
    return {
        "a": book,
        "b": book,
        "c": [price, "0.1"],
        "v": ["0", "0"],
        "p": [price, price],
        "t": [0, 0],
        "l": [price, price],
        "h": [price, price],
        "o": price,
    }


def _shown(asset: Asset) -> str:
    return f"{_BALANCE:.{asset.decimals}f}"


def _filtered(orders: list[Order], params: Params) -> list[Order]:
    userref = _integer(params, "userref") if "userref" in params else None
    cl_ord_id = params.get("cl_ord_id")
    return [
        order
        for order in orders
        if (userref is None or order.userref == userref) and (cl_ord_id is None or order.cl_ord_id == cl_ord_id)
    ]


def _name(value: Any) -> Name:
    """A txid or userref as REST takes it: digits in a form are a userref, in JSON it may also be a number."""
    if type(value) is int:
        return Name(Kind.USERREF, userref_of(value))
    if isinstance(value, str):
        return name_of(value)
    raise Refusal(f"{INVALID_ARGUMENTS}:txid")


def _unwrapped(params: Params, member: str, inner: str) -> list[Any]:
    values = params.get(member, [])
    if not isinstance(values, list):
        raise Refusal(f"{INVALID_ARGUMENTS}:{member}")
    return [value[inner] if isinstance(value, dict) and value.keys() == {inner} else value for value in values]


def _split(params: Params, member: str) -> list[str]:
    return [name for name in str(params.get(member, "")).split(",") if name]


def _flag(params: Params, member: str) -> bool:
    return str(params.get(member, "false")).lower() in {"true", "1"}


def _integer(params: Params, member: str) -> int:
    try:
        return int(str(params[member]))
    except (KeyError, ValueError):
        raise Refusal(f"{INVALID_ARGUMENTS}:{member}") from None


def _amount(params: Params, member: str) -> Decimal:
    try:
        number = Decimal(str(params[member]))
    except (KeyError, InvalidOperation):
        raise Refusal(f"{INVALID_ARGUMENTS}:{member}") from None
    if not number.is_finite() or number <= 0:
        raise Refusal(f"{INVALID_ARGUMENTS}:{member}")
    return number


def _announced(begins_s: float, ends_s: float | None) -> dict[str, Any]:
    """One event of the announced maintenance. The page does not show its members: these are the status page's words."""
    return {
        "scheduled_for": rfc3339_down(begins_s),
        "scheduled_until": None if ends_s is None else rfc3339_down(ends_s),
    }
