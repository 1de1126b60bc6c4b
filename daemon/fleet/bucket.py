"""The bucket of a fleet: small entries by key, each with the revision that the bus gave it.

What stands under a key is whatever was put there last. A put may name the revision that it has to come behind, so that
of two who want the same one gets it.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

import nats.errors
import nats.js.errors
from nats.js.kv import KeyValue

from .bus import REQUEST_S, WRONG_SEQUENCE, Bus, BusFailed, failed, heed_cancel, told
from .orders import LINE_LIMIT

KEPT: Final = 16
"""How many values of a key the bus keeps: enough to see what was ordered before."""

ROOM_BYTES: Final = 256 << 20
LOOK_S: Final = 1.0
"""How often a silent watch looks whether it is still wanted."""


class Entry(NamedTuple):
    """What stands under a key. created_s: when the bus took it, Unix seconds of its clock; 0.0 where it did not say."""

    key: str
    revision: int
    value: bytes
    created_s: float


class Overtaken(Exception):
    """Somebody else put something under the key before."""


def bucket_of(fleet: str) -> str:
    """Name of the bucket."""
    return f"canceld-{fleet}"


def bucket_config(fleet: str, replicas: int) -> dict[str, Any]:
    """The stream below the bucket: nothing in it can be deleted, and an old value only goes for newer ones."""
    name = bucket_of(fleet)
    return {
        "name": f"KV_{name}",
        "subjects": [f"$KV.{name}.>"],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "max_msgs_per_subject": KEPT,
        "max_msg_size": LINE_LIMIT,
        "max_bytes": ROOM_BYTES,
        "num_replicas": replicas,
        "allow_direct": True,
        "deny_delete": True,
        "deny_purge": True,
    }


class Bucket:
    """One fleet's bucket. Everything raises BusFailed."""

    def __init__(self, bus: Bus, kv: KeyValue, name: str) -> None:
        self._bus = bus
        self._kv = kv
        self._name = name

    @classmethod
    async def open(cls, bus: Bus, fleet: str) -> "Bucket":
        """The bucket, which an operator has made."""
        name = bucket_of(fleet)
        if await bus.stream_info(f"KV_{name}") is None:
            raise BusFailed(f"{bus.where}: {name}: there is no such bucket; an operator makes it: canceld fleet make")
        try:
            return cls(bus, await bus.client.jetstream().key_value(name), name)
        except (nats.errors.Error, TimeoutError) as error:
            raise BusFailed(f"{bus.where}: {name}: {told(error)}") from None

    async def put(self, key: str, value: bytes, *, after: int | None = None, timeout_s: float = REQUEST_S) -> int:
        """Put it there; gives its revision. after: only if that is the newest revision, 0 for none. Raises Overtaken
        too."""
        headers = {} if after is None else {"Nats-Expected-Last-Subject-Sequence": str(after)}
        answer = await self._bus.request(f"$KV.{self._name}.{key}", value, headers=headers, timeout_s=timeout_s)
        found = _answer(answer.data)
        if error := found.get("error"):
            if error.get("err_code") == WRONG_SEQUENCE:
                raise Overtaken
            raise failed(self._bus.where, error, key)
        return int(found.get("seq", 0))

    @contextlib.asynccontextmanager
    async def watch(
        self, over: asyncio.Event, keys: str = ">", *, history: bool = False
    ) -> AsyncIterator[AsyncIterator[Entry | None]]:
        """Everything that stands, then None, then each change as it comes; ends when `over` is set. history: with what
        stood under these keys before, as far as the bus keeps it."""
        try:
            watcher = await self._kv.watch(keys, include_history=history)
        except (nats.errors.Error, TimeoutError) as error:
            raise BusFailed(f"{self._bus.where}: {self._name}: {told(error)}") from None
        try:
            yield self._entries(watcher, over)
        finally:
            with contextlib.suppress(Exception):
                await watcher.stop()  # type: ignore[no-untyped-call]

    async def _entries(self, watcher: Any, over: asyncio.Event) -> AsyncIterator[Entry | None]:
        while not over.is_set():
            heed_cancel()
            try:
                entry = await watcher.updates(timeout=LOOK_S)
            except (nats.errors.TimeoutError, TimeoutError):
                continue
            if entry is None:
                yield None
            elif entry.value is not None:
                created_s = entry.created.timestamp() if hasattr(entry.created, "timestamp") else 0.0
                yield Entry(entry.key, entry.revision, entry.value, created_s)

    async def entries(self, keys: str = ">", *, history: bool = False) -> list[Entry]:
        """All that stands now, as `watch` tells it."""
        found: list[Entry] = []
        async with self.watch(asyncio.Event(), keys, history=history) as entries:
            async for entry in entries:
                if entry is None:
                    break
                found.append(entry)
        return found


def _answer(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {"error": {"description": "not an answer of JetStream"}}
    return found if isinstance(found, dict) else {"error": {"description": "not an answer of JetStream"}}
