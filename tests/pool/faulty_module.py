"""Cannot be imported, for an attribute that something else lacks."""

from tests.pool import callbacks

callbacks.no_such_name  # noqa: B018
