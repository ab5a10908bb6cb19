"""The environment of the process, which libpq reads whenever it connects, kept from interfering."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Condition

from procrastinate_conn.event_loops import in_event_loop

PATIENCE = 1.0
"""Seconds to wait for others who need other values. Theirs may be an attempt at a server that is away, and
to connect with a session setting of theirs is better than not to connect."""


class _Imposed:
    """Variables that have other values for as long as anyone needs them to."""

    def __init__(self) -> None:
        self._users: list[Mapping[str, str | None]] = []
        self._found: dict[str, str | None] = {}
        self._changed = Condition()

    def begin(self, values: Mapping[str, str | None]) -> None:
        """Impose values, once nobody needs others; the mapping itself stands for its user."""
        with self._changed:
            if not in_event_loop():
                self._changed.wait_for(lambda: all(_agree(values, user) for user in self._users), PATIENCE)
            self._users.append(values)
            self._apply()

    def end(self, values: Mapping[str, str | None]) -> None:
        """Impose them no longer."""
        with self._changed:
            self._users = [user for user in self._users if user is not values]
            self._apply()
            self._changed.notify_all()

    def forked(self) -> None:
        """Begin anew in a child, which has none of the threads that would have ended a use."""
        self._users, self._changed = [], Condition()
        self._apply()

    def _apply(self) -> None:
        """Let each variable have what the last one wants who wants anything, or else what was found."""
        wanted = {name: value for user in self._users for name, value in user.items()}
        for name, value in wanted.items():
            if os.environ.get(name) != value:
                self._found.setdefault(name, os.environ.get(name))
                _put(name, value)
        for name in self._found.keys() - wanted.keys():
            _put(name, self._found[name])
            del self._found[name]


_IMPOSED = _Imposed()
if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_IMPOSED.forked)


@contextmanager
def override_environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Let variables have the values that libpq is to read; with None they are unset.

    The environment belongs to the whole process, and other threads may be connecting: it is touched
    only where it differs, and for as short as possible. Where two uses overlap that need different values,
    a thread waits for the other one to end. It does not wait longer than `PATIENCE`, and in an event loop
    not at all, where that would stop the other use as well: then the values of the later one count for both
    until it ends. Connectors of one process have the same values unless the environment was changed
    between them.

    Parameters
    ----------
    values
        Name to value. What was there returns when the last use ends that names the variable.
    """
    own = dict(values)
    _IMPOSED.begin(own)
    try:
        yield
    finally:
        _IMPOSED.end(own)


def _agree(one: Mapping[str, str | None], other: Mapping[str, str | None]) -> bool:
    return all(one[name] == other[name] for name in one.keys() & other.keys())


def _put(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
