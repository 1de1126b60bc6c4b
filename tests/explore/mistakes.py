"""Mistakes that stop a kill: each mend of its way taken out again, to prove that the exploration finds that.

A mistake is a change of source text, made as the module is imported (tests/simulation/mutants.py).
"""

from typing import Final

from ..simulation.mutants import Mutant
from .places import Place

MISTAKES: Final = (
    Mutant(
        "a refused key closes REST to a kill too",
        "canceld.engine.gate",
        "now_ns < self.opens_ns(pressing) else None\n",
        "now_ns < self.opens_ns(None) else None\n",
    ),
    Mutant(
        "one refusal of the key is believed, and stops a kill",
        "canceld.tasks.rest_exchange",
        "                self._raise_if_shut(pressing)\n",
        "                self._raise_if_shut(None)\n",
    ),
    Mutant(
        "a kill's pause grows to a minute at once",
        "canceld.engine.gate",
        "PRESSING_PAUSES_MS: Final = (1_000, 2_000, 4_000, 8_000, 15_000)\n",
        "PRESSING_PAUSES_MS: Final = (60_000,)\n",
    ),
    Mutant(
        "a kill's calls wait for their turn",
        "canceld.tasks.rest_exchange",
        "await self._take_turn(connection) if pressing is None else _Turn(None)",
        "await self._take_turn(connection)",
    ),
    Mutant(
        "a kill waits behind an ordinary pause of REST",
        "canceld.engine.pursuits.rest",
        "        return msgspec.structs.replace(self._urgent.popleft(), asked_ns=now_ns) if self._urgent else None\n",
        "        if not self._urgent or not self._docket.lanes.usable(REST, now_ns):\n            return None\n"
        "        return msgspec.structs.replace(self._urgent.popleft(), asked_ns=now_ns)\n",
    ),
    Mutant(
        "a kill does not hurry the sessions that are down",
        "canceld.tasks.hand",
        "            session.hurry()\n",
        "            pass\n",
    ),
    Mutant(
        "a kill joins what is under way for an order, and waits with it",
        "canceld.engine.pursuits.front",
        "        if pursuit is None or left or not self.lanes.live:\n",
        "        if True:\n",
    ),
    Mutant(
        "one look is enough to call a venue flat",
        "canceld.engine.sweep",
        "            if self._empty < 2:\n",
        "            if self._empty < 1:\n",
    ),
    Mutant(
        "an order that appears after the kill is left to the next look",
        "canceld.engine.sweep",
        "        if order is not None and not order.asked:\n            self._cancel_one(order_id, order, now_ns)\n",
        "        return\n",
    ),
    Mutant(
        "a session that comes up is left to the next round",
        "canceld.engine.sweep",
        "        if self._phase is _Phase.SWEEPING:\n            self._bring_round(now_ns)\n        elif",
        "        if self._phase is _Phase.SWEEPING:\n            pass\n        elif",
    ),
    Mutant(
        "rounds end after the second",
        "canceld.engine.sweep",
        "ROUND_PAUSES_MS: Final = (250, 500, 1000)\n",
        "ROUND_PAUSES_MS: Final = (250, 500, 600_000)\n",
    ),
    Mutant(
        "a kill strikes on one session alone",
        "canceld.engine.sweep",
        "        lanes = self._live if self._strikes else (",
        "        lanes = (",
    ),
    Mutant(
        "a kill pulled again leaves REST out",
        "canceld.engine.sweep",
        "        if self._rest and (self._strikes or not trusted",
        "        if self._rest and (not trusted",
    ),
    Mutant(
        "a kill's round misses the moment at which its pause ends",
        "canceld.engine.sweep",
        "            self._bring_round(opens_ns)\n",
        "            pass\n",
    ),
    Mutant(
        "a kill after a re-arm waits for the pause of the one before",
        "canceld.engine.gate",
        'the next one is another, and goes at once."""\n        self._pauses.clear()\n',
        'the next one is another, and goes at once."""\n',
    ),
    Mutant(
        "a latch that is there is not swept at a start",
        "canceld.tasks.killswitch",
        "reason=latch.reason, at=latch.at)\n            self._sweep_all(latch)\n",
        "reason=latch.reason, at=latch.at)\n",
    ),
    Mutant(
        "a look that failed is not repeated",
        "canceld.engine.sweep",
        "        self._look_ns = min(self._look_ns, now_ns + LOOK_AFTER_NS)\n",
        "        pass\n",
    ),
)

SHOWS_AT: Final[dict[str, Place]] = {
    "a refused key closes REST to a kill too": "futures",
    "one refusal of the key is believed, and stops a kill": "futures",
    "a kill's pause grows to a minute at once": "futures",
    "a kill's calls wait for their turn": "spot",
    "a kill waits behind an ordinary pause of REST": "futures",
    "a kill does not hurry the sessions that are down": "prime",
    "a kill joins what is under way for an order, and waits with it": "prime",
    "a session that comes up is left to the next round": "prime",
    "one look is enough to call a venue flat": "futures",
    "rounds end after the second": "futures",
    "an order that appears after the kill is left to the next look": "prime",
}
"""Where a mistake is looked for first."""
