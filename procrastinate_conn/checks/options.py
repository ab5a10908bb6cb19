"""Server options that the server rejects; libpq passes them on unread."""

from __future__ import annotations

import re
from collections.abc import Iterator

from procrastinate_conn.configuration import Configuration
from procrastinate_conn.problems import Example, Problem, Rule

REJECTED_SERVER_OPTIONS = Rule(
    "PC215",
    "options that the server rejects",
    "The server splits them at blanks and reads them as switches of its command line; it ends every"
    " connection whose options it cannot read.",
    "Write -c before each setting, as in -c search_path=jobs, and a backslash before a blank in a value.",
    example=Example("PROCRASTINATE_CONN_CONNECTION__OPTIONS=search_path=jobs"),
)

PROXY_SETTINGS = ("endpoint", "project", "reference")
"""Settings without a switch, for a proxy before the server: Neon's and Supabase's."""


def check(configuration: Configuration) -> Iterator[Problem]:
    """Report the first fault in the form of the options; names and values of settings are not checked."""
    options = configuration.connection.effective.get("options")
    if options is None:
        return
    words = _split(str(options.value))
    for previous, word in zip(["", *words], [*words, ""], strict=True):
        if fault := _fault(word, previous):
            reason, hint = fault
            message = f"the server rejects options: {reason}"
            yield REJECTED_SERVER_OPTIONS("connection.options", message, hint=hint, origin=options.origin)
            return


def _split(options: str) -> list[str]:
    r"""Split as ``pg_split_opts`` of PostgreSQL's ``postinit.c`` does, and drop its backslashes."""
    words = re.findall(r"(?:\\.|[^\\\s])+", options, re.ASCII | re.DOTALL)
    return [re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL) for word in words]


def _fault(word: str, previous: str) -> tuple[str, str] | None:
    """Return what is wrong with a word, and what to do; an empty word stands for the end."""
    if word.startswith(tuple(f"{name}=" for name in PROXY_SETTINGS)):
        return None
    setting = word if previous == "-c" else re.sub("^(-c|--)", "", word)
    is_setting = previous == "-c" or setting not in ("", word)
    if (is_setting or not previous) and setting.startswith(("'", '"')):
        return (
            "it does not remove quotes",
            "leave the quotes out, and write a backslash before a blank in a value",
        )
    if is_setting and "=" not in setting:
        return "a setting has no value", "write -c name=value, with no blanks around the equals sign"
    is_argument = previous.startswith("-") and "=" not in previous
    if is_setting or is_argument or not word or word.startswith("-"):
        return None
    if previous:
        return (
            "a word in it is neither a switch nor the argument of one",
            "write -c before each setting, and a backslash before a blank in a value",
        )
    return "it does not begin with a switch", "write -c before each setting: -c search_path=jobs"
