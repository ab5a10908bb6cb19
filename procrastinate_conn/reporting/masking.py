"""Source lines without secrets: only what is known to be harmless is shown.

A line that is shown is often one that libpq cannot read, so that nothing can be told of where in it a
password begins and ends. What is not understood is therefore masked.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from procrastinate_conn import libpq
from procrastinate_conn.kinds import ConnectorKind
from procrastinate_conn.pool.names import suggestion, vocabulary
from procrastinate_conn.rules.connection import nearest_keyword
from procrastinate_conn.sources.variables import PREFIX
from procrastinate_conn.spec.connection import MASK, is_secret

_VARIABLE = re.compile(
    r"(?P<name>\s*(?:export\s+)?(?P<quote>'?)[\w.-]+(?P=quote))(?P<equals>\s*=\s*)(?P<value>.*)"
)
_NUMBER = re.compile(r"[+-]?[0-9.]+ ?[a-z]{0,7}|true|false|yes|no|on|off|none|null", re.IGNORECASE)
_HOSTS = re.compile(r"(?:[\w.-]*|\[[0-9a-fA-F:.%]*\])(?::[0-9]*)?")
_URI = re.compile(
    r"(?P<scheme>[\w+.-]+://)(?:(?P<login>.*)@)?(?P<hosts>[^/?]*)(?P<path>[^?]*)(?P<query>\?.*)?"
)
_PAIR = re.compile(r"(?P<key>\w+)(?P<equals>\s*=\s*)(?P<value>'(?:[^'\\]|\\.)*'?|(?:[^\s\\]|\\.)*)")
_MEMBER = re.compile(r'"(?P<key>\w+)"(?P<equals>\s*:\s*)(?P<value>"(?:[^"\\]|\\.)*"?|[^][{},"\s]+)')

_HARMLESS_SETTINGS = ("connector", "defaults", "json_dumps", "json_loads", "password_file")
_HARMLESS_VARIABLES = ("PGSERVICEFILE", "PGSYSCONFDIR", "PGREQUIRESSL")


def masked_variable(line: str) -> str:
    """Mask a line of an env file, less its comment; a line that is not NAME=value keeps its first word."""
    found = _VARIABLE.fullmatch(line)
    if found is None:
        word = re.match(r"\s*(?:export\s+)?[A-Z][A-Z0-9_]*\b", line)
        return f"{word[0]} {MASK}" if word else MASK
    name = found["name"].strip().removeprefix("export").strip(" \t'\"")
    return found["name"] + found["equals"] + _unquoted(found["value"], lambda v: masked_value(name, v))


def masked_service_line(line: str) -> str:
    """Mask a line of a service file."""
    if line.startswith("["):
        return line
    keyword, equals, value = line.partition("=")
    if not equals or not keyword.isidentifier() or nearest_keyword(keyword) is None:
        return MASK
    return f"{keyword}={value if _is_harmless(keyword, value) else MASK}"


def masked_value(name: str, value: str) -> str:
    """Mask the value of a variable.

    Parameters
    ----------
    name
        The variable; the value of one that is not known is masked as a whole.
    value
        Its value.
    """
    name = name.upper()
    if not name.startswith(PREFIX):
        return masked_dsn(value) if name == "DATABASE_URL" else _shown_if(_is_harmless_variable(name), value)
    match name.removeprefix(PREFIX).lower().split("__"):
        case ["dsn"]:
            masked = masked_dsn(value)
        case ["connection"]:
            masked = _masked_pairs(value, _MEMBER, _is_harmless, between=r"[{},\s]*")
        case ["pool"]:
            masked = _masked_pairs(value, _MEMBER, _is_harmless_option, between=r"[{},\s]*|[a-z]{1,8}")
        case ["connection", keyword]:
            masked = _shown_if(_is_harmless(keyword, value), value)
        case ["pool", option]:
            masked = _shown_if(_is_harmless_option(option, value), value)
        case [setting]:
            masked = _shown_if(setting in _HARMLESS_SETTINGS, value)
        case _:
            masked = MASK
    return masked


def masked_dsn(dsn: str) -> str:
    """Mask a URI of any database or a keyword/value string, well-formed or not."""
    uri = _URI.fullmatch(dsn)
    if uri is None:
        return _masked_pairs(dsn, _PAIR, _is_harmless, between=r"\s*")
    if uri["login"] is None and not all(map(_HOSTS.fullmatch, uri["hosts"].split(","))):
        return uri["scheme"] + MASK  # what stands for a port may be a password
    login = f"{_masked_login(uri['login'])}@" if uri["login"] else ""
    query = _masked_pairs(uri["query"] or "", _QUERY, _is_harmless, between=r"[?&]*")
    return uri["scheme"] + login + uri["hosts"] + uri["path"] + query


_QUERY = re.compile(r"(?P<key>\w+)(?P<equals>=)(?P<value>[^&]*)")


def _masked_login(login: str) -> str:
    user, colon, password = login.partition(":")
    if not re.fullmatch(r"[\w.%+-]*", user):
        return MASK
    return user + (colon + MASK if password else colon)


def _masked_pairs(
    text: str, pair: re.Pattern[str], is_harmless: Callable[[str, str], bool], *, between: str
) -> str:
    """Show the pairs that are harmless and what has to stand between them, and mask all else."""

    def gap(start: int, end: int) -> str:
        return text[start:end] if re.fullmatch(between, text[start:end]) else f" {MASK} "

    shown, position = "", 0
    for found in pair.finditer(text):
        shown += gap(position, found.start())
        if is_harmless(found["key"], found["value"]):
            shown += found[0]
        elif nearest_keyword(found["key"]):
            shown += text[found.start() : found.start("value")] + MASK
        else:  # not even a name: a piece of a password that has an equals sign
            shown += MASK
        position = found.end()
    return (shown + gap(position, len(text))).strip()


def _unquoted(value: str, mask: Callable[[str], str]) -> str:
    """Mask what stands between quotes; drop what follows, which is a comment."""
    quote = value[:1]
    if quote in ("'", '"') and value:
        inner, closing, _ = value[1:].partition(quote) if f"\\{quote}" not in value else (value[1:], "", "")
        return quote + mask(inner) + closing
    return mask(re.split(r"\s+#", value, maxsplit=1)[0].rstrip())


def _shown_if(harmless: bool, value: str) -> str:
    return value if harmless or not value else MASK


def _is_harmless(keyword: str, value: str) -> bool:
    """Tell whether a keyword's value may be shown: one of libpq's, not a secret, and no URL in it."""
    return keyword in libpq.keywords() and not is_secret(keyword) and "://" not in value


def _is_harmless_variable(name: str) -> bool:
    keywords = {k.variable: k.name for k in libpq.keywords().values() if k.variable}
    return name in _HARMLESS_VARIABLES or (name in keywords and not is_secret(keywords[name]))


def _is_harmless_option(option: str, value: str) -> bool:
    """Tell whether an option's value may be shown; of one that is not known, only a number or a word."""
    known = vocabulary(ConnectorKind.PSYCOPG, null=False)
    if option in known:
        return "://" not in value
    is_near = option not in libpq.keywords() and bool(suggestion(option, known))
    return is_near and bool(_NUMBER.fullmatch(value.strip('"')))
