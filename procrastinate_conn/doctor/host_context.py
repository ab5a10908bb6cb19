"""One host under examination: its connection, and the time that is left."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal, LiteralString

import psycopg

from procrastinate_conn import libpq
from procrastinate_conn.connection.hosts import Host
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.registry import REGISTRY

STEP = 10.0
"""Seconds that a host may take to accept, where connect_timeout leaves it open; and twice a query's."""

APPLICATION_NAME = "procrastinate-conn doctor"

Pooler = Literal["none", "unknown", "transaction"]
"""What stands between us and the server: nothing, a pooler, or one that shares its sessions."""


@dataclass(slots=True)
class Patient:
    """One host under examination.

    Parameters
    ----------
    host
        Which one.
    config
        What the application's connector is built from.
    alone
        Whether it is the only host.
    processes
        Processes that the application has.
    deadline
        When there is no more time, on the monotonic clock.
    address
        The numeric address that accepts connections, once that is known; a socket has none.
    is_reached
        Whether the host accepts connections.
    connection
        The session, once there is one.
    pooler
        What stands between it and the server, once that is known.
    answers
        Whether it says something when we log in.
    """

    host: Host
    config: ConnectorConfig
    alone: bool
    processes: int
    deadline: float
    address: str = ""
    is_reached: bool = False
    connection: psycopg.Connection[Any] | None = None
    pooler: Pooler = "none"
    answers: bool = True

    @property
    def host_name(self) -> str:
        """What the host is called: its name, its address, or its socket."""
        return self.host.name or self.host.address

    @property
    def listens(self) -> bool:
        """Whether the application's workers hear of jobs on a connection of their own."""
        return REGISTRY[self.config.kind].asynchronous

    @property
    def session(self) -> psycopg.Connection[Any]:
        """The session, for examinations that come after the login."""
        assert self.connection is not None
        return self.connection

    def within(self, seconds: float) -> float:
        """Return so many seconds, or as many as are left."""
        return max(0.1, min(seconds, self.deadline - monotonic()))

    @property
    def patience(self) -> float:
        """Seconds that the host may take to accept: `connect_timeout`, or what is left."""
        stated = int(self.config.spec.parameters.get("connect_timeout", 0))
        return self.within(stated if stated > 0 else STEP)

    def connect(self) -> psycopg.Connection[Any]:
        """Return a new session on this host, whatever it is: no other host, no preference.

        It is the application's in all else, but for psycopg's libpq, which may not know all that it states.

        Raises
        ------
        psycopg.OperationalError
            There is none to be had.
        PasswordUnavailable
            The source of the password failed.
        """
        stated = {
            **self.config.credentials(),
            "host": self.host.name,
            "hostaddr": self.address,
            "port": self.host.port,
            "connect_timeout": str(max(2, round(self.patience))),  # libpq's least
            "target_session_attrs": "any",
            "load_balance_hosts": "disable",
            "application_name": APPLICATION_NAME,
        }
        spec, keywords = self.config.spec, libpq.keywords()
        known = {keyword: value for keyword, value in stated.items() if keyword in keywords}
        conninfo = f"{spec.conninfo(keywords)} {libpq.conninfo(known)}"  # the last of two counts
        with libpq.pinned_environment(conninfo, spec.session):
            return psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)

    def rows(self, query: LiteralString, **parameters: object) -> list[tuple[Any, ...]]:
        """Return the answer to a query, which writes nothing and is given up after `STEP` / 2.

        Raises
        ------
        psycopg.Error
            The query failed or took too long, or the session is lost.
        """
        limit = round(1000 * self.within(STEP / 2))
        with self.session.transaction():
            self.session.execute("SET TRANSACTION READ ONLY")
            self.session.execute("SELECT set_config('statement_timeout', %s, true)", [str(limit)])
            return self.session.execute(query, parameters).fetchall()
