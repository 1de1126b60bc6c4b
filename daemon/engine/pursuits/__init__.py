"""The heart of the engine: everything that is being cancelled at one venue, one floor a file."""
