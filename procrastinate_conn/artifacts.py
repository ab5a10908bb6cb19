"""Artifacts in values: quotes, comments, references that nothing replaced, deceptive characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple


class Artifact(NamedTuple):
    """A part of a value that does not belong to it (``quotes around it``), and what to do about it."""

    description: str
    hint: str


_NOT_REPLACED = "a reference to a variable that was not replaced"
_PATTERNS = {
    r"[\r\n].*|.*[\r\n]": Artifact("a line break at an end", "write it without, as echo -n and printf do"),
    r"\$?\{\{.*\}\}|#\{.*\}|<%.*%>|\$\[.*\]|%\(\w+\)s|%[A-Za-z]\w*%|__[A-Z][A-Z0-9_]*__"
    r"|\{[A-Za-z_][\w.'\"\[\]]*\}": Artifact(
        "a reference of a template in its place", "let the workflow or the template fill it in"
    ),
    r"\$\{\w+(?::?[-?+=][^}]*)?\}|\$\(\w+\)": Artifact(
        _NOT_REPLACED,
        "set the variable where it is replaced: above it in an env file, before it in a container",
    ),
    r"\${1,2}[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|\${1,2}[A-Z]*PASS(?:WORD)?": Artifact(
        _NOT_REPLACED,
        "write ${NAME} in an env file, $(NAME) in Kubernetes; elsewhere nothing replaces it",
    ),
    r"op://[^/]+/.+|(?:ref\+)?vault:.+|@Microsoft\.KeyVault\(.*\)|arn:aws:(?:secretsmanager|ssm):.+"
    r"|projects/[^/]+/secrets/.+": Artifact(
        "the name of a secret in place of it",
        "let the secret manager's tool or the platform put it in, or read it with password_command",
    ),
}
"""Artifacts, by patterns of the whole value."""

_KEEPS_QUOTES = {
    "dsn": "libpq drops none in a URI, and single ones alone between keywords",
    "dotenv": "those of the env file are enough",
    "environment": "docker run --env-file and Kubernetes keep them as a part of the value",
    "service-file": "a service file has none, and libpq takes them for a part of the value",
    "secrets": "all of the file is the value",
}


def find_artifact(text: str, source: str = "", *, secret: bool = False) -> Artifact | None:
    """Return the artifact in a value; the hint is for its `source`, an `Origin.source` or ``dsn``.

    A secret may have letters of several scripts, none of which is to be named.
    """
    if deceptive := find_deceptive(text, letters=not secret):
        return deceptive
    if re.fullmatch(r"(['\"`]).+\1", text.strip(), re.DOTALL):
        why = _KEEPS_QUOTES.get(source, "those of the syntax around it are enough")
        return Artifact("quotes around it, which are a part of it", f"leave out the quotes: {why}")
    if source in ("environment", "service-file") and re.fullmatch(r"\S+\s+#(\s.*)?", text):
        return Artifact("a comment behind it, which is a part of it", "write comments in lines of their own")
    return first_match(_PATTERNS, text)


def first_match(patterns: Mapping[str, Artifact], text: str) -> Artifact | None:
    """Return the artifact of the first pattern that matches a whole text."""
    return next(
        (found for pattern, found in patterns.items() if re.fullmatch(pattern, text, re.DOTALL)), None
    )


def hint_for(value: object, default: str, source: str = "") -> str:
    """Return what to do about a rejected value: that of its artifact if it has one."""
    artifact = find_artifact(value, source) if isinstance(value, str) else None
    return artifact.hint if artifact else default


def find_deceptive(text: str, *, letters: bool = True) -> Artifact | None:
    r"""Return the first character that is not what it looks like: it cannot be seen, or looks like another.

    Formatting characters, blanks other than ASCII's and full-width forms of ASCII count. In a text that is
    not ASCII otherwise, full-width forms and the joiners of emoji and some scripts do not. Letters that look
    like those of ASCII count among letters of ASCII, but not in a word of their own script.

    Examples
    --------
    >>> find_deceptive("db1\u200b").description
    'U+200B (zero width space) at its end, which cannot be seen'
    >>> find_deceptive("d\u0430tabase").description
    'U+0430 (cyrillic small letter a) in it, which looks like a'
    >>> find_deceptive("müller")
    """
    deceptive = _deceptive(text, letters=letters)
    if not deceptive:
        return None
    first, place = next(character for character in text if character in deceptive), "in it"
    if len(text) > 1 and first == text[0]:
        place = "at its beginning"
    elif first in (text[-1], text.strip()[-1:]):
        place = "at its end"
    named = f"U+{ord(first):04X} ({unicodedata.name(first, 'unnamed').lower()}) {place}"
    if seen := deceptive[first]:
        return Artifact(f"{named}, which looks like {seen}", f"type it anew: {named} looks like {seen}")
    return Artifact(f"{named}, which cannot be seen", f"delete {named}, or type the value anew")


def as_seen(name: str) -> str:
    """Return a name in ASCII as a person reads it, with nothing for what cannot be seen."""
    return name.translate({ord(c): seen for c, seen in _deceptive(name).items()})


def mark_deceptive(text: str) -> str:
    """Return a text with ``<U+200B>`` for what is not what it looks like."""
    return text.translate({ord(c): f"<U+{ord(c):04X}>" for c in _deceptive(text)})


_JOINERS = "\u200c\u200d"
_LOOKALIKES = dict(
    zip(
        "АВЕЅІЈКМНОРСТУХаеорсухіјѕԁһԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧανορ",  # noqa: RUF001 - that is what they are for
        "ABESIJKMHOPCTYXaeopcyxijsdhqwABEZHIKMNOPTYXavop",
        strict=True,
    )
)
"""Cyrillic and Greek letters, and those of ASCII that they look like."""


def _deceptive(text: str, *, letters: bool = True) -> dict[str, str]:
    """Return the characters that are not what they look like, and what they look like, if like anything."""
    if text.isascii():
        return {}
    found = {c: chr(ord(c) - 0xFEE0) for c in text if "\uff01" <= c <= "\uff5e"}  # full-width forms
    found |= {c: "" for c in text if not c.isascii() and unicodedata.category(c) in ("Cf", "Zs", "Zl", "Zp")}
    if not all(character.isascii() or character in found for character in text):
        found = {c: seen for c, seen in found.items() if c not in _JOINERS and not seen}
    for word in re.findall(r"[^\W\d_]+", text) if letters else ():
        foreign = {c for c in word if not c.isascii()}
        if foreign <= _LOOKALIKES.keys() and len(foreign) < len(set(word)):
            found |= {c: _LOOKALIKES[c] for c in foreign}
    return found
