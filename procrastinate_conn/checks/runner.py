"""Checks a configuration without a server: everything wrong with it, in order, each mistake once."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from procrastinate_conn.checks.catalogue import all_rules, run_checks
from procrastinate_conn.drivers import leaves_kind_unknown, require_libpq
from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import ConfigurationError, Problem
from procrastinate_conn.redaction import redact
from procrastinate_conn.registry import ConnectorKind
from procrastinate_conn.setting_names import DEFAULT_NAMES, SettingNames

if TYPE_CHECKING:  # imported late, so that --help and completion answer at once
    from procrastinate_conn.checks.project import Project
    from procrastinate_conn.configuration import Configuration


@dataclass(frozen=True, slots=True)
class CheckTarget:
    """What is read as one configuration."""

    file: Path | None = None  # the env file, which has to exist; None for .env, which may be absent
    connector: ConnectorKind | None = None  # whatever the settings name; None for what they name
    secrets_dirs: Sequence[Path] = ()  # of which a later one comes first
    isolated: bool = False  # whether the process environment is ignored, also by ${NAME} in the file
    prefix: str | None = None  # of the variables; None for PROCRASTINATE_CONN_
    settings: str | None = None  # in Python, as package.module:object, that are read in place of the file
    named_at: Origin | None = None  # where `settings` is written; None for an argument

    @property
    def name(self) -> str:
        """What is checked, for messages."""
        source = self.settings or (str(self.file) if self.file else "the environment and .env")
        return f"{source} with prefix {self.prefix}" if self.prefix else source


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What is wrong with one configuration."""

    target: CheckTarget = field(repr=False)  # what was checked
    connector: ConnectorKind | None  # None if its setting is invalid, or if nothing can be resolved
    problems: tuple[Problem, ...]  # in the order of files and lines
    configuration: Configuration | None = field(default=None, repr=False)  # None if nothing can be resolved


def check_target(target: CheckTarget) -> CheckResult:
    """Resolve and check one configuration. What the user's modules print goes to standard error."""
    try:
        require_libpq()
        with redirect_stdout(sys.stderr):
            configuration = _resolve(target)
    except ConfigurationError as error:  # without libpq, or of settings in Python; others are resolved
        return _result(target, None, error.problems)
    return check_configuration(target, configuration)


def check_project(project: Project) -> CheckResult:
    """Return the mistakes in the table of pyproject.toml, which has to exist."""
    return _result(CheckTarget(Path(project.file or "")), None, project.problems)


def _resolve(target: CheckTarget) -> Configuration:
    from procrastinate_conn.configuration import configure
    from procrastinate_conn.sources import DEFAULT_ENV_FILE, read_sources
    from procrastinate_conn.sources.arguments import read_call

    arguments = {"connector": target.connector}
    if target.settings is None:
        file = DEFAULT_ENV_FILE if target.file is None else target.file
        environment = {} if target.isolated else os.environ
        names = DEFAULT_NAMES if target.prefix is None else SettingNames(target.prefix)
        return configure(read_sources(arguments, file, target.secrets_dirs, environment, names))
    from procrastinate_conn.checks.settings_object import load_settings

    with _necessary_environment() if target.isolated else nullcontext():
        settings = load_settings(target.settings)
    return configure([read_call(arguments), *settings.configuration.sources])


PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What a prefix may be: the beginning of a variable's name."""

NECESSARY = re.compile(r"PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|SYSTEMROOT|VIRTUAL_ENV|PYTHON\w+")
"""The variables that a program needs to run at all."""


@contextmanager
def _necessary_environment() -> Iterator[None]:
    """Hide the process environment from the user's modules, whatever prefix their settings have."""
    environment = dict(os.environ)
    for name in environment:
        if not NECESSARY.fullmatch(name.upper()):
            del os.environ[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)


def check_configuration(target: CheckTarget, configuration: Configuration) -> CheckResult:
    """Run every check that the kind has on a configuration that was resolved from `target`."""
    found = [*configuration.problems, *run_checks(configuration)]
    return _result(target, configuration.settings.kind, found, configuration)


def _result(
    target: CheckTarget,
    kind: ConnectorKind | None,
    found: Sequence[Problem],
    configuration: Configuration | None = None,
) -> CheckResult:
    """Return the problems that `found` has, each mistake once; those on the kind only if it is known."""
    from procrastinate_conn.checks.deduplication import deduplicate

    problems = tuple(
        replace(p, setting=redact(p.setting), message=redact(p.message), hint=redact(p.hint))
        for p in deduplicate(found)
    )
    if any(map(leaves_kind_unknown, problems)):
        problems = tuple(problem for problem in problems if not all_rules()[problem.code].needs_kind)
        kind = None
    if target.settings is not None:
        from procrastinate_conn.checks.settings_object import located

        problems = located(target.settings, problems, target.named_at)
    return CheckResult(target, kind, tuple(sorted(dict.fromkeys(problems), key=_position)), configuration)


def _position(problem: Problem) -> tuple[str, int, str, str]:
    """Return what problems are sorted by: first those without a file."""
    file, line = (problem.origin.file, problem.origin.line) if problem.origin else (None, None)
    return file or "", line or 0, problem.code, problem.setting
