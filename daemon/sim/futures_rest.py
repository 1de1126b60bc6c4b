"""Futures REST under `/derivatives/api/v3/`: signature, budget, and verdicts in the bodies.

Sources: https://docs.kraken.com/api/docs/guides/futures-rest and the pages under
https://docs.kraken.com/api/docs/futures-api/trading; where they show no answer, what clients recorded. An error is an
HTTP 200 with `result: "error"`; other HTTP codes come from the injected faults and from unknown paths. A parameter the
page does not list is refused. `editorder` and everything under `/api/history` are not served.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .contracts import CONTRACTS, Contract, contract_of
from .exchange import Fill, Order
from .faults import Fault
from .futures import (
    ARGUMENT_MISSING,
    AUTHENTICATION,
    INVALID_ARGUMENT,
    JSON_PARSE,
    NOT_FOUND,
    TRIGGERS,
    Fate,
    FuturesEngine,
    NotPlaced,
    Ticket,
)
from .futures_records import (
    Amount,
    cancel_event,
    execution_event,
    lettered,
    number,
    open_row,
    place_event,
    status_row,
)
from .http import HttpAnswer, HttpRequest, json_answer
from .keys import ApiKey
from .refusal import Refusal
from .times import rfc3339_millis

PREFIX = "/derivatives"
ROOT = f"{PREFIX}/api/v3/"
BATCH_LIMIT = 50  # elements; the venue publishes no maximum, adapters in use send up to this many
_ORDER_TYPES = frozenset({"lmt", "post", "ioc", "fok", "mkt"}) | TRIGGERS

Params = dict[str, list[str]]
Method = Callable[[ApiKey, Params], dict[str, Any]]


class FuturesRest:
    """The REST front. take: a fault of this kind that applies to this method now. shuffle: reorders a list in place."""

    route = "futures_rest"

    def __init__(
        self,
        engine: FuturesEngine,
        *,
        take: Callable[[str, str], Fault | None],
        shuffle: Callable[[list[Any]], None],
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._take = take
        self._shuffle = shuffle
        self._now = now
        # name → (HTTP methods, what it does, parameters it knows, cost; None: it charges for itself)
        self._private: dict[str, tuple[str, Method, str, int | None]] = {
            "cancelorder": ("POST", self._cancel_order, "order_id cliOrdId processBefore", 10),
            "batchorder": ("POST", self._batch_order, "json processBefore ProcessBefore", None),
            "cancelallorders": ("POST", self._cancel_all_orders, "symbol", 25),
            "cancelallordersafter": ("POST", self._cancel_all_orders_after, "timeout", 25),
            "sendorder": (
                "POST",
                self._send_order,
                "orderType symbol side size limitPrice stopPrice cliOrdId reduceOnly triggerSignal processBefore",
                10,
            ),
            "openorders": ("GET", self._open_orders, "", 2),
            # The page has POST; a popular client asks by GET.
            "orders/status": ("GET POST", self._orders_status, "orderIds cliOrdIds", 1),
            "openpositions": ("GET", lambda _key, _params: {"openPositions": []}, "", 2),
            "accounts": ("GET", self._accounts, "", 2),
        }
        self._public: dict[str, Callable[[], dict[str, Any]]] = {
            "instruments": lambda: {"instruments": [_instrument(contract) for contract in CONTRACTS]},
            "tickers": lambda: {"tickers": [self._ticker(contract) for contract in CONTRACTS]},
        }

    def operation(self, request: HttpRequest) -> str:
        """What follows the version in the path: `cancelorder`, `orders/status`."""
        return request.path.removeprefix(ROOT)

    def parsed(self, request: HttpRequest) -> dict[str, Any]:
        """The parameters of query and body; one given several times as a list."""
        return {name: values[0] if len(values) == 1 else values for name, values in _params(request).items()}

    def error(self, text: str, form: str = "plain", status: int | None = None) -> HttpAnswer:
        """The venue's way to say no.

        form: `list` with the `errors` list beside it, `code` with numbered ones only, `sentence` with those and the
        HTTP status by name, `framework` as the web framework says it. status: of HTTP, None for the form's usual one.
        """
        if form == "framework":
            told = {"timestamp": rfc3339_millis(self._now()), "path": f"{ROOT}cancelorder", "status": status or 404}
            return json_answer({**told, "error": text, "message": "", "requestId": "4f1c2a9e-17"}, status or 404)
        if form == "sentence":
            name = next((one.name for one in HTTPStatus if one == status), "BAD_REQUEST")
            told = {"status": name, "result": "error", "errors": [{"code": 11, "message": text}]}
            return json_answer({**told, "serverTime": rfc3339_millis(self._now())}, status or 400)
        body: dict[str, Any] = {"result": "error"}
        if form == "list":
            body["errors"] = [text]
        if form == "code":
            body["errors"] = [{"code": 95, "message": text}]
        else:
            body["error"] = text
        return json_answer(body | {"serverTime": rfc3339_millis(self._now())}, status or 200)

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """Carry one request out."""
        operation = self.operation(request)
        try:
            if request.method == "GET" and (shown := self._shown(operation)) is not None:
                result = shown
            elif operation in self._private and request.method in self._private[operation][0].split():
                result = self._serve_private(operation, request)
            else:
                return HttpAnswer(404, self.error(NOT_FOUND).body)
        except Refusal as refusal:
            return self.error(refusal.text)
        return json_answer({"result": "success", "serverTime": rfc3339_millis(self._now())} | result)

    def _shown(self, operation: str) -> dict[str, Any] | None:
        match operation.split("/"):
            case ["tickers", symbol] if contract := contract_of(symbol):
                return {"ticker": self._ticker(contract)}
            case [name] if name in self._public:
                return self._public[name]()
        return None

    def _serve_private(self, operation: str, request: HttpRequest) -> dict[str, Any]:
        _, carry_out, known, cost = self._private[operation]
        key = self._authenticate(request)
        params = _params(request)
        if cost is not None:
            self._engine.charge(key.account, cost)
        if params.keys() - set(known.split()):
            raise Refusal(INVALID_ARGUMENT)
        self._require_in_time(params)
        return carry_out(key, params)

    def _authenticate(self, request: HttpRequest) -> ApiKey:
        """The key that signed the request: its parameters exactly as sent, a nonce if there is one, and the path.

        Source: https://docs.kraken.com/api/docs/guides/futures-rest
        """
        key = self._engine.keys.find("futures", request.headers.get("apikey", ""))
        if key is None:
            raise Refusal(AUTHENTICATION)
        nonce = request.headers.get("nonce", "")
        post_data = urlsplit(request.target).query.encode() + request.body
        path = request.path.removeprefix(PREFIX)
        digest = hashlib.sha256(post_data + nonce.encode() + path.encode()).digest()
        try:
            given = base64.b64decode(request.headers.get("authent", ""), validate=True)
        except (binascii.Error, ValueError):
            given = b""
        if not hmac.compare_digest(given, hmac.digest(base64.b64decode(key.secret), digest, "sha512")):
            raise Refusal(AUTHENTICATION)
        if nonce:
            if not (nonce.isascii() and nonce.isdigit()):
                raise Refusal(AUTHENTICATION)
            self._engine.accept_nonce(key, int(nonce))
        key.last_used_s = self._now()
        return key

    def _require_in_time(self, params: Params) -> None:
        """`processBefore` in the past leaves the request unprocessed; its error word is not published."""
        for name in ("processBefore", "ProcessBefore"):
            text = _optional(params, name)
            if text is None:
                continue
            try:
                before: datetime | None = datetime.fromisoformat(text)
            except ValueError:
                before = None
            if before is None or before.tzinfo is None or before.timestamp() < self._now():
                raise Refusal(INVALID_ARGUMENT)

    # --- cancels --------------------------------------------------------------------------------------------------

    def _cancel_order(self, key: ApiKey, params: Params) -> dict[str, Any]:
        self._engine.require_full(key)
        order_id, cl_ord_id = _optional(params, "order_id"), _optional(params, "cliOrdId")
        named = _one_of(order_id, cl_ord_id)
        odd = self._take("status_word", "cancelorder")
        if odd is not None and not odd.after_effect:
            return {"cancelStatus": {"status": odd["word"]} | named}
        fate = self._engine.cancel(key.account, order_id=order_id, cl_ord_id=cl_ord_id)
        told = self._told(fate)
        return {"cancelStatus": told if odd is None else told | {"status": odd["word"]}}

    def _told(self, fate: Fate, amount: Amount = number) -> dict[str, Any]:
        if fate.order is None:
            return {"status": fate.word}
        told: dict[str, Any] = {"status": fate.word, "order_id": fate.order.order_id}
        if fate.order.cl_ord_id is not None:
            told["cliOrdId"] = fate.order.cl_ord_id
        events = [cancel_event(fate.order, amount)] if fate.word == "cancelled" else []
        return told | {"receivedTime": rfc3339_millis(self._now()), "orderEvents": events}

    def _batch_order(self, key: ApiKey, params: Params) -> dict[str, Any]:
        """Each element by itself, and the answers in another order than asked."""
        self._engine.require_full(key)
        elements = _batch(params)
        self._engine.charge(key.account, 9 + len(elements))
        if partial := self._take("batch_partial", "batchorder"):
            elements = elements[: max(0, len(elements) - partial["keep"])]
        odd = self._take("status_word", "batchorder")
        told = [self._element(key, element, odd) for element in elements]
        if missing := self._take("batch_missing", "batchorder"):
            told = told[: max(0, len(told) - missing["count"])]
        asked = list(told)
        self._shuffle(told)
        if told == asked:
            # The venue does not keep the sequence, so a client that counts on it is to fail here each time.
            told = told[1:] + told[:1]
        return {"batchStatus": told}

    def _element(self, key: ApiKey, element: Any, odd: Fault | None) -> dict[str, Any]:
        try:
            if not isinstance(element, dict):
                raise Refusal(INVALID_ARGUMENT)
            params: Params = {name: [str(value)] for name, value in element.items() if name != "order"}
            match element.get("order"):
                case "cancel":
                    return self._cancel_element(key, params, odd)
                case "send":
                    tag = {"order_tag": _required(params, "order_tag")}
                    return self._send(key, {name: params[name] for name in params if name != "order_tag"}) | tag
                case _:
                    raise Refusal(INVALID_ARGUMENT)
        except Refusal as refusal:
            return {"status": refusal.text, "orderEvents": []}

    def _cancel_element(self, key: ApiKey, params: Params, odd: Fault | None) -> dict[str, Any]:
        if params.keys() - {"order_id", "cliOrdId"}:
            raise Refusal(INVALID_ARGUMENT)
        order_id, cl_ord_id = _optional(params, "order_id"), _optional(params, "cliOrdId")
        named = _one_of(order_id, cl_ord_id)
        if odd is not None and not odd.after_effect:
            return {"status": odd["word"]} | named | {"orderEvents": []}
        fate = self._engine.cancel(key.account, order_id=order_id, cl_ord_id=cl_ord_id)
        told = named | {"orderEvents": []} | self._told(fate, lettered)
        told.pop("receivedTime", None)
        return told if odd is None else told | {"status": odd["word"]}

    def _cancel_all_orders(self, key: ApiKey, params: Params) -> dict[str, Any]:
        self._engine.require_full(key)
        symbol = _optional(params, "symbol")
        contract = None if symbol is None else contract_of(symbol)
        if symbol is not None and contract is None:
            raise Refusal(INVALID_ARGUMENT)
        canceled = self._engine.cancel_all(key.account, None if contract is None else contract.symbol)
        return {
            "cancelStatus": {
                "receivedTime": rfc3339_millis(self._now()),
                "cancelOnly": "all" if contract is None else contract.symbol,
                "status": "cancelled" if canceled else "noOrdersToCancel",
                "cancelledOrders": [{"order_id": order.order_id, "cliOrdId": order.cl_ord_id} for order in canceled],
                "orderEvents": [cancel_event(order) for order in canceled],
            }
        }

    def _cancel_all_orders_after(self, key: ApiKey, params: Params) -> dict[str, Any]:
        self._engine.require_full(key)
        text = _required(params, "timeout")
        if not (text.isascii() and text.isdigit()):
            raise Refusal(INVALID_ARGUMENT)
        fires_s = self._engine.cancel_all_after(key.account, int(text))
        return {
            "status": {
                "currentTime": rfc3339_millis(self._now()),
                "triggerTime": "0" if fires_s is None else rfc3339_millis(fires_s),
            }
        }

    # --- new orders -----------------------------------------------------------------------------------------------

    def _send_order(self, key: ApiKey, params: Params) -> dict[str, Any]:
        self._engine.require_full(key)
        return {"sendStatus": self._send(key, params)}

    def _send(self, key: ApiKey, params: Params) -> dict[str, Any]:
        try:
            order, fill = self._engine.send(key.account, _ticket(params))
        except NotPlaced as refused:
            return {"status": refused.status, "orderEvents": []}
        return self._placed(order, fill)

    def _placed(self, order: Order, fill: Fill | None) -> dict[str, Any]:
        told: dict[str, Any] = {"order_id": order.order_id, "status": "placed"}
        if order.cl_ord_id is not None:
            told["cliOrdId"] = order.cl_ord_id
        event = place_event(order) if fill is None else execution_event(order, fill)
        return told | {"receivedTime": rfc3339_millis(self._now()), "orderEvents": [event]}

    # --- what is open ---------------------------------------------------------------------------------------------

    def _open_orders(self, key: ApiKey, _: Params) -> dict[str, Any]:
        return {"openOrders": [open_row(order) for order in self._engine.exchange.open_orders(key.account, "futures")]}

    def _orders_status(self, key: ApiKey, params: Params) -> dict[str, Any]:
        """Unknown and long-ended orders are left out, as the page has it."""
        account = key.account
        found = [self._engine.find(account, order_id=order_id) for order_id in params.get("orderIds", [])]
        found += [self._engine.find(account, cl_ord_id=cl_ord_id) for cl_ord_id in params.get("cliOrdIds", [])]
        rows = [status_row(order) for order in found if order is not None]
        if odd := self._take("status_word", "orders/status"):
            rows = [row | {"status": odd["word"]} for row in rows]
        return {"orders": rows}

    # --- the rest of what clients ask -----------------------------------------------------------------------------

    def _accounts(self, _key: ApiKey, _params: Params) -> dict[str, Any]:
        balances = {"usd": "1000000.0", "xbt": "10.0"}
        return {
            "accounts": {
                "cash": {"balances": balances, "type": "cashAccount"},
                "flex": {
                    "currencies": {"USD": {"quantity": "1000000.0", "value": "1000000.0", "available": "1000000.0"}},
                    "initialMargin": "0.0",
                    "maintenanceMargin": "0.0",
                    "balanceValue": "1000000.0",
                    "portfolioValue": "1000000.0",
                    "collateralValue": "1000000.0",
                    "pnl": "0.0",
                    "unrealizedFunding": "0.0",
                    "availableMargin": "1000000.0",
                    "marginEquity": "1000000.0",
                    "type": "multiCollateralMarginAccount",
                },
            }
        }

    def _ticker(self, contract: Contract) -> dict[str, Any]:
        price = number(contract.last_price)
        return {
            "tag": "perpetual",
            "pair": contract.pair,
            "symbol": contract.symbol,
            "markPrice": price,
            "indexPrice": price,
            "bid": price,
            "bidSize": 1,
            "ask": price,
            "askSize": 1,
            "last": price,
            "lastTime": rfc3339_millis(self._now()),
            "lastSize": 1,
            "open24h": price,
            "vol24h": 0,
            "openInterest": 0,
            "fundingRate": 0,
            "fundingRatePrediction": 0,
            "suspended": False,
        }


def _instrument(contract: Contract) -> dict[str, Any]:
    return {
        "symbol": contract.symbol,
        "type": contract.kind,
        "tradeable": True,
        "tickSize": number(contract.tick),
        "contractSize": 1,
        "contractValueTradePrecision": contract.trade_digits,
        "impactMidSize": 1,
        "maxPositionSize": 1_000_000,
        "marginLevels": [{"contracts": 0, "initialMargin": 0.02, "maintenanceMargin": 0.01}],
        "openingDate": "2022-01-01T00:00:00.000Z",
        "postOnly": False,
        "tags": [],
    }


def _ticket(params: Params) -> Ticket:
    """The order a `sendorder`, or a batch's `send`, asks for. Raises Refusal, or NotPlaced with its word."""
    known = {"orderType", "symbol", "side", "size", "limitPrice", "stopPrice", "cliOrdId", "reduceOnly"}
    if params.keys() - known - {"triggerSignal", "processBefore"}:
        raise Refusal(INVALID_ARGUMENT)
    contract = contract_of(_required(params, "symbol"))
    if contract is None:
        raise Refusal(INVALID_ARGUMENT)
    order_type, side = _required(params, "orderType"), _required(params, "side")
    if order_type not in _ORDER_TYPES:
        raise NotPlaced("invalidOrderType")
    if side not in ("buy", "sell"):
        raise NotPlaced("invalidSide")
    quantity = _positive(_required(params, "size"), "invalidSize")
    if order_type == "mkt":
        price = contract.last_price
    else:
        price = _positive(_required(params, "stopPrice" if order_type in TRIGGERS else "limitPrice"), "invalidPrice")
    return Ticket(
        contract=contract,
        side="buy" if side == "buy" else "sell",
        order_type=order_type,
        quantity=quantity,
        price=price,
        cl_ord_id=_optional(params, "cliOrdId"),
    )


