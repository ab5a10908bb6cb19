"""Decides what may be shown: a value that looks like what belongs in its place. Everything else is masked.

A password ends up in the wrong place in more ways than can be listed: a URL in the place of a host, pairs
separated by semicolons, a key in the place of its file's name. So secrets are not searched for.
"""

from __future__ import annotations

import os
import re

from procrastinate_conn import libpq, suggestions
from procrastinate_conn.files import status
from procrastinate_conn.libpq import CHOICES, INTEGERS, is_secret
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.registry import DEFAULT_KIND, REGISTRY

MASK = "********"
"""Shown in the place of a secret."""

EXAMPLE_LOGIN = "user:password@host"
"""The login in hints, which is not masked."""

LONGEST_NAME = 255
"""Bytes of the longest file name on all common file systems."""

# Text, which `re` compiles when it is needed: few starts show any value.
_WORDS = r"[\w .,:/@()#*!+-]*"
_LOGIN = r":.*@|//"
"""Tells a login, or a URL, from other words."""

_NUMBER_OR_WORD = r"(?i)[+-]?[0-9.]+ ?[a-z]{0,7}|true|false|yes|no|on|off|none|null"
_LIKE_A_NUMBER = r"(?i)[ +-]*([0-9][\w.,;+ -]{0,15})?|true|false|yes|no|on|off|none"
_ADDRESS = r"(localhost|[\w-]*([.:][\w%-]*)+)?"
_HOST = (
    r" *(?:[\w.-]*(?::[0-9]{1,5})?|@[\w./-]+|(?:[a-zA-Z]:)?[/\\][\w ./\\~+-]*"
    r"|\[?[0-9a-fA-F:.]*(?:%\w+)?\]?(?::[0-9]{1,5})?) *"
)
_FILE_NAME = r"[\w ./\\:~+@,()#-]*"
_ROOTED_PATH = r"(~|\.{1,2}|/[\w.-]+|[A-Za-z]:)[/\\]"
SECRETIVE = "(?i)pass|pwd|secret|scram|token|key|cred"

_FILES = ("servicefile", "sslcert", "sslcrl", "sslcrldir", "sslkey", "sslkeylogfile", "sslrootcert")

_KEYWORDS = {
    "dbname": r"[\w .$+-]*",
    "host": _HOST,
    "hostaddr": _ADDRESS,
    "oauth_issuer": r"https?://[\w./:-]*",
    "options": r"(?:[\w ,./:=+'\"-]|\\ )*",
    "user": r"[\w .@$+\\-]*",
    **dict.fromkeys(("port", *INTEGERS, *CHOICES), _LIKE_A_NUMBER),
}
"""What the values of keywords look like, or the elements of a list; the others are plain words."""

_SETTINGS = {
    **dict.fromkeys(("connector", "defaults"), r"[\w-]{0,40}"),
    **dict.fromkeys(("json_dumps", "json_loads"), r"[\w.:, -]*"),
    "listen": "(?i)off|false",
    "pool": "(?i)null",
}


def is_safe_to_show(setting: str, value: str) -> bool:
    """Return whether a value, without quotes around it, looks like what belongs in a setting.

    The setting is a dotted path, such as ``connection.host``; no value of an unknown one is safe.
    """
    pool_options = REGISTRY[DEFAULT_KIND].pool_options
    match setting.split("."):
        case ["connection" | "listen", keyword] if keyword in libpq.keywords() and not is_secret(keyword):
            return _is_safe_keyword(keyword, value)
        case ["pool", option] if option in pool_options:
            return _is_plain(value)
        case ["pool", option] if suggestions.pool_option(option, pool_options):  # a misspelt one
            return _matches(_NUMBER_OR_WORD, value)
        case ["password_file"]:
            return is_safe_path(value)
        case [name] if name in _SETTINGS:
            return _matches(_SETTINGS[name], value)
    return False


def _is_safe_keyword(keyword: str, value: str) -> bool:
    if keyword == "passfile":
        return is_safe_path(value)
    if keyword in _FILES:
        return is_file_name(value)
    if keyword == "options" and "=" in value and re.search(SECRETIVE, value):
        return False
    if keyword in CHOICES and suggestions.value(keyword, value, CHOICES[keyword]):
        return True
    elements = value.split(",") if keyword in ("host", "hostaddr", "port") else [value]
    pattern = _KEYWORDS.get(keyword)
    return all(_matches(pattern, one) for one in elements) if pattern else _is_plain(value)


