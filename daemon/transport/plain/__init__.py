"""The same world for a program without an event loop: one blocking step after another."""
