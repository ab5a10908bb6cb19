"""Source lines without secrets.

A line that is shown is often one that libpq cannot read, so that nothing tells where in it a password begins
and ends. Whatever is not understood is therefore masked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from procrastinate_conn import libpq, suggestions
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.redaction import MASK, SECRETIVE, is_file_name, is_safe_to_show, redact_value
from procrastinate_conn.setting_names import SECTION_WORDS, SECTIONS, setting_under_any_names

_VARIABLE = r"(?P<name>\s*(?:export\s+)?(?P<quote>'?)[\w.-]+(?P=quote))(?P<equals>\s*=\s*)(?P<value>.*)"
_WORD = r"\s*(?:(?:export|set|setenv|-)\s+|\$(?i:env):)?(?P<name>[A-Z][A-Z0-9_]*)\b(?:\s*:)?"
_URI = (
    # libpq takes what stands before the first @ for the login, unless there is a slash before it.
    r"(?P<scheme>(?:jdbc:)?[\w+.-]+://)(?:(?P<login>[^@/]*)@)?(?P<hosts>[^/?]*)(?P<path>[^?]*)(?P<query>\?.*)?"
)
_HOSTS = r"(?:[\w.-]*|\[[0-9a-fA-F:.%]*\])(?::[0-9]+)?"
_USER = r"[\w.%+-]*"
_PATH = r"(?:/[\w.%+$ -]*)?"
_PAIR = r"(?P<key>\w+)(?P<equals>\s*=\s*)(?P<value>'(?:[^'\\]|\\.)*'?|(?:[^\s\\]|\\.)*)"
_MEMBER = r'"(?P<key>\w+)"(?P<equals>\s*:\s*)(?P<value>"(?:[^"\\]|\\.)*"?|[^][{},"\s]+)'
_QUERY = r"(?P<key>[\w+-]+(?:%20[\w+-]+)*)(?P<equals>=)(?P<value>[^&]*)"

_FILE_VARIABLES = ("PGSERVICEFILE", "PGSYSCONFDIR", "PGREQUIRESSL")
"""libpq's variables that stand for no keyword, and hold a path or a digit."""


def redact_env_line(line: str) -> str:
    """Mask a line of an env file and drop its comment; a line that is not NAME=value keeps its first word."""
    found = re.fullmatch(_VARIABLE, line)
    if found is None:
        word = re.match(_WORD, line)
        return f"{word[0]} {MASK}" if word and _is_read(word["name"]) else MASK
    name = found["name"].strip().removeprefix("export").strip(" \t'\"")
    if not _is_read(name) and not re.fullmatch(_WORD, name):
        return MASK  # a line of something longer, such as a key
    value = _redact_quoted(found["value"], lambda value: redact_variable(name, value))
    return found["name"] + found["equals"] + value


def redact_service_line(line: str) -> str:
    """Mask a line of a service file."""
    if line.startswith("["):
        return line
    keyword, equals, value = line.partition("=")
    if not equals or not keyword.isidentifier() or suggestions.keyword(keyword) is None:
        return MASK
    return f"{keyword}={value and redact_value(f'connection.{keyword}', value)}"


def redact_variable(name: str, value: str) -> str:
    """Mask the value of a variable; that of an unknown variable is masked as a whole."""
    name = name.upper()
    if name in _FILE_VARIABLES:
        return value if is_file_name(value) else MASK
    setting = setting_under_any_names(name) or f"connection.{libpq.variables().get(name)}"
    if setting in ("dsn", "listen.dsn", "database_url"):
        return redact_dsn(value)
    if setting in SECTIONS:
        between = r"[{},\s]*|[a-z]{1,8}" if setting in SECTION_WORDS else r"[{},\s]*"
        return _redact_pairs(value, _MEMBER, setting, between=between)
    return value and redact_value(setting, value)


def redact_dsn(dsn: str) -> str:
    """Mask a URI of any database or a keyword/value string, well-formed or not."""
    uri = re.fullmatch(_URI, dsn)
    if uri is None:
        return _redact_pairs(dsn, _PAIR, "connection", between=r"\s*")
    if not _is_understood(uri):
        return uri["scheme"] + MASK
    user, colon, password = (uri["login"] or "").partition(":")
    login = f"{user}{colon}{password and MASK}@" if uri["login"] else ""
    query = _redact_pairs(uri["query"] or "", _QUERY, "connection", between=r"[?&]*", names=query_names(dsn))
    return uri["scheme"] + login + uri["hosts"] + uri["path"] + query


def _is_understood(uri: re.Match[str]) -> bool:
    """Return whether no part of a URI looks like a piece of a password."""
    user = (uri["login"] or "").partition(":")[0]
    is_file = not uri["login"] and not uri["hosts"]
    pairs = (pair.partition("=") for pair in re.split("[?&]", uri["query"] or ""))
    return (
        bool(re.fullmatch(_USER, user))
        and all(re.fullmatch(_HOSTS, host) for host in uri["hosts"].split(","))
        and bool(re.fullmatch(_PATH, uri["path"]) or (is_file and "@" not in uri["path"]))
        and not any("@" in "".join(pair) for pair in pairs if pair[0] != "user" and not is_secret(pair[0]))
    )


def query_names(dsn: str) -> list[str]:
    """Return the names in the query of a URI that are no secrets, since its login has properly ended.

    After a secret in the query they may be pieces of that.
    """
    uri = re.fullmatch(_URI, dsn)
    names: list[str] = []
    for pair in (uri["query"] or "")[1:].split("&") if uri and _is_understood(uri) else ():
        name, is_pair, _ = pair.partition("=")
        if not is_pair:
            break
        name = name.replace("%20", " ")
        names.append(name)
        may_be_secret = name not in libpq.keywords() and re.search(SECRETIVE, name)
        if may_be_secret or is_secret(suggestions.keyword(name) or ""):
            break
    return names


def _redact_pairs(text: str, pair: str, section: str, *, between: str, names: Collection[str] = ()) -> str:
    """Show the safe pairs, the `names`, and the separators that belong `between` them; mask all else."""

    def gap(start: int, end: int) -> str:
        return text[start:end] if re.fullmatch(between, text[start:end]) else f" {MASK} "

    shown, position = "", 0
    for found in re.finditer(pair, text):
        shown += gap(position, found.start())
        key, value = found["key"].replace("%20", " "), found["value"]
        bare = value.strip(value[0]) if value.startswith(("'", '"')) else value
        # After a secret, which may go on, a key is shown only if it is near a keyword.
        is_a_name = suggestions.keyword_hint(key)[1] or (MASK not in shown and suggestions.keyword(key))
        if is_safe_to_show(f"{section}.{key}", bare):
            shown += found[0]
        elif key in names or is_a_name:
            shown += text[found.start() : found.start("value")] + MASK
        else:  # not even a name: a piece of a password that has an equals sign
            shown += MASK
        position = found.end()
    return (shown + gap(position, len(text))).strip()


def _is_read(name: str) -> bool:
    """Return whether procrastinate-conn or libpq reads a variable."""
    return setting_under_any_names(name) is not None or name in libpq.variables()


def _redact_quoted(value: str, redact: Callable[[str], str]) -> str:
    """Mask the text between quotes; drop what follows, which is a comment."""
    quote = value[:1]
    if quote not in ("'", '"'):
        return redact(re.split(r"\s+#", value, maxsplit=1)[0].rstrip())
    is_escaped = f"\\{quote}" in value
    inner, closing, rest = (value[1:], "", "") if is_escaped else value[1:].partition(quote)
    return quote + redact(inner) + closing + (rest.strip() if rest.strip() in (",", ";") else "")
