"""`canceld report` of a real record, looked at as a person does: in a browser, on a screen and on a phone."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from canceld.client import Client
from tests.processes.peers import Dealer
from tests.processes.stage import Exchange, Service, canceld, until

CHROMIUM: Final = shutil.which("chromium")
BROWSER_S: Final = 60
PNG_WIDTH: Final = slice(16, 20)


def drawn(page: Path, picture: Path, width: int) -> bytes:
    """A picture of the page as Chromium draws it."""
    assert CHROMIUM is not None
    subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--screenshot={picture}",
            f"--window-size={width},1400", f"--user-data-dir={picture.parent}/profile", page.as_uri(),
        ],
        check=True, timeout=BROWSER_S, capture_output=True,
    )  # fmt: skip
    return picture.read_bytes()


def document(page: Path, width: int, home: Path) -> str:
    """The page's elements as Chromium has them once it is laid out."""
    assert CHROMIUM is not None
    return subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"--window-size={width},1400",
            f"--user-data-dir={home}/profile", page.as_uri(),
        ],
        check=True, timeout=BROWSER_S, capture_output=True, text=True,
    ).stdout  # fmt: skip


@pytest.fixture
def record(exchange: Exchange, service: Service) -> Service:
    """An hour's worth: cancels that work, one that is refused, a kill."""
    order_ids = exchange.place(4)
    with Client(service.commands, strategy="mm-1") as client:
        for order_id in order_ids[:3]:
            assert client.cancel("spot", order_id=order_id, until="proof", deadline_ms=5000).gone
        client.cancel("spot", order_id="ONOBOD-YKNOW-STHIS1", deadline_ms=1500)
        client.kill("<b>the feed</b> is wrong\x1b[2J")
    assert exchange.resting() == []
    return service


def test_the_page_tells_the_kill_its_reason_and_every_order(record: Service, tell: Callable[[str], None]) -> None:
    out = record.home / "incident.html"
    ended = until(lambda: _reported(record, out), 10.0, "the record holds the kill")
    told = json.loads(ended)
    assert told["record"] == "whole"
    page = out.read_text()
    assert out.stat().st_mode & 0o777 == 0o600, "what an account did is nobody else's business"
    assert "&lt;b&gt;the feed&lt;/b&gt; is wrong" in page
    assert "\x1b" not in page
    assert page.count("<details>") == 4
    assert "ONOBOD-YKNOW-STHIS1" in page
    if CHROMIUM is None:
        pytest.skip("no chromium here: the page is not looked at")
    sizes = {}
    for width in (360, 1400):
        # A window of Chromium is 500 wide at least: the phone is a frame in it.
        frame = record.home / f"{width}.html"
        frame.write_text(f'<body style="margin:0"><iframe src="{out.as_uri()}" width="{width}" height="1400"></iframe>')
        sizes[width] = len(drawn(frame, record.home / f"{width}.png", max(width, 500)))
        assert sizes[width] > 20_000, "an empty picture"
    assert "the feed" in document(out, 1400, record.home)
    tell(f"report: {out.stat().st_size} bytes of HTML, drawn at {', '.join(map(str, sizes))} pixels")


def _reported(service: Service, out: Path) -> str:
    ended = canceld("report", "--config", str(service.config), "--since", "1h", "--out", str(out), "--json")
    return ended.stdout if ended.returncode == 0 and ">flat<" in out.read_text() else ""


def test_bad_input_is_one_line(exchange: Exchange, service: Service) -> None:
    config, out = str(service.config), str(service.home / "x.html")
    for arguments, status, says in (
        (("--since", "yesterday", "--out", out), 2, "expected 2026-01-31"),
        (("--since", "1h", "--out", f"{service.home}/none/x.html"), 2, "No such file or directory"),
        (("--since", "2001-01-01", "--until", "2001-01-02", "--out", out), 1, "says nothing from 2001-01-01"),
    ):
        ended = canceld("report", "--config", config, *arguments)
        assert (ended.returncode, ended.stderr.count("\n")) == (status, 1), ended.stderr
        assert says in ended.stderr
    with Dealer(service.commands) as dealer:
        assert dealer.hear_all([dealer.send(type="ping")], 5.0), "the daemon does not notice"
