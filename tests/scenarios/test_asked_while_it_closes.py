"""The daemon is told to stop, has answered everything, and takes leave of its venues: one of them does not answer.

Whoever asks in that half second is not forgotten. What had come when the doors were shut is refused, and what comes
later waits in the client's own queue for the daemon that follows.
"""

import trio

from canceld.transport.signals import Signal

from .world import COMMANDS, Staging


async def test_every_asking_is_refused_or_left_to_the_successor(autojump_clock: object, stage: Staging) -> None:
    async with stage() as world:
        strategy = world.strategy()
        # Its closing handshakes are never answered, which takes the daemon until it hangs up.
        world.inject("half_open", both=True)
        world.signals.raise_now(Signal.TERMINATE)
        await trio.sleep(0.01)
        asked = 0
        while not world.ended.is_set():
            strategy.ask("cancel", order_id="OABCDE-FGHIJ-KLMNOP")
            asked += 1
            await trio.sleep(0.02)
        replies = await strategy.hear_all(len(strategy.heard))
        successor = world.bus.router(COMMANDS, mode=0o660)
        waiting = 0
        while successor.receive_nowait() is not None:
            waiting += 1
        assert {reply["reason"] for reply in replies.values()} == {"draining"}
        assert len(replies) + waiting == asked
        assert waiting > 0
        strategy.counted = False
