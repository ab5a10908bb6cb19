"""What may be shown: values that look like what they are meant to be, and nothing else.

A password ends up in the wrong place in more ways than anybody can list: a URL in the place of a host,
pairs with semicolons between them, a key in the place of its file's name. So it is not looked for;
each value has to look harmless.
"""

from __future__ import annotations

import re

from procrastinate_conn import libpq, suggestions
from procrastinate_conn.files import may_be_shown
from procrastinate_conn.libpq import CHOICES, is_secret
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.registry import DEFAULT_KIND, REGISTRY
from procrastinate_conn.suggestions import nearest

MASK = "********"
"""What is shown in the place of a secret."""

ANYTHING = re.compile(r"(?s:.*)")
LIKE_AN_ADDRESS = re.compile(r"(localhost|[\w-]*([.:][\w%-]*)+)?")
LIKE_A_NUMBER = re.compile(r"[ +-]*([0-9][\w.,;+ -]{0,15})?|true|false|yes|no|on|off|none", re.IGNORECASE)
"""What may be shown of a value that cannot be used: in the wrong place there may stand a password."""

LONGEST_NAME = 255
"""Bytes that a file's name may have, on all common file systems: what is longer is no name."""

_NUMBER = re.compile(r"[+-]?[0-9.]+ ?[a-z]{0,7}|true|false|yes|no|on|off|none|null", re.IGNORECASE)
_WORDS = re.compile(r"[\w .,:/@()#*!+-]*")
_LOGIN = re.compile(r":.*@|//")
"""What tells a login, or a URL, from other words."""

_HOST = re.compile(
    r" *(?:[\w.-]*(?::[0-9]{1,5})?|@[\w./-]+|(?:[a-zA-Z]:)?[/\\][\w ./\\~+-]*"
    r"|\[?[0-9a-fA-F:.]*(?:%\w+)?\]?(?::[0-9]{1,5})?) *"
)
_PATH = re.compile(r"[\w ./\\:~+@,()#-]*")
_SECRETIVE = re.compile(r"pass|pwd|secret|token|key|cred", re.IGNORECASE)

_LISTS = {"host": _HOST, "hostaddr": LIKE_AN_ADDRESS, "port": LIKE_A_NUMBER}
_KEYWORDS = {
    "dbname": re.compile(r"[\w .$+-]*"),
    "oauth_issuer": re.compile(r"https?://[\w./:-]*"),
    "options": re.compile(r"(?:[\w ,./:=+'\"-]|\\ )*"),
    "user": re.compile(r"[\w .@$+\\-]*"),
}
"""What the values of some keywords look like; a path or a few words are what the others are."""

_FILES = (
    "passfile",
    "servicefile",
    "sslcert",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslkeylogfile",
    "sslrootcert",
)

_SETTINGS = {
    "connector": re.compile(r"[\w-]{0,40}"),
    "defaults": re.compile(r"[\w-]{0,40}"),
    "json_dumps": re.compile(r"[\w.:, -]*"),
    "json_loads": re.compile(r"[\w.:, -]*"),
    "pool": re.compile(r"null", re.IGNORECASE),
}

_VARIABLES = ("PGSERVICEFILE", "PGSYSCONFDIR", "PGREQUIRESSL")
"""libpq's variables that stand for no keyword, and name a file or say yes."""


def is_harmless(keyword: str, value: str) -> bool:
    """Tell whether the value of one of libpq's keywords may be shown.

    Parameters
    ----------
    keyword
        The keyword; the value of one that libpq does not know is not shown.
    value
        Its value, without quotes.
    """
    if keyword not in libpq.keywords() or is_secret(keyword):
        return False
    if keyword in _LISTS:
        return all(map(_LISTS[keyword].fullmatch, value.split(",")))
    if keyword in _FILES:
        return is_path(value) and (keyword != "passfile" or may_be_shown(value))
    if keyword in CHOICES:
        return nearest(value, CHOICES[keyword]) is not None or bool(LIKE_A_NUMBER.fullmatch(value))
    if keyword == "options" and "=" in value and _SECRETIVE.search(value):
        return False
    return bool(_KEYWORDS[keyword].fullmatch(value)) if keyword in _KEYWORDS else _is_plain(value)


