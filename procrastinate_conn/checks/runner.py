"""Check configurations: everything that is wrong with each, in order, each mistake once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from procrastinate_conn import libpq
from procrastinate_conn.problems import Problem
from procrastinate_conn.registry import ConnectorKind
from procrastinate_conn.rules import connector as connector_rules
from procrastinate_conn.rules import pool as pool_rules

if TYPE_CHECKING:  # imported where it is needed, so that --help and completion answer at once
    from procrastinate_conn.configuration import Configuration


@dataclass(frozen=True, slots=True)
class Target:
    """What is read as one configuration, beside the process environment.

    Parameters
    ----------
    file
        The env file, which has to be there; None for ``.env``, which may be absent.
    connector
        The connector that it is for, whatever it says; None for the one that it says.
    secrets_dirs
        The secrets directories, of which a later one wins.
    isolated
        Whether the file is read without the process environment, which ``${NAME}`` in it may name.
    """

    file: Path | None = None
    connector: ConnectorKind | None = None
    secrets_dirs: Sequence[Path] = ()
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with one configuration.

    Parameters
    ----------
    file
        The env file as it was named; None for the environment and ``.env``.
    connector
        The connector that it is for; None where that is wrong itself.
    problems
        In the order of the files and lines that they stand in.
    says_nothing
        Whether all is left to defaults, without an error: nothing that is read is about a connection.
    """

    file: str | None
    connector: ConnectorKind | None
    problems: tuple[Problem, ...]
    says_nothing: bool = False


def check(target: Target) -> Checked:
    """Check one configuration, without a server.

    Parameters
    ----------
    target
        What to read.
    """
    return judged(target, resolve(target)) if has_libpq() else no_libpq(target)


def has_libpq() -> bool:
    """Tell whether psycopg can load a libpq, without which nothing can be resolved."""
    try:
        libpq.version()
    except ImportError:
        return False
    return True


def resolve(target: Target) -> Configuration:
    """Resolve one configuration; what a module that it names prints goes to standard error.

    Parameters
    ----------
    target
        What to read.

    Raises
    ------
    ImportError
        If no libpq can be loaded.
    """
    from procrastinate_conn.configuration import configure
    from procrastinate_conn.sources import DEFAULT_ENV_FILE, read_places

    places = read_places(
        {"connector": target.connector},
        DEFAULT_ENV_FILE if target.file is None else target.file,
        target.secrets_dirs,
        {} if target.isolated else os.environ,
    )
    with redirect_stdout(sys.stderr):
        return configure(places)


def no_libpq(target: Target) -> Checked:
    """Return what is to be said where nothing can be resolved.

    Parameters
    ----------
    target
        What was to be read.
    """
    return Checked(_name(target), target.connector, (connector_rules.no_libpq(),))


def judged(target: Target, configuration: Configuration) -> Checked:
    """Judge a configuration that was resolved.

    Parameters
    ----------
    target
        What was read.
    configuration
        What it says.
    """
    from procrastinate_conn.checks import judge
    from procrastinate_conn.checks.deduplication import without_echoes

    found = list(map(_scrubbed, without_echoes([*configuration.problems, *judge(configuration)])))
    if any(map(_leaves_no_kind, found)):
        rest = (problem for problem in found if problem.code not in _DEPEND_ON_THE_CONNECTOR)
        return Checked(_name(target), None, in_order(rest))
    has_errors = any(problem.severity == "error" for problem in found)  # which say what is missing
    says_nothing = not has_errors and _says_nothing(configuration)
    return Checked(_name(target), configuration.settings.kind, in_order(found), says_nothing)


def _leaves_no_kind(problem: Problem) -> bool:
    """Tell whether a finding leaves open which connector is meant; a missing driver does not."""
    is_wrong = problem.setting == "connector" and problem.severity == "error"
    return is_wrong and problem.code != connector_rules.MISSING_DRIVER.code


def _says_nothing(configuration: Configuration) -> bool:
    """Tell whether nothing is stated that is read: no variable that is misspelt, no DSN that is empty."""
    paths = {path for place in configuration.places if place.source != "call" for path in place.settings}
    keywords = configuration.connection.winners.values()
    dsn = configuration.connection.dsn
    return (
        not (paths - {("dsn",)})
        and all(keyword.origin.source in ("resilient-default", "libpq-default") for keyword in keywords)
        and not (dsn and str(dsn.value).strip())
    )


def _scrubbed(problem: Problem) -> Problem:
    from procrastinate_conn.redaction import scrubbed

    return replace(
        problem,
        setting=scrubbed(problem.setting),
        message=scrubbed(problem.message),
        hint=scrubbed(problem.hint),
    )


_DEPEND_ON_THE_CONNECTOR = {
    connector_rules.OLD_LIBPQ.code,
    connector_rules.REFUSED_BY_DRIVER.code,
    pool_rules.NOT_POSSIBLE.code,
    pool_rules.CALLBACK_COLOUR.code,
    pool_rules.ONE_COLOUR_ONLY.code,
}
"""What cannot be said of a connector that does not exist."""


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems by file and line, each once; first those that stand in no file."""

    def place(problem: Problem) -> tuple[str, int, str, str]:
        origin = problem.origin
        file, line = (origin.file or "", origin.line or 0) if origin else ("", 0)
        return file, line, problem.code, problem.setting

    return tuple(sorted(dict.fromkeys(problems), key=place))


def _name(target: Target) -> str | None:
    return None if target.file is None else str(target.file)
