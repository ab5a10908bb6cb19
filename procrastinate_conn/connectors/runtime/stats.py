"""Statistics of a connector's pool, the same record for every kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

from procrastinate.connector import BaseConnector
from procrastinate.exceptions import AppNotOpen, ConnectorException
from procrastinate.testing import InMemoryConnector
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from procrastinate_conn.connectors.base import AsyncConnector, SyncConnector


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Statistics of a pool. All but the first five count from its opening.

    Parameters
    ----------
    size
        Connections, including those that are being made.
    idle
        Connections that are not in use.
    in_use
        Connections in use, or being made.
    waiting
        Callers that wait for a connection now.
    max_size
        The most connections; 0 means no limit.
    requests
        Calls for a connection.
    requests_waited
        Of these, calls that had to wait.
    requests_failed
        Of these, calls that got none.
    wait_ms
        Milliseconds that all calls waited, in total.
    connections_made
        Connections opened, or attempted.
    connections_failed
        Of these, attempts that failed.
    connections_lost
        Connections that were found dead, before use or during it.
    """

    size: int
    idle: int
    in_use: int
    waiting: int
    max_size: int
    requests: int
    requests_waited: int
    requests_failed: int
    wait_ms: int
    connections_made: int
    connections_failed: int
    connections_lost: int


def pool_stats(connector: BaseConnector) -> PoolStats:
    """Return the statistics of a connector's pool; while only its synchronous side is open, of that one's.

    Parameters
    ----------
    connector
        One that `make_connector` returned, or procrastinate's `InMemoryConnector`, whose statistics are 0.

    Raises
    ------
    AppNotOpen
        The connector is not open.
    ConnectorException
        It has a pool of the caller's that is not psycopg_pool's.
    TypeError
        It is neither.
    """
    if isinstance(connector, InMemoryConnector):
        return PoolStats(**dict.fromkeys((field.name for field in fields(PoolStats)), 0))
    if not isinstance(connector, SyncConnector | AsyncConnector):
        raise TypeError(f"{type(connector).__name__} was not made by make_connector")
    active = connector.active_connector()
    own_pool = active.own_pool
    pool = own_pool or active.pool_or_none
    if pool is None:
        raise AppNotOpen
    if not isinstance(pool, ConnectionPool | AsyncConnectionPool):
        raise ConnectorException("the pool is the caller's, and not one of psycopg_pool's")
    counters = Counter(pool.get_stats())  # those that are still zero are missing
    size, idle = counters["pool_size"], counters["pool_available"]
    return PoolStats(
        size=size,
        idle=idle,
        in_use=size - idle,
        waiting=counters["requests_waiting"],
        max_size=pool.max_size,
        requests=counters["requests_num"] if own_pool is None else own_pool.requests,
        requests_waited=counters["requests_queued"],
        requests_failed=counters["requests_errors"] if own_pool is None else own_pool.requests_failed,
        wait_ms=counters["requests_wait_ms"],
        connections_made=counters["connections_num"],
        connections_failed=counters["connections_errors"],
        connections_lost=counters["connections_lost"] + counters["returns_bad"],
    )
