"""Source lines without secrets: only what is known to be harmless is shown.

A line that is shown is often one that libpq cannot read, so that nothing can be told of where in it a
password begins and ends. What is not understood is therefore masked.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from procrastinate_conn import libpq, suggestions
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.redaction import (
    MASK,
    is_harmless,
    is_harmless_option,
    is_harmless_setting,
    is_harmless_variable,
)
from procrastinate_conn.setting_names import PREFIX

_VARIABLE = re.compile(
    r"(?P<name>\s*(?:export\s+)?(?P<quote>'?)[\w.-]+(?P=quote))(?P<equals>\s*=\s*)(?P<value>.*)"
)
_WORD = re.compile(r"\s*(?:(?:export|set|setenv)\s+|\$(?i:env):)?(?P<name>[A-Z][A-Z0-9_]*)\b")
_URI = re.compile(
    # libpq takes what stands before the first @ for the login, unless there is a slash before it.
    r"(?P<scheme>(?:jdbc:)?[\w+.-]+://)(?:(?P<login>[^@/]*)@)?(?P<hosts>[^/?]*)(?P<path>[^?]*)(?P<query>\?.*)?"
)
_HOSTS = re.compile(r"(?:[\w.-]*|\[[0-9a-fA-F:.%]*\])(?::[0-9]+)?")
_USER = re.compile(r"[\w.%+-]*")
_PATH = re.compile(r"(?:/[\w.%+$ -]*)?")
_PAIR = re.compile(r"(?P<key>\w+)(?P<equals>\s*=\s*)(?P<value>'(?:[^'\\]|\\.)*'?|(?:[^\s\\]|\\.)*)")
_MEMBER = re.compile(r'"(?P<key>\w+)"(?P<equals>\s*:\s*)(?P<value>"(?:[^"\\]|\\.)*"?|[^][{},"\s]+)')
_QUERY = re.compile(r"(?P<key>\w+)(?P<equals>=)(?P<value>[^&]*)")


def masked_variable(line: str) -> str:
    """Mask a line of an env file, less its comment; a line that is not NAME=value keeps its first word."""
    found = _VARIABLE.fullmatch(line)
    if found is None:
        word = _WORD.match(line)
        return f"{word[0]} {MASK}" if word and _is_ours(word["name"]) else MASK
    name = found["name"].strip().removeprefix("export").strip(" \t'\"")
    if not _is_ours(name) and not _WORD.fullmatch(name):
        return MASK  # a line of something longer, such as a key
    return found["name"] + found["equals"] + _unquoted(found["value"], lambda v: masked_value(name, v))


def masked_service_line(line: str) -> str:
    """Mask a line of a service file."""
    if line.startswith("["):
        return line
    keyword, equals, value = line.partition("=")
    if not equals or not keyword.isidentifier() or suggestions.keyword(keyword) is None:
        return MASK
    return f"{keyword}={_shown_if(is_harmless(keyword, value), value)}"


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
    if name == "DATABASE_URL":
        return masked_dsn(value)
    if not name.startswith(PREFIX):
        return _shown_if(is_harmless_variable(name, value), value)
    match name.removeprefix(PREFIX).lower().split("__"):
        case ["dsn"]:
            masked = masked_dsn(value)
        case ["connection"]:
            masked = _masked_pairs(value, _MEMBER, is_harmless, between=r"[{},\s]*")
        case ["pool"]:
            masked = _masked_pairs(value, _MEMBER, is_harmless_option, between=r"[{},\s]*|[a-z]{1,8}")
        case ["connection", keyword]:
            masked = _shown_if(is_harmless(keyword, value), value)
        case ["pool", option]:
            masked = _shown_if(is_harmless_option(option, value), value)
        case [setting]:
            masked = _shown_if(is_harmless_setting(setting, value), value)
        case _:
            masked = MASK
    return masked


def masked_dsn(dsn: str) -> str:
    """Mask a URI of any database or a keyword/value string, well-formed or not."""
    uri = _URI.fullmatch(dsn)
    if uri is None:
        return _masked_pairs(dsn, _PAIR, is_harmless, between=r"\s*")
    if not _is_understood(uri):
        return uri["scheme"] + MASK
    login = f"{_masked_login(uri['login'])}@" if uri["login"] else ""
    query = _masked_pairs(uri["query"] or "", _QUERY, is_harmless, between=r"[?&]*")
    return uri["scheme"] + login + uri["hosts"] + uri["path"] + query


def _is_understood(uri: re.Match[str]) -> bool:
    """Tell whether each part of a URI looks like what it is taken for, and not like a piece of a password."""
    user, _, _ = (uri["login"] or "").partition(":")
    is_file = not uri["login"] and not uri["hosts"]
    return (
        bool(_USER.fullmatch(user))
        and all(map(_HOSTS.fullmatch, uri["hosts"].split(",")))
        and bool(_PATH.fullmatch(uri["path"]) or (is_file and "@" not in uri["path"]))
        and not any(
            "@" in pair and not _may_have_an_at(pair) for pair in re.split("[?&]", uri["query"] or "")
        )
    )


def _may_have_an_at(pair: str) -> bool:
    keyword = pair.partition("=")[0]
    return keyword == "user" or is_secret(keyword)


def _masked_login(login: str) -> str:
    user, colon, password = login.partition(":")
    return user + (colon + MASK if password else colon)


def _masked_pairs(
    text: str, pair: re.Pattern[str], is_harmless: Callable[[str, str], bool], *, between: str
) -> str:
    """Show the pairs that are harmless and what has to stand between them, and mask all else."""

    def gap(start: int, end: int) -> str:
        return text[start:end] if re.fullmatch(between, text[start:end]) else f" {MASK} "

    shown, position, behind_a_secret = "", 0, False
    for found in pair.finditer(text):
        shown += gap(position, found.start())
        key, value = found["key"], found["value"]
        if is_harmless(key, _without_quotes(value)):
            shown += found[0]
        elif _is_a_name(key, certainly=behind_a_secret):
            shown += text[found.start() : found.start("value")] + MASK
        else:  # not even a name: a piece of a password that has an equals sign
            shown += MASK
        behind_a_secret = behind_a_secret or MASK in shown
        position = found.end()
    return (shown + gap(position, len(text))).strip()


def _is_a_name(key: str, *, certainly: bool) -> bool:
    """Tell whether a key was meant for a keyword; behind a secret, which may go on, it has to be near one."""
    return suggestions.is_keyword_name(key) or (not certainly and suggestions.keyword(key) is not None)


def _without_quotes(value: str) -> str:
    quote = value[:1]
    return value.strip(quote) if quote in ("'", '"') and value else value


def _is_ours(name: str) -> bool:
    """Tell whether a name is one of a variable that this package or libpq reads."""
    variables = {keyword.variable for keyword in libpq.keywords().values()}
    return name.upper().startswith(PREFIX) or name == "DATABASE_URL" or name in variables


def _unquoted(value: str, mask: Callable[[str], str]) -> str:
    """Mask what stands between quotes; drop what follows, which is a comment."""
    quote = value[:1]
    if quote in ("'", '"') and value:
        inner, closing, _ = value[1:].partition(quote) if f"\\{quote}" not in value else (value[1:], "", "")
        return quote + mask(inner) + closing
    return mask(re.split(r"\s+#", value, maxsplit=1)[0].rstrip())


def _shown_if(harmless: bool, value: str) -> str:
    return value if harmless or not value else MASK
