"""Stand-ins without kernel, disk or threads, exact under virtual time: for tests and simulations only."""
