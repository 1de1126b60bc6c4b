"""How a venue's engine says no to a front; the front turns it into its own error frame."""

from __future__ import annotations


class Refusal(Exception):
    """The engine says no. text: the venue's own error string."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
