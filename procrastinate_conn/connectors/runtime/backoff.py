"""How long to wait between attempts at the same thing."""

from __future__ import annotations

LONGEST_PAUSE = 10.0
"""Seconds between two attempts, at most."""


class Backoff:
    """Pauses that grow: none, then half a second, then twice the last one."""

    def __init__(self) -> None:
        self.pause = 0.0

    def succeeded(self) -> None:
        """Begin anew."""
        self.pause = 0.0

    def failed(self) -> float:
        """Return the seconds to wait now."""
        pause, self.pause = self.pause, min(2 * self.pause or 0.5, LONGEST_PAUSE)
        return pause
