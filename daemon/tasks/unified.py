"""A session on the Unified WebSocket: as Spot's under v2, and one request can cancel several orders."""

from collections.abc import Sequence

from ..engine.effects import Bundle
from ..engine.lane import Lane
from ..transport.websocket import SessionEnded
from ..venues.spot_ws_v2 import UNIFIED
from .conversation import Parts
from .session import Session, TokenSource


class UnifiedSession(Session):
    """One lane of Futures; its tokens are Spot's."""

    def __init__(self, parts: Parts, lane: Lane, tokens: TokenSource) -> None:
        super().__init__(parts, lane, UNIFIED, tokens)

    def write_bundles(self, bundles: Sequence[Bundle]) -> bool:
        """One frame per bundle, all in one write; False when the session is over."""
        socket, token = self._socket, self._token
        if socket is None or token is None:
            return False
        try:
            self._send(socket, *[UNIFIED.batch_frame(token, reqid, order_ids) for _, reqid, order_ids in bundles])
        except SessionEnded:
            return False
        return True
