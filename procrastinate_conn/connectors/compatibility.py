"""Which kind takes a pool, an engine or a connection of the application's; no driver is imported."""

from __future__ import annotations

from procrastinate_conn.registry import ConnectorKind

_TAKEN_BY = {
    "aiopg.Pool": ConnectorKind.AIOPG,
    "asyncpg.Connection": ConnectorKind.ASYNCPG,
    "asyncpg.Pool": ConnectorKind.ASYNCPG,
    "asyncpg.PoolConnectionProxy": ConnectorKind.ASYNCPG,
    "psycopg.AsyncConnection": ConnectorKind.PSYCOPG,
    "psycopg.Connection": ConnectorKind.SYNC_PSYCOPG,
    "psycopg2.AbstractConnectionPool": ConnectorKind.PSYCOPG2,
    "psycopg_pool.AsyncConnectionPool": ConnectorKind.PSYCOPG,
    "psycopg_pool.ConnectionPool": ConnectorKind.SYNC_PSYCOPG,
    # No kind takes these; the nearest that one takes.
    "aiopg.Connection": "psycopg takes psycopg.AsyncConnection",
    "sqlalchemy.AsyncSession": "sqlalchemy-async takes await session.connection()",
    "sqlalchemy.Session": "the kinds on SQLAlchemy take session.connection()",
    "psycopg2.connection": "sqlalchemy-psycopg2 takes sqlalchemy.Connection over psycopg2",
}
"""By package and name of the class, or of a class that it is derived from."""

_TAKEN_BY_ON_ENGINES = {
    "asyncpg": ConnectorKind.SQLALCHEMY_ASYNC,
    "psycopg": ConnectorKind.SQLALCHEMY_PSYCOPG,
    "psycopg2": ConnectorKind.SQLALCHEMY_PSYCOPG2,
    "psycopg_async": ConnectorKind.SQLALCHEMY_ASYNC,
}
"""By the driver of SQLAlchemy's dialect; psycopg's of an AsyncEngine may have the name of the other."""


def rejection(kind: ConnectorKind, takes: str, given: object) -> str:
    """Return why a kind, which takes `takes`, does not take an object, and the kind that does."""
    driver = driver_of(given)
    names = [f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in type(given).__mro__]
    over = "" if driver is None else f" over {driver.removesuffix('_async')}"
    message = f"the {kind} connector takes {takes}, and was given {names[0]}{over}"
    if driver is None:
        taken_by = next((_TAKEN_BY[name] for name in names if name in _TAKEN_BY), None)
    elif type(given).__name__.startswith("Async"):
        taken_by = ConnectorKind.SQLALCHEMY_ASYNC
    else:
        taken_by = _TAKEN_BY_ON_ENGINES.get(driver)
    if taken_by is None or taken_by == kind:
        return message
    if isinstance(taken_by, ConnectorKind):
        return f"{message}; the kind for that is {taken_by}"
    return f"{message}; no kind takes that, and {taken_by}"


def driver_of(given: object) -> str | None:
    """Return the driver under an engine or a connection of SQLAlchemy's, as its dialect calls it."""
    if not type(given).__module__.startswith("sqlalchemy."):
        return None
    driver: str | None = getattr(getattr(given, "dialect", None), "driver", None)
    return driver
