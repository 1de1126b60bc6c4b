"""`canceld help`: the pages that are shipped with the package, for an operator without a browser."""

import argparse
from typing import Final

from .exit_status import DONE
from .output import say, say_columns, say_json, show

TOPICS: Final[dict[str, str]] = {
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
    "fleet": "several hosts: the record elsewhere, its proof, rights and sizes",
}
"""Each is a file in pages/."""


def help_(asked: argparse.Namespace) -> int:
    """`canceld help [TOPIC]`."""
    if asked.topic is None:
        if asked.json:
            say_json({"topics": TOPICS})
        else:
            say("canceld help TOPIC, where TOPIC is one of")
            say_columns([[f"  {topic}", about] for topic, about in TOPICS.items()])
            say("canceld VERB --help tells of one verb.")
        return DONE
    text = page(asked.topic)
    if asked.json:
        say_json({"topic": asked.topic, "text": text})
    else:
        for line in text.splitlines():
            if not show(line):
                break
    return DONE


def page(topic: str) -> str:
    """One page, as Markdown."""
    # Late: every verb's parser names the topics, and `kill` waits for it.
    from importlib.resources import files

    return files("canceld").joinpath("pages", f"{topic}.md").read_text(encoding="utf-8")