def _matches(pattern: str, value: str) -> bool:
    return re.fullmatch(pattern, value) is not None


def _is_plain(value: str) -> bool:
    return bool(re.fullmatch(_WORDS, value)) and not re.search(_LOGIN, value) and len(value) <= LONGEST_NAME


def is_file_name(value: str) -> bool:
    """Return whether a text looks like the name of a file, and not like a login or the file's content."""
    is_plain = re.fullmatch(_FILE_NAME, value) and not re.search(_LOGIN, value)
    return bool(is_plain) and not is_file_content(value)


def is_file_content(value: str) -> bool:
    """Return whether a text that should name a file is what the file should contain."""
    longest = max(len(part.encode("utf-8", "surrogateescape")) for part in re.split(r"[/\\]", value))
    return "\n" in value or "-----BEGIN" in value or longest > LONGEST_NAME


def is_safe_path(value: str) -> bool:
    """Return whether a text is certainly a path and not a password, which may have slashes and dots too."""
    return is_file_name(value) and _is_certainly_a_path(value)


def _is_certainly_a_path(name: str) -> bool:
    """Return whether a text begins at a root or in a directory that exists, or exists itself."""
    directory = os.path.dirname(name).strip("/")  # noqa: PTH120 - pathlib's is never empty
    return bool(re.match(_ROOTED_PATH, name) or status(name) or (directory and status(directory)))


_CONNECTION_STRING = r"(?is)://|:.*@|\Apostgres(ql)?:|pass?wor?d\s*=|(\A|\s)\w+\s*=.*\s\w+\s*="


def is_connection_string(name: str) -> bool:
    """Return whether a text given as a file's name is a URI, contains a login, or sets keywords."""
    return bool(re.search(_CONNECTION_STRING, name)) and not _is_certainly_a_path(name)


_LOGIN_AND_HOST = r"[^\s:'\"]+:\S*@[^\s'\"]*"
_REFERENCE = r"'?\$\{\w+\}'?(?:[\s\",;&]|$)"
_SECRET_PAIR = rf"(?i)\b(\w*(?:passw|pwd|secret|token)\w*=)(?!\.\.\.|{_REFERENCE})[^\s,;&]+"
_PRIVATE_KEY = r"(?s)-----BEGIN.*"
_LONG_WORD = rf"[^\s/,]{{{LONGEST_NAME + 1},}}"


def redact(text: str) -> str:
    """Mask what looks like a secret in a text of any source, such as an error message."""
    text = re.sub(_LOGIN_AND_HOST, lambda found: found[0] if EXAMPLE_LOGIN in found[0] else MASK, text)
    text = re.sub(_SECRET_PAIR, rf"\1{MASK}", text)
    return re.sub(_LONG_WORD, MASK, re.sub(_PRIVATE_KEY, MASK, text))


def redact_value(setting: str, value: str) -> str:
    """Return a value, or `MASK` unless it is safe to show."""
    return value if is_safe_to_show(setting, value) else MASK


def quote_value(keyword: str, value: str, sourced: SourcedValue) -> str:
    """Return a connection keyword's value, or an element of it, for a message, in quotes.

    ``the value`` stands for one that is not safe to show, and for any from a DSN: a password that is not
    percent-encoded spills into the other parts.
    """
    if sourced.from_dsn or not is_safe_to_show(f"connection.{keyword}", value):
        return "the value"
    return repr(value if len(value) <= 40 else f"{value[:40]}...")


def describe_value(value: object) -> str:
    """Return a value for a message: as it is written, or only its type if it could be a secret.

    Text that is long, or that could be a part of a connection string, is described and not repeated; so is
    every object except numbers, booleans and None.
    """
    if isinstance(value, str):
        is_short = re.fullmatch(r"[\w.+:,% -]{0,40}", value)
        return repr(value) if is_short else f"a text of {len(value)} characters"
    if isinstance(value, float):
        return repr(value)
    if value is None or (isinstance(value, int) and abs(value) < 10**20):
        return format_value(value)
    return f"a value of type {type(value).__name__}"


def format_value(value: object) -> str:
    """Return a converted value as it is written in a ``.env`` file.

    Examples
    --------
    >>> format_value(None), format_value(True), format_value(2.5)
    ('none', 'true', '2.5')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(format_value, value))
    if callable(value):
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}:{named.__qualname__}"
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
