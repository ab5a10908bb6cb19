"""Whether procrastinate's schema is there, at the version of the installed library."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from procrastinate_conn.doctor.expected_schema import Thing, expected, first_migration, is_known
from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.doctor.result import Result, failed, passed, warned

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
    SELECT 'trigger', tgname, NULL FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE relnamespace = %(namespace)s::oid AND tgname = ANY(%(names)s)
"""


def examine(patient: Patient) -> Iterator[Result]:
    """Compare what is in the database with the SQL files of the installed procrastinate."""
    found = patient.rows(
        "SELECT relnamespace, relnamespace::regnamespace::text FROM pg_class"
        " WHERE oid = to_regclass('procrastinate_jobs')"
    )
    if not found:
        yield _absent(patient)
        return
    [(namespace, name)] = found
    wanted = expected()
    rows = patient.rows(_OBJECTS, namespace=namespace, names=[name for _, name in wanted.things])
    present = {(kind, name): body for kind, name, body in rows}
    missing = {thing for thing in wanted.things if thing not in present}
    different = {
        ("function", function)
        for function, body in wanted.bodies.items()
        if present.get(("function", function), body) != body
    }
    newer = {thing for thing in present if thing[0] == "function" and not is_known(thing)}
    yield _judge(name, missing, different, newer)


def _absent(patient: Patient) -> Result:
    """Say where the schema is, if it is not where the session looks."""
    elsewhere = patient.rows(
        "SELECT nspname, quote_ident(nspname), has_schema_privilege(pg_namespace.oid, 'USAGE'),"
        " quote_ident(current_user)"
        " FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
        " WHERE relname = 'procrastinate_jobs' AND relkind IN ('r', 'p') ORDER BY 1"
    )
    if not elsewhere:
        hint = "python -m procrastinate --app=module.app schema --apply"
        return failed("schema", "procrastinate's tables are not there", hint)
    name, quoted, may_use, role = elsewhere[0]
    if not may_use:
        return failed("schema", f"{role} may not use the schema {name}, where procrastinate's tables are",
                      f"GRANT USAGE ON SCHEMA {quoted} TO {role}")  # fmt: skip
    return failed(
        "schema",
        f"procrastinate's tables are in the schema {name}, which is not on the search_path",
        f"ALTER ROLE {role} SET search_path = {quoted}; or state options='-c search_path={name}'",
    )


def _judge(schema: str, missing: set[Thing], different: set[Thing], newer: set[Thing]) -> Result:
    installed = f"procrastinate {version('procrastinate')}"
    value = {
        "schema": schema,
        "installed": version("procrastinate"),
        "missing": sorted(" ".join(thing) for thing in missing),
        "different": sorted(" ".join(thing) for thing in different),
    }
    if not missing and not different:
        return passed("schema", f"in {schema}, as {installed} has it", value=value)
    first = first_migration(missing | different)
    hint = f"apply the migrations from {first} on; `procrastinate schema --migrations-path` tells where"
    if newer and missing:
        hint = f"the schema is a newer version's, with {_some(newer)}: upgrade procrastinate"
    needed = {thing for thing in missing if thing[0] != "index"}
    if needed:
        return failed("schema", f"{installed} needs {_some(needed)}, not there", hint, value=value)
    if missing:
        return warned("schema", f"without {_some(missing)}: slow queries", hint, value=value)
    return warned("schema", f"{_some(different)} not as {installed} has it", hint, value=value)


def _some(things: set[Thing]) -> str:
    first, *others = sorted(things)
    return f"the {' '.join(first)}" + (f" and {len(others)} more" if others else "")
