"""procrastinate's exceptions for the drivers' errors.

procrastinate's own wrappers read the server's text, and only in English.
"""

from __future__ import annotations

import re
from typing import Any

from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.manager import QUEUEING_LOCK_CONSTRAINT

from procrastinate_conn.connectors.runtime.retry import sqlstate


def connector_exception(error: Any) -> ConnectorException:
    """Return procrastinate's exception for a driver's error.

    Parameters
    ----------
    error
        With the fields of the server's report as attributes: `sqlstate` (the field ``C``), `constraint_name`
        (``n``) and `detail` (``D``), each text or None. psycopg's and psycopg2's are read as they are.
        Without them, a task that is deferred twice with one queueing lock is no ``AlreadyEnqueued``.

    Returns
    -------
    procrastinate.exceptions.ConnectorException
        A ``UniqueViolation`` if the error is one.
    """
    if sqlstate(error) != "23505":  # unique_violation
        return ConnectorException()
    report = getattr(error, "diag", error)
    constraint = getattr(report, "constraint_name", None) or ""
    detail = getattr(report, "message_detail", None) or getattr(report, "detail", None)
    key = re.search(r"\((.*?)\)=\((.*)\)", detail or "", re.DOTALL)  # in any language
    lock = key[2] if key and constraint == QUEUEING_LOCK_CONSTRAINT else None
    return UniqueViolation(constraint_name=constraint, queueing_lock=lock)
