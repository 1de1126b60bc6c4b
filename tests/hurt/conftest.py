"""The exchange and the daemon, as tests/processes has them."""

from tests.processes.conftest import exchange, home, service, start

__all__ = ["exchange", "home", "service", "start"]
