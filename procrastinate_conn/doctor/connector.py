"""Whether the application's own connector gets a connection, through its own driver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from time import monotonic

from procrastinate.exceptions import ConnectorException

from procrastinate_conn.connectors import build
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.doctor.result import Result, failed, milliseconds, passed
from procrastinate_conn.pool import PoolOptions

_WHERE = (
    "SELECT host(inet_server_addr()) AS address, inet_server_port() AS port,"
    " current_setting('transaction_read_only') = 'on' AS read_only"
)

_HINTS = (
    (
        r"session is not read-only|server is not in hot standby mode",
        "state target_session_attrs=read-write: a standby stores no jobs",
    ),
    (r"session is read-only|server is in hot standby mode", "none of the hosts is the primary: name it too"),
)
"""What libpq says of a host that `target_session_attrs` passes over, and what to do about it."""


def examine(config: ConnectorConfig, seconds: float) -> Iterator[Result]:
    """Open the connector with one connection, synchronously, and ask where it has got to.

    Parameters
    ----------
    config
        What the connector is built from.
    seconds
        How long it may take.
    """
    one = {"min_size": 0 if config.pool.null else 1, "max_size": 1, "timeout": seconds}
    pool = PoolOptions(config.pool.explicit, null=config.pool.null, **one)
    connector = build(replace(config, pool=pool)).get_sync_connector()
    begun = monotonic()
    try:
        connector.open()
        try:
            found = connector.execute_query_one(_WHERE)
        finally:
            connector.close()
    except ConnectorException as error:
        cause = str(error.__cause__ or error)
        hint = next(
            (hint for pattern, hint in _HINTS if re.search(pattern, cause)), "see the lines of the hosts"
        )
        yield failed("connector", f"{config.kind} gets no connection: {cause}", hint)
        return
    took = milliseconds(monotonic() - begun)
    where = f"{found['address']}:{found['port']}" if found["address"] else "the Unix socket"
    value = {**found, "milliseconds": took}
    if found["read_only"]:
        hint = "state target_session_attrs=read-write"
        yield failed("connector", f"{config.kind} gets to {where}, which is read-only", hint, value=value)
        return
    yield passed("connector", f"{config.kind} gets to {where}, read-write ({took} ms)", value=value)
