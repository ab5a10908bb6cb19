"""A DSN: a URI or a keyword/value string, read by libpq."""

from __future__ import annotations

import re
from dataclasses import replace

from procrastinate_conn import libpq
from procrastinate_conn.origins import Located
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import connection as rules

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?=/|$)")
_POSTGRESQL = re.compile(r"postgres(?:ql)?(?:\+[a-z0-9_]+)?://")


def other_database(dsn: str) -> str | None:
    """Return the scheme of a URL that is not PostgreSQL's; None for everything else."""
    scheme = _SCHEME.match(dsn)
    return scheme[1] if scheme and not _POSTGRESQL.match(dsn) else None


def read_dsn(dsn: Located) -> tuple[dict[str, Located], list[Problem]]:
    """Let libpq take a DSN apart.

    SQLAlchemy's ``postgresql+driver://`` is read as ``postgresql://``.

    Parameters
    ----------
    dsn
        The DSN; its origin becomes the origin of every keyword in it.

    Returns
    -------
    tuple
        Keyword to value, and what is wrong with the DSN.
    """
    if not isinstance(dsn.value, str):
        message = f"the DSN is a {type(dsn.value).__name__}, not text"
        return {}, [rules.MALFORMED_DSN("dsn", message, hint=_EXAMPLE, origin=dsn.origin)]
    if scheme := other_database(dsn.value):
        message = f"{scheme}:// is not a PostgreSQL URL"
        return {}, [rules.OTHER_DATABASE("dsn", message, hint=_EXAMPLE, origin=dsn.origin)]
    try:
        stated = libpq.parse(_POSTGRESQL.sub("postgresql://", dsn.value, count=1))
    except libpq.Malformed as error:
        return {}, [_malformed(str(error), dsn)]
    return {keyword: replace(dsn, value=value) for keyword, value in stated.items()}, []


_EXAMPLE = "write postgresql://user:password@host:5432/database, or host=... user=... dbname=..."


def _malformed(reason: str, dsn: Located) -> Problem:
    unknown = re.search(r'(?:connection option|query parameter:) "(\w+)"', reason)
    if unknown:
        return rules.unknown_keyword(unknown[1], f"the DSN states {unknown[1]}, ", dsn.origin)
    is_uri = isinstance(dsn.value, str) and _POSTGRESQL.match(dsn.value)
    hint = "percent-encode special characters: @ is %40, : is %3A, / is %2F, % is %25" if is_uri else _EXAMPLE
    return rules.MALFORMED_DSN("dsn", f"libpq cannot read the DSN: {reason}", hint=hint, origin=dsn.origin)
