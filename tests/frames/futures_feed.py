"""Futures feed messages: as the API pages print them (rows shortened), else as clients captured them."""

from typing import Final

CHALLENGE: Final = '{"event":"challenge","message":"226aee50-88fc-4618-a42a-34f7709570b2"}'
SUBSCRIBED: Final = (
    '{"event":"subscribed","feed":"open_orders_verbose","api_key":"the-public-key",'
    '"original_challenge":"226aee50-88fc-4618-a42a-34f7709570b2","signed_challenge":"the-signature"}'
)
"""Source: docs.kraken.com, Futures WebSocket "Challenge", "Open orders (verbose)"."""

SUBSCRIBED_TO_HEARTBEAT: Final = '{"event":"subscribed","feed":"heartbeat"}'
SUBSCRIBED_FAILED: Final = '{"event":"subscribed_failed","feed":"open_orders_verbose"}'
INVALID_FEED: Final = '{"event":"error","message":"Invalid feed"}'
JSON_ERROR: Final = '{"event":"error","message":"Json Error"}'
HEARTBEAT: Final = '{"feed":"heartbeat","time":1730625600627}'
"""Source: docs.kraken.com, Futures WebSocket "Heartbeat"."""

REFUSED: Final = '{"event":"alert","message":"Failed to subscribe to authenticated feed"}'
HARMLESS: Final = '{"event":"alert","message":"Already subscribed to feed, re-requesting"}'
BAD_MESSAGE: Final = '{"event":"alert","message":"Bad websocket message"}'
"""Source: btschwertfeger/python-kraken-sdk issue 179."""

INFO: Final = '{"event":"info","version":1}'
PONG: Final = '{"event":"pong"}'
"""Source: nautechsystems/nautilus_trader."""

SNAPSHOT: Final = (
    '{"feed":"open_orders_verbose_snapshot","account":"e258dba9-4dd5-4da5-bfef-75beb91c098e","orders":['
    '{"instrument":"PI_XBTUSD","time":1612275024153,"last_update_time":1612275024153,"qty":1000,"filled":0,'
    '"limit_price":34900,"stop_price":13789,"type":"stop","order_id":"723ba95f-13b7-418b-8fcf-ab7ba6620555",'
    '"direction":1,"reduce_only":false,"triggerSignal":"last"},'
    '{"instrument":"PI_XBTUSD","time":1612275024153,"qty":1000,"filled":0.10,"limit_price":34900,"type":"limit",'
    '"order_id":"7a2f793e-26f3-4987-a938-56d296a11560","cli_ord_id":"s7-000042","direction":1,'
    '"reduce_only":false}]}'
)
PLACED: Final = (
    '{"feed":"open_orders_verbose","order":{"instrument":"PI_XBTUSD","time":1567702877410,'
    '"last_update_time":1567702877410,"qty":304.0,"filled":0.0,"limit_price":10640.0,"stop_price":0.0,'
    '"type":"limit","order_id":"59302619-41d2-4f0b-941f-7e7914760ad3","direction":1,"reduce_only":true},'
    '"is_cancel":false,"reason":"new_placed_order_by_user"}'
)
CANCELED: Final = (
    '{"feed":"open_orders_verbose","order_id":"660c6b23-8007-48c1-a7c9-4893f4572e8c","cli_ord_id":"s7-000043",'
    '"is_cancel":true,"reason":"cancelled_by_user"}'
)
FILLED: Final = (
    '{"feed":"open_orders","order":{"instrument":"PI_XBTUSD","time":1567597581495,'
    '"order_id":"a182cf4f-9e2b-4bd1-8b0c-9e0d9bbdd5b1","qty":0,"filled":0.0001,"direction":0},'
    '"is_cancel":true,"reason":"full_fill"}'
)
TRIGGERED: Final = (
    '{"feed":"open_orders_verbose","order_id":"723ba95f-13b7-418b-8fcf-ab7ba6620555","is_cancel":true,'
    '"reason":"stop_order_triggered"}'
)
NO_CHANGE: Final = (
    '{"feed":"open_orders_verbose","order_id":"723ba95f-13b7-418b-8fcf-ab7ba6620555","is_cancel":false,'
    '"reason":"order_for_edit_not_found"}'
)
"""Shape: docs.kraken.com, Futures WebSocket "Open orders (verbose)"; FILLED: nautechsystems/nautilus_trader."""

NOTICE: Final = '{"feed":"notifications_auth","notifications":[{"id":5,"type":"maintenance","priority":"high"}]}'

EVERY: Final = (
    CHALLENGE,
    SUBSCRIBED,
    SUBSCRIBED_TO_HEARTBEAT,
    SUBSCRIBED_FAILED,
    INVALID_FEED,
    JSON_ERROR,
    HEARTBEAT,
    REFUSED,
    HARMLESS,
    BAD_MESSAGE,
    INFO,
    PONG,
    SNAPSHOT,
    PLACED,
    CANCELED,
    FILLED,
    TRIGGERED,
    NO_CHANGE,
    NOTICE,
)
"""Every message the venue sends, for tests that mutate them."""
