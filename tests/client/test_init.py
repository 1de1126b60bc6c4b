"""What `import canceld.client` brings in."""

import subprocess
import sys

import pytest

import canceld.client


@pytest.mark.parametrize("name", canceld.client.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(canceld.client, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Clinet"):
        getattr(canceld.client, "Clinet")  # noqa: B009


def test_the_blocking_client_loads_neither_trio_nor_the_daemon() -> None:
    program = (
        "import sys; from canceld.client import Client, OrderRef, DaemonUnreachable; Client;"
        "print(sorted(n for n in sys.modules if n.split('.')[0] in ('trio', 'structlog', 'asyncio')"
        " or n.startswith(('canceld.engine', 'canceld.transport', 'canceld.tasks', 'canceld.venues'))))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert shown.stdout.strip() == "[]"
