"""A simulated Kraken, written from the API pages alone. It shares no code with the rest of the daemon."""
