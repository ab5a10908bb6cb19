"""Who wins, keyword by keyword: the precedence of everything that describes the connection."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from procrastinate_conn import libpq
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.resolution.embedded_dsn import split_embedded_dsns
from procrastinate_conn.rules import Example, Rule
from procrastinate_conn.sources.base import Source
from procrastinate_conn.sources.defaults import Defaults, resilient_defaults
from procrastinate_conn.sources.dsn import ParsedDsn, foreign_scheme, parse_dsn, unknown_keyword
from procrastinate_conn.sources.service_file import read_service

FOREIGN_DATABASE_URL = Rule(
    "PC203",
    "DATABASE_URL of another database",
    "It is ignored, and the connection comes from libpq's variables and defaults.",
    "Set PROCRASTINATE_CONN_DSN for procrastinate.",
    severity="warning",
    example=Example("DATABASE_URL=mysql://app@localhost/shop"),
)

HOSTADDR_OVERRIDES_HOST = Rule(
    "PC210",
    "PGHOSTADDR that redirects the host",
    "libpq connects to that address, whatever host is named elsewhere: another server under the right name.",
    "Unset PGHOSTADDR, or state hostaddr beside host.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs\nPGHOSTADDR=127.0.0.2"),
)

REJECTED_VALUE = Rule(
    "PC205",
    "value that libpq refuses",
    "libpq refuses the value when it connects; a pool retries that silently until it times out.",
    "Use one of the values that libpq documents.",
    example=Example("PROCRASTINATE_CONN_CONNECTION__SSLMODE=requre"),
)


Layer = Mapping[str, SourcedValue]
"""What one row of the precedence states: keyword to value."""


class ResolvedConnection(NamedTuple):
    """Everything that is configured for the connection, by precedence.

    Parameters
    ----------
    configured
        Keyword to all its values, the effective one first.
    dsn
        The DSN that counts, or the ``DATABASE_URL`` in its place.
    redacted_keywords
        The keywords whose value may be a piece of a password, and is not to be shown.
    problems
        What libpq cannot read.
    """

    configured: Mapping[str, Sequence[SourcedValue]]
    dsn: ParsedDsn | None
    redacted_keywords: frozenset[str]
    problems: tuple[Problem, ...]

    @property
    def effective(self) -> dict[str, SourcedValue]:
        """Keyword to its effective value."""
        return {keyword: values[0] for keyword, values in self.configured.items()}


def merge_connection(
    sources: Sequence[Source], dsn: ParsedDsn | None, defaults: Defaults
) -> ResolvedConnection:
    """Merge the keywords of all sources, by precedence.

    Parameters
    ----------
    sources
        By precedence, highest first.
    dsn
        The effective DSN of the sources.
    defaults
        Whether the resilient defaults override libpq's own.
    """
    problems = _dsn_problems(sources, dsn)
    dsn_parameters, embedded = split_embedded_dsns(dsn.parameters if dsn else {})
    problems += embedded
    database_url, explicit = dsn_parameters, list[Layer]()
    for source in sources:
        explicit.append(_known(source.section("connection"), problems))
        if dsn and source.settings.get(("dsn",)) is dsn.sourced:
            database_url = {}
            explicit.append(dsn_parameters)
    variables = _libpq_variables(sources)
    layers = [
        *explicit,
        database_url,
        _service([*explicit, database_url, *variables], sources, problems),
        *variables,
        _session_name(sources),
        resilient_defaults(defaults),
    ]
    problems.extend(_redirected(layers))
    redacted = dsn_parameters.keys() & {"user", "host", "port", "dbname"}
    return ResolvedConnection(
        _stack(layers),
        dsn,
        frozenset(redacted if dsn and dsn.password_overflows else ()),
        tuple(problems),
    )


def effective_dsn(sources: Sequence[Source]) -> ParsedDsn | None:
    """Parse the nearest DSN, or else the nearest DATABASE_URL that is not another database's."""
    dsn = next((source.settings["dsn",] for source in sources if ("dsn",) in source.settings), None)
    if dsn is None:
        dsn = _database_url(sources)
        if dsn is not None and foreign_scheme(str(dsn.value)):
            return None
    return None if dsn is None else parse_dsn(dsn)


def _database_url(sources: Sequence[Source]) -> SourcedValue | None:
    return next((source.database_url for source in sources if source.database_url), None)


def _dsn_problems(sources: Sequence[Source], dsn: ParsedDsn | None) -> list[Problem]:
    if dsn is not None:
        return list(dsn.problems)
    if (url := _database_url(sources)) is None:
        return []
    message = f"DATABASE_URL is a {foreign_scheme(str(url.value))}: URL and is ignored"
    hint = "set PROCRASTINATE_CONN_DSN to a postgresql:// URL"
    return [FOREIGN_DATABASE_URL("dsn", message, hint=hint, origin=url.origin)]


