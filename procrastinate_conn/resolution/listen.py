"""The section ``listen``: what differs for the connection on which workers listen.

That connection has the sources of the connection, and the section above them all. A DSN in the section
replaces the DSN of the connection, and its address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from procrastinate_conn.artifacts import hint_for
from procrastinate_conn.origins import PASSFILE, SERVICE_FILE, Origin, SourcedValue
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import describe_value
from procrastinate_conn.resolution.connection import effective_dsn
from procrastinate_conn.setting_names import SettingPath
from procrastinate_conn.sources.base import INVALID_VALUE, Source

_OFF = ("off", "false")  # YAML and TOML have the second
_ADDRESS = (("dsn",), ("connection", "host"), ("connection", "hostaddr"), ("connection", "port"))


class ListenSection(NamedTuple):
    """The section ``listen`` of all sources."""

    is_off: bool  # workers poll
    sources: tuple[Source, ...]  # of the connection that listens, by precedence; none if it does not differ
    origins: frozenset[Origin]  # of the section's values
    problems: tuple[Problem, ...]  # of the section as a whole

    def own_problems(self, found: Iterable[Problem], others: Iterable[Problem]) -> Iterator[Problem]:
        """Yield the problems of the connection that listens which the others, of the connection, lack.

        A warning about a value outside of the section is one about the connection, unless that is in a file
        of libpq's, which the section may name.
        """
        known = set(others)
        for problem in found:
            is_own = problem.origin in self.origins
            if is_own:
                setting = "listen.dsn" if problem.setting == "dsn" else problem.setting
                problem = replace(problem, setting=re.sub(r"^connection\b", "listen", setting))  # noqa: PLW2901
            is_libpqs = problem.origin is not None and problem.origin.kind in (SERVICE_FILE, PASSFILE)
            if problem not in known and (is_own or is_libpqs or problem.severity == "error"):
                yield problem


def read_listen(sources: Sequence[Source]) -> ListenSection:
    """Read the section of all sources, by precedence: the nearest one decides whether it is off."""
    problems: list[Problem] = []
    is_off = _is_off(sources, problems)
    sections = [_as_connection(source) for source in sources if source.section("listen")]
    origins = frozenset(sourced.origin for section in sections for sourced in section.settings.values())
    if is_off or not sections:
        return ListenSection(is_off, (), origins, tuple(problems))
    dsn = effective_dsn(sections)
    below = [_without_section(source, keeps_address=dsn is None) for source in sources]
    parameters = dict(dsn.parameters) if dsn else {}
    for section in sections:
        parameters.update(section.section("connection"))
    if "host" in parameters and "hostaddr" not in parameters:  # libpq would connect to the other one's
        empty: dict[SettingPath, SourcedValue] = {
            ("connection", "hostaddr"): replace(parameters["host"], value="", from_dsn=False)
        }
        sections.append(replace(sections[-1], settings=empty))
    return ListenSection(is_off, (*sections, *below), origins, tuple(problems))


def _is_off(sources: Sequence[Source], problems: list[Problem]) -> bool:
    for source in sources:
        word, options = source.settings.get(("listen",)), source.section("listen")
        if word is None and not options:
            continue
        if word is None or isinstance(word.value, Mapping):
            return False
        is_off = str(word.value).strip().lower() in _OFF
        if not is_off:
            message = f"listen is {describe_value(word.value)}"
            hint = "write off, or what differs: listen.host, listen.port, or all of it as listen.dsn"
            hint = hint_for(word.value, hint, word.origin.source)
            problems.append(INVALID_VALUE("listen", message, hint=hint, origin=word.origin))
        elif options:
            message = f"listen is off, and {next(iter(options.values())).origin.name} is set beside it"
            problems.append(INVALID_VALUE("listen", message, hint="remove one of them", origin=word.origin))
        return is_off
    return False


def _as_connection(source: Source) -> Source:
    options = source.section("listen")
    settings: dict[SettingPath, SourcedValue] = {
        ("dsn",) if name == "dsn" else ("connection", name): sourced for name, sourced in options.items()
    }
    return Source(source.kind, settings, names=source.names, place=source.place)


def _without_section(source: Source, *, keeps_address: bool) -> Source:
    dropped, url = ((), source.database_url) if keeps_address else (_ADDRESS, None)
    kept = {p: s for p, s in source.settings.items() if p[0] != "listen" and p not in dropped}
    return replace(source, settings=kept, database_url=url)
