"""What a host's key must not be able to do, tried on a real server: prints `denied` for each.

python -m tests.fleet.denied URL SEEDFILE
"""

import asyncio
import contextlib
import sys
from typing import Final

import nats
from nats.errors import Error

TRIED: Final = (
    ("record.desk.h2.main", b"{}"),
    ("$JS.API.STREAM.DELETE.record:desk:h1:main", b""),
    ("$JS.API.STREAM.UPDATE.record:desk:h1:main", b'{"name":"record:desk:h1:main"}'),
    ("$KV.fleet.kill.fleet", b"{}"),
)


async def main(url: str, seed: str) -> None:
    told: list[str] = []

    async def heard(error: Exception) -> None:
        told.append(str(error))

    client = await nats.connect(url, nkeys_seed=seed, inbox_prefix="_INBOX_h1", error_cb=heard)
    for subject, body in TRIED:
        told.clear()
        with contextlib.suppress(Error, TimeoutError):
            await client.request(subject, body, timeout=1)
        named = subject.casefold() in " ".join(told).casefold()
        print("denied" if named and "permissions violation" in told[0].casefold() else f"allowed: {subject}")
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
