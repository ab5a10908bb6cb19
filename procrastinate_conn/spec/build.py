"""From the values that won to a spec, or to what libpq would refuse of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from procrastinate_conn import libpq
from procrastinate_conn.origins import Located, Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.sources import password_file
from procrastinate_conn.spec.connection import ConnectionSpec
from procrastinate_conn.spec.judge import host_count, judge, text


def build_spec(stated: Mapping[str, Located]) -> tuple[ConnectionSpec | None, list[Problem]]:
    """Let libpq complete and judge the values that won.

    Parameters
    ----------
    stated
        Keyword to value; the values are text, the keywords are libpq's.

    Returns
    -------
    tuple
        The spec, or None where libpq would refuse, and everything that it would refuse.
    """
    problems = list(judge(stated))
    if problems:
        return None, problems
    values = text(stated)
    reached = ("host", "hostaddr", "service")
    answer = libpq.ask({k: v for k, v in values.items() if k not in reached}, host_count(values))
    parameters = {**answer.info, **{k: values[k] for k in reached if values.get(k)}}
    if "password" not in parameters:
        parameters["passfile"] = values.get("passfile") or str(password_file.default_file())
    origins = {k: _origin(k, v, stated) for k, v in parameters.items()}
    ordered = {k: parameters[k] for k in libpq.keywords() if k in parameters}
    return ConnectionSpec.from_parameters(ordered, origins), []


def judge_password_file(spec: ConnectionSpec) -> list[Problem]:
    """Say why libpq ignores the password file that it would read, if it does."""
    if spec.passfile is None or spec.password is not None:
        return []
    return list(password_file.judge(Path(spec.passfile), spec.origins.get("passfile")))


def _origin(keyword: str, value: str, stated: Mapping[str, Located]) -> Origin:
    located = stated.get(keyword)
    return located.origin if located is not None and located.value == value else Origin("libpq-default")
