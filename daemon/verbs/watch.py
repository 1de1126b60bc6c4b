"""`canceld watch`: how the daemon is and what it does, live in a terminal, or as JSON lines for a program.

Once a second it asks for the status, and in between it listens to the event socket. view.py makes the picture, and
paint.py what a terminal takes of it.
"""

import argparse
import json
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import zmq

from ..client import Client, CommandRefused, DaemonUnreachable
from .ask import UsageFault, endpoint_of
from .exit_status import DONE
from .output import at_terminal, say_json, show
from .paint import bare, painter
from .usage import COLUMNS
from .view import View

STATUS_S: Final = 1.0
"""How often the status is asked for."""

STATUS_DEADLINE_MS: Final = 1_000
"""A daemon that has not answered by then is shown as silent, and asked again."""

DRAW_S: Final = 0.1
"""Least time between two pictures: a busy daemon tells of thousands of outcomes a second."""

EVENTS_AT_ONCE: Final = 5_000
"""Events taken before anything else is looked at."""

LINES: Final = 24
"""Of a terminal that does not say how many it has."""


def check_usage(asked: argparse.Namespace) -> None:
    """Raises UsageFault where nothing can be drawn, or the event socket is not known."""
    _events_endpoint(asked)
    if not asked.json and not asked.once and not at_terminal(sys.stdout):
        raise UsageFault(
            "watch: standard output is no terminal; --once prints one picture, --json prints every event as a line"
        )


def watch(asked: argparse.Namespace, client: Client) -> int:
    """`canceld watch`, until Ctrl-C or q. Raises DaemonUnreachable at the start."""
    endpoint = _events_endpoint(asked)
    first = client.status(detail=asked.once, deadline_ms=STATUS_DEADLINE_MS)
    if asked.once:
        _print_once(first, as_json=asked.json)
        return DONE
    try:
        with ExitStack() as ending:
            events = ending.enter_context(_subscribed(endpoint))
            if asked.json:
                _follow(client, events, first)
            elif _is_dumb():
                _show(client, events, first, _scroll, every_s=STATUS_S)
            else:
                _show(client, events, first, ending.enter_context(_screen()))
    except KeyboardInterrupt:
        pass  # that is how it ends
    return DONE


def _events_endpoint(asked: argparse.Namespace) -> str:
    if asked.events is not None:
        return str(asked.events)
    if asked.endpoint is None:
        return endpoint_of(asked, "events")
    directory, slash, _ = str(asked.endpoint).rpartition("/")
    if not str(asked.endpoint).startswith("ipc://") or not slash:
        raise UsageFault("watch: name the event socket too, with --events ENDPOINT")
    return f"{directory}/events.sock"


@contextmanager
def _subscribed(endpoint: str) -> Iterator["zmq.Socket[bytes]"]:
    subscriber: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    try:
        subscriber.linger = 0
        subscriber.rcvhwm = 2 * EVENTS_AT_ONCE
        subscriber.subscribe(b"")
        try:
            subscriber.connect(endpoint)
        except zmq.ZMQError as error:
            raise UsageFault(f"--events {endpoint}: {error}") from None
        yield subscriber
    finally:
        subscriber.close()


def _received(events: "zmq.Socket[bytes]") -> Iterator[tuple[str, dict[str, Any]]]:
    for _ in range(EVENTS_AT_ONCE):
        try:
            topic, body = events.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
        yield topic.decode(), json.loads(body)


def _asked(client: Client) -> dict[str, Any] | str:
    """The status, or why there is none."""
    try:
        return client.status(deadline_ms=STATUS_DEADLINE_MS)
    except (DaemonUnreachable, CommandRefused) as error:
        return str(error)


def _follow(client: Client, events: "zmq.Socket[bytes]", status: dict[str, Any] | str) -> None:
    """Print everything as JSON lines."""
    while True:
        if not say_json(status if not isinstance(status, str) else {"type": "silent", "why": status}):
            return
        due_s = time.monotonic() + STATUS_S
        while (left_s := due_s - time.monotonic()) > 0:
            if events.poll(_ms(left_s)):
                for topic, event in _received(events):
                    if not say_json({"topic": topic, **event}):
                        return
        status = _asked(client)


