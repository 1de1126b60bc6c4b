"""Every fenced block of README and of the pages says what it is, and a test takes it."""

import re
from collections.abc import Iterator
from typing import Final

from tests.test_house import HOUSE

ROOT: Final = HOUSE.parent
READ: Final = {"README.md": ROOT / "README.md", **{f.name: f for f in sorted((HOUSE / "pages").glob("*.md"))}}
TAGS: Final = {"sh", "python", "json", "toml", "yaml", "text"}

BEGINS: Final = "processes/test_readme_begins.py"
CLIENTS: Final = "processes/test_readme_clients.py"
STRATEGIES: Final = "processes/test_readme_strategies.py"
PASTED: Final = "processes/test_operators_page.py"
FLEET: Final = "fleet/test_page.py"
CONTAINER: Final = "processes/test_container.py"
BENCH: Final = "processes/test_bench.py"
HOSTS: Final = "fleet/test_three_hosts.py"
PAIR: Final = "processes/test_two_daemons.py"

TAKEN: Final[dict[tuple[str, str], dict[str, tuple[str, ...]]]] = {
    ("README.md", "See it work"): {"sh": (BEGINS, BEGINS)},
    ("README.md", "Contribute"): {"sh": (BEGINS,)},
    ("README.md", "In a fire"): {"sh": (PASTED,)},
    ("README.md", "Cancel an order"): {"python": (CLIENTS,)},
    ("README.md", "Cancel what you mean"): {"python": (STRATEGIES,)},
    ("README.md", "Run it as a service"): {"sh": (PASTED, PASTED)},
    ("README.md", "When a strategy or the daemon dies"): {"python": (STRATEGIES,)},
    ("README.md", "Several hosts"): {"sh": (HOSTS,)},
    ("bench.md", "Where the time of a cancel goes"): {"sh": (BENCH,)},
    ("clients.md", "Cancel an order"): {"python": (CLIENTS, CLIENTS, CLIENTS)},
    ("clients.md", "Two daemons for one account"): {"python": (PAIR,)},
    ("container.md", "The image"): {"text": (CONTAINER,)},
    ("container.md", "Its configuration"): {"toml": (CONTAINER,)},
    ("fleet.md", "The record on another host"): {"sh": (FLEET,)},
    ("fleet.md", "One kill for several hosts"): {"sh": (HOSTS,)},
    ("kill.md", "What to press"): {"sh": (PASTED, PASTED, PASTED), "json": (PASTED,)},
    ("kill.md", "How to know that it worked"): {"sh": (PASTED, PASTED)},
    ("kill.md", "How to know that it will work"): {"sh": (PASTED,)},
    ("kill.md", "How to re-arm"): {"sh": (PASTED,)},
    ("leases.md", "Leases: when a strategy dies"): {"python": (STRATEGIES,)},
    ("service.md", "Several accounts on a host"): {"sh": (PASTED,)},
    ("service.md", "Let Prometheus read it"): {"sh": (PASTED,), "yaml": (PASTED,)},
    ("service.md", "Talk to the venues' addresses alone"): {"sh": (PASTED,)},
    ("venues.md", "How a cancel travels"): {"text": ("test_fenced_blocks.py",)},
}
"""Of each section, which test takes its blocks of a tag, in their order."""


def blocks() -> Iterator[tuple[tuple[str, str], str, str]]:
    """Page and section, tag, content."""
    for name, file in READ.items():
        heading, tag = "", ""
        content: list[str] | None = None
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if content is None and (found := re.match(r"#+ (.*)", line)):
                heading = found[1]
            elif line.lstrip().startswith("```"):
                assert line.startswith("```"), f"{name}:{number}: a fence begins its line"
                if content is None:
                    tag, content = line[3:], []
                else:
                    yield (name, heading), tag, "\n".join(content)
                    content = None
            elif content is not None:
                content.append(line)
        assert content is None, f"{name}: its last block has no end"


def test_every_block_says_what_it_is_and_a_test_takes_it() -> None:
    seen: dict[tuple[str, str], dict[str, int]] = {}
    for where, tag, _ in blocks():
        assert tag in TAGS, f"{where}: a block is tagged {tag!r}, not with one of {sorted(TAGS)}"
        tags = seen.setdefault(where, {})
        tags[tag] = tags.get(tag, 0) + 1
    expected = {where: {tag: len(tests) for tag, tests in tags.items()} for where, tags in TAKEN.items()}
    assert seen == expected, "enter here which test takes it"


def test_whoever_takes_a_block_reads_its_page_and_section() -> None:
    """A runner finds its blocks by their page and heading: a table of good intentions is not enough."""
    for (page, heading), tags in TAKEN.items():
        for runner in {runner for runners in tags.values() for runner in runners}:
            source = (ROOT / "tests" / runner).read_text()
            assert page in source, (runner, page)
            # A page's first section has its title for a heading.
            title = READ[page].read_text().splitlines()[0].removeprefix("# ")
            assert heading == title or heading in source or "lines_of(PAGE)" in source, (runner, heading)


def test_the_tree_of_tasks_is_drawn_with_names_that_the_sources_have() -> None:
    """Each session's, lane's and watcher's name in the drawing is a word of the rooms that start it."""
    [drawn] = [content for where, tag, content in blocks() if where[0] == "venues.md" and tag == "text"]
    sources = "\n".join(file.read_text() for room in ("tasks", "engine") for file in (HOUSE / room).rglob("*.py"))
    sources += "\n".join(file.read_text() for file in HOUSE.glob("*.py"))
    names = set(re.findall(r"[a-z]+", drawn)) - {"where", "switched", "on", "while", "who", "gave", "are", "turned"}
    unknown = {name for name in names if not re.search(rf"(?i){name[:6]}", sources)}
    assert not unknown, f"nothing of the daemon is called {sorted(unknown)}"