def is_harmless_setting(setting: str, value: str) -> bool:
    """Tell whether the value of a setting that has no parts may be shown."""
    if setting == "password_file":
        return is_password_file(value)
    return setting in _SETTINGS and bool(_SETTINGS[setting].fullmatch(value))


def is_harmless_option(option: str, value: str) -> bool:
    """Tell whether a pool option's value may be shown; of one that is not known, only a number or a word."""
    known = REGISTRY[DEFAULT_KIND].pool_options
    if option in known:
        return _is_plain(value)
    is_near = option not in libpq.keywords() and bool(suggestions.pool_option_hint(option, known))
    return is_near and bool(_NUMBER.fullmatch(value))


def is_harmless_variable(name: str, value: str) -> bool:
    """Tell whether the value of one of libpq's variables may be shown."""
    if name in _VARIABLES:
        return is_path(value)
    keywords = {k.variable: k.name for k in libpq.keywords().values() if k.variable}
    return name in keywords and is_harmless(keywords[name], value)


def is_path(value: str) -> bool:
    """Tell whether a text looks like the name of a file, and not like what should be in the file."""
    return bool(_PATH.fullmatch(value)) and not holds_contents(value) and not _LOGIN.search(value)


def is_password_file(value: str) -> bool:
    """Tell whether a text is the name of a file with a password, and surely not the password itself."""
    return is_path(value) and may_be_shown(value)


def holds_contents(value: str) -> bool:
    """Tell whether a text that should name a file is what the file should hold."""
    longest = max(len(part.encode("utf-8", "surrogateescape")) for part in re.split(r"[/\\]", value))
    return "\n" in value or "-----BEGIN" in value or longest > LONGEST_NAME


EXAMPLE = "user:password@host"
"""How hints write a login, which is nobody's."""

_LOGGING_IN = re.compile(r"[^\s:'\"]+:\S*@[^\s'\"]*")
_PAIR = re.compile(r"\b(\w*(?:passw|pwd|secret|token)\w*=)(?!\.\.\.)[^\s,;&]+", re.IGNORECASE)
_KEY = re.compile(r"-----BEGIN.*", re.DOTALL)
_LONG = re.compile(rf"[^\s/,]{{{LONGEST_NAME + 1},}}")


def scrubbed(sentence: str) -> str:
    """Return a sentence without what is a secret by its looks, whatever made the sentence."""
    sentence = _LOGGING_IN.sub(lambda found: found[0] if EXAMPLE in found[0] else MASK, sentence)
    sentence = _PAIR.sub(rf"\1{MASK}", sentence)
    return _LONG.sub(MASK, _KEY.sub(MASK, sentence))


def _is_plain(value: str) -> bool:
    return bool(_WORDS.fullmatch(value)) and not _LOGIN.search(value) and len(value) <= LONGEST_NAME


def show_unless_dsn(value: str, sourced: SourcedValue, harmless: re.Pattern[str] = ANYTHING) -> str:
    """Return a value for a sentence, with a blank behind it, but none out of a DSN.

    A password that is not percent-encoded spills into the other parts.

    Parameters
    ----------
    value
        The value, or the part of it that the sentence is about.
    sourced
        Where it is written.
    harmless
        What a value looks like that may be shown.
    """
    if sourced.from_dsn or not harmless.fullmatch(value):
        return "the value "
    return repr(value if len(value) <= 40 else f"{value[:40]}...") + " "


def describe_value(value: object) -> str:
    """Return a value for a message: as it is written, or only its type if it could hold a secret.

    Parameters
    ----------
    value
        Anything. Text that is long, or that could be a part of a connection string, is described and not
        repeated; so is every object except numbers, booleans and None.
    """
    if isinstance(value, str):
        return (
            repr(value) if re.fullmatch(r"[\w.+:,% -]{0,40}", value) else f"a text of {len(value)} characters"
        )
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
