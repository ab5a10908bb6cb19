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
from procrastinate_conn.connection.driver_support import OLD_LIBPQ, REJECTED_BY_DRIVER
from procrastinate_conn.drivers import MISSING_DRIVER, no_libpq
from procrastinate_conn.pool.callbacks import NO_SYNC_CALLBACK, SYNC_ASYNC_MISMATCH
from procrastinate_conn.pool.option_names import UNSUPPORTED_OPTION
from procrastinate_conn.problems import Problem
from procrastinate_conn.registry import ConnectorKind

if TYPE_CHECKING:  # imported where it is needed, so that --help and completion answer at once
    from procrastinate_conn.configuration import Configuration


@dataclass(frozen=True, slots=True)
class CheckTarget:
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
class CheckResult:
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


def check(target: CheckTarget) -> CheckResult:
    """Check one configuration, without a server.

    Parameters
    ----------
    target
        What to read.
    """
    return check_configuration(target, resolve(target)) if has_libpq() else without_libpq(target)


def has_libpq() -> bool:
    """Tell whether psycopg can load a libpq, without which nothing can be resolved."""
    try:
        libpq.version()
    except ImportError:
        return False
    return True


def resolve(target: CheckTarget) -> Configuration:
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
    from procrastinate_conn.sources import DEFAULT_ENV_FILE, read_sources

    sources = read_sources(
        {"connector": target.connector},
        DEFAULT_ENV_FILE if target.file is None else target.file,
        target.secrets_dirs,
        {} if target.isolated else os.environ,
    )
    with redirect_stdout(sys.stderr):
        return configure(sources)


def without_libpq(target: CheckTarget) -> CheckResult:
    """Return what is to be said where nothing can be resolved.

    Parameters
    ----------
    target
        What was to be read.
    """
    return CheckResult(_name(target), target.connector, (no_libpq(),))


def check_configuration(target: CheckTarget, configuration: Configuration) -> CheckResult:
    """Judge a configuration that was resolved.

    Parameters
    ----------
    target
        What was read.
    configuration
        What it says.
    """
    from procrastinate_conn.checks import check as check_more
    from procrastinate_conn.checks.deduplication import deduplicate

    found = list(map(_redacted, deduplicate([*configuration.problems, *check_more(configuration)])))
    if any(map(_leaves_no_kind, found)):
        rest = (problem for problem in found if problem.code not in _DEPEND_ON_THE_CONNECTOR)
        return CheckResult(_name(target), None, in_order(rest))
    has_errors = any(problem.severity == "error" for problem in found)  # which say what is missing
    says_nothing = not has_errors and _says_nothing(configuration)
    return CheckResult(_name(target), configuration.settings.kind, in_order(found), says_nothing)


def _leaves_no_kind(problem: Problem) -> bool:
    """Tell whether a finding leaves open which connector is meant; a missing driver does not."""
    is_wrong = problem.setting == "connector" and problem.severity == "error"
    return is_wrong and problem.code != MISSING_DRIVER.code


def _says_nothing(configuration: Configuration) -> bool:
    """Tell whether nothing is stated that is read: no variable that is misspelt, no DSN that is empty."""
    paths = {
        path for source in configuration.sources if not source.kind.is_override for path in source.settings
    }
    keywords = configuration.connection.effective.values()
    dsn = configuration.connection.dsn
    return (
        not (paths - {("dsn",)})
        and all(keyword.origin.kind.is_default for keyword in keywords)
        and not (dsn and dsn.text.strip())
    )


def _redacted(problem: Problem) -> Problem:
    from procrastinate_conn.redaction import redact

    return replace(
        problem,
        setting=redact(problem.setting),
        message=redact(problem.message),
        hint=redact(problem.hint),
    )


_DEPEND_ON_THE_CONNECTOR = {
    OLD_LIBPQ.code,
    REJECTED_BY_DRIVER.code,
    UNSUPPORTED_OPTION.code,
    SYNC_ASYNC_MISMATCH.code,
    NO_SYNC_CALLBACK.code,
}
"""What cannot be said of a connector that does not exist."""


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems by file and line, each once; first those that stand in no file."""

    def source(problem: Problem) -> tuple[str, int, str, str]:
        origin = problem.origin
        file, line = (origin.file or "", origin.line or 0) if origin else ("", 0)
        return file, line, problem.code, problem.setting

    return tuple(sorted(dict.fromkeys(problems), key=source))


def _name(target: CheckTarget) -> str | None:
    return None if target.file is None else str(target.file)
