"""Artifacts in values: quotes, references that nothing replaced, invisible characters, line breaks."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple


class Artifact(NamedTuple):
    """A part of a value that does not belong to it (``quotes around it``), and what to do about it."""

    description: str
    hint: str


_REFERENCE = "set the variable where it is replaced: above it in an env file, before it in a container"
_PLAIN_REFERENCE = "write ${NAME} in an env file, $(NAME) in Kubernetes; elsewhere nothing replaces it"
_PATTERNS = (
    (r"[\r\n].*|.*[\r\n]", Artifact("a line break at an end", "write it without, as echo -n and printf do")),
    (
        r"\$?\{\{.*\}\}",
        Artifact("a reference of a template in its place", "let the workflow or the template fill it in"),
    ),
    (
        r"\$\{\w+\}|\$\(\w+\)",
        Artifact("a reference to a variable that was not replaced", _REFERENCE),
    ),
    (
        r"\$[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|\$[A-Z]*PASS(?:WORD)?",
        Artifact("a reference to a variable that was not replaced", _PLAIN_REFERENCE),
    ),
)
"""Artifacts, as patterns of the whole value."""

_KEEPS_QUOTES = {
    "service-file": "a service file has none, and libpq takes them for a part of the value",
    "secrets": "all of the file is the value",
    "call": "Python's are enough",
}
_ENVIRONMENT_KEEPS_QUOTES = "docker run --env-file and Kubernetes keep them as a part of the value"


def find_artifact(text: str, source: str = "") -> Artifact | None:
    """Return the artifact in a value; `source` is that of its `Origin`, for whose format the hint is."""
    if invisible := find_invisible(text):
        return Artifact(f"{invisible}, which cannot be seen", f"delete {invisible}, or type the value anew")
    if re.fullmatch(r"(['\"]).+\1", text.strip(), re.DOTALL):
        why = _KEEPS_QUOTES.get(source, _ENVIRONMENT_KEEPS_QUOTES)
        return Artifact("quotes around it, which are a part of it", f"leave out the quotes: {why}")
    found = (artifact for pattern, artifact in _PATTERNS if re.fullmatch(pattern, text, re.DOTALL))
    return next(found, None)


def hint_for(value: object, default: str, source: str = "") -> str:
    """Return what to do about a rejected value: that of its artifact if it has one."""
    artifact = find_artifact(value, source) if isinstance(value, str) else None
    return artifact.hint if artifact else default


def find_invisible(text: str) -> str:
    r"""Return the first invisible character and its place; empty if there is none.

    Formatting characters, blanks other than ASCII's and full-width forms of ASCII count as invisible. In a
    text that is not ASCII otherwise, full-width forms and the joiners of emoji and some scripts do not.

    Examples
    --------
    >>> find_invisible("db1\u200b")
    'U+200B (zero width space) at its end'
    >>> find_invisible("müller")
    ''
    """
    if text.isascii():
        return ""
    invisible = [character for character in text if _is_invisible(character)]
    if not all(character.isascii() for character in text if character not in invisible):
        invisible = [c for c in invisible if c not in _JOINERS and not _is_full_width(c)]
    if not invisible:
        return ""
    first, stripped = invisible[0], text.strip()
    place = "in it"
    if len(text) > 1 and first == text[0]:
        place = "at its beginning"
    elif first in (text[-1], stripped[-1:]):
        place = "at its end"
    return f"{name_character(first)} {place}"


def name_character(character: str) -> str:
    """Return like ``U+00A0 (no-break space)``."""
    name = unicodedata.name(character, "").lower()
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")


def without_invisible(name: str) -> str:
    """Return the name of a variable or a setting without what cannot be seen."""
    return "".join(character for character in name if not _is_invisible(character))


def mark_invisible(name: str) -> str:
    """Return a name with ``<U+200B>`` for what cannot be seen."""
    return "".join(f"<U+{ord(c):04X}>" if _is_invisible(c) else c for c in name)


_JOINERS = "\u200c\u200d"


def _is_full_width(character: str) -> bool:
    return "\uff01" <= character <= "\uff5e"


def _is_invisible(character: str) -> bool:
    if character.isascii():
        return False
    return unicodedata.category(character) in ("Cf", "Zs", "Zl", "Zp") or _is_full_width(character)
