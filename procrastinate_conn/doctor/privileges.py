"""Whether the role has the privileges that procrastinate needs on its tables and functions."""

from __future__ import annotations

from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, failed, passed, warned
from procrastinate_conn.doctor.schema import expected_objects

_TO_DEFER = {"procrastinate_jobs": ("SELECT", "INSERT"), "procrastinate_events": ("INSERT",)}
"""Privileges to store a job; procrastinate's functions run with those of their caller."""

_TO_WORK = {
    "procrastinate_jobs": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "procrastinate_events": ("SELECT", "INSERT"),
    "procrastinate_periodic_defers": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "procrastinate_workers": ("SELECT", "INSERT", "UPDATE", "DELETE"),
}
"""Privileges for workers, periodic tasks and the management of jobs."""

_MISSING_GRANTS = """
    WITH namespace AS (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('procrastinate_jobs')),
    -- A serial column's sequence needs a privilege of its own, an identity column's does not.
    serials AS MATERIALIZED (
        SELECT serial.oid FROM pg_class AS serial
        JOIN pg_depend ON objid = serial.oid AND classid = 'pg_class'::regclass AND deptype = 'a'
        JOIN pg_class AS owner ON owner.oid = refobjid
        WHERE serial.relkind = 'S' AND owner.relname = ANY(%(tables)s)
            AND owner.relnamespace IN (SELECT relnamespace FROM namespace)
    )
    SELECT format('GRANT %%s ON %%s TO %%I', string_agg(privilege, ', ' ORDER BY number), name::regclass,
                  current_user)
        FROM unnest(%(tables)s::text[], %(privileges)s::text[])
            WITH ORDINALITY AS wanted (name, privilege, number)
        WHERE NOT has_table_privilege(to_regclass(name), privilege) GROUP BY name
    UNION ALL
    SELECT format('GRANT USAGE ON SEQUENCE %%s TO %%I', oid::regclass, current_user) FROM serials
        WHERE NOT has_sequence_privilege(oid, 'USAGE, UPDATE')
    UNION ALL
    SELECT format('GRANT EXECUTE ON FUNCTION %%s TO %%I', oid::regprocedure, current_user) FROM pg_proc
        WHERE proname = ANY(%(functions)s) AND pronamespace IN (SELECT relnamespace FROM namespace)
            AND NOT has_function_privilege(oid, 'EXECUTE')
    UNION ALL
    SELECT format('GRANT USAGE ON TYPE %%s TO %%I', oid::regtype, current_user) FROM pg_type
        WHERE typname = ANY(%(types)s) AND typnamespace IN (SELECT relnamespace FROM namespace)
            AND NOT has_type_privilege(oid, 'USAGE')
    ORDER BY 1
"""


def run(context: HostContext) -> Result | None:
    """Query the missing privileges, as the statements that grant them."""
    if not context.is_schema_complete:  # privileges on what does not exist cannot be missing
        return None
    to_work = _missing_grants(context, _TO_WORK)
    hint = "; ".join(to_work)
    if _missing_grants(context, _TO_DEFER):
        return failed("storing a job is not permitted", hint, value=to_work)
    if not to_work:
        return passed("jobs can be stored and worked", value=[])
    if context.works_jobs:
        return failed("working jobs is not permitted", hint, value=to_work)
    message = "jobs can be stored; workers and the management of jobs are not permitted"
    return warned(message, f"if they are wanted: {hint}", value=to_work)


def _missing_grants(context: HostContext, privileges: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the statements that grant the missing ones of some privileges, by table."""
    pairs = [(table, privilege) for table, needed in privileges.items() for privilege in needed]
    rows = context.rows(
        _MISSING_GRANTS,
        tables=[table for table, _ in pairs],
        privileges=[privilege for _, privilege in pairs],
        functions=[name for object_type, name in expected_objects() if object_type == "function"],
        types=[name for object_type, name in expected_objects() if object_type == "type"],
    )
    return [grant for (grant,) in rows]
