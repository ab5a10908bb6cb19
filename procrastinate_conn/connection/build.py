"""Builds the spec from the effective values, with everything that libpq would reject in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from procrastinate_conn import libpq
from procrastinate_conn.connection import validation
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.origins import LIBPQ_DEFAULT, Origin, SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.sources import password_file

_ADDRESS = ("host", "hostaddr", "port", "service", "servicefile")
"""Keywords that say where to connect to; libpq is probed without them."""


def build_spec(
    effective: Mapping[str, SourcedValue],
    redacted_keywords: Collection[str] = (),
    session: Mapping[str, str] | None = None,
    known: Collection[str] | None = None,
) -> tuple[ConnectionSpec | None, list[Problem]]:
    """Let libpq complete and validate the effective values, which are text.

    Returns the spec, or None if libpq would reject the values, and what it would reject. The other arguments
    are those of `ConnectionSpec.from_parameters`.
    """
    if problems := list(validation.validate_encoding(effective)):
        return None, problems
    problems = list(validation.validate_lists(effective))
    values = validation.as_texts(effective)
    candidates = [] if problems else hosts(values)
    over_tcp = not any(host.is_socket for host in candidates)
    probed = {keyword: sourced for keyword, sourced in effective.items() if keyword not in _ADDRESS}
    result = libpq.probe(validation.as_texts(probed), over_tcp=over_tcp)
    problems += validation.validate_hosts(effective, candidates)
    problems += validation.validate_integer("connect_timeout", effective)
    if result.rejection:
        problems += validation.validate_values(probed, result.rejection, over_tcp=over_tcp)
    if problems:
        return None, problems
    lists = {k: value for k, value in values.items() if k in ("host", "hostaddr", "port")}
    parameters = {**values, **result.info, **lists}
    has_password = parameters.get("password") or parameters.get("passfile")
    if not has_password and (default := password_file.default_file()):
        parameters["passfile"] = default
    parameters = {keyword: parameters[keyword] for keyword in libpq.keywords() if keyword in parameters}
    spec = ConnectionSpec.from_parameters(
        parameters,
        {keyword: _origin(effective.get(keyword)) for keyword, value in parameters.items() if value},
        redacted_keywords=parameters.keys() & set(redacted_keywords),
        session=session,
        known=known,
    )
    return spec, []


def _origin(sourced: SourcedValue | None) -> Origin:
    return sourced.origin if sourced is not None and sourced.value else Origin(LIBPQ_DEFAULT.name)
