"""Busy polling: the loop looks for what came without ever going to sleep, for a daemon with a core of its own.

Waking a sleeping thread takes the kernel longer than a cancel takes us. It costs the whole core, whatever happens.
"""

import trio


async def run() -> None:
    """Keep the loop awake; ends by cancellation. Under virtual time nothing else would ever come about."""
    while True:
        # With a task that is ready to run, the loop's look at its sockets ends at once.
        await trio.lowlevel.checkpoint()
