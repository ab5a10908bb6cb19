"""What a kind of connector is made of, of this package and of others.

A kind is described by a `procrastinate_conn.ConnectorInfo`, and implemented by two classes:

- a factory of the driver's connections: a `SyncConnectionFactory`, or an `AsyncConnectionFactory`;
- the connector: a `SyncConnector`, or an `AsyncConnector`, whose `send` executes a query. If procrastinate
  has a class for the driver, that is the next base. Otherwise the bases are: `RowLists` if the driver has no
  cursors, the connector, `WithoutClass`, and procrastinate's `BaseAsyncConnector` if it is asynchronous.

The pools, the checks of connections, the policy of retries, LISTEN, the calls from threads and other event
loops, forks and statistics are the same for all.

Everything here is public. If it changes so that a kind may not work any more, `INTERFACE_VERSION` changes.
"""

from __future__ import annotations

from procrastinate_conn.connectors.base import (
    AsyncConnector,
    RowLists,
    SyncConnector,
    WithoutClass,
)
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.connectors.json_arguments import wrap_json
from procrastinate_conn.connectors.psycopg.connector import SyncPsycopgConnector
from procrastinate_conn.connectors.queries import connector_exception, translate
from procrastinate_conn.connectors.runtime.acquire import Liveness
from procrastinate_conn.connectors.runtime.attempts import (
    Attempt,
    find_password,
    open_first,
    server_settings,
    set_socket_options,
)
from procrastinate_conn.connectors.runtime.connection_factory import (
    AsyncConnectionFactory,
    SyncConnectionFactory,
)
from procrastinate_conn.connectors.runtime.disconnects import (
    OutcomeUnknown,
    SafeToRetry,
    Shutdown,
    raise_disconnect,
    raise_lost,
)

__all__ = [
    "AsyncConnectionFactory",
    "AsyncConnector",
    "Attempt",
    "ConnectorConfig",
    "Liveness",
    "OutcomeUnknown",
    "RowLists",
    "SafeToRetry",
    "Shutdown",
    "SyncConnectionFactory",
    "SyncConnector",
    "SyncPsycopgConnector",
    "WithoutClass",
    "connector_exception",
    "find_password",
    "open_first",
    "raise_disconnect",
    "raise_lost",
    "server_settings",
    "set_socket_options",
    "translate",
    "wrap_json",
]
