"""Whether the role has the privileges that procrastinate needs on its tables and functions."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.doctor.expected_schema import expected_names
from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import Result, failed, passed, warned

_TO_DEFER = {
    "procrastinate_jobs": ("SELECT", "INSERT"),
    "procrastinate_events": ("INSERT",),
}
"""Privileges to store a job; procrastinate's functions run with those of their caller."""

_TO_WORK = {
    "procrastinate_jobs": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "procrastinate_events": ("SELECT", "INSERT"),
    "procrastinate_periodic_defers": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "procrastinate_workers": ("SELECT", "INSERT", "UPDATE", "DELETE"),
}
"""Privileges for workers, periodic tasks and the management of jobs."""

_MISSING_ON_TABLES = """
    SELECT format('GRANT %%s ON %%s TO %%I', string_agg(privilege, ', ' ORDER BY number), name::regclass,
                  current_user)
    FROM unnest(%(tables)s::text[], %(privileges)s::text[])
        WITH ORDINALITY AS wanted (name, privilege, number)
    WHERE NOT has_table_privilege(to_regclass(name), privilege)
    GROUP BY name ORDER BY name
"""
_MISSING_ELSEWHERE = """
    WITH namespace AS (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('procrastinate_jobs')),
    -- A serial column's sequence needs a privilege of its own, an identity column's does not.
    serials AS MATERIALIZED (
        SELECT serial.oid FROM pg_class AS serial
        JOIN pg_depend ON objid = serial.oid AND classid = 'pg_class'::regclass AND deptype = 'a'
        JOIN pg_class AS owner ON owner.oid = refobjid
        WHERE serial.relkind = 'S' AND owner.relname = ANY(%(tables)s)
            AND owner.relnamespace IN (SELECT relnamespace FROM namespace)
    )
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


def run(context: HostContext) -> Iterator[Result]:
    """Query the missing privileges, as the statements that grant them."""
    if not context.is_schema_complete:  # privileges on what does not exist cannot be missing
        return
    to_defer = _missing_grants(context, _TO_DEFER)
    to_work = _missing_grants(context, _TO_WORK)
    hint = "; ".join(to_work)
    if to_defer:
        yield failed("rights", "storing a job is not permitted", hint, value=to_work)
    elif not to_work:
        yield passed("rights", "jobs can be stored and worked", value=[])
    elif context.works_jobs:
        yield failed("rights", "working jobs is not permitted", hint, value=to_work)
    else:
        message = "jobs can be stored; workers and the management of jobs are not permitted"
        yield warned("rights", message, f"if they are wanted: {hint}", value=to_work)


def _missing_grants(context: HostContext, privileges: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the statements that grant the missing ones of some privileges, by table."""
    pairs = [(table, privilege) for table, needed in privileges.items() for privilege in needed]
    on_tables = context.rows(
        _MISSING_ON_TABLES,
        tables=[table for table, _ in pairs],
        privileges=[privilege for _, privilege in pairs],
    )
    elsewhere = context.rows(
        _MISSING_ELSEWHERE,
        tables=list(privileges),
        functions=expected_names("function"),
        types=expected_names("type"),
    )
    return [grant for (grant,) in on_tables + elsewhere]
