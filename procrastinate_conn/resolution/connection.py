"""The precedence of everything that describes the connection, keyword by keyword."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from pydantic import SecretStr

from procrastinate_conn import libpq
from procrastinate_conn.aliases import VALUES
from procrastinate_conn.origins import CALL, ENVIRONMENT, SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.resolution.embedded_dsn import without_dsns
from procrastinate_conn.setting_names import DEFAULT_NAMES
from procrastinate_conn.sources.base import INVALID_VALUE, Source
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
    "libpq connects to that address, whatever host is set elsewhere: another server under the right name.",
    "Unset PGHOSTADDR, or set hostaddr beside host.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs\nPGHOSTADDR=127.0.0.2"),
)

REJECTED_VALUE = Rule(
    "PC205",
    "value that libpq rejects",
    "libpq rejects the value when it connects; a pool retries that silently until it times out.",
    "Use one of the values that libpq documents.",
    example=Example("PROCRASTINATE_CONN_CONNECTION__SSLMODE=requre"),
)

Layer = dict[str, SourcedValue]
"""One row of the precedence: keyword to value."""

_PYDANTIC_MASK = str(SecretStr("."))  # what pydantic writes for a secret, of any length
_ADDRESS = {"user", "host", "port", "dbname"}  # into which a password in a URI may overflow


class ResolvedConnection(NamedTuple):
    """Everything that is configured for the connection, by precedence."""

    configured: Mapping[str, Sequence[SourcedValue]]  # keyword to all its values, the effective one first
    dsn: ParsedDsn | None  # the effective one, or the ``DATABASE_URL`` in its place
    redacted_keywords: frozenset[str]  # their values may be pieces of a password, and are not to be shown
    problems: tuple[Problem, ...]

    @property
    def effective(self) -> dict[str, SourcedValue]:
        """Keyword to its effective value."""
        return {keyword: values[0] for keyword, values in self.configured.items()}


def merge_connection(
    sources: Sequence[Source], dsn: ParsedDsn | None, defaults: Defaults
) -> ResolvedConnection:
    """Merge the keywords of all sources, which are given by precedence, and of their effective DSN."""
    problems = [*dsn.problems] if dsn else []
    parameters = without_dsns(dsn.parameters if dsn else {}, "connection.{}".format, problems)
    settings: list[Layer] = []
    for source in sources:
        settings += [_keywords(source, problems), parameters if dsn and source.dsn is dsn.sourced else {}]
    settings.append({} if any(source.dsn for source in sources) else parameters)  # DATABASE_URL
    variables = _libpq_variables(sources)
    layers = [
        *settings,
        _service(ChainMap(*settings, *variables), sources, problems),
        *variables,
        _session_name(sources),
        resilient_defaults(defaults),
    ]
    problems += _overridden_host(layers)
    configured: dict[str, list[SourcedValue]] = {}
    for keyword, sourced in chain.from_iterable(layer.items() for layer in layers):
        configured.setdefault(keyword, []).append(sourced)
    if dsn is None:
        problems += _foreign_url(sources, has_host=bool(configured.keys() & {"host", "hostaddr"}))
    redacted = parameters.keys() & _ADDRESS if dsn and dsn.password_overflows else ()
    return ResolvedConnection(configured, dsn, frozenset(redacted), tuple(problems))


def effective_dsn(sources: Sequence[Source]) -> ParsedDsn | None:
    """Parse the DSN of the highest precedence; without one, ``DATABASE_URL`` if it is PostgreSQL's."""
    dsn = next((source.dsn for source in sources if source.dsn), None)
    url = next((source.database_url for source in sources if source.database_url), None)
    if dsn is None and url is not None and not foreign_scheme(str(url.value)):
        dsn = url
    return None if dsn is None else parse_dsn(dsn)


def _foreign_url(sources: Sequence[Source], *, has_host: bool) -> Iterator[Problem]:
    """Report a ``DATABASE_URL`` that is ignored; beside a host it is for the application's other readers."""
    names, url = next(((s.names, s.database_url) for s in sources if s.database_url), (DEFAULT_NAMES, None))
    if url is not None and not (has_host and names.is_default):
        message = f"{url.origin.name} is a {foreign_scheme(str(url.value))}: URL and is ignored"
        hint = f"set {names.variable(('dsn',))} to a postgresql:// URL"
        yield FOREIGN_DATABASE_URL("dsn", message, hint=hint, origin=url.origin)


