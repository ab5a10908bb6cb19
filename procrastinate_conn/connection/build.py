"""From the values that won to a spec, or to what libpq would refuse of them."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping

from procrastinate_conn import libpq
from procrastinate_conn.connection import validation as judge
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.origins import Located, Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.sources import password_file

_NOT_ASKED = ("host", "hostaddr", "port", "service", "servicefile")
"""Keywords that say where to connect to, which are judged without libpq, or with nothing else beside them."""


def build_spec(
    stated: Mapping[str, Located],
    veiled: Container[str] = (),
    session: Mapping[str, str] | None = None,
    known: Collection[str] | None = None,
) -> tuple[ConnectionSpec | None, list[Problem]]:
    """Let libpq complete and judge the values that won.

    Parameters
    ----------
    stated
        Keyword to value; the values are text, the keywords are libpq's.
    veiled
        The keywords whose value may hold a piece of a password.
    session
        The variables of the session, which libpq reads from the process environment.
    known
        The keywords that the libpq of the driver knows; by default those of psycopg's.

    Returns
    -------
    tuple
        The spec, or None where libpq would refuse, and everything that it would refuse.
    """
    if problems := list(judge.judge_texts(stated)):
        return None, problems
    problems = list(judge.judge_lists(stated))
    values = judge.text(stated)
    tried = [] if problems else hosts(values)
    over_tcp = not any(host.is_socket for host in tried)
    asked = {k: located for k, located in stated.items() if k not in _NOT_ASKED}
    answer = libpq.ask(judge.text(asked), over_tcp=over_tcp)
    problems += judge.judge_hosts(stated, tried)
    problems += judge.judge_integer("connect_timeout", stated)
    if answer.refusal:
        guilty = list(judge.judge_values(asked, lambda some: libpq.refuses(some, over_tcp=over_tcp)))
        # What is refused of the whole alone is the user, which is the system's where none is stated.
        problems += guilty or [judge.refused_user(answer.refusal)]
    if problems:
        return None, problems
    told = {**values, **answer.info}
    told.update({k: values[k] for k in ("host", "hostaddr", "port") if k in values})
    if not told.get("password") and not told.get("passfile") and (file := password_file.default_file()):
        told["passfile"] = file
    origins = {k: _origin(stated.get(k)) for k, v in told.items() if v}
    ordered = {k: told[k] for k in libpq.keywords() if k in told}
    hidden = [k for k in told if k in veiled]
    return ConnectionSpec.from_parameters(ordered, origins, veiled=hidden, session=session, known=known), []


def _origin(located: Located | None) -> Origin:
    return located.origin if located is not None and located.value else Origin("libpq-default")
