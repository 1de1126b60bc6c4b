"""Who may talk to the daemon is said by file modes: the sockets', the locks' and the state's."""

import stat
from collections.abc import Callable
from pathlib import Path

from tests.processes.stage import Exchange, Service

Shared = tuple[Exchange, Service]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_strategies_share_a_group_and_operators_do_not(shared: Shared) -> None:
    _, service = shared
    assert {name: oct(mode_of(service.home / f"{name}.sock")) for name in ("commands", "control", "events")} == {
        "commands": "0o660",
        "control": "0o600",
        "events": "0o660",
    }
    # Whoever may write a lock file could keep the daemon from starting.
    for path in (*service.home.glob("*.lock"), *service.state.iterdir()):
        assert mode_of(path) & 0o077 == 0, path


def test_the_configuration_names_other_modes(start: Callable[..., Service]) -> None:
    service = start(gateway={"mode": 0o600, "control_mode": 0o640})
    assert mode_of(service.home / "commands.sock") == 0o600
    assert mode_of(service.home / "control.sock") == 0o640
    assert mode_of(service.home / "events.sock") == 0o600


def test_the_simulated_exchange_keeps_its_secrets_to_its_user(shared: Shared) -> None:
    exchange, _ = shared
    directory = Path(exchange.told["credentials_dir"])
    assert mode_of(directory) == 0o700
    assert {mode_of(file) for file in directory.iterdir()} == {0o600}
