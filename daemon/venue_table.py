"""What each venue offers, trait by trait, with the page or the finding that says so beside each cell.

engine/policy.py says what each trait means to a pursuit. What counts as proof that an order left the book:

    spot     its end on the order stream, WebSocket v1 "Open Orders" or v2 "Executions"; where no stream tells, its
             state by REST "Query Orders Info", or its end under its client order id by "Get Closed Orders". An ack is
             acceptance and no proof: REST answers with a count alone.
    prime    its end on the stream "Order" or "Execution Report". No cancel has an answer of its own.
    futures  its end on the feed "Open orders (verbose)" or on Unified WebSocket "Executions"; its own status in a REST
             answer, `cancelled` or `filled`. An ack on the Unified WebSocket is acceptance and no proof.
"""

from typing import Final, TypedDict

from .contract.ids import Venue
from .venues import futures_requests, spot_rest, spot_ws_v2


class Traits(TypedDict):
    """A venue's column of the table: the members of engine.policy.Policy that the venue decides."""

    rest: bool
    mass: bool
    sweeps: bool
    symbols: bool
    shared: bool
    uuids: bool
    relists: bool
    named_queries: bool
    batch_limit: int
    query_limit: int
    bundle_limit: int
    markets: bool
    named_batches: bool
    named_ends: bool


TRAITS: Final[dict[Venue, Traits]] = {
    "spot": {
        "rest": True,  # REST "Cancel Order", "Cancel Order Batch", "Cancel All Orders"
        "mass": True,  # WebSocket v1 "Cancel All", v2 "Cancel All", REST "Cancel All Orders"
        "sweeps": False,  # "Rate limits" guide (trading engine): a batch that overruns the threshold is still taken
        "symbols": False,  # WebSocket "Cancel Order", REST "Cancel Order": an id is enough
        "shared": False,  # WebSocket "Cancel Order": the answer comes on the socket that asked
        "uuids": False,  # WebSocket "Cancel Order": txid, userref or client order id, all on every way
        "relists": True,  # WebSocket v1 "Open Orders", v2 "Executions": each subscription begins with a snapshot
        "named_queries": False,  # REST "Query Orders Info": by txid alone
        "batch_limit": spot_rest.BATCH_LIMIT,  # REST "Cancel Order Batch"
        "query_limit": spot_rest.QUERY_LIMIT,  # REST "Query Orders Info"
        "bundle_limit": 0,  # WebSocket "Cancel Order" takes several ids, but its refusals name none of them
        "markets": False,  # WebSocket "Cancel All", REST "Cancel All Orders": account-wide, no pair among the members
        "named_batches": True,  # REST "Cancel Order Batch": `cl_ord_ids`, an optional list beside `orders`
        "named_ends": True,  # REST "Get Closed Orders": filter `cl_ord_id`
    },
    "prime": {
        "rest": False,  # Prime REST reference: settlement, users and keys, no call about orders
        "mass": False,  # Prime WebSocket pages: no mass cancel among the requests
        "sweeps": False,  # the same
        "symbols": True,  # WebSocket "Order Cancel Request": Symbol is required
        "shared": True,  # WebSocket "Order", "Execution Report": every subscriber is told what became of a cancel
        "uuids": False,  # WebSocket "Order Cancel Request": OrderID is any text
        "relists": False,  # WebSocket "Order", filter OrderID: the state of one order is asked for on a session
        "named_queries": False,  # WebSocket "Order": its filters know no client order id
        "batch_limit": 1,  # WebSocket "Order Cancel Request": its list is shown with one order alone
        "query_limit": 1,  # WebSocket "Order": the filter takes one OrderID
        "bundle_limit": 0,  # as batch_limit
        "markets": False,  # as mass
        "named_batches": False,  # as batch_limit
        "named_ends": False,  # as rest
    },
    "futures": {
        "rest": True,  # REST "Cancel order", "Batch order management", "Cancel all orders"
        "mass": True,  # REST "Cancel all orders", Unified WebSocket "Cancel All"
        "sweeps": True,  # "Rate limits" guide: a batch of n costs 9 + n of 500 points, "Cancel all orders" 25
        "symbols": False,  # REST "Cancel order": an id is enough
        "shared": False,  # REST, Unified WebSocket "Cancel Order": the answer comes where it was asked for
        "uuids": True,  # Unified WebSocket "Cancel Order": order_id is a UUID; REST knows other forms
        "relists": True,  # Unified WebSocket "Executions": each subscription begins with a snapshot
        "named_queries": True,  # REST "Get order status": orderIds or cliOrdIds
        "batch_limit": futures_requests.BATCH_LIMIT,  # REST "Batch order management" publishes none: what clients send
        "query_limit": 1,  # REST "Get order status" does not show how a list is spelled in a form
        "bundle_limit": spot_ws_v2.BATCH_LIMIT,  # Unified WebSocket "Batch Cancel"
        "markets": True,  # REST "Cancel all orders": `symbol`; Unified WebSocket "Cancel All" has none
        "named_batches": True,  # REST "Batch order management": an element names order_id or cliOrdId
        "named_ends": False,  # not needed: as named_queries
    },
}
