"""From the places that settings are written in to everything that a connector is built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from procrastinate_conn import drivers
from procrastinate_conn.connection.build import build_spec
from procrastinate_conn.connection.driver_support import validate_driver
from procrastinate_conn.connection.password_file import validate_password_file
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.pool.validation import validate_pool_options
from procrastinate_conn.problems import Problem
from procrastinate_conn.resolution.connection import ResolvedConnection, effective_dsn, merge_connection
from procrastinate_conn.resolution.embedded_dsn import cleaned
from procrastinate_conn.resolution.pg_environment import (
    idle_session_variables,
    misspelt_variables,
    session_variables,
)
from procrastinate_conn.resolution.settings import ResolvedSettings, resolve_settings
from procrastinate_conn.sources.base import Source


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the places say, resolved and judged.

    Parameters
    ----------
    places
        Where it was read, the nearest first.
    settings
        The settings that have one value.
    connection
        Every value that was stated for the connection.
    spec
        What libpq is told; None where libpq would refuse it.
    pool
        The pool options that are in order.
    problems
        Everything that is wrong, in the order of the rooms.
    """

    sources: tuple[Source, ...]
    settings: ResolvedSettings
    connection: ResolvedConnection
    spec: ConnectionSpec | None
    pool: PoolOptions
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the connector from being built."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def redacted_keywords(self) -> frozenset[str]:
        """The keywords that are not shown, as their values may be pieces of a password.

        libpq takes a piece of a password that is not percent-encoded for the port. If the port is invalid,
        the other keywords of its origin may have the other pieces.
        """
        redacted = self.connection.redacted_keywords
        port = next((problem for problem in self.errors if problem.setting == "connection.port"), None)
        if port is None:
            return redacted
        beside = {
            keyword
            for keyword in ("user", "host", "hostaddr", "dbname")
            if any(v.origin == port.origin for v in self.connection.configured.get(keyword, ()))
        }
        return redacted | beside | {"port"}

    def connector_config(self) -> ConnectorConfig:
        """Return what the connector is built from; there must be no errors."""
        assert self.spec is not None
        return ConnectorConfig(
            kind=self.settings.kind,
            spec=self.spec,
            pool=self.pool,
            json_dumps=self.settings.json_dumps,
            json_loads=self.settings.json_loads,
            password=self.settings.password,
        )


def configure(sources: Sequence[Source]) -> Configuration:
    """Resolve and judge what the places say.

    Parameters
    ----------
    places
        The places that settings are written in, the nearest first.

    Raises
    ------
    ImportError
        If no libpq can be loaded.
    """
    sources = [cleaned(source) for source in sources]
    dsn = effective_dsn(sources)
    settings = resolve_settings(sources, dsn)
    connection = merge_connection(sources, dsn, settings.defaults)
    undriven = list(drivers.validate_installed(settings.kind, settings.explicit.get("connector")))
    known = None if undriven else drivers.keywords(settings.kind)
    spec, refused = build_spec(
        connection.effective, connection.redacted_keywords, session_variables(sources), known
    )
    pool, pool_problems = validate_pool_options(
        _nearest_options(sources), settings.kind, settings.explicit.get("pool")
    )
    problems = [
        *settings.problems,
        *misspelt_variables(sources, connection.configured),
        *idle_session_variables(sources),
        *connection.problems,
        *refused,
        *pool_problems,
        *(undriven or validate_driver(settings.kind, connection.effective, spec)),
    ]
    if spec is not None and settings.password is None:
        problems += validate_password_file(spec)
    return Configuration(tuple(sources), settings, connection, spec, pool, tuple(problems))


def _nearest_options(sources: Sequence[Source]) -> dict[str, SourcedValue]:
    options: dict[str, SourcedValue] = {}
    for source in reversed(sources):
        options.update(source.section("pool"))
    return options
