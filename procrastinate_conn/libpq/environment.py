"""Environment variables that libpq reads whenever it connects, overridden while a connection is made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Condition

from procrastinate_conn.event_loops import in_event_loop
from procrastinate_conn.libpq.conninfo import start_connection

SESSION_VARIABLES = ("PGDATESTYLE", "PGGEQO", "PGTZ")
"""Variables that libpq sends to the server as settings of the session, whatever a connection string sets."""

UNREACHABLE_HOST = "/dev/null/procrastinate-conn"
"""A socket directory that cannot exist, so that libpq validates parameters and reaches no server."""

UNREACHABLE = {"host": UNREACHABLE_HOST, "hostaddr": "", "port": "", "password": "-"}
"""The parameters for that; with a password libpq reads no password file."""

MAX_WAIT = 1.0
"""Seconds to wait for overrides with other values to end. They may last as long as an attempt at a server
that is down, and a connection with another session setting is better than none."""

_changed = Condition()
_active: list[Mapping[str, str | None]] = []  # the overrides of all threads, by their beginning
_original: dict[str, str | None] = {}  # the values that they replace


@contextmanager
def override_environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables for the block, for libpq to read.

    A value of None unsets the variable; when the last block that overrides it ends, it is set back.

    The environment belongs to the whole process, and other threads may be connecting: only variables that
    differ are changed. If two blocks that need different values overlap, the second one's thread waits for
    the first to end, for `MAX_WAIT` at most. In an event loop it does not wait, since that could stop the
    first block as well. After that, the later values apply to both. Connectors of one process need the same
    values unless the environment was changed between them.
    """
    own = dict(values)
    with _changed:
        if not in_event_loop():
            _changed.wait_for(lambda: all(_compatible(own, active) for active in _active), MAX_WAIT)
        _active.append(own)
        _apply_overrides()
    try:
        yield
    finally:
        with _changed:
            _active[:] = [active for active in _active if active is not own]
            _apply_overrides()
            _changed.notify_all()


def _reset_after_fork() -> None:
    """Remove all overrides in a child process, which has none of the threads that would have done so."""
    global _changed  # noqa: PLW0603 - one of those threads may hold it
    _changed = Condition()
    _active.clear()
    _apply_overrides()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_reset_after_fork)


def _apply_overrides() -> None:
    effective = {name: value for values in _active for name, value in values.items()}
    for name, value in effective.items():
        if os.environ.get(name) != value:
            _original.setdefault(name, os.environ.get(name))
            _set_variable(name, value)
    for name in _original.keys() - effective.keys():
        _set_variable(name, _original.pop(name))


@contextmanager
def pinned_environment(parameters: Mapping[str, str], session: Mapping[str, str]) -> Iterator[None]:
    """Keep later changes of the environment from changing a connection that is made in the block.

    If `parameters` have every keyword, libpq still reads two kinds of variables. A service that
    ``PGSERVICE`` names adds what they leave open, and fails the connection if it is not defined;
    only then the variable is unset. The `SESSION_VARIABLES` are set back to `session`: those that were set
    when the configuration was resolved.
    """
    values = {name: session.get(name) for name in SESSION_VARIABLES}
    if "PGSERVICE" in os.environ and _service_interferes(parameters):
        values["PGSERVICE"] = None
    with override_environment(values):
        yield


def _service_interferes(parameters: Mapping[str, str]) -> bool:
    completed, message = start_connection({**parameters, **UNREACHABLE})
    added = completed.keys() - parameters.keys() - {"service", "servicefile"}
    return UNREACHABLE_HOST not in message or bool(added)


def _compatible(one: Mapping[str, str | None], other: Mapping[str, str | None]) -> bool:
    return all(one[name] == other[name] for name in one.keys() & other.keys())


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
