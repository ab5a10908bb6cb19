"""Every rule of the package, by code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from procrastinate_conn.rules import Rule

ROOMS = ("sources", "resolution", "connection", "pool", "checks")


@cache
def all_rules() -> Mapping[str, Rule]:
    """Return every rule, in the order of the codes; a rule stands beside the code that finds it."""
    modules = [import_module("procrastinate_conn.drivers")]
    for room in ROOMS:
        package = import_module(f"procrastinate_conn.{room}")
        modules += [import_module(f"{package.__name__}.{m.name}") for m in iter_modules(package.__path__)]
    found = {
        rule.code: rule for module in modules for rule in vars(module).values() if isinstance(rule, Rule)
    }
    return dict(sorted(found.items()))
