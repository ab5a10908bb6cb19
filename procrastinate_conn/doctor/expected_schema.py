"""The objects that the installed procrastinate expects in the database, according to its SQL files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from procrastinate.schema import SchemaManager

SchemaObject = tuple[str, str]
"""The type of an object (``function``, ``table``, ``type``, ``index``, ``trigger``), and its name.

A ``column`` is named with its table: ``procrastinate_jobs.status``.
"""

_CREATE = re.compile(
    r"^\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:UNIQUE\s+)?(FUNCTION|TABLE|TYPE|INDEX|TRIGGER)\s+"
    r"(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(\w+)",
    re.IGNORECASE | re.MULTILINE,
)
_TABLE = re.compile(r"^CREATE TABLE (?:IF NOT EXISTS )?(\w+) ?\((.*?)^\);", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"^\s+(?!CONSTRAINT)(\w+) ", re.MULTILINE)
_ALTER = re.compile(r"^ALTER TABLE (\w+)([^;]*);", re.MULTILINE)
_ADDED = re.compile(r"ADD COLUMN (?:IF NOT EXISTS )?\"?(\w+)")
_BODY = re.compile(r"^CREATE\s+FUNCTION\s+(\w+)(?:(?!^CREATE\s).)*?\$\$(.*?)\$\$", re.MULTILINE | re.DOTALL)


@cache
def expected_objects() -> frozenset[SchemaObject]:
    """Return the objects of the installed procrastinate's schema."""
    return _created_objects(SchemaManager.get_schema())


def expected_names(object_type: str) -> list[str]:
    """Return the names of the objects of a type."""
    return sorted(name for each_type, name in expected_objects() if each_type == object_type)


def function_sources() -> dict[str, str]:
    """Return the sources of the functions by name, as in pg_proc.prosrc."""
    return dict(_BODY.findall(SchemaManager.get_schema()))


def first_migration(objects: Iterable[SchemaObject]) -> str | None:
    """Return the file of the first migration that has to be applied for missing or different objects.

    It is None if no migration creates any of them.
    """
    created_last = {created: file for file, all_created in _migrations().items() for created in all_created}
    return min((created_last[each] for each in objects if each in created_last), default=None)


def is_known(schema_object: SchemaObject) -> bool:
    """Return whether any schema up to the installed procrastinate's has an object."""
    return any(schema_object in created for created in (expected_objects(), *_migrations().values()))


@cache
def _migrations() -> dict[str, frozenset[SchemaObject]]:
    """Return the objects that each migration creates, in the order in which they are applied."""
    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    return {file.name: _created_objects(file.read_text(encoding="utf-8")) for file in files}


def _created_objects(sql: str) -> frozenset[SchemaObject]:
    created = {(object_type.lower(), name) for object_type, name in _CREATE.findall(sql)}
    for table, columns in _TABLE.findall(sql):
        created |= {("column", f"{table}.{column}") for column in _COLUMN.findall(columns)}
    for table, changes in _ALTER.findall(sql):
        created |= {("column", f"{table}.{column}") for column in _ADDED.findall(changes)}
    return frozenset(created)
