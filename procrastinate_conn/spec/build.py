"""From the values that won to a spec, or to what libpq would refuse of them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

from procrastinate_conn import libpq
from procrastinate_conn.origins import Located, Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.sources import password_file
from procrastinate_conn.spec.connection import ConnectionSpec
from procrastinate_conn.spec.hosts import hosts
from procrastinate_conn.spec.judge import judge, text

_REACHED = ("host", "hostaddr", "port")


def build_spec(
    stated: Mapping[str, Located], veiled: Container[str] = (), session: Mapping[str, str] | None = None
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

    Returns
    -------
    tuple
        The spec, or None where libpq would refuse, and everything that it would refuse.
    """
    problems = list(judge(stated))
    if problems:
        return None, problems
    values = text(stated)
    over_tcp = not any(host.is_socket for host in hosts(values))
    asked = {k: v for k, v in values.items() if k not in (*_REACHED, "service", "servicefile")}
    told = {
        **values,
        **libpq.ask(asked, over_tcp=over_tcp).info,
        **{k: values[k] for k in _REACHED if k in values},
    }
    if not told.get("password") and not told.get("passfile") and (file := password_file.default_file()):
        told["passfile"] = file
    origins = {k: _origin(stated.get(k)) for k, v in told.items() if v}
    ordered = {k: told[k] for k in libpq.keywords() if k in told}
    return ConnectionSpec.from_parameters(
        ordered, origins, veiled={k for k in told if k in veiled}, session=session or {}
    ), []


def judge_password_file(spec: ConnectionSpec) -> list[Problem]:
    """Say why libpq ignores the password file that it would read, if it does."""
    if spec.passfile is None or spec.password is not None:
        return []
    origin = spec.origins.get("passfile")
    named = origin if origin is not None and origin.source != "libpq-default" else None
    return list(password_file.judge(Path(spec.passfile), named))


def _origin(located: Located | None) -> Origin:
    return located.origin if located is not None and located.value else Origin("libpq-default")
