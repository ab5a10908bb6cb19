"""Checks a configuration without a server: everything wrong with it, in order, each mistake once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from procrastinate_conn import libpq
from procrastinate_conn.checks.catalogue import all_checks, all_rules
from procrastinate_conn.drivers import MISSING_DRIVER, no_libpq
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import redact
from procrastinate_conn.registry import ConnectorKind

if TYPE_CHECKING:  # imported late, so that --help and completion answer at once
    from procrastinate_conn.configuration import Configuration


@dataclass(frozen=True, slots=True)
class CheckTarget:
    """What is read as one configuration.

    Parameters
    ----------
    file
        The env file, which has to exist; None for ``.env``, which may be absent.
    connector
        The connector, whatever the settings name; None for the one that they name.
    secrets_dirs
        The secrets directories, of which a later one comes first.
    isolated
        Whether the process environment is ignored, also by ``${NAME}`` in the file.
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
        The kind of connector; None if its setting is invalid.
    problems
        In the order of files and lines.
    is_unconfigured
        Whether everything is left to defaults, without an error.
    """

    file: str | None
    connector: ConnectorKind | None
    problems: tuple[Problem, ...]
    is_unconfigured: bool = False


def check_target(target: CheckTarget) -> CheckResult:
    """Resolve and check one configuration."""
    return check_configuration(target, resolve(target))


def has_libpq() -> bool:
    """Return whether psycopg can load a libpq, without which nothing can be resolved."""
    try:
        libpq.version()
    except ImportError:
        return False
    return True


def resolve(target: CheckTarget) -> Configuration | None:
    """Resolve one configuration; None if there is no libpq. What a module prints goes to standard error."""
    if not has_libpq():
        return None
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


def check_configuration(target: CheckTarget, configuration: Configuration | None) -> CheckResult:
    """Run every check on a configuration.

    Parameters
    ----------
    target
        What was read.
    configuration
        What it was resolved to; None if there is no libpq.
    """
    from procrastinate_conn.checks.deduplication import deduplicate

    file = None if target.file is None else str(target.file)
    if configuration is None:
        return CheckResult(file, target.connector, (no_libpq(),))
    found = [*configuration.problems]
    for check in all_checks():
        found += check(configuration)
    problems = [_redacted(problem) for problem in deduplicate(found)]
    if any(map(_leaves_kind_unknown, problems)):
        problems = [problem for problem in problems if not all_rules()[problem.code].needs_kind]
        return CheckResult(file, None, _in_order(problems))
    has_errors = any(problem.severity == "error" for problem in problems)
    is_unconfigured = not has_errors and _is_unconfigured(configuration)
    return CheckResult(file, configuration.settings.kind, _in_order(problems), is_unconfigured)


def _redacted(problem: Problem) -> Problem:
    return replace(
        problem,
        setting=redact(problem.setting),
        message=redact(problem.message),
        hint=redact(problem.hint),
    )


def _leaves_kind_unknown(problem: Problem) -> bool:
    """Return whether a problem leaves open which connector is meant; a missing driver does not."""
    is_error = problem.setting == "connector" and problem.severity == "error"
    return is_error and problem.code != MISSING_DRIVER.code


def _is_unconfigured(configuration: Configuration) -> bool:
    """Return whether nothing that is read is set; a misspelt variable and an empty DSN set nothing."""
    paths = {path for s in configuration.sources if not s.kind.is_override for path in s.settings}
    keywords = configuration.connection.effective.values()
    dsn = configuration.connection.dsn
    return (
        not (paths - {("dsn",)})
        and all(keyword.origin.kind.is_default for keyword in keywords)
        and not (dsn and dsn.text.strip())
    )


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems by file and line, each once; first those without a file."""

    def position(problem: Problem) -> tuple[str, int, str, str]:
        origin = problem.origin
        file, line = (origin.file or "", origin.line or 0) if origin else ("", 0)
        return file, line, problem.code, problem.setting

    return tuple(sorted(dict.fromkeys(problems), key=position))
