"""Commas between the pairs of a keyword/value DSN, which libpq takes for a part of the values."""

from __future__ import annotations

import re
from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import connection as rules
from procrastinate_conn.sources.dsn import is_uri, read_dsn
from procrastinate_conn.spec.connection import is_secret


def judge(configuration: Configuration) -> Iterator[Problem]:
    """Yield one finding for all the commas; a list may end with one at the end of the DSN, or in quotes.

    Parameters
    ----------
    configuration
        Its DSN is judged whether or not another place overrides parts of it.
    """
    dsn = configuration.connection.dsn
    if dsn is None or is_uri(text := str(dsn.value)):
        return
    stated, _ = read_dsn(dsn)
    keywords = [
        keyword
        for keyword, located in stated.items()
        if not is_secret(keyword) and _is_separated(text, keyword, str(located.value))
    ]
    keywords.sort(key=text.find)
    if keywords:
        yield rules.COMMAS(
            "dsn",
            f"the DSN has a comma behind {', '.join(keywords)}, which libpq takes for a part of the value",
            hint="separate the pairs by blanks alone",
            origin=dsn.origin,
        )


def _is_separated(dsn: str, keyword: str, value: str) -> bool:
    """Tell whether a value stands without quotes, and ends with a comma before another pair."""
    bare = rf"\b{keyword}\s*=\s*{re.escape(value)}\s+\w+\s*="
    return value.endswith(",") and re.search(bare, dsn) is not None