def _session_name(sources: Sequence[Source]) -> Layer:
    """Return the pool's name as the name of its sessions, where nothing else names them."""
    names = [source.settings["pool", "name"] for source in sources if ("pool", "name") in source.settings]
    return {"fallback_application_name": names[0]} if names and isinstance(names[0].value, str) else {}


def _stack(layers: Iterable[Layer]) -> dict[str, list[SourcedValue]]:
    stated: dict[str, list[SourcedValue]] = {}
    for layer in layers:
        for keyword, sourced in layer.items():
            stated.setdefault(keyword, []).append(sourced)
    return stated


def _libpq_variables(sources: Sequence[Source]) -> Sequence[Layer]:
    """Return the keywords that libpq's variables state, place by place."""
    keywords = libpq.variables()
    layers = [{keywords[n]: v for n, v in source.variables.items() if n in keywords} for source in sources]
    # Deprecated, but libpq still reads it: PGREQUIRESSL=1 is sslmode=require where PGSSLMODE is not set.
    nearest = next((i for i, source in enumerate(sources) if "PGREQUIRESSL" in source.variables), None)
    if nearest is not None and not any("sslmode" in layer for layer in layers):
        required = sources[nearest].variables["PGREQUIRESSL"]
        if str(required.value).startswith("1"):
            layers[nearest]["sslmode"] = replace(required, value="require")
    return layers


def _known(stated: Mapping[str, SourcedValue], problems: list[Problem]) -> dict[str, SourcedValue]:
    """Return single keywords as text, and report those that libpq cannot be told."""
    known: dict[str, SourcedValue] = {}
    for keyword, sourced in stated.items():
        if keyword not in libpq.keywords():
            problems.append(unknown_keyword(keyword, str(sourced.origin.name), sourced.origin))
        elif (text := as_text(sourced.value)) is None:
            problems.append(_no_text(keyword, sourced))
        else:
            known[keyword] = replace(sourced, value=text)
    return known


def _no_text(keyword: str, sourced: SourcedValue) -> Problem:
    what, hint = f"a {type(sourced.value).__name__}", "write it as text"
    if sourced.value is None:
        what, hint = "none", "leave it out"
    elif keyword in ("host", "hostaddr", "port"):
        hint = "write several as one text, separated by commas"
    return REJECTED_VALUE(
        f"connection.{keyword}",
        f"{keyword} is {what}, not text or a number",
        hint=hint,
        origin=sourced.origin,
    )


def as_text(value: object) -> str | None:
    """Write a value as libpq reads it; None if it has no such form."""
    match value:
        case str():
            return value
        case int():
            return str(int(value))  # of True 1, and of an enumeration's member the number
        case float():
            return str(value)
        case os.PathLike():
            return os.fsdecode(value)
        case _:
            return None


def _service(layers: Sequence[Layer], sources: Sequence[Source], problems: list[Problem]) -> Layer:
    """Return what the service file says of the service that the layers name."""
    service = next((layer["service"] for layer in layers if "service" in layer), None)
    if service is None:
        return {}
    variables: dict[str, SourcedValue] = {}
    for source in reversed(sources):
        variables.update(source.variables)
    file = next((layer["servicefile"] for layer in layers if "servicefile" in layer), None)
    found, faults = read_service(service, file or variables.get("PGSERVICEFILE"), variables)
    kept, misplaced = split_embedded_dsns(found)
    problems.extend([*faults, *misplaced])
    return kept


def _redirected(layers: Sequence[Layer]) -> Iterable[Problem]:
    """Report an address from PGHOSTADDR that libpq prefers to the host that was stated nearer."""
    first = {
        keyword: next((i for i, layer in enumerate(layers) if keyword in layer), len(layers))
        for keyword in ("host", "hostaddr")
    }
    if first["hostaddr"] == len(layers) or first["host"] >= first["hostaddr"]:
        return
    address, host = layers[first["hostaddr"]]["hostaddr"], layers[first["host"]]["host"]
    if address.origin.name == "PGHOSTADDR" and address.value and host.value:
        # What a DSN says is not shown: a password that is not encoded may spill into the host.
        named = "the host of the DSN" if host.from_dsn else f"the host {host.value} of {host.origin}"
        yield HOSTADDR_OVERRIDES_HOST(
            "connection.hostaddr",
            f"libpq connects to PGHOSTADDR={address.value}, not to {named}",
            hint="unset PGHOSTADDR, or state hostaddr in the same place as host",
            origin=address.origin,
        )
