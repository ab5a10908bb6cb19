"""Whether we may do with procrastinate's tables and functions what it does."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.doctor.expected_schema import expected
from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.doctor.result import Result, failed, passed, warned

_TO_DEFER = {
    "procrastinate_jobs": ("SELECT", "INSERT"),
    "procrastinate_events": ("INSERT",),
}
"""What storing a job takes; procrastinate's functions run with the rights of their caller."""

_TO_WORK = {
    "procrastinate_jobs": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "procrastinate_events": ("SELECT", "INSERT"),
    "procrastinate_periodic_defers": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "procrastinate_workers": ("SELECT", "INSERT", "UPDATE", "DELETE"),
}
"""What workers, periodic tasks and the management of jobs take."""

_MISSING_ON_TABLES = """
    SELECT format('GRANT %%s ON %%s TO %%I', string_agg(privilege, ', ' ORDER BY number), name::regclass,
                  current_user)
    FROM unnest(%(tables)s::text[], %(privileges)s::text[])
        WITH ORDINALITY AS wanted (name, privilege, number)
    WHERE NOT has_table_privilege(to_regclass(name), privilege)
    GROUP BY name ORDER BY name
"""
_MISSING_ELSEWHERE = """
    WITH home AS (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('procrastinate_jobs')),
    -- An identity column's sequence takes no right of its own, a serial column's does.
    serials AS MATERIALIZED (
        SELECT serial.oid FROM pg_class AS serial
        JOIN pg_depend ON objid = serial.oid AND classid = 'pg_class'::regclass AND deptype = 'a'
        JOIN pg_class AS owner ON owner.oid = refobjid
        WHERE serial.relkind = 'S' AND owner.relname = ANY(%(tables)s)
            AND owner.relnamespace IN (SELECT relnamespace FROM home)
    )
    SELECT format('GRANT USAGE ON SEQUENCE %%s TO %%I', oid::regclass, current_user) FROM serials
        WHERE NOT has_sequence_privilege(oid, 'USAGE, UPDATE')
    UNION ALL
    SELECT format('GRANT EXECUTE ON FUNCTION %%s TO %%I', oid::regprocedure, current_user) FROM pg_proc
        WHERE proname = ANY(%(functions)s) AND pronamespace IN (SELECT relnamespace FROM home)
            AND NOT has_function_privilege(oid, 'EXECUTE')
    UNION ALL
    SELECT format('GRANT USAGE ON TYPE %%s TO %%I', oid::regtype, current_user) FROM pg_type
        WHERE typname = ANY(%(types)s) AND typnamespace IN (SELECT relnamespace FROM home)
            AND NOT has_type_privilege(oid, 'USAGE')
    ORDER BY 1
"""


def examine(patient: Patient) -> Iterator[Result]:
    """Ask the server which rights are missing; the answer is what has to be granted."""
    if patient.rows("SELECT to_regclass('procrastinate_jobs')") == [(None,)]:
        return
    to_defer = _grants(patient, _TO_DEFER)
    to_work = _grants(patient, _TO_WORK)
    if to_defer:
        yield failed("rights", "storing a job is not permitted", "; ".join(to_work), value=to_work)
    elif not to_work:
        yield passed("rights", "jobs can be stored and worked", value=[])
    elif patient.listens:
        yield failed("rights", "working jobs is not permitted", "; ".join(to_work), value=to_work)
    else:
        message = "jobs can be stored; workers and the management of jobs are not permitted"
        yield warned("rights", message, f"if they are wanted: {'; '.join(to_work)}", value=to_work)


def _grants(patient: Patient, rights: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the statements that would grant what is missing of some rights."""
    pairs = [(table, privilege) for table, privileges in rights.items() for privilege in privileges]
    rows = patient.rows(
        _MISSING_ON_TABLES,
        tables=[table for table, _ in pairs],
        privileges=[privilege for _, privilege in pairs],
    ) + patient.rows(
        _MISSING_ELSEWHERE,
        tables=list(rights),
        functions=expected().names("function"),
        types=expected().names("type"),
    )
    return [grant for (grant,) in rows]
