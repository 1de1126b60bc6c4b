"""What is to be told on the bus: the newest of each key, put as soon as the bus is there, and tried until it is."""

import asyncio
import time
from typing import Final

from .bucket import Bucket, Overtaken
from .bus import BusFailed
from .troubles import Troubles

PUT_S: Final = 2.0
"""How long one put waits for its answer; what is newer under its key goes next time."""

RETRY_S: Final = 0.5
"""The least pause after one that failed."""

UNTOLD: Final = "untold"


class Outbox:
    """Keys of which others wait (a kill of this host) go before a report."""

    def __init__(self, troubles: Troubles) -> None:
        self.bucket: Bucket | None = None
        self._troubles = troubles
        self._waiting: dict[str, bytes] = {}
        self._news = asyncio.Event()

    def tell(self, key: str, value: bytes) -> None:
        """Put this there, instead of what waited under the key."""
        self._waiting[key] = value
        self._news.set()

    def back(self, bucket: Bucket | None) -> None:
        """The bus is there now; None: it is not."""
        self.bucket = bucket
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            failed = False
            # One that the bus refuses keeps nothing else from being told.
            for key in sorted(self._waiting, key=lambda key: key.startswith("report.")):
                bucket, value = self.bucket, self._waiting[key]
                if bucket is None:
                    break
                try:
                    await bucket.put(key, value, timeout_s=PUT_S)
                except (BusFailed, Overtaken) as refusal:
                    failed = True
                    self._troubles.begin(UNTOLD, f"{key}: not told: {refusal}", time.monotonic_ns())
                else:
                    if self._waiting.get(key) == value:
                        del self._waiting[key]
            if failed:
                self._news.set()
                await asyncio.sleep(RETRY_S)
            elif self.bucket is not None:
                self._troubles.end(UNTOLD, "all is told again")
