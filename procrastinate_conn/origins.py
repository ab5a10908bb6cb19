"""Where a value is written, and what is known about each kind of source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class SourceKind(NamedTuple):
    """What all sources of one kind have in common.

    A kind that is not in `SOURCE_KINDS` has the defaults below. They are those of a file, or a class of
    pydantic-settings, that is written for this application alone.
    """

    name: str  # the `Origin.source` of its values
    syntax: Literal["variable", "keyword"] | None = None  # of a setting; None if no lines are to be shown
    # Whether something else keeps secrets in its files from others: the platform that mounts a directory, or
    # libpq, which ignores a password file that others can read.
    protects_secrets: bool = False
    is_override: bool = False  # whether it is meant to override other sources
    is_default: bool = False  # whether its values are defaults, which nobody has set
    label: str = ""  # a word before the name of a setting in it


CALL = SourceKind("call", is_override=True, label="argument ")
ENVIRONMENT = SourceKind("environment", "variable")
DOTENV = SourceKind("dotenv", "variable")
SECRETS = SourceKind("secrets", "variable", protects_secrets=True)
SERVICE_FILE = SourceKind("service-file", "keyword")
PASSFILE = SourceKind("passfile", protects_secrets=True)
RESILIENT_DEFAULT = SourceKind("resilient-default", is_default=True)
LIBPQ_DEFAULT = SourceKind("libpq-default", is_default=True)

_FILES = (DOTENV, SECRETS, SERVICE_FILE, PASSFILE)
SOURCE_KINDS = {kind.name: kind for kind in (CALL, ENVIRONMENT, *_FILES, RESILIENT_DEFAULT, LIBPQ_DEFAULT)}
"""The kinds of our own sources, by name."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The place where one value is written.

    Parameters
    ----------
    source
        The kind of source: ``call``, ``environment``, ``dotenv``, ``secrets``, ``service-file``,
        ``passfile``, ``resilient-default`` or ``libpq-default``.
    name
        The name of the value there: a variable, an argument, a service section, a file's name.
    file
        The file, as the user named it; None if the source is no file.
    line
        The line in `file`, counted from 1.
    """

    source: str
    name: str | None = None
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        """Read like ``.env:3 PROCRASTINATE_CONN_DSN``."""
        file = self.file if self.line is None else f"{self.file}:{self.line}"
        name = self.kind.label + self.name if self.name else None
        return " ".join(part for part in (file, name) if part) or self.source.replace("-", " ")

    @property
    def kind(self) -> SourceKind:
        """What is known about the source."""
        return SOURCE_KINDS.get(self.source) or SourceKind(self.source)


@dataclass(frozen=True, slots=True)
class SourcedValue:
    """A value and its origin."""

    value: object = field(repr=False)  # text from a source, anything from a call; it may be a secret
    origin: Origin
    # Whether it is a part of a DSN, and may be a piece of a password: libpq cuts one that is not encoded.
    from_dsn: bool = field(default=False, repr=False)
