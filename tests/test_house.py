"""How large the house is, and that it can be walked from the top down: figures are printed, bounds hold."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

HOUSE: Final = Path(__file__).parent.parent / "daemon"
FILES: Final = sorted(HOUSE.rglob("*.py"))

FILE_LINES: Final = 420
"""About as much as is read in one sitting."""

LONGER: Final = {
    "engine/pursuits/": 350,
    "engine/sweep.py": 480,
    "venues/futures_rest.py": 560,
    "cli.py": 460,
    "sim/": 560,
}
"""Bounds of their own. The engine room is held to less. A sweep is one machine with its table on top, and the Futures
API answers in one shape a call; the command line is a list of verbs and their arguments. The simulated exchange follows
pages that are as long."""

METHODS: Final = 30
LOOSE: Final = 10
"""Files at the top of the house: the process, and what everybody needs."""

FAMILY_BRANCHES: Final = 1
"""How often a part of engine/pursuits/ may ask whether it has a family before it."""

FLOORS: Final = (
    ("said", "spacing", "lanes", "ports", "pursuit", "family"),
    ("docket",),
    ("questions", "judgement"),
    ("answers",),
    ("ahead",),
    ("names", "families"),
    ("sending",),
    ("refusals", "acceptance"),
    ("batches",),
    ("states",),
    ("lists",),
    ("rest",),
    ("sessions",),
    ("straight",),
    ("front",),
)
"""The floors of engine/pursuits/, from the ground up. A part calls parts of floors below it."""


def _name(file: Path) -> str:
    return str(file.relative_to(HOUSE))


def _lines(file: Path) -> int:
    return len(file.read_text().splitlines())


def _classes() -> Iterator[tuple[str, int]]:
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                methods = [one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
                yield f"{_name(file)}: {node.name}", len(methods)


def _modules(file: Path) -> set[Path]:
    """The files of the house that a file imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for place in (base, *(base / alias.name for alias in node.names)):
                found |= {place.with_suffix(".py")} & set(FILES)
    return found - {file}


def _circle(graph: dict[Path, set[Path]]) -> list[str]:
    """The names of files that import each other in a circle; none where the house is walked from the top down."""
    left = dict(graph)
    while ground := [file for file, below in left.items() if not below & left.keys()]:
        for file in ground:
            del left[file]
    # What imports them from above stands in no circle itself.
    while roof := left.keys() - {below for file in left for below in left[file]}:
        for file in roof:
            del left[file]
    return sorted(map(_name, left))


def test_no_file_is_too_long_to_read(tell: Callable[[str], None]) -> None:
    sizes = sorted(((_lines(file), _name(file)) for file in FILES), reverse=True)
    tell(f"largest files: {', '.join(f'{name} {lines}' for lines, name in sizes[:5])}; {len(FILES)} files")
    for lines, name in sizes:
        bound = next((bound for room, bound in LONGER.items() if name.startswith(room)), FILE_LINES)
        assert lines <= bound, name


def test_no_class_is_too_wide_to_know(tell: Callable[[str], None]) -> None:
    classes = sorted(_classes(), key=lambda row: -row[1])
    tell(f"widest classes: {', '.join(f'{name} {methods}' for name, methods in classes[:5])}")
    for name, methods in classes:
        assert methods <= METHODS, name


def test_few_files_lie_loose_at_the_top(tell: Callable[[str], None]) -> None:
    loose = sorted(file.stem for file in FILES if file.parent == HOUSE)
    tell(f"loose files: {len(loose)} ({', '.join(loose)})")
    assert len(loose) <= LOOSE


def test_no_files_import_each_other_in_a_circle(tell: Callable[[str], None]) -> None:
    graph = {file: _modules(file) for file in FILES}
    tell(f"imports within the house: {sum(map(len, graph.values()))}, in circles: {len(_circle(graph))}")
    assert _circle(graph) == []


def test_in_the_engine_room_all_arrows_run_down(tell: Callable[[str], None]) -> None:
    room = HOUSE / "engine" / "pursuits"
    parts = {file.stem: file for file in room.glob("*.py") if file.stem != "__init__"}
    floor = {part: number for number, parts_of in enumerate(FLOORS) for part in parts_of}
    assert floor.keys() == parts.keys()
    arrows = [(part, below.stem) for part, file in parts.items() for below in _modules(file) if below.parent == room]
    up = [(one, other) for one, other in arrows if floor[other] > floor[one] or (floor[other] == floor[one] > 0)]
    tell(f"engine/pursuits: {len(parts)} files on {len(FLOORS)} floors, {len(arrows)} arrows, up: {len(up)}")
    assert up == []


def test_each_part_of_the_engine_room_knows_one_door_to_families(tell: Callable[[str], None]) -> None:
    branches = {}
    for file in (HOUSE / "engine" / "pursuits").glob("*.py"):
        tree = ast.parse(file.read_text())
        asserted = {id(one) for node in ast.walk(tree) if isinstance(node, ast.Assert) for one in ast.walk(node)}
        tests = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Compare) and ast.unparse(node).endswith(" Family") and id(node) not in asserted
        ]
        branches[file.stem] = len(tests)
    tell(f"branches for families: {sum(branches.values())} in {sum(map(bool, branches.values()))} parts")
    assert max(branches.values()) <= FAMILY_BRANCHES, branches


def _named_in(page: str) -> set[str]:
    """What a page puts in backticks."""
    return set(re.findall(r"`([^`\n]+)`", page))


def test_the_pages_name_only_files_and_names_that_are_there() -> None:
    """`daemon/README.md` and the way to the line that decides an outcome lead to what exists."""
    contribute = (HOUSE.parent / "README.md").read_text().split("\n## Contribute\n")[1]
    files = {str(file.relative_to(HOUSE.parent)) for file in HOUSE.parent.rglob("*.py")}
    sources = "\n".join(file.read_text() for file in FILES)
    for named in sorted(_named_in(contribute) | _named_in((HOUSE / "README.md").read_text())):
        if named.endswith(".py"):
            assert any(file.endswith("/" + named) or file == named for file in files), named
        elif named.endswith("/"):
            assert any(("/" + named) in "/" + file for file in files), named
        elif " " not in named:
            assert re.search(rf"\b{re.escape(named.split('.')[-1].rstrip('('))}\b", sources), named
