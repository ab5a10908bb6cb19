"""Whether the application's own connector gets a connection, through its own driver."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from time import monotonic
from typing import Any, LiteralString

from procrastinate import App
from procrastinate.exceptions import ConnectorException

from procrastinate_conn.connectors import build
from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, failed, milliseconds, passed
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.registry import REGISTRY

_SERVER_QUERY: LiteralString = (
    "SELECT host(inet_server_addr()) AS address, inet_server_port() AS port,"
    " current_setting('transaction_read_only') = 'on' AS read_only, pg_is_in_recovery() AS in_recovery"
)

_HINTS = {
    r"session is not read-only|server is not in hot standby mode": (
        "set PROCRASTINATE_CONN_CONNECTION__TARGET_SESSION_ATTRS=read-write: a standby stores no jobs"
    ),
    r"session is read-only|server is in hot standby mode": "none of the hosts is the primary: add it",
}
"""libpq's messages about a host that `target_session_attrs` skips, and what to do."""


def run(contexts: Sequence[HostContext], seconds: float) -> Result:
    """Open the connector with one connection, and query which server it is connected to.

    The contexts are those of the hosts, after their checks.
    """
    config = contexts[0].config
    one = {"min_size": 0 if config.pool.null else 1, "max_size": 1, "timeout": seconds}
    pool = PoolOptions(config.pool.explicit, null=config.pool.null, **one)
    app = App(connector=build(config._replace(pool=pool)))
    started = monotonic()
    try:
        if REGISTRY[config.kind].asynchronous:  # its synchronous side may be on another driver
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                server = runner.run(_query_async(app))
        else:
            with app.open():
                server = app.connector.execute_query_one(_SERVER_QUERY)
    except ConnectorException as error:
        cause = str(error.__cause__ or error)
        hints = (hint for pattern, hint in _HINTS.items() if re.search(pattern, cause))
        message = f"{config.kind} gets no connection: {cause}"
        return failed(message, next(hints, "see the results of the hosts"))
    duration = milliseconds(monotonic() - started)
    value = {**server, "milliseconds": duration}
    message = f"{config.kind} connects to {_destination(server, contexts)}"
    if not server["read_only"]:
        return passed(f"{message}, read-write ({duration} ms)", value=value)
    hint = "PROCRASTINATE_CONN_CONNECTION__TARGET_SESSION_ATTRS=read-write skips a standby"
    if not server["in_recovery"]:
        hint = "it is a primary: the host's result `role` says what makes the session read-only"
    return failed(f"{message}, which is read-only", hint, value=value)


def _destination(server: dict[str, Any], contexts: Sequence[HostContext]) -> str:
    """Return the host of the connection, and the server's own address if it differs.

    It does behind a pooler or a forwarded port; which of several hosts forwards is not known.
    """
    address = (server["address"] or "", str(server["port"] or ""))
    connected = [context for context in contexts if context.connection is not None]
    for context in connected:
        if address == (context.address, "" if context.host.is_socket else context.host.port):
            return str(context.host)
    hosts = " or ".join(str(context.host) for context in connected)
    return f"{hosts}, which forwards to {':'.join(address) if address[0] else 'a Unix socket'}"


async def _query_async(app: App) -> dict[str, Any]:
    async with app.open_async():
        return await app.connector.execute_query_one_async(_SERVER_QUERY)
