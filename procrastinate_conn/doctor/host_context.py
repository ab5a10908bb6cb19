"""One host that is checked: its session, and the time that is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal, LiteralString

import psycopg

from procrastinate_conn import libpq
from procrastinate_conn.connection.hosts import Host
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.registry import REGISTRY

DEFAULT_CONNECT_TIMEOUT = 10.0
"""Seconds for a connection, if connect_timeout is unset."""

QUERY_TIMEOUT = 5.0
"""Seconds for a query, and for a notification."""

Pooler = Literal["none", "unknown", "transaction"]
"""A pooler between client and server: none, one of an unknown mode, or one that shares its sessions."""


@dataclass(slots=True)
class HostContext:
    """One host that is checked, and what the checks have found so far."""

    host: Host
    config: ConnectorConfig
    processes: int  # of the application
    deadline: float  # on the monotonic clock
    address: str = ""  # numeric, the one that accepts connections; a socket has none
    is_reachable: bool = False  # accepts connections, and responds
    connection: psycopg.Connection[Any] | None = None
    pooler: Pooler = "none"
    main: ConnectorConfig | None = None  # of the connection, if this host is that of one that only listens
    is_schema_complete: bool = True
    addresses: Sequence[str] = ()  # numeric, of the name; empty for a socket

    @property
    def works_jobs(self) -> bool:
        """Whether the application may run workers."""
        return REGISTRY[self.config.kind].asynchronous

    @property
    def listens(self) -> bool:
        """Whether the application's workers listen on this host."""
        return self.works_jobs and self.config.listens and self.config.listening is None

    @property
    def session(self) -> psycopg.Connection[Any]:
        """The session, for checks that need one."""
        assert self.connection is not None
        return self.connection

    @property
    def connect_timeout(self) -> float:
        """Seconds for a connection: `connect_timeout`, or what is left until the deadline."""
        explicit = int(self.config.spec.parameters.get("connect_timeout", 0))
        return self.time_left(explicit if explicit > 0 else DEFAULT_CONNECT_TIMEOUT)

    def time_left(self, at_most: float) -> float:
        """Return the seconds that are left until the deadline, or `at_most`."""
        return max(0.1, min(at_most, self.deadline - monotonic()))

    def connect(self, main: ConnectorConfig | None = None) -> psycopg.Connection[Any]:
        """Return a new session on this host, primary or standby; with `main`, of that connection.

        Keywords that psycopg's libpq lacks are left out. If it fails, a `psycopg.OperationalError` or
        `PasswordUnavailable` is raised.
        """
        config, keywords = main or self.config, libpq.keywords()
        overrides = {
            **config.credentials(),
            "connect_timeout": str(max(2, round(self.connect_timeout))),  # libpq's minimum
            "application_name": "procrastinate-conn doctor",
        }
        if main is None:
            overrides |= {
                "host": self.host.name,
                "hostaddr": self.address,
                "port": self.host.port,
                "target_session_attrs": "any",
                "load_balance_hosts": "disable",
            }
        known = {keyword: value for keyword, value in overrides.items() if keyword in keywords}
        parameters: dict[str, Any] = {**config.spec.keyword_values(keywords), **known}
        with libpq.pinned_environment(parameters, config.spec.session):
            return psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)

    def rows(self, query: LiteralString, **parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a read-only query, which is cancelled after `QUERY_TIMEOUT`."""
        milliseconds = round(1000 * self.time_left(QUERY_TIMEOUT))
        with self.session.transaction():
            self.session.execute("SET TRANSACTION READ ONLY")
            self.session.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])
            return self.session.execute(query, parameters).fetchall()
