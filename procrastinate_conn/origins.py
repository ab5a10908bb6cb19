"""Where a value is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

SourceName = Literal[
    "call",
    "environment",
    "dotenv",
    "secrets",
    "dsn",
    "service-file",
    "passfile",
    "resilient-default",
    "libpq-default",
]
"""The kinds of place a value can come from, nearest first."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The place where one value is written.

    Parameters
    ----------
    source
        The kind of place.
    name
        What the place calls the value: a variable, an argument, a service section, a file's name.
    file
        The file it stands in, as the user named it; None where there is none.
    line
        The line in `file`, counted from 1.
    """

    source: SourceName
    name: str | None = None
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        """Read like ``.env:3 PROCRASTINATE_CONN_DSN``."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        name = f"argument {self.name}" if self.source == "call" else self.name
        return " ".join(part for part in (place, name) if part) or self.source.replace("-", " ")


@dataclass(frozen=True, slots=True)
class SourcedValue:
    """A value and the place where it is written.

    Parameters
    ----------
    value
        Text from a source, anything from a call; kept out of the `repr`, since it may be a secret.
    origin
        The place.
    from_dsn
        Whether it is a part of a DSN, which may be a piece of a password: libpq cuts one that is not encoded.
    """

    value: object = field(repr=False)
    origin: Origin
    from_dsn: bool = field(default=False, repr=False)
