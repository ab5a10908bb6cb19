"""Every rule and every check of the package."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING

from procrastinate_conn.problems import Rule
from procrastinate_conn.registry import REGISTRY
from procrastinate_conn.similarity import nearest

if TYPE_CHECKING:  # importing this module stays cheap: the command line does so before it parses anything
    from procrastinate_conn.configuration import Configuration
    from procrastinate_conn.problems import Problem

Check = Callable[["Configuration"], "Iterator[Problem]"]

_ROOMS = ("sources", "resolution", "connection", "pool", "checks")
"""The packages with rules; those on drivers stand in a module of their own."""


@cache
def all_rules() -> Mapping[str, Rule]:
    """Return every rule by its code, in the order of the codes."""
    modules = [import_module("procrastinate_conn.drivers"), *(m for room in _ROOMS for m in _modules(room))]
    values = (value for module in modules for value in vars(module).values())
    return dict(sorted((value.code, value) for value in values if isinstance(value, Rule)))


def suggest_code(code: str) -> str:
    """Return a hint for an unknown code; a well-formed one is probably not a misspelt neighbour."""
    is_well_formed = re.fullmatch(r"PC[0-9]{3}", code.strip().upper())
    near = None if is_well_formed else nearest(code, all_rules())
    return f"did you mean {near}?" if near else "`procrastinate-conn rule` lists them"


@cache
def all_checks() -> tuple[Check, ...]:
    """Return the function ``check`` of every module of this package."""
    return tuple(module.check for module in _modules("checks") if hasattr(module, "check"))


def run_checks(configuration: Configuration) -> list[Problem]:
    """Return what every check that the kind has finds, also on the connection that listens."""
    from procrastinate_conn.checks.kinds import check_without_server  # not above: it imports pydantic

    has_server = REGISTRY[configuration.settings.kind].has_server
    checks = all_checks() if has_server else (check_without_server,)
    found = [problem for check in checks for problem in check(configuration)]
    if configuration.listening is not None:
        own = run_checks(configuration.listening)
        found += configuration.listen.own_problems(own, found)
    return found


@cache
def _modules(room: str) -> list[ModuleType]:
    package = import_module(f"procrastinate_conn.{room}")
    return [import_module(f"{package.__name__}.{found.name}") for found in iter_modules(package.__path__)]
