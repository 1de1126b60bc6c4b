"""canceld: a persistent cancel daemon for Kraken."""

__version__ = "0.1.0"
