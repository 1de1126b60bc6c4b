"""One file per venue dialect: command in, bytes out; bytes in, event out. No socket, clock, logger or await."""