def _keywords(source: Source, problems: list[Problem]) -> Layer:
    """Return the single keywords of a source as text, and report those that libpq cannot read."""
    keywords: Layer = {}
    for keyword, sourced in source.section("connection").items():
        if keyword not in libpq.keywords():
            problems.append(unknown_keyword(keyword, str(sourced.origin.name), sourced.origin))
        elif (text := as_text(sourced.value)) is None or _is_read_as_no_text(keyword, sourced):
            problems.append(_not_text(keyword, sourced))
        elif text == _PYDANTIC_MASK and libpq.is_secret(keyword):
            message, hint = f"{keyword} is masked", "write it itself: a dump of the settings does not have it"
            problems.append(INVALID_VALUE(f"connection.{keyword}", message, hint=hint, origin=sourced.origin))
        else:
            keywords[keyword] = replace(sourced, value=text)
    return keywords


def as_text(value: object) -> str | None:
    """Write a value as libpq reads it; None if it has no such form."""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(int(value))  # 1 for True, and the number for a member of an enumeration
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    return str(value) if isinstance(value, float) else None


def _is_read_as_no_text(keyword: str, sourced: SourcedValue) -> bool:
    """Tell whether a format took a word for a boolean, or a password for a number: YAML reads 0123 as 83."""
    if sourced.origin.kind is CALL or not isinstance(sourced.value, int | float):
        return False
    return keyword not in libpq.FLAGS if isinstance(sourced.value, bool) else libpq.is_secret(keyword)


def _not_text(keyword: str, sourced: SourcedValue) -> Problem:
    found, hint = f"a {type(sourced.value).__name__}", "write it as text, with quotes around it"
    if isinstance(sourced.value, int | float):
        found = str(sourced.value).lower() if isinstance(sourced.value, bool) else "a number"
    if sourced.value is None:
        found, hint = "none", "leave it out"
    elif near := VALUES.get(keyword, {}).get(str(sourced.value).lower()):
        hint = f"did you mean {near}?"
    elif keyword in ("host", "hostaddr", "port"):
        hint = "write several as one text, separated by commas"
    expected = "text" if isinstance(sourced.value, int | float) else "text or a number"
    message = f"{keyword} is {found}, not {expected}"
    return REJECTED_VALUE(f"connection.{keyword}", message, hint=hint, origin=sourced.origin)


def _service(above: Mapping[str, SourcedValue], sources: Sequence[Source], problems: list[Problem]) -> Layer:
    if "service" not in above:
        return {}
    variables = dict(ChainMap(*(dict(source.variables) for source in sources)))
    file = above.get("servicefile") or variables.get("PGSERVICEFILE")
    section, faults = read_service(above["service"], file, variables)
    problems += faults
    return without_dsns(section, "connection.{}".format, problems)


def _libpq_variables(sources: Sequence[Source]) -> list[Layer]:
    keywords = libpq.variables()
    layers = [{keywords[n]: v for n, v in source.variables.items() if n in keywords} for source in sources]
    # Deprecated, but libpq still reads it: PGREQUIRESSL=1 is sslmode=require if PGSSLMODE is not set.
    for source, layer in zip(sources, layers, strict=True):
        if required := source.variables.get("PGREQUIRESSL"):
            if str(required.value).startswith("1") and not any("sslmode" in other for other in layers):
                layer["sslmode"] = replace(required, value="require")
            break
    return layers


def session_variables(sources: Sequence[Source]) -> dict[str, str]:
    """Return the variables of the process environment that libpq sends as settings of the session."""
    return {
        name: str(sourced.value)
        for source in sources
        if source.kind == ENVIRONMENT
        for name, sourced in source.variables.items()
        if name in libpq.SESSION_VARIABLES
    }


def _session_name(sources: Sequence[Source]) -> Layer:
    """Return the pool's name as the fallback name of its sessions."""
    name = next((s.settings["pool", "name"] for s in sources if ("pool", "name") in s.settings), None)
    return {"fallback_application_name": name} if name and isinstance(name.value, str) else {}


def _overridden_host(layers: Sequence[Layer]) -> Iterator[Problem]:
    nearest = next((layer for layer in layers if layer.keys() & {"host", "hostaddr"}), {})
    address = ChainMap(*layers).get("hostaddr")
    if "hostaddr" in nearest or address is None or address.origin.name != "PGHOSTADDR":
        return
    if address.value and (host := nearest["host"]).value:
        # The host of a DSN is not shown: a password that is not encoded may overflow into it.
        subject = "the host of the DSN" if host.from_dsn else f"the host {host.value} of {host.origin}"
        yield HOSTADDR_OVERRIDES_HOST(
            "connection.hostaddr",
            f"libpq connects to PGHOSTADDR={address.value}, not to {subject}",
            hint="unset PGHOSTADDR, or set hostaddr in the same place as host",
            origin=address.origin,
        )
