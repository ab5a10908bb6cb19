"""What a subclass of the settings may change, and the source that its defaults are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from procrastinate_conn.origins import Origin
from procrastinate_conn.setting_names import SETTINGS
from procrastinate_conn.sources.arguments import ARGUMENTS, read_call
from procrastinate_conn.sources.base import Source

if TYPE_CHECKING:
    from procrastinate_conn.settings.model import ConnectorSettings

_CHANGEABLE_DEFAULTS = ("connector", "pool", "json_dumps", "json_loads", "defaults")
"""The settings that a subclass may give another default. The others belong to the connection, whose sources
are merged keyword by keyword, so that a default has no place between them."""

_REJECTED_CONFIG: Mapping[str, str] = {
    "alias_generator": "the settings have their names from the prefix",
    "enable_decoding": "connection and pool can be written as JSON",
    "dotenv_filtering": "no line of an env file is taken that is no setting",
    "env_prefix_target": "every setting has the prefix, and none has an alias",
    "env_parse_enums": "a connector is named by its value",
    "nested_model_default_partial_update": "the pool's options are merged one by one already",
}
"""The options of ``model_config`` that cannot be honoured, and why."""


def rejected_changes(cls: type[ConnectorSettings], base: type[ConnectorSettings]) -> Iterator[str]:
    """Yield the fields and config options that cannot be honoured in a subclass, each with the reason."""
    yield from _rejected_fields(cls, base)
    for option, reason in _REJECTED_CONFIG.items():
        if cls.model_config.get(option) != base.model_config.get(option):
            yield f"{option}: {reason}"
    if cls.model_config.get("extra") == "allow":
        yield "extra: a name that is no setting would be a misspelt one"
    if not cls.model_config.get("frozen"):
        yield "frozen: the settings are resolved together, once"


def _rejected_fields(cls: type[ConnectorSettings], base: type[ConnectorSettings]) -> Iterator[str]:
    for name in SETTINGS:
        if cls.model_fields[name].validation_alias != base.model_fields[name].validation_alias:
            yield f"{name}: its variable has the prefix, and no alias"
        elif name not in _CHANGEABLE_DEFAULTS and _default(cls, name) != _default(base, name):
            yield f"{name}: the connection is merged by keyword, and no default is one of its sources"
    for name in cls.model_fields.keys() - SETTINGS.keys():
        if name in ARGUMENTS:
            yield f"{name}: it is an argument already, and as a variable it is connection.{name}"
        elif hasattr(base, name):
            yield f"{name}: it would hide what ConnectorSettings has under that name"


def changed_defaults(cls: type[ConnectorSettings], base: type[ConnectorSettings]) -> Source:
    """Return the defaults that a subclass changes, as the source of lowest precedence."""
    defaults = {name: _default(cls, name) for name in _CHANGEABLE_DEFAULTS}
    return changes({n: v for n, v in defaults.items() if v != _default(base, n)}, cls)


def changes(values: Mapping[str, Any], cls: type[ConnectorSettings]) -> Source:
    """Return settings that the code of a subclass sets, as a source that names the class."""
    source = read_call(values)
    settings = {
        path: replace(sourced, origin=Origin("call", f"{cls.__name__}.{sourced.origin.name}"))
        for path, sourced in source.settings.items()
    }
    return source._replace(settings=settings)


def _default(cls: type[ConnectorSettings], name: str) -> Any:
    return cls.model_fields[name].get_default(call_default_factory=True)
