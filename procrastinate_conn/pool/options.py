"""The validated pool options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """Pool options in psycopg_pool's names.

    Parameters
    ----------
    stated
        The options that were stated, by psycopg_pool's names, already converted and checked.
    null
        Whether every call opens a connection of its own (psycopg_pool's null pools).
    check_after
        Seconds of idleness after which a connection is asked for real before it is handed out.
    """

    stated: dict[str, Any] = field(default_factory=dict)
    null: bool = False
    check_after: float = 60.0

    @property
    def min_size(self) -> int:
        """Connections kept."""
        return int(self.stated.get("min_size", 0 if self.null else 4))

    @property
    def max_size(self) -> int:
        """Connections at most; for null pools 0 means no limit."""
        stated = self.stated.get("max_size")
        return self.min_size if stated is None else int(stated)

    @property
    def timeout(self) -> float:
        """Seconds that a caller waits for a connection."""
        return float(self.stated.get("timeout", 30.0))

    def callback(self, name: str, *, asynchronous: bool) -> Callable[..., Any] | None:
        """Return the callback `name` of the colour that is asked for, if one was stated.

        A callback may be stated as a pair ``(async_function, sync_function)``.
        """
        stated = self.stated.get(name)
        if isinstance(stated, tuple):
            return stated[0] if asynchronous else stated[1]
        return stated

    def arguments(self, *, asynchronous: bool) -> dict[str, Any]:
        """Return what to pass to a pool class of psycopg_pool of that colour.

        Everything that was stated, save what the connector settles itself (`check`,
        `connection_class`), with each callback in the right colour.
        """
        callbacks = ("configure", "reset", "reconnect_failed")
        arguments = {k: v for k, v in self.stated.items() if k not in ("check", "connection_class", *callbacks)}
        for name in callbacks:
            if (callback := self.callback(name, asynchronous=asynchronous)) is not None:
                arguments[name] = callback
        return arguments
