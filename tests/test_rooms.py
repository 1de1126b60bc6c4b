"""The house rules that a reader cannot check by eye: who may import whom, and that the world has one door."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "daemon"
FILES = sorted(HOUSE.rglob("*.py"))

# Arrows of the house: a room to the rooms it may import from. Its own room always, and nothing that is not listed.
PLAIN = {"settings", "credentials"}
MAY_IMPORT: dict[str, set[str]] = {
    "contract": set(),
    "transport": set(),
    "sim": set(),
    "client": {"contract"},
    "settings": {"contract"},
    "credentials": {"contract", "settings", "transport"},
    "venues": {"contract", "version", *PLAIN},
    "engine": {"contract", *PLAIN},
    # The daemon's child, which writes the record: it starts without an event loop and without the daemon's libraries.
    "scribe": {"contract", "engine", "transport"},
    "tasks": {"contract", "engine", "scribe", "venues", "transport", "venue_table", *PLAIN},
    "logs": {"contract", "credentials", "transport"},
    "venue_table": {"contract", "venues"},
    "desks": {"contract", "engine", "venues", "transport", "tasks", "venue_table", *PLAIN},
    "app": {"contract", "desks", "engine", "transport", "tasks", "version", *PLAIN},
    "process": {"app", "logs", "tasks", "transport", *PLAIN},
    "checks": {"contract", "engine", "venues", "transport", "tasks", *PLAIN},
    # The journal is read with the engine's own reader, and from the disk; bench has an order of nobody from the engine,
    # and its stand from the demo. No other verb needs those rooms.
    "verbs": {"client", "contract", "demo", "engine", "report", "transport", "version", *PLAIN},
    "report": set(),
    # The package's own files onto a machine; it knows nothing of the daemon.
    "setup": {"verbs"},
    "demo": {"client", "contract"},
    # Agents beside the daemon, in processes of their own: the daemon knows nothing of them.
    # They read the record as engine does, and speak to people as the verbs do.
    "fleet": {"client", "contract", "engine", "transport", "verbs", "version", *PLAIN},
    "panic": {"contract", "engine", "transport", "venues", "verbs", *PLAIN},
    "cli": {"checks", "demo", "fleet", "panic", "process", "settings", "setup", "sim", "verbs", "version"},
    "__main__": {"cli", "transport"},
    "version": set(),
}

# Modules through which time, randomness, sockets, names, files and threads come in.
DOORS = {
    "asyncio", "fcntl", "multiprocessing", "os", "random", "secrets", "select", "signal", "socket", "ssl", "subprocess",
    "tempfile", "threading", "time", "urllib.request", "zmq", "trio_websocket",
}  # fmt: skip

# Calls by which they would come in through modules that are needed otherwise.
DOOR_CALLS = {
    "open", "trio.open_tcp_stream", "trio.open_ssl_over_tcp_stream", "trio.open_unix_socket", "trio.to_thread.run_sync",
    "trio.run_process", "trio.open_file", "trio.open_signal_receiver", "datetime.now", "datetime.utcnow",
    "uuid.uuid1", "uuid.uuid4", "uuid1", "uuid4",
}  # fmt: skip

# Programs beside the daemon own their process, and so does whoever imports the client. In the client and the simulator
# one file each touches the world; `blocking` only guards itself against a second thread,
# and the lease that it holds is renewed by one.
OWN_PROCESS = {
    "__main__.py", "process.py", "cli.py",
    "panic/door.py", "panic/keys.py", "panic/prime.py", "panic/routes.py", "panic/state_files.py", "panic/sweep.py",
    "panic/verb.py", "verbs/ask.py", "verbs/bench.py", "verbs/exporter.py", "verbs/journal.py", "verbs/output.py",
    "verbs/usage.py", "verbs/watch.py",
    "fleet/against.py", "fleet/agent.py", "fleet/agent_verb.py", "fleet/bucket.py", "fleet/bus.py",
    "fleet/code_book.py", "fleet/door.py", "fleet/fleet_verb.py", "fleet/local_switch.py", "fleet/nearest.py",
    "fleet/outbox.py", "fleet/settings.py", "fleet/ship.py", "fleet/sinks.py", "fleet/standing.py",
    "setup/place.py", "setup/verb.py",
    "sim/process.py", "client/blocking.py", "client/blocking_lease.py", "client/link.py", "client/async_io.py",
    "scribe/__main__.py",
    "demo/chapters.py", "demo/exchange.py", "demo/play.py", "demo/stand.py", "demo/story.py",
}  # fmt: skip

# What the simulator is handed (a seeded generator) or names (a socket option) without reaching out for it.
HANDED = {"random.Random", "socket.SOL_SOCKET", "socket.SO_LINGER"}


def _room(file: Path) -> str:
    parts = file.relative_to(HOUSE).parts
    return parts[0] if len(parts) > 1 else ("version" if file.stem == "__init__" else file.stem)


def _imports(file: Path) -> Iterator[str]:
    """Every module a file imports, absolute, wherever in the file the import stands."""
    package = ["canceld", *file.relative_to(HOUSE).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inside = HOUSE.joinpath(*module.split(".")[1:], alias.name)
                is_module = inside.is_dir() or inside.with_suffix(".py").exists()
                yield f"{module}.{alias.name}" if is_module else module


def _name(file: Path) -> str:
    return str(file.relative_to(HOUSE))


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_imports_follow_the_arrows(file: Path) -> None:
    room = _room(file)
    for module in _imports(file):
        if module == "canceld" or module.startswith("canceld."):
            other = module.split(".")[1] if "." in module else "version"
            assert other == room or other in MAY_IMPORT[room], f"{room} must not import {module}"


def test_every_room_has_its_arrows() -> None:
    assert {_room(file) for file in FILES} == set(MAY_IMPORT)


@pytest.mark.parametrize(
    "file", [f for f in FILES if _room(f) != "transport" and _name(f) not in OWN_PROCESS], ids=_name
)
def test_the_world_comes_in_through_transport_alone(file: Path) -> None:
    tree = ast.parse(file.read_text())
    handed = {name for name in ("random", "socket") if _room(file) == "sim" and _only_handed(tree, name)}
    for module in set(_imports(file)) - handed:
        assert module not in DOORS, f"{_name(file)} imports {module}: the world comes in through transport/"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in DOOR_CALLS, f"{_name(file)} calls {called}: the world comes in through transport/"


def _only_handed(tree: ast.AST, module: str) -> bool:
    """Whether every use of a module is a name in HANDED, and none of them is called."""
    used = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute) and ast.unparse(n.value) == module}
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return used <= HANDED and not used & called


@pytest.mark.parametrize("file", [f for f in FILES if _room(f) in ("venues", "engine", "contract")], ids=_name)
def test_deciding_rooms_neither_wait_nor_log(file: Path) -> None:
    tree = ast.parse(file.read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Await | ast.AsyncFunctionDef)]
    assert not {"trio", "structlog", "logging"} & set(_imports(file))


@pytest.mark.parametrize("file", [f for f in FILES if _room(f) == "verbs"], ids=_name)
def test_verbs_start_without_the_daemons_own_libraries(file: Path) -> None:
    """An operator who kills waits for the process to start. Only who reads the record reads as engine and disk do."""
    imported = set(_imports(file))
    assert not {"trio", "structlog"} & imported
    if file.stem not in ("bench", "journal", "report"):
        assert not [name for name in imported if name.split(".")[1:2] in (["demo"], ["engine"], ["transport"])]


@pytest.mark.parametrize("file", [f for f in FILES if _room(f) == "panic"], ids=_name)
def test_panic_shares_with_the_verbs_what_a_command_line_needs_and_no_more(file: Path) -> None:
    shared = {name for name in _imports(file) if name.startswith("canceld.verbs")}
    assert shared <= {f"canceld.verbs.{name}" for name in ("exit_status", "output", "readable")}


@pytest.mark.parametrize("file", [f for f in FILES if _room(f) in ("cli", "panic", "setup", "verbs")], ids=_name)
def test_what_verbs_print_goes_through_one_door(file: Path) -> None:
    """It keeps foreign text from commanding a terminal, and a lost output from deciding an exit status."""
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)}
    assert "print" not in called
