"""What the stories of leases share: taking one, and what is told of it."""

from typing import Any

from ..world import Stage, Strategy

TTL_MS = 1000


async def take(strategy: Strategy, name: str, scope: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """Take or renew a lease; its reply."""
    command: dict[str, Any] = {"ttl_ms": TTL_MS, "scope": scope, **fields}
    reply = await strategy.do("lease", strategy=name, **command)
    assert reply["type"] == "lease", reply
    return reply


async def hold(world: Stage, strategy: Strategy, name: str, scope: list[dict[str, Any]], seconds: float) -> None:
    """Renew for so long."""
    until_s = world.now_s + seconds
    while world.now_s < until_s:
        await take(strategy, name, scope)
        await world.passed(TTL_MS / 3000)


async def shown(strategy: Strategy) -> list[dict[str, Any]]:
    """The leases as `status` lists them."""
    listed: list[dict[str, Any]] = (await strategy.do("status"))["leases"]
    return listed
