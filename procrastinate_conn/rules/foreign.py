"""What stands in connection strings, other libraries' above all, and is no keyword: where it goes here."""

from __future__ import annotations


def _option(setting: str) -> str:
    return f"write it as connection.options: -c {setting}=... (in a DSN of keywords, in quotes)"


_SESSION = (
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "search_path",
    "statement_timeout",
    "timezone",
)
"""PostgreSQL's settings of a session that JDBC and asyncpg, or people, state as keywords."""

_HINTS = {
    **{name: _option(name) for name in _SESSION},
    **{name: f"it is a setting of its own: write {name}" for name in ("password_file", "password_command")},
    **dict.fromkeys(("dsn", "uri", "url"), "write all of it as the DSN, which is a setting of its own"),
    # Prisma
    "connection_limit": "it is an option of the pool: write pool.max_size",
    "pgbouncer": "leave it out, and write pool.prepare_threshold=none if PgBouncer needs it",
    "schema": _option("search_path"),
    # JDBC
    "currentschema": _option("search_path"),
}


def hint(keyword: str) -> str:
    """Return what to do about a keyword of another library; empty where the name is none.

    Parameters
    ----------
    keyword
        As it is written.
    """
    from procrastinate_conn.pool.option_names import TRANSLATIONS, UNNEEDED, vocabulary
    from procrastinate_conn.registry import ConnectorKind  # not above: the pool's names import the rules

    plain = keyword.lower()
    if plain in _HINTS:
        return _HINTS[plain]
    if plain in UNNEEDED:
        return UNNEEDED[plain]
    options = vocabulary(ConnectorKind.PSYCOPG, null=False)
    option = TRANSLATIONS.get(plain, plain if plain in options else None)
    return f"it is an option of the pool: write pool.{option}" if option else ""
