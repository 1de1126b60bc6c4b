"""`canceld demo`: the daemon, a simulated Kraken and a strategy, while things go wrong. `play` begins."""
