"""Who wins, keyword by keyword: the precedence of everything that describes the connection."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from procrastinate_conn import libpq
from procrastinate_conn.origins import Located
from procrastinate_conn.problems import Problem
from procrastinate_conn.resolution.embedded_dsn import without_strings
from procrastinate_conn.rules import connection as rules
from procrastinate_conn.sources.base import Place
from procrastinate_conn.sources.defaults import Defaults, resilient_defaults
from procrastinate_conn.sources.dsn import foreign_scheme, read_dsn
from procrastinate_conn.sources.service_file import read_service

Layer = Mapping[str, Located]
"""What one row of the precedence states: keyword to value."""


class Merged(NamedTuple):
    """What was stated for the connection, and who won.

    Parameters
    ----------
    stated
        For each keyword every value that was stated, the nearest first.
    dsn
        The one DSN that counts, or the ``DATABASE_URL`` in its place.
    veiled
        The keywords that are not to be shown: what was stated may hold a piece of a password.
    problems
        What could not be read or understood.
    """

    stated: Mapping[str, Sequence[Located]]
    dsn: Located | None
    veiled: frozenset[str]
    problems: tuple[Problem, ...]

    @property
    def winners(self) -> dict[str, Located]:
        """The nearest value of each keyword."""
        return {keyword: values[0] for keyword, values in self.stated.items()}


def merge_connection(places: Sequence[Place], defaults: Defaults) -> Merged:
    """Merge everything that describes the connection, the nearest place first.

    Parameters
    ----------
    places
        The places that settings are written in, the nearest first.
    defaults
        Whether the resilient defaults come before libpq's own.
    """
    dsn_place, dsn_in_force, problems = _nearest_dsn(places)
    of_dsn, faults = read_dsn(dsn_in_force) if dsn_in_force else ({}, [])
    dsn, misplaced = without_strings(of_dsn)
    problems += [*faults, *misplaced]
    variables = _libpq_variables(places)
    layers: list[Layer] = []
    for place in places:
        layers.append(_known(place.section("connection"), problems))
        layers.append(dsn if place is dsn_place else {})
    if dsn_place is None:
        layers.append(dsn)
    layers.append(_service([*layers, *variables], places, problems))
    layers.extend(variables)
    layers.append(_named_by_the_pool(places))
    layers.append(resilient_defaults(defaults))
    problems.extend(_redirected(layers))
    return Merged(_stack(layers), dsn_in_force, _veiled(dsn, problems), tuple(problems))


def _named_by_the_pool(places: Sequence[Place]) -> Layer:
    """Return the pool's name as the name of its sessions, where nothing else names them."""
    names = [place.settings["pool", "name"] for place in places if ("pool", "name") in place.settings]
    return {"fallback_application_name": names[0]} if names and isinstance(names[0].value, str) else {}


def _veiled(dsn: Layer, problems: Sequence[Problem]) -> frozenset[str]:
    """Return the keywords that a password spills into if it is not encoded."""
    spills = any(problem.code == rules.UNENCODED_PASSWORD.code for problem in problems)
    return frozenset(dsn.keys() & {"user", "host", "port", "dbname"} if spills else ())


def _stack(layers: Iterable[Layer]) -> dict[str, list[Located]]:
    stated: dict[str, list[Located]] = {}
    for layer in layers:
        for keyword, located in layer.items():
            stated.setdefault(keyword, []).append(located)
    return stated


def _nearest_dsn(places: Sequence[Place]) -> tuple[Place | None, Located | None, list[Problem]]:
    """Return the nearest DSN with its place, or the nearest DATABASE_URL, which ranks below every place."""
    for place in places:
        if dsn := place.settings.get(("dsn",)):
            return place, dsn, []
    url = next((place.database_url for place in places if place.database_url), None)
    if url is None or (scheme := foreign_scheme(str(url.value))) is None:
        return None, url, []
    message = f"DATABASE_URL is a {scheme}: URL and is ignored"
    hint = "set PROCRASTINATE_CONN_DSN to a postgresql:// URL"
    return None, None, [rules.FOREIGN_DATABASE_URL("dsn", message, hint=hint, origin=url.origin)]


def _libpq_variables(places: Sequence[Place]) -> Sequence[Layer]:
    """Return the keywords that libpq's variables state, place by place."""
    keywords = {k.variable: k.name for k in libpq.keywords().values() if k.variable is not None}
    layers = [{keywords[n]: v for n, v in place.variables.items() if n in keywords} for place in places]
    # Deprecated, but libpq still reads it: PGREQUIRESSL=1 is sslmode=require where PGSSLMODE is not set.
    nearest = next((i for i, place in enumerate(places) if "PGREQUIRESSL" in place.variables), None)
    if nearest is not None and not any("sslmode" in layer for layer in layers):
        required = places[nearest].variables["PGREQUIRESSL"]
        if str(required.value).startswith("1"):
            layers[nearest]["sslmode"] = replace(required, value="require")
    return layers


def _known(stated: Mapping[str, Located], problems: list[Problem]) -> dict[str, Located]:
    """Return single keywords as text, and report those that libpq cannot be told."""
    known: dict[str, Located] = {}
    for keyword, located in stated.items():
        if keyword not in libpq.keywords():
            problems.append(rules.unknown_keyword(keyword, str(located.origin.name), located.origin))
        elif (text := as_text(located.value)) is None:
            problems.append(_no_text(keyword, located))
        else:
            known[keyword] = replace(located, value=text)
    return known


def _no_text(keyword: str, located: Located) -> Problem:
    what, hint = f"a {type(located.value).__name__}", "write it as text"
    if located.value is None:
        what, hint = "none", "leave it out"
    elif keyword in ("host", "hostaddr", "port"):
        hint = "write several as one text, separated by commas"
    return rules.REFUSED_VALUE(
        f"connection.{keyword}",
        f"{keyword} is {what}, not text or a number",
        hint=hint,
        origin=located.origin,
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


def _service(layers: Sequence[Layer], places: Sequence[Place], problems: list[Problem]) -> Layer:
    """Return what the service file says of the service that the layers name."""
    service = next((layer["service"] for layer in layers if "service" in layer), None)
    if service is None:
        return {}
    variables: dict[str, Located] = {}
    for place in reversed(places):
        variables.update(place.variables)
    file = next((layer["servicefile"] for layer in layers if "servicefile" in layer), None)
    found, faults = read_service(service, file or variables.get("PGSERVICEFILE"), variables)
    kept, misplaced = without_strings(found)
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
        yield rules.HOSTADDR_OVERRIDES_HOST(
            "connection.hostaddr",
            f"libpq connects to PGHOSTADDR={address.value}, not to {named}",
            hint="unset PGHOSTADDR, or state hostaddr in the same place as host",
            origin=address.origin,
        )
