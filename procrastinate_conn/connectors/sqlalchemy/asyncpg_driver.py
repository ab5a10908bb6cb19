"""asyncpg under an AsyncEngine of the application's; it is not imported here, as the application has it.

SQLAlchemy parses the JSON, in a codec of each connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from procrastinate.exceptions import ConnectorException, UniqueViolation
from sqlalchemy.exc import DBAPIError

from procrastinate_conn.connectors.queries import connector_exception, translate
from procrastinate_conn.connectors.runtime.disconnects import OutcomeUnknown
from procrastinate_conn.connectors.sqlalchemy.engine import Driver


class AsyncpgDriver(Driver):
    """How queries go through asyncpg under an engine."""

    def statement(self, query: str, arguments: dict[str, Any]) -> tuple[str, Any]:
        statement, values = translate(query, arguments, self.config.write_json)
        return statement, tuple(values)

    def run_script(self, connection: sqlalchemy.Connection, script: str) -> None:
        """Execute several statements, as of the schema, which asyncpg cannot prepare."""
        raw: Any = connection.connection.dbapi_connection
        try:
            raw.run_async(lambda driver_connection: driver_connection.execute(script))
        except Exception as error:
            raise ConnectorException from error

    def is_lost(self, connection: Any) -> bool:
        return bool(connection.driver_connection.is_closed())

    def raise_disconnect(self, error: Exception, connection: Any, /, *_: object) -> None:
        if self.is_lost(connection):
            raise OutcomeUnknown.after(error)


@contextmanager
def wrap_exceptions() -> Iterator[None]:
    """Raise asyncpg's violation of a constraint as procrastinate's, and a socket's error."""
    try:
        yield
    except DBAPIError as error:
        exception = connector_exception(error.orig and error.orig.__cause__)
        if not isinstance(exception, UniqueViolation):
            raise
        raise exception from error
    except OSError as error:
        raise ConnectorException from error
