"""The parser of the command line: a fault is one line that names the word and what may have been meant.

Nothing is abbreviated. What is accepted is relied upon, and `--dr` must never come to mean something else than a drill.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

from .exit_status import USAGE
from .output import complain

LIKENESS: Final = 0.5
"""How much alike a word must be to what it may have been meant for, as difflib counts."""


COLUMNS: Final = 80
"""Of a terminal that does not say how many it has."""


class Formatter(argparse.HelpFormatter):
    """argparse's own, but for how it finds the terminal's width: that imports compressors, and `kill` waits for it."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and int(told):
        return int(told)
    try:
        return os.get_terminal_size(1).columns or COLUMNS
    except OSError:
        return COLUMNS


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are one line, for itself and for its verbs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": Formatter, **options})

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end with the status of bad usage."""
        verb = self.prog.partition(" ")[2]
        complain(f"{verb and f'{verb}: '}{message}; see {self.prog} --help")
        sys.exit(USAGE)

    def parse_known_args(  # type: ignore[override]  # argparse's own overloads say the same less plainly
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Nothing may be left over: each verb complains of its own words."""
        asked, rest = super().parse_known_args(args, namespace)
        if rest:
            option = rest[0].partition("=")[0]
            if option.startswith("-"):
                self.error(f"there is no option {option}{meant(option, self._option_string_actions)}")
            self.error(f"{rest[0]!r} is one word too many")
        return asked, rest

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        guess = meant(str(value), choices) or f"; there are {', '.join(choices)}"
        if isinstance(action, argparse._SubParsersAction):
            self.error(f"there is no verb {value!r}{guess}")
        raise argparse.ArgumentError(action, f"there is no {value!r}{guess}")


def meant(word: str, known: Iterable[str]) -> str:
    """ "; did you mean …?", or nothing where no known word is like this one."""
    # Late: only a fault needs it.
    from difflib import get_close_matches

    known = list(known)
    begun = [one for one in known if word.strip("-") and one.startswith(word)]
    guesses = begun or get_close_matches(word, known, 1, LIKENESS)
    return f"; did you mean {guesses[0]}?" if guesses else ""
