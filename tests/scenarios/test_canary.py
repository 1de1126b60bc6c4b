"""Hours pass without a cancel, and nobody would know that the next one cannot get through.

The canary is a cancel for an order that cannot exist, sent every so often over the whole path. As long as the venue
says that it knows no such order all is well; any other end is an alert, and the alert is taken back when it is over.
"""

import msgspec

from canceld.settings import Spot

from .world import REST_HOST, SETTINGS, WS_HOST, Staging

WITH_CANARY = msgspec.structs.replace(
    SETTINGS, spot=Spot(ws_url=f"wss://{WS_HOST}", rest_url=f"https://{REST_HOST}", canary_s=30)
)


async def test_it_comes_back_quietly_for_as_long_as_all_is_well(autojump_clock: object, stage: Staging) -> None:
    async with stage(settings=WITH_CANARY) as world:
        outcomes, alerts = world.listen("outcome"), world.listen("alert")
        await world.passed(100.0)
        assert world.received("cancelOrder")
        assert alerts.events == []
        # It is nobody's command: no strategy hears of it.
        assert outcomes.events == []


async def test_a_silent_venue_is_found_out_before_a_strategy_does(autojump_clock: object, stage: Staging) -> None:
    async with stage(settings=WITH_CANARY) as world:
        strategy = world.strategy()
        world.inject("swallow_ack_before_effect", route="spot_ws", match="cancelOrder")
        world.cut_off(REST_HOST)
        alerts = world.listen("alert")
        await world.passed(70.0)
        [alert] = [alert for alert in alerts.events if "canary" in alert["what"]]
        assert alert["severity"] == "critical"
        assert any("canary" in shown["what"] for shown in (await strategy.do("status"))["alerts"])
        world.clear()
        world.reconnect()
        await world.passed(40.0)
        assert not any("canary" in shown["what"] for shown in (await strategy.do("status"))["alerts"])


async def test_it_stays_at_home_while_the_venue_is_sent_too_much(autojump_clock: object, stage: Staging) -> None:
    async with stage(settings=WITH_CANARY) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        alerts = world.listen("alert")
        await world.passed(29.0)
        flown = len(world.received("cancelOrder"))
        for _ in range(5):
            # Each pause is twice as long as the one before it.
            world.inject("rate_notice")
            await world.passed(2.0)
        assert len(world.received("cancelOrder")) == flown
        assert any("Exceeded msg rate" in alert["what"] for alert in alerts.events)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] in ("acked", "canceled")
        assert reply["attempts"] == 1
        assert world.resting == []
