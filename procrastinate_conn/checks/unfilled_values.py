"""Names and passwords with leftovers: of a shell, a file, a template or a person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from procrastinate_conn.checks.dsn import check_separators
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection.validation import as_texts
from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.suggestions import LEAVE_OUT_QUOTES

UNFILLED_VALUE = Rule(
    "PC218",
    "unfilled or quoted value",
    "A line break, a quote, a reference or a placeholder that should have been removed or replaced is a part"
    " of the value to libpq: the server knows no such user or database, and rejects the password.",
    "Write the value alone. In a Kubernetes Secret end no value with a line break, and in a file for"
    " docker run --env-file write no quotes.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@localhost//jobs"),
)

_LOGIN = ("user", "password", "dbname")


class Leftover(NamedTuple):
    """One kind of leftover: where it is certainly a mistake, and a pattern of the whole value."""

    keywords: tuple[str, ...]
    pattern: str
    description: str
    hint: str
    in_uris_only: bool = False


_LINE_BREAK = "write it without, as echo -n and printf do"
_REFERENCE = "set the variable where it is replaced: above it in an env file, before it in a container"
_SLASH_BEFORE = "write one slash between the host and the database, and the directory of a socket as host"
_SEPARATOR_AFTER = "leave it out: in a URI nothing but a ? follows the database"
_SLASH_IN = "write the database alone; a schema goes into options: -c search_path=..."
_BRACKETS = "write the value in the place of the brackets and of what is in them"

LEFTOVERS = (
    Leftover(_LOGIN, r"[\r\n].*|.*[\r\n]", "a line break at an end", _LINE_BREAK),
    Leftover(_LOGIN, r"(['\"]).+\1", "quotes around it, which are a part of it", LEAVE_OUT_QUOTES),
    Leftover(_LOGIN, r"\$\{\w+\}|\$\(\w+\)", "a reference to a variable that was not replaced", _REFERENCE),
    Leftover(("dbname",), r"/.*", "a slash before its name", _SLASH_BEFORE),
    Leftover(("dbname",), r".*[/;,\\]", "a slash, comma or semicolon after its name", _SEPARATOR_AFTER),
    Leftover(("dbname",), r".+/.+", "a slash in it, as a path has", _SLASH_IN, in_uris_only=True),
    Leftover(_LOGIN, r"\[.+\]|<.+>|\{\{.+\}\}", "brackets around it, as a placeholder has", _BRACKETS),
    Leftover(
        ("host", *_LOGIN),
        r"(?i:your[_-].+)|USER(NAME)?|PASS(WORD)?|HOST(NAME)?|DATABASE|DB_?NAME",
        "a placeholder instead of a value",
        "write the value",
    ),
)
"""What no name and no password has; the first match counts."""


def check(configuration: Configuration) -> Iterator[Problem]:
    """Report each kind of leftover once for each origin.

    Values that may be the rest of a password, and the database in a DSN with commas, are other problems.
    """
    connection = configuration.connection
    checked = {"host", *_LOGIN} - connection.redacted_keywords
    if any(check_separators(configuration)):
        checked.discard("dbname")
    effective = {keyword: sourced for keyword, sourced in connection.effective.items() if keyword in checked}
    is_uri = connection.dsn is not None and "://" in connection.dsn.text
    found: dict[tuple[Leftover, Origin], list[str]] = {}
    for keyword, value in as_texts(effective).items():
        sourced = effective[keyword]
        if leftover := _leftover(keyword, value, in_uri=is_uri and sourced.from_dsn):
            found.setdefault((leftover, sourced.origin), []).append(keyword)
    for (leftover, origin), keywords in found.items():
        verb = "has" if len(keywords) == 1 else "have"
        message = f"{', '.join(keywords)} {verb} {leftover.description}"
        yield UNFILLED_VALUE(f"connection.{keywords[0]}", message, hint=leftover.hint, origin=origin)


def _leftover(keyword: str, value: str, *, in_uri: bool) -> Leftover | None:
    for leftover in LEFTOVERS:
        is_possible = keyword in leftover.keywords and (in_uri or not leftover.in_uris_only)
        if is_possible and re.fullmatch(leftover.pattern, value, re.DOTALL):
            return leftover
    return None
