"""From the values that won to a spec, or to what libpq would refuse of them."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping

from procrastinate_conn import libpq
from procrastinate_conn.connection import validation
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.sources import password_file

_NOT_ASKED = ("host", "hostaddr", "port", "service", "servicefile")
"""Keywords that say where to connect to, which are judged without libpq, or with nothing else beside them."""


def build_spec(
    stated: Mapping[str, SourcedValue],
    redacted_keywords: Container[str] = (),
    session: Mapping[str, str] | None = None,
    known: Collection[str] | None = None,
) -> tuple[ConnectionSpec | None, list[Problem]]:
    """Let libpq complete and judge the values that won.

    Parameters
    ----------
    stated
        Keyword to value; the values are text, the keywords are libpq's.
    redacted_keywords
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
    if problems := list(validation.validate_texts(stated)):
        return None, problems
    problems = list(validation.validate_lists(stated))
    values = validation.text(stated)
    tried = [] if problems else hosts(values)
    over_tcp = not any(host.is_socket for host in tried)
    asked = {k: sourced for k, sourced in stated.items() if k not in _NOT_ASKED}
    answer = libpq.probe(validation.text(asked), over_tcp=over_tcp)
    problems += validation.validate_hosts(stated, tried)
    problems += validation.validate_integer("connect_timeout", stated)
    if answer.rejection:
        guilty = list(
            validation.validate_values(asked, lambda some: libpq.rejection(some, over_tcp=over_tcp))
        )
        # What is refused of the whole alone is the user, which is the system's where none is stated.
        problems += guilty or [validation.refused_user(answer.rejection)]
    if problems:
        return None, problems
    told = {**values, **answer.info}
    told.update({k: values[k] for k in ("host", "hostaddr", "port") if k in values})
    if not told.get("password") and not told.get("passfile") and (file := password_file.default_file()):
        told["passfile"] = file
    origins = {k: _origin(stated.get(k)) for k, v in told.items() if v}
    ordered = {k: told[k] for k in libpq.keywords() if k in told}
    hidden = [k for k in told if k in redacted_keywords]
    return ConnectionSpec.from_parameters(
        ordered, origins, redacted_keywords=hidden, session=session, known=known
    ), []


def _origin(sourced: SourcedValue | None) -> Origin:
    return sourced.origin if sourced is not None and sourced.value else Origin("libpq-default")
