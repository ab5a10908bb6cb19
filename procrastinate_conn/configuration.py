"""The way from the sources to the configuration of a connector, room by room."""

from __future__ import annotations

import logging
from collections import ChainMap
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from procrastinate_conn import drivers
from procrastinate_conn.connection.driver_support import validate_driver
from procrastinate_conn.connection.password_file import validate_password_file
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.connection.validation import build_spec
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.entry_points import UnusableKind
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.pool import PoolOptions, validate_pool_options
from procrastinate_conn.problems import ConfigurationError, Problem
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from procrastinate_conn.resolution.connection import (
    ResolvedConnection,
    effective_dsn,
    merge_connection,
    session_variables,
)
from procrastinate_conn.resolution.embedded_dsn import reject_embedded_dsns
from procrastinate_conn.resolution.listen import ListenSection, read_listen
from procrastinate_conn.resolution.settings import ResolvedSettings, resolve_settings
from procrastinate_conn.resolution.unread import validate_anything_set, validate_variables
from procrastinate_conn.setting_names import SettingNames
from procrastinate_conn.sources.base import Source, shown_names
from procrastinate_conn.sources.service_file import UNREADABLE_SERVICE

if TYPE_CHECKING:
    from procrastinate.connector import BaseConnector

logger = logging.getLogger("procrastinate_conn")

_ADDRESS = ("user", "host", "hostaddr", "dbname")

collected: ContextVar[list[Configuration] | None] = ContextVar("procrastinate_conn_collected", default=None)
"""Collects what `configure_and_log` resolves, valid or not, for a caller that checks it further."""


class Configuration(NamedTuple):
    """The settings of all sources, which stand by precedence, resolved and validated.

    `spec` is None if libpq would reject it; `pool` has the valid options alone. `listening` is the
    configuration of the connection that listens, if it differs.
    """

    sources: tuple[Source, ...]
    settings: ResolvedSettings
    connection: ResolvedConnection
    spec: ConnectionSpec | None
    pool: PoolOptions
    problems: tuple[Problem, ...]
    listen: ListenSection
    listening: Configuration | None = None

    @property
    def names(self) -> SettingNames:
        """The names of the variables, for messages."""
        return shown_names(self.sources)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the connector from being built."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def has_kind(self) -> bool:
        """Whether it is known which connector is meant; otherwise `settings.kind` is the default."""
        return not any(map(drivers.leaves_kind_unknown, self.problems))

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
        configured = self.connection.configured
        beside = {k for k in _ADDRESS if any(v.origin == port.origin for v in configured.get(k, ()))}
        return redacted | beside | {"port"}

    def connector_config(self) -> ConnectorConfig:
        """Return the configuration of the connector; there must be no errors."""
        assert self.spec is not None
        return ConnectorConfig(
            kind=self.settings.kind,
            spec=self.spec,
            pool=self.pool,
            json_dumps=self.settings.json_dumps,
            json_loads=self.settings.json_loads,
            password=self.settings.password,
            listens=not self.listen.is_off,
            listening=None if self.listening is None else self.listening.connector_config(),
        )

    def build_connector(self) -> BaseConnector:
        """Build the connector without connecting it; there must be no errors."""
        from procrastinate_conn import connectors  # not above: it imports procrastinate

        return connectors.build(self.connector_config())


def configure(sources: Sequence[Source]) -> Configuration:
    """Resolve and validate the settings of all sources, which are given by precedence."""
    sources = [reject_embedded_dsns(source) for source in sources]
    dsn = effective_dsn(sources)
    settings = resolve_settings(sources, dsn)
    connection = merge_connection(sources, dsn, settings.defaults)
    missing = list(_validate_kind(settings.kind, settings.explicit.get("connector")))
    keywords = None if missing else drivers.keywords(settings.kind)
    spec, rejections = build_spec(
        connection.effective, connection.redacted_keywords, session_variables(sources), keywords
    )
    options = dict(ChainMap(*(source.section("pool") for source in sources)))
    pool, pool_problems = validate_pool_options(options, settings.kind, settings.explicit.get("pool"))
    problems = [
        *settings.problems,
        *validate_variables(sources, connection.configured),
        *connection.problems,
        *rejections,
        *pool_problems,
        *(missing or validate_driver(settings.kind, connection.effective, spec)),
    ]
    if spec is not None and settings.password is None:
        problems += validate_password_file(spec)
    listen = read_listen(sources)
    listening = configure(listen.sources) if listen.sources else None
    problems += listen.problems
    if listening is not None:
        problems += listen.own_problems(listening.problems, problems)
    unset = list(validate_anything_set(sources, connection, {} if spec is None else spec.parameters))
    # If nothing is set, misspelt variables are errors, and no warnings besides.
    problems = [problem for problem in problems if replace(problem, severity="error") not in unset] + unset
    if not REGISTRY[settings.kind].has_server:
        # What is wrong with this machine, or with a connection that is never made, does not matter.
        problems = [p for p in problems if p.severity == "error" and p.code != UNREADABLE_SERVICE.code]
    return Configuration(tuple(sources), settings, connection, spec, pool, tuple(problems), listen, listening)


def _validate_kind(kind: ConnectorKind, configured: SourcedValue | None) -> Iterator[Problem]:
    """Yield the problems for which no connector of a kind can be built here."""
    missing = list(drivers.validate_installed(kind, configured))
    yield from missing
    if REGISTRY[kind].package and not missing:
        from procrastinate_conn.connectors.implementation import require_usable  # it imports procrastinate

        try:
            require_usable(kind, REGISTRY[kind])
        except UnusableKind as error:
            yield drivers.unusable_kind(error, configured)


def configure_or_raise(sources: Sequence[Source]) -> Configuration:
    """Return the configuration, and log its warnings; with errors, raise a `ConfigurationError`."""
    configuration = configure_and_log(sources)
    if configuration.errors:
        raise ConfigurationError(configuration.problems)
    return configuration


def configure_and_log(sources: Sequence[Source]) -> Configuration:
    """Return the configuration, which may have errors; if it has none, its warnings are logged."""
    configuration = configure(sources)
    if (configurations := collected.get()) is not None:
        configurations.append(configuration)
    for problem in () if configuration.errors else configuration.problems:
        logger.warning("%s", problem)
    return configuration
