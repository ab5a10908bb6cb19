"""`doctor`: what is wrong with a live server, host by host.

An examination is a module with one function, ``examine(patient)``, that gives results, and a line here.
"""

from __future__ import annotations

from procrastinate_conn.doctor import budget, clock, identity, listen, login, pooler, schema, timeouts, tls
from procrastinate_conn.doctor import connectivity as reach
from procrastinate_conn.doctor import prepared_statements as prepared
from procrastinate_conn.doctor import privileges as rights
from procrastinate_conn.doctor import recovery_state as role

EXAMINATIONS = (
    reach,
    login,
    tls,
    identity,
    role,
    clock,
    schema,
    rights,
    pooler,
    listen,
    prepared,
    budget,
    timeouts,
)
"""In the order in which they are reported; those after `tls` need the session that `login` opens."""

WITHOUT_SESSION = (reach, login, tls)
"""Those that say why there is none."""
