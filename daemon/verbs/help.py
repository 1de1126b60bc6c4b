"""`canceld help`: the pages that are shipped with the package, for an operator without a browser."""

import argparse
from importlib.resources import files

from .exit_status import DONE
from .output import say, say_columns, say_json, show
from .topics import TOPICS


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
    return files("canceld").joinpath("pages", f"{topic}.md").read_text(encoding="utf-8")
