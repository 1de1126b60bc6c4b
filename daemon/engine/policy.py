"""How patient the pursuits of a venue are, and what the venue offers."""

from typing import NamedTuple


class Policy(NamedTuple):
    """How patient the pursuits of a venue are, in nanoseconds, and what the venue offers.

    rest: it has a REST lane that cancels; where it has none, states are asked for on its sessions. batch_limit,
    query_limit: most orders in one REST batch and in one query. named_queries: an order's state can be asked for by its
    client order id. mass: it has a request that cancels everything. sweeps: that request stands in for batches which
    name all that is open, where the rate budget cannot bear them. symbols: a cancel has to name its order's symbol.
    shared: what became of a request is told on every session, not only on the one that it left by. uuids: sessions take
    an order id only where it is a UUID; another one goes by REST. relists: a session can be made to list anew what is
    open, where REST does not tell. bundle_limit: most orders that one request on a session can name, 0 where it names
    one. markets: REST has a request that cancels every order of one symbol. named_batches: a
    REST batch takes client order ids too. named_ends: REST lists orders that have ended, and by which client order ids.
    """

    hedge_ns: int
    overtake_ns: int
    late_ns: int
    late_limit: int
    rest: bool = True
    batch_limit: int = 50
    query_limit: int = 50
    named_queries: bool = False
    mass: bool = True
    sweeps: bool = False
    symbols: bool = False
    shared: bool = False
    relists: bool = False
    uuids: bool = False
    bundle_limit: int = 0
    markets: bool = False
    named_batches: bool = False
    named_ends: bool = False
