"""The words of `canceld install` and `uninstall`. Nothing else: every verb's parser is built at every start."""

import argparse
import importlib
from collections.abc import Callable
from typing import Any

from .layout import ACCOUNT


def add_setup(verbs: Any) -> None:
    """Both verbs."""
    install = verbs.add_parser("install", help="lay this version's units, configuration, pages and completion")
    install.add_argument("--account", type=_account, metavar="NAME", help="also what canceld@NAME needs of its own")
    install.set_defaults(run=_later("install"))

    uninstall = verbs.add_parser("uninstall", help="take away what install laid; state, configuration and keys stay")
    uninstall.set_defaults(run=_later("uninstall"))

    for one in (install, uninstall):
        one.add_argument("--root", default="/", metavar="DIR", help="of the machine, or of an image; default: /")
        one.add_argument("--dry-run", action="store_true", help="change nothing: tell what would be done")
        one.add_argument("--json", action="store_true", help="print JSON, one message per line")
        one.set_defaults(acts=True)


def _account(text: str) -> str:
    if not ACCOUNT.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected up to 64 letters, digits, dots, hyphens and underscores, a letter or digit first"
        )
    return text


def _later(name: str) -> Callable[[argparse.Namespace], int]:
    def run(asked: argparse.Namespace) -> int:
        return int(getattr(importlib.import_module(".verb", __package__), name)(asked))

    return run
