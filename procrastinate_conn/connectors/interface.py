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

from procrastinate_conn.connectors.base import AsyncConnector as AsyncConnector
from procrastinate_conn.connectors.base import RowLists as RowLists
from procrastinate_conn.connectors.base import SyncConnector as SyncConnector
from procrastinate_conn.connectors.base import WithoutClass as WithoutClass
from procrastinate_conn.connectors.config import ConnectorConfig as ConnectorConfig
from procrastinate_conn.connectors.exceptions import connector_exception as connector_exception
from procrastinate_conn.connectors.json_arguments import wrap_json as wrap_json
from procrastinate_conn.connectors.psycopg.connector import SyncPsycopgConnector as SyncPsycopgConnector
from procrastinate_conn.connectors.queries import translate as translate
from procrastinate_conn.connectors.runtime.acquire import Liveness as Liveness
from procrastinate_conn.connectors.runtime.attempts import Attempt as Attempt
from procrastinate_conn.connectors.runtime.attempts import find_password as find_password
from procrastinate_conn.connectors.runtime.attempts import open_first as open_first
from procrastinate_conn.connectors.runtime.attempts import server_settings as server_settings
from procrastinate_conn.connectors.runtime.attempts import set_socket_options as set_socket_options
from procrastinate_conn.connectors.runtime.connection_factory import (
    AsyncConnectionFactory as AsyncConnectionFactory,
)
from procrastinate_conn.connectors.runtime.connection_factory import (
    SyncConnectionFactory as SyncConnectionFactory,
)
from procrastinate_conn.connectors.runtime.disconnects import OutcomeUnknown as OutcomeUnknown
from procrastinate_conn.connectors.runtime.disconnects import SafeToRetry as SafeToRetry
from procrastinate_conn.connectors.runtime.disconnects import Shutdown as Shutdown
from procrastinate_conn.connectors.runtime.disconnects import raise_disconnect as raise_disconnect
from procrastinate_conn.connectors.runtime.disconnects import raise_lost as raise_lost
