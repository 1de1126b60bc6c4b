"""The agent's own door on its host: a socket at which a person gets the one-time code for a re-arming.

One line of JSON in, one out. Who may open the socket may ask; the kernel tells who it was.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

LINE_BYTES: Final = 4096
LOOK_S: Final = 1.0
PATIENCE_S: Final = 3.0
MODE: Final = 0o660
BACKLOG: Final = 8

Answer = Callable[[dict[str, Any], str], dict[str, Any]]
"""The answer to a question, and who asks."""


class DoorFailed(Exception):
    """The agent was not reached, or refused; the text is one line."""


def door_of(control: str) -> str:
    """Path of the agent's socket: beside the daemon's control socket."""
    return str(Path(control.removeprefix("ipc://")).with_name("agent.sock"))


@contextlib.asynccontextmanager
async def opened(path: str, answer: Answer) -> AsyncIterator[None]:
    """Serve until the end of the block. Raises DoorFailed, also where another agent serves there."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, TimeoutError, asyncio.LimitOverrunError):
            async with asyncio.timeout(PATIENCE_S):
                question = json.loads(await reader.readuntil(b"\n"))
                told = answer(question, _who(writer)) if isinstance(question, dict) else {"error": "not a question"}
                writer.write(json.dumps(told).encode() + b"\n")
                await writer.drain()
        writer.close()

    await check_free(path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    try:
        server = await asyncio.start_unix_server(serve, path, limit=LINE_BYTES, backlog=BACKLOG)
        os.chmod(path, MODE)
    except OSError as error:
        raise DoorFailed(f"{path}: {error.strerror or error}") from None
    async with server:
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


async def ask(path: str, question: dict[str, Any]) -> dict[str, Any]:
    """Ask the agent of this host. Raises DoorFailed."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_unix_connection(path, limit=LINE_BYTES)
            writer.write(json.dumps(question).encode() + b"\n")
            found = json.loads(await reader.readuntil(b"\n"))
            writer.close()
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        silent = isinstance(error, TimeoutError)
        why = "it does not answer" if silent else getattr(error, "strerror", None) or "it hangs up"
        raise DoorFailed(f"{path}: {why}; is `canceld agent` running on this host?") from None
    if not isinstance(found, dict) or "error" in found:
        raise DoorFailed(str(found.get("error", found) if isinstance(found, dict) else found))
    return found


async def check_free(path: str) -> None:
    """Raises DoorFailed where another agent serves there."""
    if await _answers(path):
        raise DoorFailed(f"{path}: another agent serves this daemon; stop one of the two")


async def gone(path: str) -> None:
    """Wait until nothing is there any more."""
    while True:
        try:
            os.lstat(path)
        except OSError:
            return
        await asyncio.sleep(LOOK_S)


async def _answers(path: str) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_S):
            _, writer = await asyncio.open_unix_connection(path)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _who(writer: asyncio.StreamWriter) -> str:
    peer = writer.get_extra_info("socket")
    pid, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return f"uid {uid} pid {pid}"
