"""The rules, a module for each room: what can be wrong, why it matters, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from procrastinate_conn.rules_tmp import Rule


@cache
def all_rules() -> Mapping[str, Rule]:
    """Return every rule of every module in this package, by code, in the order of the codes."""
    from pkgutil import iter_modules  # only those who list the rules need it

    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    found = (value for module in modules for value in vars(module).values() if isinstance(value, Rule))
    return {rule.code: rule for rule in sorted(found, key=lambda rule: rule.code)}
