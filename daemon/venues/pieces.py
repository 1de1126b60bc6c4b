"""A long list of open orders, read piece by piece, so that nothing else waits for all of it.

An account may have 50,000 orders open, and a venue tells of them in one text of tens of megabytes: even to find where
each of them begins is spread. First the list is looked through. Then its text is read as several, each with a piece of
the list and with all that stands around it; the first of them holds no order, and shows what the whole is.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, Final

from msgspec import structs

from ..contract.evidence import (
    Evidence,
    Listing,
    Orders,
    OrderState,
    RestAnswer,
    RestOrders,
    RestPart,
    RestUnreadable,
    Unlisted,
    Unreadable,
)

PIECE: Final = 100
"""Most orders in one piece: read and taken in within 10 ms on a slow machine."""

PIECE_CHARS: Final = 64 * 1024
"""A piece ends with the order that makes it longer than this."""

ROW_CHARS: Final = 64 * 1024
"""Longest order that is read, and the most that may stand before the list, and behind it. An order has 300 to 600."""

LONG_CHARS: Final = 64 * 1024
"""A text shorter than this is read at once: it holds no more than about three hundred orders."""

DEPTH: Final = 5
"""How deep objects and lists may lie within each other in one order; the deepest seen is 3."""

# ---------------------------------------------------------------- JSON, as far as strings and brackets go

# What was matched is never given back, so that a text is read once, whatever it is.
_STRING: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PLAIN: Final = r'[^"\[\]{}]*+'


def _inside(depth: int) -> str:
    # Which bracket closes which is the reader's to judge: told apart here, the pattern would double with each level.
    nested = "" if depth == 1 else rf"|[\[{{]{_inside(depth - 1)}[\]}}]"
    return rf"{_PLAIN}(?:(?:{_STRING}{nested}){_PLAIN})*+"


_OBJECT: Final = rf"\{{{_inside(DEPTH)}\}}"
_VALUE: Final = rf'(?:{_STRING}|[\[{{]{_inside(DEPTH)}[\]}}]|[^\s",\[\]{{}}]++)'
_MEMBERS: Final = rf"(?:{_STRING}\s*+:\s*+{_VALUE}\s*+,\s*+)*?"

_ORDER: Final = {"[": rf"\s*+{_OBJECT}", "{": rf"\s*+{_STRING}\s*+:\s*+{_OBJECT}"}
"""One order, by the bracket that opens the list."""

_END: Final = {"[": r"\s*+\]", "{": r"\s*+\}"}
_COMMA: Final = r"\s*+,"

FIRST: Final = r"\s*+\[\s*+\["
"""What opens a list that is the first element of another."""


def under(*names: str) -> str:
    """What opens a list, or an object of orders, that stands in an object under a name, or there under the next one.

    The pattern matches from the text's beginning to the bracket that opens the list.
    """
    return "".join(rf'\s*+\{{\s*+{_MEMBERS}"{name}"\s*+:' for name in names) + r"\s*+[\[{]"


@cache
def _matcher(pattern: str, is_text: bool) -> Callable[..., re.Match[Any] | None]:
    """For text or for bytes. Made when the first long list comes: few accounts have one."""
    made: re.Pattern[Any] = re.compile(pattern if is_text else pattern.encode(), re.DOTALL)
    return made.match


# ---------------------------------------------------------------- the text as several


class NoList(Exception):
    """Why a text that begins like a list of orders cannot be read as one, for people."""


def split(text: Any, opening: str) -> Iterator[Any] | None:
    """A text with a long list as several, the first of them without any order; None where it opens no such list.

    text: str or bytes, and so are they. None in between: nothing yet. NoList is raised before there is any other.
    """
    start = _matcher(opening, isinstance(text, str))(text, 0, ROW_CHARS)
    return None if start is None else _several(text, start.end())


def _several(text: Any, begins: int) -> Iterator[Any]:
    is_text = isinstance(text, str)
    bracket = "[" if text[begins - 1 : begins] in ("[", b"[") else "{"
    order, comma, end = (_matcher(one, is_text) for one in (_ORDER[bracket], _COMMA, _END[bracket]))
    spans = [(begins, begins)]
    at = begins
    ended = end(text, at, at + ROW_CHARS)
    while ended is None:
        start = last = at
        for _ in range(PIECE):
            found = order(text, at, at + ROW_CHARS)
            if found is None:
                raise NoList(f"no order that can be read at character {at}")
            at = last = found.end()
            behind = comma(text, at, at + ROW_CHARS)
            if behind is None:
                break
            at = behind.end()
            if at - start >= PIECE_CHARS:
                break
        spans.append((start, last))
        yield None
        if behind is None and (ended := end(text, at, at + ROW_CHARS)) is None:
            raise NoList(f"neither a comma nor the end of the list at character {at}")
    before, after = text[:begins], text[ended.end() - 1 :]
    if len(after) > ROW_CHARS:
        raise NoList(f"{len(after)} characters behind the list")
    for start, last in spans:
        yield before + text[start:last] + after


# ---------------------------------------------------------------- what it says


def evidence_in_pieces(
    frame: str | bytes, opening: str, decode: Callable[[str | bytes], Evidence]
) -> Iterator[Evidence | None] | None:
    """A snapshot as changes of PIECE orders each, and at last the snapshot itself, of all of them.

    None in between: nothing yet. Where something cannot be read the last is the Unreadable: an order that is missing
    would count as ended. None for what is no list, which is read at once.
    """
    several = split(frame, opening)
    return None if several is None else _evidence(frame, several, decode)


def _evidence(
    frame: str | bytes, several: Iterator[Any], decode: Callable[[str | bytes], Evidence]
) -> Iterator[Evidence | None]:
    whole: Orders | None = None
    every: list[OrderState] = []
    ids: set[str] = set()
    try:
        for text in several:
            if text is None:
                yield None
                continue
            told = decode(text)
            if not isinstance(told, Orders):
                yield told
                return
            if whole is None:
                if not told.snapshot:
                    # No account changes so much in one message: it is read as it is.
                    yield decode(frame)
                    return
                if told.orders:
                    raise NoList("two lists in one message")
                whole = told
            else:
                every += told.orders
                ids.update([state.order_id for state in told.orders])
                yield Orders(told.orders, snapshot=False)
    except NoList as no_list:
        yield Unreadable(str(no_list))
        return
    assert whole is not None, "the first text is without orders"
    yield structs.replace(whole, orders=tuple(every), taken=ids)


def messages_in_pieces(
    frame: str | bytes, opening: str, decode: Callable[[str | bytes], Iterable[Evidence]]
) -> Iterator[Evidence | None] | None:
    """What a message says piece by piece, each as if it were a message of its own; else like `evidence_in_pieces`."""
    several = split(frame, opening)
    return None if several is None else _messages(frame, several, decode)


def _messages(
    frame: str | bytes, several: Iterator[Any], decode: Callable[[str | bytes], Iterable[Evidence]]
) -> Iterator[Evidence | None]:
    looked_through = False
    try:
        for text in several:
            if text is None:
                yield None
                continue
            told = decode(text)
            if not looked_through and not all(isinstance(one, Orders | Unlisted) for one in told):
                # It is not about orders.
                yield from decode(frame)
                return
            looked_through = True
            for one in told:
                yield one
                if isinstance(one, Unreadable):
                    return
    except NoList as no_list:
        yield Unreadable(str(no_list))


def answer_in_pieces(body: bytes, opening: str, decode: Callable[[bytes], RestAnswer]) -> RestAnswer | Listing:
    """The answer that a body is, of a long list piece by piece: RestParts, and at last what the whole is.

    A part is of what rests, whatever becomes of the rest: only the last tells that this is all.
    """
    several = split(body, opening) if len(body) > LONG_CHARS else None
    return decode(body) if several is None else _answer(several, decode)


def _answer(several: Iterator[Any], decode: Callable[[bytes], RestAnswer]) -> Listing:
    whole: RestOrders | None = None
    every: list[OrderState] = []
    ids: set[str] = set()
    try:
        for text in several:
            if text is None:
                yield None
                continue
            told = decode(text)
            if not isinstance(told, RestOrders):
                yield told
                return
            if whole is None:
                if told.orders:
                    raise NoList("two lists in one answer")
                whole = told
            else:
                every += told.orders
                ids.update([state.order_id for state in told.orders])
                yield RestPart(told.orders)
    except NoList as no_list:
        yield RestUnreadable(str(no_list))
        return
    assert whole is not None, "the first text is without orders"
    yield structs.replace(whole, orders=tuple(every), taken=ids)
