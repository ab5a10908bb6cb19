"""Commas and semicolons between the pairs of a DSN, which libpq takes for a part of the values."""

from __future__ import annotations

import re
from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import Example, Rule

DSN_SEPARATORS = Rule(
    "PC216",
    "commas or semicolons between the keywords of a DSN",
    "libpq separates the pairs by blanks alone. It takes another sign for a part of the value: of the name"
    " of a database or user, which the server does not know, or of a list of hosts, which goes on with the"
    " default one.",
    "Write blanks between the pairs; quote a value that ends with such a sign.",
    example=Example("PROCRASTINATE_CONN_DSN=host=localhost, dbname=jobs, user=app"),
)


_NAMES = {",": "comma", ";": "semicolon"}


def check(configuration: Configuration) -> Iterator[Problem]:
    """Yield one finding for all of them; a list may end with a comma at the end of the DSN, or in quotes.

    Parameters
    ----------
    configuration
        Its DSN is judged whether or not another place overrides parts of it.
    """
    dsn = configuration.connection.dsn
    if dsn is None or dsn.is_uri:
        return
    values = {k: str(sourced.value) for k, sourced in dsn.parameters.items() if not is_secret(k)}
    keywords = [keyword for keyword, value in values.items() if _is_separated(dsn.text, keyword, value)]
    if keywords:
        keywords.sort(key=dsn.text.find)
        sign = _NAMES[values[keywords[0]][-1]]
        yield DSN_SEPARATORS(
            "dsn",
            f"the DSN has a {sign} behind {', '.join(keywords)}, which libpq takes for a part of the value",
            hint="separate the pairs by blanks alone",
            origin=dsn.origin,
        )


def _is_separated(dsn: str, keyword: str, value: str) -> bool:
    """Tell whether a value stands without quotes, and ends with a sign before another pair."""
    bare = rf"\b{keyword}\s*=\s*{re.escape(value)}\s+\w+\s*="
    return value.endswith(tuple(_NAMES)) and re.search(bare, dsn) is not None
