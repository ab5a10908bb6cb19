"""Whether the database has procrastinate's schema, of the version of the installed library."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from pathlib import Path

from procrastinate.schema import SchemaManager

from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, failed, passed, warned

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

_OBJECTS = """
    SELECT 'function', proname, prosrc FROM pg_proc WHERE pronamespace = %(namespace)s::oid
        AND (proname = ANY(%(names)s) OR proname LIKE 'procrastinate\\_%%')
    UNION ALL
    SELECT CASE WHEN relkind IN ('r', 'p') THEN 'table' ELSE 'index' END, relname, NULL FROM pg_class
        WHERE relnamespace = %(namespace)s::oid AND relname = ANY(%(names)s) AND relkind IN ('r', 'p', 'i')
    UNION ALL
    SELECT 'type', typname, NULL FROM pg_type
        WHERE typnamespace = %(namespace)s::oid AND typname = ANY(%(names)s)
            AND (typtype = 'e' OR (SELECT relkind FROM pg_class WHERE oid = typrelid) = 'c')
    UNION ALL
    SELECT 'column', relname || '.' || attname, NULL
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = %(namespace)s::oid AND attnum > 0 AND NOT attisdropped
            AND relname || '.' || attname = ANY(%(names)s)
    UNION ALL
    SELECT 'trigger', tgname, NULL FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE relnamespace = %(namespace)s::oid AND tgname = ANY(%(names)s)
"""


def run(context: HostContext) -> Result:
    """Compare the objects in the database with the SQL files of the installed procrastinate."""
    found = context.rows(
        "SELECT relnamespace, relnamespace::regnamespace::text FROM pg_class"
        " WHERE oid = to_regclass('procrastinate_jobs')"
    )
    if not found:
        context.is_schema_complete = False
        return _not_found(context)
    [(namespace, schema)] = found
    expected = expected_objects()
    rows = context.rows(_OBJECTS, namespace=namespace, names=[name for _, name in expected])
    present = {(object_type, name): source for object_type, name, source in rows}
    missing = {each for each in expected if each not in present}
    missing -= {(kind, column) for kind, column in missing if ("table", column.partition(".")[0]) in missing}
    needed = {each for each in missing if each[0] != "index"}
    different = {
        ("function", function)
        for function, source in _BODY.findall(SchemaManager.get_schema())  # as in pg_proc.prosrc
        if present.get(("function", function), source) != source
    }
    context.is_schema_complete = not needed
    installed = f"procrastinate {version('procrastinate')}"
    value = {
        "schema": schema,
        "installed": version("procrastinate"),
        "missing": sorted(" ".join(each) for each in missing),
        "different": sorted(" ".join(each) for each in different),
    }
    if not missing and not different:
        return passed(f"in {schema}, as of {installed}", value=value)
    created = _migrations()
    first = min((created[each] for each in missing | different if each in created), default=None)
    hint = (
        f"apply the migrations from {first} on; `procrastinate schema --migrations-path` shows where they are"
    )
    known = expected | created.keys()
    newer = {each for each in present if each[0] == "function" and each not in known}
    if newer and missing:
        hint = f"the schema is of a newer version, with {_shortened(newer)}: upgrade procrastinate"
    if needed:
        message = f"{installed} needs {_shortened(needed)}, which does not exist"
        return failed(message, hint, value=value)
    if missing:
        return warned(f"{_shortened(missing)} does not exist: slow queries", hint, value=value)
    return warned(f"{_shortened(different)} differs from {installed}", hint, value=value)


def _not_found(context: HostContext) -> Result:
    """Report the schema that has the tables, if it is not on the search_path."""
    elsewhere = context.rows(
        "SELECT nspname, quote_ident(nspname), has_schema_privilege(pg_namespace.oid, 'USAGE'),"
        " quote_ident(current_user)"
        " FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
        " WHERE relname = 'procrastinate_jobs' AND relkind IN ('r', 'p') ORDER BY 1"
    )
    if not elsewhere:
        hint = "python -m procrastinate --app=module.app schema --apply"
        return failed("procrastinate's tables do not exist", hint)
    name, quoted, has_usage, role = elsewhere[0]
    if not has_usage:
        message = f"{role} has no USAGE on the schema {name}, which has procrastinate's tables"
        return failed(message, f"GRANT USAGE ON SCHEMA {quoted} TO {role}")
    message = f"procrastinate's tables are in the schema {name}, which is not on the search_path"
    hint = f"ALTER ROLE {role} SET search_path = {quoted}; or set options='-c search_path={name}'"
    return failed(message, hint)


def _shortened(objects: set[SchemaObject]) -> str:
    first, *others = sorted(objects)
    return f"the {' '.join(first)}" + (f" (and {len(others)} more)" if others else "")


@cache
def expected_objects() -> frozenset[SchemaObject]:
    """Return the objects of the installed procrastinate's schema."""
    return _created_objects(SchemaManager.get_schema())


def _migrations() -> dict[SchemaObject, str]:
    """Return the objects that migrations create, each with the last migration that does."""
    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    return {each: file.name for file in files for each in _created_objects(file.read_text(encoding="utf-8"))}


def _created_objects(sql: str) -> frozenset[SchemaObject]:
    created = {(object_type.lower(), name) for object_type, name in _CREATE.findall(sql)}
    for table, columns in _TABLE.findall(sql):
        created |= {("column", f"{table}.{column}") for column in _COLUMN.findall(columns)}
    for table, changes in _ALTER.findall(sql):
        created |= {("column", f"{table}.{column}") for column in _ADDED.findall(changes)}
    return frozenset(created)
