"""Bytes, files, sockets, time and randomness. The only door to the world; no trading word appears here."""
