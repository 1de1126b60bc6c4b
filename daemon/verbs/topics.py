"""The pages that `canceld help` shows, each a file in pages/. The command line names them without reading one."""

from typing import Final

TOPICS: Final = {
    "kill": "the kill switch: what to press, how to know that it worked, how to re-arm",
    "scopes": "cancel what you mean: selectors, what rests, a kill of a scope",
    "outcomes": "what a strategy may believe of each answer",
    "venues": "how cancels travel at Spot, Prime and Futures, and what is not promised there",
    "clients": "canceling orders from Python, from any other language, and from a shell",
    "leases": "cancels for a strategy that has died",
    "deadman": "the venue's own timer, for the day on which the daemon dies",
    "service": "install, first check, several accounts, upgrade, and what the daemon tells of itself",
    "container": "the image, its configuration, and what the engine has to give it",
    "record": "what is written down, and what becomes of cancels that a dead daemon left in flight",
    "bench": "where the time of a cancel goes on this machine, and what is told of it",
    "fleet": "several hosts: the record elsewhere, its proof, rights and sizes",
}
