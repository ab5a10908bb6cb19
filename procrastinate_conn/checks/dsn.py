"""DSNs that libpq reads without an error, and otherwise than they are meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.problems import Example, Problem, Rule

DSN_SEPARATORS = Rule(
    "PC216",
    "commas or semicolons between the keywords of a DSN",
    "libpq separates the pairs by blanks alone. It takes another separator for a part of the value: of the"
    " name of a database or user, which the server does not know, or of a list of hosts, which then goes on"
    " with the default one.",
    "Write blanks between the pairs; quote a value that ends with a comma or semicolon.",
    example=Example("PROCRASTINATE_CONN_DSN=host=localhost, dbname=jobs, user=app"),
)

EMPTY_DSN = Rule(
    "PC217",
    "empty DSN",
    "libpq accepts it as a DSN that sets nothing: the connection goes to this machine, as the user of the"
    " process. Most often a variable was not set where the configuration is made.",
    "Set the variable that the DSN comes from, or remove the DSN.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN="),
)

DROPPED_BACKSLASH = Rule(
    "PC222",
    "backslash in a keyword/value DSN",
    "libpq takes it for an escape and drops it: a password or the name of a file becomes another one.",
    "Write two backslashes for one.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=host=localhost sslcert=C:\\certs\\client.crt"),
)

_SEPARATORS = {",": "comma", ";": "semicolon"}

_EMPTY = re.compile(r"\s*(?:postgres(?:ql)?(?:\+\w+)?://:?@:?/?)?\s*")
"""Nothing, or the punctuation of a URI around nothing; ``postgresql:///`` is written on purpose."""


def check(configuration: Configuration) -> Iterator[Problem]:
    """Check the DSN, whether or not its keywords are overridden."""
    dsn, configured = configuration.connection.dsn, configuration.connection.configured
    if dsn is None:
        return
    yield from check_separators(configuration)
    # If the server is named elsewhere, an empty one is no mistake; else it may hide one of lower precedence.
    names_server = any(keyword in configured for keyword in ("host", "hostaddr", "dbname", "service"))
    if _EMPTY.fullmatch(dsn.text) and not names_server:
        message = "the DSN is empty, and nothing else sets what to connect to"
        hint = "set the variable that it comes from, or write host, dbname and user"
        yield EMPTY_DSN("dsn", message, hint=hint, origin=dsn.origin)
    has_backslash = "\\" in re.sub(r"\\[\\'\s]", "", dsn.text)  # which escapes nothing that has to be
    if has_backslash and dsn.parameters and not dsn.is_uri:
        message = "the DSN has a backslash, which libpq drops"
        yield DROPPED_BACKSLASH("dsn", message, hint=r"write \\ for each", origin=dsn.origin)


def check_separators(configuration: Configuration) -> Iterator[Problem]:
    """Report all separators at once; a list may end with a comma at the end of the DSN, or in quotes."""
    dsn = configuration.connection.dsn
    if dsn is None or dsn.is_uri:
        return
    values = {k: str(sourced.value) for k, sourced in dsn.parameters.items() if not is_secret(k)}
    found = (keyword for keyword, value in values.items() if _has_separator(dsn.text, keyword, value))
    if keywords := sorted(found, key=dsn.text.find):
        separator, names = _SEPARATORS[values[keywords[0]][-1]], ", ".join(keywords)
        message = f"the DSN has a {separator} after {names}, which libpq takes for a part of the value"
        yield DSN_SEPARATORS("dsn", message, hint="separate the pairs by blanks alone", origin=dsn.origin)


def _has_separator(dsn: str, keyword: str, value: str) -> bool:
    """Return whether a value ends with a separator before another pair, and is not quoted."""
    unquoted = rf"\b{keyword}\s*=\s*{re.escape(value)}\s+\w+\s*="
    return value.endswith(tuple(_SEPARATORS)) and re.search(unquoted, dsn) is not None
