"""What the server refuses of ``options``, which libpq passes on unread."""

from __future__ import annotations

import re
from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import Example, Rule

REJECTED_SERVER_OPTIONS = Rule(
    "PC215",
    "options that the server refuses",
    "The server splits them at blanks and reads them as switches of its command line; it ends every"
    " connection whose options it cannot read.",
    "Write -c before each setting, as in -c search_path=jobs, and a backslash before a blank in a value.",
    example=Example("PROCRASTINATE_CONN_CONNECTION__OPTIONS=search_path=jobs"),
)


OF_PROXIES = ("endpoint", "project", "reference")
"""Settings without a switch that are for a proxy before the server: Neon's and Supabase's."""


def check(configuration: Configuration) -> Iterator[Problem]:
    """Judge the form of the options, but not the names and values of settings; one finding for all of them.

    Parameters
    ----------
    configuration
        The server splits its options at blanks, and reads them as the switches of its command line.
    """
    options = configuration.connection.effective.get("options")
    if options is None:
        return
    before = ""
    for word in [*_words(str(options.value)), ""]:
        if fault := _fault(word, before):
            reason, hint = fault
            message = f"the server refuses options: {reason}"
            yield REJECTED_SERVER_OPTIONS("connection.options", message, hint=hint, origin=options.origin)
            return
        before = word


def _words(options: str) -> list[str]:
    r"""Split as ``pg_split_opts`` of PostgreSQL's ``postinit.c`` does, and drop its backslashes."""
    words = re.findall(r"(?:\\.|[^\\\s])+", options, re.ASCII | re.DOTALL)
    return [re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL) for word in words]


def _fault(word: str, before: str) -> tuple[str, str] | None:
    """Return what is wrong with a word, and what to do; the last word is empty."""
    if word.startswith(tuple(f"{name}=" for name in OF_PROXIES)):
        return None
    setting = word if before == "-c" else re.sub("^(-c|--)", "", word)
    is_setting = before == "-c" or setting not in ("", word)
    if (is_setting or not before) and setting.startswith(("'", '"')):
        return (
            "it takes no quotes off",
            "leave the quotes out, and write a backslash before a blank in a value",
        )
    if is_setting and "=" not in setting:
        return "a setting has no value", "write -c name=value, with no blanks around the equals sign"
    is_argument = before.startswith("-") and "=" not in before
    if is_setting or is_argument or not word or word.startswith("-"):
        return None
    if before:
        return (
            "a word in it is no switch and belongs to none",
            "write -c before each setting, and a backslash before a blank in a value",
        )
    return "it does not begin with a switch", "write -c before each setting: -c search_path=jobs"
