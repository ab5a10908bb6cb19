"""Which kind takes a pool, an engine or a connection of the application's; no driver is imported."""

from __future__ import annotations

from procrastinate_conn.registry import ConnectorKind

_KINDS = {
    "aiopg.Pool": ConnectorKind.AIOPG,
    "asyncpg.Connection": ConnectorKind.ASYNCPG,
    "asyncpg.Pool": ConnectorKind.ASYNCPG,
    "asyncpg.PoolConnectionProxy": ConnectorKind.ASYNCPG,
    "psycopg.AsyncConnection": ConnectorKind.PSYCOPG,
    "psycopg.Connection": ConnectorKind.SYNC_PSYCOPG,
    "psycopg2.AbstractConnectionPool": ConnectorKind.PSYCOPG2,
    "psycopg_pool.AsyncConnectionPool": ConnectorKind.PSYCOPG,
    "psycopg_pool.ConnectionPool": ConnectorKind.SYNC_PSYCOPG,
}
"""By package and name of the class, or of a class that it is derived from."""

_FOR_NO_KIND = {
    "aiopg.Connection": "psycopg takes psycopg.AsyncConnection",
    "sqlalchemy.AsyncSession": "sqlalchemy-async takes await session.connection()",
    "sqlalchemy.Session": "the kinds on SQLAlchemy take session.connection()",
    "psycopg2.connection": "sqlalchemy-psycopg2 takes sqlalchemy.Connection over psycopg2",
}
"""Connections that no kind takes, by the same names, and the nearest that one takes."""

_KINDS_ON_ENGINES = {
    "asyncpg": ConnectorKind.SQLALCHEMY_ASYNC,
    "psycopg": ConnectorKind.SQLALCHEMY_PSYCOPG,
    "psycopg2": ConnectorKind.SQLALCHEMY_PSYCOPG2,
    "psycopg_async": ConnectorKind.SQLALCHEMY_ASYNC,
}
"""By the driver of SQLAlchemy's dialect."""


def rejection(kind: ConnectorKind, takes: str, given: object) -> str:
    """Return why a kind does not take what it was given, and the kind that does.

    Parameters
    ----------
    kind
        The kind that was given the object.
    takes
        What it takes, as words.
    given
        The application's pool, engine or connection.
    """
    driver, class_name = driver_of(given), type(given).__name__
    is_async = class_name.startswith("Async")
    names = [f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in type(given).__mro__]
    over = "" if driver is None else f" over {driver.removesuffix('_async')}"
    message = f"the {kind} connector takes {takes}, and was given {names[0]}{over}"
    if driver is None:
        other = next((_KINDS[name] for name in names if name in _KINDS), None)
    else:  # psycopg's dialect has one name for both
        other = ConnectorKind.SQLALCHEMY_ASYNC if is_async else _KINDS_ON_ENGINES.get(driver)
    if other not in (None, kind):
        return f"{message}; the kind for that is {other}"
    if driver in ("asyncpg", "psycopg_async") and not is_async:
        session = ", as await session.connection() returns it" if class_name == "Connection" else ""
        return f"{message}; give the Async{class_name} around it{session}"
    nearest = next((_FOR_NO_KIND[name] for name in names if name in _FOR_NO_KIND), None)
    return message if nearest is None else f"{message}; no kind takes that, and {nearest}"


def driver_of(given: object) -> str | None:
    """Return the driver under an engine or a connection of SQLAlchemy's, as its dialect calls it."""
    if not type(given).__module__.startswith("sqlalchemy."):
        return None
    driver: str | None = getattr(getattr(given, "dialect", None), "driver", None)
    return driver