def _print_once(status: dict[str, Any], *, as_json: bool) -> None:
    """One picture, without events: nobody has listened to any."""
    if as_json:
        say_json(status)
        return
    now_s = time.monotonic()
    view = View(bar=_bar(), live=False)
    view.answered(status, now_s)
    width = _size()[0]
    colours = at_terminal(sys.stdout) and not _is_dumb() and _colours()
    for text in painter(colours)(view.picture(width, None, now_s, _clock()), width):
        # Every text of the picture has been through the door; the colours have not, and must not.
        if not show(text):
            return


def _show(
    client: Client,
    events: "zmq.Socket[bytes]",
    first: dict[str, Any],
    draw: Callable[[View, float], None],
    *,
    every_s: float = DRAW_S,
) -> None:
    """Keep the picture on the screen up to date. every_s: the least time between two pictures."""
    view = View(bar=_bar())
    view.answered(first, time.monotonic())
    poller = zmq.Poller()
    poller.register(events, zmq.POLLIN)
    if keys := sys.stdin is not None and sys.stdin.isatty():
        poller.register(sys.stdin.fileno(), zmq.POLLIN)
    due_s = time.monotonic() + STATUS_S
    while True:
        now_s = time.monotonic()
        draw(view, now_s)
        time.sleep(every_s)
        poller.poll(_ms(due_s - time.monotonic()))
        if keys:
            pressed = _pressed()
            if b"q" in pressed:
                return
            view.help ^= pressed.count(b"?") % 2 == 1
        now_s = time.monotonic()
        for topic, event in _received(events):
            view.heard(topic, event, now_s)
        if now_s >= due_s:
            status = _asked(client)
            if isinstance(status, str):
                view.silent(status)
            else:
                view.answered(status, time.monotonic())
            due_s = time.monotonic() + STATUS_S


def _ms(left_s: float) -> int:
    # One more than is left: a poll that ends too early would be repeated.
    return int(max(left_s, 0.0) * 1000) + 1


def _pressed() -> bytes:
    """The keys since the last look, small letters all; `q` where the keyboard has gone."""
    pressed = b""
    while select.select([sys.stdin], [], [], 0)[0]:
        some = os.read(sys.stdin.fileno(), 64)
        if not some:
            return b"q"
        pressed += some
    return pressed.lower()


def _is_dumb() -> bool:
    return os.environ.get("TERM", "dumb") == "dumb"


def _colours() -> bool:
    return "NO_COLOR" not in os.environ


def _bar() -> str:
    return "█" if (sys.stdout.encoding or "").lower().replace("-", "") == "utf8" else "#"


def _clock() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _size() -> tuple[int, int]:
    """Columns and lines of the terminal; else what COLUMNS says, else what most terminals have."""
    try:
        width, height = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        width = height = 0
    told = os.environ.get("COLUMNS", "")
    usual = int(told) if told.isascii() and told.isdigit() else 0
    return width or usual or COLUMNS, height or LINES


def _scroll(view: View, now_s: float) -> None:
    """One picture below the other, for a terminal that takes no commands."""
    width, height = _size()
    lines = view.picture(width, height - 1, now_s, _clock())
    for text in ["", *bare(lines, width)]:
        if not show(text):
            raise KeyboardInterrupt


@contextmanager
def _screen() -> Iterator[Callable[[View, float], None]]:
    """The terminal's other screen, given back as it was whatever ends us; gives what draws a view there."""
    paint = painter(_colours())
    keyboard = sys.stdin.fileno() if sys.stdin.isatty() else None

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def draw(view: View, now_s: float) -> None:
        width, height = _size()
        lines = paint(view.picture(width, height, now_s, _clock()), width)
        # Over the picture before: a screen that is cleared first would flicker.
        write("\x1b[H" + "\x1b[K\r\n".join(lines) + "\x1b[K\x1b[J")

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    with ExitStack() as ending:
        for number in (signal.SIGTERM, signal.SIGHUP):
            ending.callback(signal.signal, number, signal.signal(number, end))
        if keyboard is not None:
            ending.callback(termios.tcsetattr, keyboard, termios.TCSADRAIN, termios.tcgetattr(keyboard))
            tty.setcbreak(keyboard)
        ending.callback(write, "\x1b[?25h\x1b[?1049l")
        write("\x1b[?1049h\x1b[?25l\x1b[2J")
        yield draw
