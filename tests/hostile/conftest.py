"""The stage of the process tests: an exchange and a daemon, for all tests of a module."""

from tests.processes.conftest import exchange, home, shared

__all__ = ["exchange", "home", "shared"]
