"""What the installed procrastinate expects to find in the database, as its own SQL files say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from procrastinate.schema import SchemaManager

Thing = tuple[str, str]
"""What an object is (``function``, ``table``, ``type``, ``index``, ``trigger``), and its name."""

_CREATE = re.compile(
    r"^\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:UNIQUE\s+)?(FUNCTION|TABLE|TYPE|INDEX|TRIGGER)\s+"
    r"(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(\w+)",
    re.IGNORECASE | re.MULTILINE,
)
_BODY = re.compile(r"^CREATE\s+FUNCTION\s+(\w+)(?:(?!^CREATE\s).)*?\$\$(.*?)\$\$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the schema of the installed procrastinate consists of.

    Parameters
    ----------
    things
        Its objects.
    bodies
        Function name to source, as ``pg_proc.prosrc`` has it.
    """

    things: frozenset[Thing]
    bodies: dict[str, str]

    def names(self, *kinds: str) -> list[str]:
        """Return the names of the objects of these kinds."""
        return sorted(name for kind, name in self.things if kind in kinds)


@cache
def expected() -> Expected:
    """Read procrastinate's schema."""
    schema = SchemaManager.get_schema()
    return Expected(frozenset(_created(schema)), dict(_BODY.findall(schema)))


def first_migration(things: Iterable[Thing]) -> str | None:
    """Return the first migration that has to be applied for objects to be as they should be.

    Parameters
    ----------
    things
        What is missing or different.

    Returns
    -------
    str or None
        The name of its file; None where no migration creates any of them.
    """
    created_last = {thing: file for file, created in _migrations().items() for thing in created}
    return min((created_last[thing] for thing in things if thing in created_last), default=None)


def is_known(thing: Thing) -> bool:
    """Tell whether the installed procrastinate has ever had an object."""
    return thing in expected().things or any(thing in created for created in _migrations().values())


@cache
def _migrations() -> dict[str, set[Thing]]:
    """Return what each migration creates, in the order in which they are applied."""
    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    return {file.name: _created(file.read_text(encoding="utf-8")) for file in files}


def _created(sql: str) -> set[Thing]:
    return {(kind.lower(), name) for kind, name in _CREATE.findall(sql)}