def _batch(params: Params) -> list[Any]:
    try:
        batch = json.loads(_required(params, "json"))
    except ValueError:
        raise Refusal(JSON_PARSE) from None
    if not isinstance(batch, dict) or not isinstance(batch.get("batchOrder"), list):
        raise Refusal(ARGUMENT_MISSING)
    elements: list[Any] = batch["batchOrder"]
    if not 1 <= len(elements) <= BATCH_LIMIT:
        raise Refusal(INVALID_ARGUMENT)
    return elements


def _params(request: HttpRequest) -> Params:
    """Query and form body; clients send parameters in either."""
    texts = [urlsplit(request.target).query, request.body.decode("utf-8", "replace")]
    params: Params = {}
    for text in texts:
        for name, value in parse_qsl(text, keep_blank_values=True):
            params.setdefault(name, []).append(value)
    return params


def _one_of(order_id: str | None, cl_ord_id: str | None) -> dict[str, str]:
    """The one id an order is named by, under its own name. Both at once is not described; refused here."""
    match order_id, cl_ord_id:
        case None, None:
            raise Refusal(ARGUMENT_MISSING)
        case str(), None:
            return {"order_id": order_id}
        case None, str():
            return {"cliOrdId": cl_ord_id}
        case _:
            raise Refusal(INVALID_ARGUMENT)


def _optional(params: Params, name: str) -> str | None:
    values = params.get(name, [])
    if len(values) > 1:
        raise Refusal(INVALID_ARGUMENT)
    return values[0] if values else None


def _required(params: Params, name: str) -> str:
    value = _optional(params, name)
    if not value:
        raise Refusal(ARGUMENT_MISSING)
    return value


def _positive(text: str, word: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise NotPlaced(word) from None
    if not amount.is_finite() or amount <= 0:
        raise NotPlaced(word)
    return amount
