"""What a shell, a file, a template or a person was to take away from a name, and now belongs to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from procrastinate_conn.checks import dsn_separators as separators
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection import validation as texts
from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import Example, Rule
from procrastinate_conn.suggestions import LEAVE_OUT_QUOTES

UNFILLED_VALUE = Rule(
    "PC218",
    "name or password with something around it, or that was not filled in",
    "To libpq a line break, a quote, a reference or a placeholder that should have been taken away or filled"
    " in is a part of the value: the server knows no such user or database, and refuses the password.",
    "Write the value alone. In a Kubernetes Secret end no value with a line break, and in a file for"
    " docker run --env-file write no quotes.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@localhost//jobs"),
)


class Leftover(NamedTuple):
    """One kind of it.

    Parameters
    ----------
    keywords
        Where it surely is a mistake.
    sign
        What the whole value looks like, as a regular expression.
    what
        What is wrong with the value.
    hint
        What to do about it.
    in_uris
        Whether it is one in a URI alone.
    """

    keywords: tuple[str, ...]
    sign: str
    what: str
    hint: str
    in_uris: bool = False


LEFTOVERS = (
    Leftover(
        ("user", "password", "dbname"),
        r"[\r\n].*|.*[\r\n]",
        "a line break at an end",
        "write it without, as echo -n and printf do",
    ),
    Leftover(
        ("user", "password", "dbname"),
        r"(['\"]).+\1",
        "quotes around it, which are a part of it",
        LEAVE_OUT_QUOTES,
    ),
    Leftover(
        ("user", "password", "dbname"),
        r"\$\{\w+\}|\$\(\w+\)",
        "a reference to a variable that nothing was put in for",
        "state the variable where its value is put in: above it in an env file, before it in a container",
    ),
    Leftover(
        ("dbname",),
        r"/.*",
        "a slash before its name",
        "write one slash between the host and the database, and the directory of a socket as host",
    ),
    Leftover(
        ("dbname",),
        r".*[/;,\\]",
        "a sign behind its name, such as a slash or a semicolon",
        "leave it out: in a URI nothing but a ? stands behind the database",
    ),
    Leftover(
        ("dbname",),
        r".+/.+",
        "a slash in it, as a path has",
        "write the database alone; a schema goes into options: -c search_path=...",
        in_uris=True,
    ),
    Leftover(
        ("user", "password", "dbname"),
        r"\[.+\]|<.+>|\{\{.+\}\}",
        "brackets around it, as a placeholder has",
        "write the value in the place of the brackets and of what is in them",
    ),
    Leftover(
        ("user", "password", "host", "dbname"),
        r"(?i:your[_-].+)|USER(NAME)?|PASS(WORD)?|HOST(NAME)?|DATABASE|DB_?NAME",
        "a placeholder where a value belongs",
        "write the value",
    ),
)
"""What no name and no password has; the first that fits counts."""


def check(configuration: Configuration) -> Iterator[Problem]:
    """Yield one finding for each kind in each place; what cannot be a host has a rule of its own.

    Parameters
    ----------
    configuration
        What a password spills into is not judged, nor a DSN with commas: those are findings by themselves.
    """
    connection = configuration.connection
    judged = {keyword for one in LEFTOVERS for keyword in one.keywords} - connection.redacted_keywords
    if any(separators.check(configuration)):
        judged.discard("dbname")
    effective = {k: v for k, v in connection.effective.items() if k in judged}
    is_uri = connection.dsn is not None and "://" in connection.dsn.text
    found: dict[tuple[Leftover, Origin], list[str]] = {}
    for keyword, value in texts.text(effective).items():
        if leftover := _leftover(keyword, value, in_uri=is_uri and effective[keyword].from_dsn):
            found.setdefault((leftover, effective[keyword].origin), []).append(keyword)
    for (leftover, origin), keywords in found.items():
        has_or_have = "has" if len(keywords) == 1 else "have"
        yield UNFILLED_VALUE(
            f"connection.{keywords[0]}",
            f"{', '.join(keywords)} {has_or_have} {leftover.what}",
            hint=leftover.hint,
            origin=origin,
        )


def _leftover(keyword: str, value: str, *, in_uri: bool) -> Leftover | None:
    fitting = (one for one in LEFTOVERS if keyword in one.keywords and (in_uri or not one.in_uris))
    return next((one for one in fitting if re.fullmatch(one.sign, value, re.DOTALL)), None)
