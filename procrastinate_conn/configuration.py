"""From the places that settings are written in to everything that a connector is built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from procrastinate_conn import drivers
from procrastinate_conn.connection.build import build_spec
from procrastinate_conn.connection.driver_support import judge_driver
from procrastinate_conn.connection.password_file import judge_password_file
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.connectors.config import Blueprint
from procrastinate_conn.origins import Located
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.pool.validation import read_pool_options
from procrastinate_conn.problems import Problem
from procrastinate_conn.resolution.connection import Merged, merge_connection
from procrastinate_conn.resolution.embedded_dsn import cleaned
from procrastinate_conn.resolution.pg_environment import (
    idle_session_variables,
    misspelt_variables,
    session_variables,
)
from procrastinate_conn.resolution.settings import Settings, resolve_settings
from procrastinate_conn.sources.base import Place


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

    places: tuple[Place, ...]
    settings: Settings
    connection: Merged
    spec: ConnectionSpec | None
    pool: PoolOptions
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the connector from being built."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    def blueprint(self) -> Blueprint:
        """Return what the connector is built from; there must be no errors."""
        assert self.spec is not None
        return Blueprint(
            kind=self.settings.kind,
            spec=self.spec,
            pool=self.pool,
            json_dumps=self.settings.json_dumps,
            json_loads=self.settings.json_loads,
            password=self.settings.password,
        )


def configure(places: Sequence[Place]) -> Configuration:
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
    places = [cleaned(place) for place in places]
    settings = resolve_settings(places)
    connection = merge_connection(places, settings.defaults)
    undriven = list(drivers.judge_installed(settings.kind, settings.stated.get("connector")))
    known = None if undriven else drivers.keywords(settings.kind)
    spec, refused = build_spec(connection.winners, connection.veiled, session_variables(places), known)
    pool, pool_problems = read_pool_options(
        _nearest_options(places), settings.kind, settings.stated.get("pool")
    )
    problems = [
        *settings.problems,
        *misspelt_variables(places, connection.stated),
        *idle_session_variables(places),
        *connection.problems,
        *refused,
        *pool_problems,
        *(undriven or judge_driver(settings.kind, connection.winners, spec)),
    ]
    if spec is not None and settings.password is None:
        problems += judge_password_file(spec)
    return Configuration(tuple(places), settings, connection, spec, pool, tuple(problems))


def _nearest_options(places: Sequence[Place]) -> dict[str, Located]:
    options: dict[str, Located] = {}
    for place in reversed(places):
        options.update(place.section("pool"))
    return options
