"""A DSN: a URI or a keyword/value string, read by libpq."""

from __future__ import annotations

import re
from dataclasses import replace

from procrastinate_conn import libpq
from procrastinate_conn.origins import Located
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import connection as rules

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_POSTGRESQL = re.compile(r"postgres(?:ql)?(?:\+[a-z0-9_]+)?://")


ENCODE = "percent-encode the password: @ is %40, / is %2F"
"""What to do about a password that ends where it should not."""


def other_database(dsn: str) -> str | None:
    """Return the scheme of a URL that is not PostgreSQL's; None for everything else."""
    scheme = _SCHEME.match(dsn)
    return scheme[1] if scheme and not scheme[1].lower().startswith("postgres") else None


def foreign_scheme(url: str) -> str | None:
    """Return the scheme of what is a URL for another tool, with or without ``//``; None for PostgreSQL's."""
    scheme = re.match(r"([A-Za-z][\w+.-]*):", url)
    is_ours = re.match(r"(?:jdbc:)?postgres", url, re.IGNORECASE)
    return scheme[1] if scheme and not is_ours else None


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
        stated = libpq.parse(
            _POSTGRESQL.sub("postgresql://", dsn.value, count=1) if is_uri(dsn.value) else dsn.value
        )
    except libpq.Malformed as error:
        return {}, [_malformed(str(error), dsn)]
    located = {keyword: replace(dsn, value=value) for keyword, value in stated.items()}
    if not spills(dsn.value):
        return located, []
    message = (
        "the DSN has an @ where none belongs; libpq takes what stands before it for a host or a database"
    )
    if "@" not in dsn.value:
        message = "the DSN has a : without a port, and a / in the database, which may be a password's"
    return located, [
        rules.UNENCODED_PASSWORD(
            "dsn",
            message,
            hint=ENCODE,
            origin=dsn.origin,
        )
    ]


def is_uri(dsn: str) -> bool:
    """Tell whether a DSN is a URI of PostgreSQL's."""
    return _POSTGRESQL.match(dsn) is not None


def spills(dsn: str) -> bool:
    """Tell whether a URI has an @ or a :// where libpq does not take it for the end of the credentials.

    libpq takes the first @ for it, and none after a slash. A password that begins with a slash, and lacks
    the host behind it, leaves an empty port and a database with a slash.
    """
    if not is_uri(dsn):
        return False
    located = dsn.partition("://")[2]
    credentials, at, rest = located.partition("@")
    behind, _, _ = (rest if at and "/" not in credentials else located).partition("?")
    return "@" in behind or "://" in behind or re.match(r"[^/]*:/[^/]*/", behind) is not None


_EXAMPLE = "write postgresql://user:password@host:5432/database, or host=... user=... dbname=..."


def _malformed(reason: str, dsn: Located) -> Problem:
    text = str(dsn.value)
    unknown = re.search(r'(?:connection option|query parameter:) "(\w+)"', reason)
    if unknown:
        # A blank, a ? or an & may have cut a password in two, and this may be its second half.
        safe = not re.search("@|pass|secret|scram|key", text)
        return rules.unknown_keyword(unknown[1], "the DSN", dsn.origin, safe=safe)
    hint = _EXAMPLE
    if is_uri(text):
        hint = "percent-encode special characters: @ is %40, : is %3A, / is %2F, % is %25"
    elif scheme := _SCHEME.match(text):
        reason, hint = f"it is no URL to libpq with {scheme[1]}://", "did you mean postgresql://?"
    return rules.MALFORMED_DSN("dsn", f"libpq cannot read the DSN: {reason}", hint=hint, origin=dsn.origin)
