"""Scopes on the command line: one argument is one selector, its members joined by commas.

What a selector is gets imported when one is read: every verb's parser is built at every start.
"""

import argparse
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..contract.selectors import Selector

NAMES: Final = (
    "venue",
    "order_id",
    "cl_ord_id",
    "userref",
    "cl_ord_id_prefix",
    "symbol",
    "side",
    "older_than_ms",
    "strategy",
)
_NUMBERS: Final = ("userref", "older_than_ms")
METAVAR: Final = "MEMBER=VALUE[,…]"
HELP: Final = f"a selector, all of whose members must fit: {', '.join(NAMES)}; may be repeated"


def selector(text: str) -> "Selector":
    """One argument to a selector; for argparse, which shows the complaint."""
    members: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in NAMES:
            raise argparse.ArgumentTypeError(f"{part!r}: expected MEMBER=VALUE with one of {', '.join(NAMES)}")
        if name in members:
            raise argparse.ArgumentTypeError(f"{name}: given twice; say a second selector instead")
        try:
            members[name] = int(value) if name in _NUMBERS else value
        except ValueError:
            raise argparse.ArgumentTypeError(f"{name}: {value!r} is no whole number") from None
    try:
        return _read(members)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_scope(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """`--scope`, once for each selector."""
    parser.add_argument("--scope", action="append", type=selector, required=required, metavar=METAVAR, help=HELP)


def add_members(parser: argparse.ArgumentParser) -> None:
    """The members of one selector, an option each."""
    for name in NAMES:
        if name != "venue":
            kind = int if name in _NUMBERS else str
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=name.upper())


def selected(asked: argparse.Namespace) -> "Selector | None":
    """The selector that such options make; None where none was given. Raises ValueError."""
    members = {name: told for name in NAMES if (told := getattr(asked, name)) is not None}
    return _read(members) if members else None


def _read(members: dict[str, Any]) -> "Selector":
    """Raises ValueError, whose text names the member."""
    import msgspec

    from ..contract.selectors import Selector, selector_fault

    try:
        read = msgspec.convert(members, Selector)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    fault = selector_fault(read)
    if fault is not None:
        raise ValueError(fault.lstrip(".: "))
    return read
