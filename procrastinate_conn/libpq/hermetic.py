"""What was resolved is what is connected to, whatever the environment says by then."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from procrastinate_conn.libpq.conninfo import parse
from procrastinate_conn.libpq.environment import override_environment
from procrastinate_conn.libpq.probe import UNREACHABLE_HOST, start

SESSION_VARIABLES = ("PGDATESTYLE", "PGGEQO", "PGTZ")
"""Variables that libpq sends to the server as settings of the session, whatever a connection string says."""


@contextmanager
def pinned_environment(conninfo: str, session: Mapping[str, str]) -> Iterator[None]:
    """Keep the environment from changing a connection that is made while this lasts.

    A connection string that states everything keeps libpq from every variable but two kinds. A service
    that ``PGSERVICE`` names adds what the string leaves open, and refuses the connection if it is not
    defined; only then the variable is put aside. And the settings of the session in `SESSION_VARIABLES`:
    where they were changed after the configuration was resolved, they are put back.

    Parameters
    ----------
    conninfo
        The connection string.
    session
        The variables in `SESSION_VARIABLES` that were set when the configuration was resolved.
    """
    values = {name: session.get(name) for name in SESSION_VARIABLES}
    if "PGSERVICE" in os.environ and _service_interferes(conninfo):
        values["PGSERVICE"] = None
    with override_environment(values):
        yield


def _service_interferes(conninfo: str) -> bool:
    stated = parse(conninfo).keys() | {"service", "servicefile"}
    info, message = start(f"{conninfo} host={UNREACHABLE_HOST} hostaddr='' port='' password=-")
    return UNREACHABLE_HOST not in message or not info.keys() <= stated
