"""The ways to the venues, made of what could be read of the configuration and of the key files."""

import os
from collections.abc import Callable, Mapping

from ..contract.ids import Venue
from ..credentials import BadCredentials, Keys
from ..settings import REST_SCHEMES, WEBSOCKET_SCHEMES, Settings, address_of
from ..transport.plain.line import Dialler
from ..venues.prime_ws import TAG_CHARS
from .door import NonceSource, RestDoor
from .futures import FuturesRoute
from .keys import KeyFiles
from .prime import PrimeRoute
from .report import Report
from .spot import SpotRoute
from .sweep import FirstThatWorks, Route
from .unified import UnifiedRoute


class Routes:
    """Makes the way to each venue, from the configuration and the key files. Called by the venues' threads."""

    def __init__(
        self,
        settings: Settings,
        keys: KeyFiles,
        dialler: Dialler,
        nonces: NonceSource,
        reports: Mapping[Venue, Report],
    ) -> None:
        self._settings = settings
        self._key_files = keys
        self._dialler = dialler
        self._reports = reports
        # One door for whoever uses the Spot key: nonces must arrive in sequence.
        self._spot_door = RestDoor(dialler, address_of(settings.spot.rest_url, REST_SCHEMES, "spot.rest_url"), nonces)

    def to(self, venue: Venue) -> Route:
        """The way to one venue. Raises BadCredentials."""
        makers: dict[Venue, Callable[[Report], Route]] = {
            "spot": self._spot,
            "prime": self._prime,
            "futures": self._futures,
        }
        return makers[venue](self._reports[venue])

    def _spot(self, report: Report) -> Route:
        return SpotRoute(self._spot_door, self._keys("spot"), report)

    def _prime(self, report: Report) -> Route:
        address = address_of(self._settings.prime.ws_url, WEBSOCKET_SCHEMES, "prime.ws_url")
        tag = os.urandom(TAG_CHARS).hex()[:TAG_CHARS]
        return PrimeRoute(self._dialler, address, self._keys("prime"), tag, report)

    def _futures(self, report: Report) -> Route:
        """The API of Futures itself, and behind it the Unified WebSocket where one is named."""
        futures = self._settings.futures
        routes: list[Route] = []
        missing: list[BadCredentials] = []
        try:
            address = address_of(futures.rest_url, REST_SCHEMES, "futures.rest_url")
            routes.append(FuturesRoute(RestDoor(self._dialler, address, None), self._keys("futures"), report))
        except BadCredentials as error:
            missing.append(error)
        if futures.uws_url:
            try:
                address = address_of(futures.uws_url, WEBSOCKET_SCHEMES, "futures.uws_url")
                routes.append(UnifiedRoute(self._dialler, address, self._spot_door, self._keys("spot"), report))
            except BadCredentials as error:
                missing.append(error)
        if not routes:
            raise BadCredentials("; ".join(map(str, missing)))
        return FirstThatWorks(routes)

    def _keys(self, venue: Venue) -> Keys:
        return self._key_files.load(venue)
