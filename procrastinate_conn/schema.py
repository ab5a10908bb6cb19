"""The settings as a JSON Schema, for editors and other checkers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args

from procrastinate_conn import libpq
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.libpq import CHOICES, INTEGERS, is_secret
from procrastinate_conn.pool.metadata import describe
from procrastinate_conn.registry import REGISTRY, ConnectorKind, installed_kinds
from procrastinate_conn.setting_names import DEFAULT_NAMES, SETTINGS, SettingNames
from procrastinate_conn.sources.defaults import Defaults, resilient_defaults

DIALECT = "https://json-schema.org/draft/2020-12/schema"

VARIABLE, UNIT = "x-variable", "x-unit"
"""Annotations of our own: the variable that sets a setting, and the unit of a number."""


def settings_schema(
    names: SettingNames = DEFAULT_NAMES,
    own_fields: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    required: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the schema of a JSON object with the settings; it names the variable of each in `names`.

    Keywords and pool options are those of the libpq and the psycopg_pool that are installed. `own_fields`
    has the schemas of an application's own, `required` the names of those that have no default.
    """
    function = {"type": "string", "pattern": r"^[\w.]+:[\w.]+$", "examples": ["myapp.json:function"]}
    dsn = {"type": "string", "writeOnly": True, "examples": ["postgresql://app@db1,db2/jobs"]}
    connection, listen = (
        {keyword: _keyword(keyword, names.variable((section, keyword))) for keyword in libpq.keywords()}
        for section in ("connection", "listen")
    )
    for keyword in listen.values():
        keyword.pop("default", None)  # that of the connection
    listen_dsn = {"description": SETTINGS["dsn"], VARIABLE: names.variable(("listen", "dsn")), **dsn}
    kinds = [*map(str, installed_kinds()), *(info.implementation_class for info in REGISTRY.values())]
    settings: dict[str, dict[str, Any]] = {
        "connector": {"enum": kinds, "default": str(ConnectorKind.PSYCOPG)},
        "dsn": dsn,
        "connection": _object(connection),
        "pool": _pool(names),
        "listen": {"anyOf": [{"const": "off"}, _object({"dsn": listen_dsn, **listen})]},
        "json_dumps": function,
        "json_loads": function,
        "password_file": {"type": "string"},
        "password_command": {"type": "string", "writeOnly": True},
        "defaults": {"enum": list(get_args(Defaults)), "default": "resilient"},
    }
    properties = {
        name: {"description": SETTINGS[name], VARIABLE: names.variable((name,)), **schema}
        for name, schema in settings.items()
    }
    schema = {
        "$schema": DIALECT,
        "title": "procrastinate-conn",
        "description": f"The settings. Each can also be written as the variable that {VARIABLE} names.",
        **_object({**properties, **own_fields}),
    }
    return schema | ({"required": list(required)} if required else {})


def _object(properties: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _keyword(keyword: str, variable: str) -> dict[str, Any]:
    field = ConnectionSpec.model_fields.get(keyword)
    schema: dict[str, Any] = {
        "description": field.description if field else "A keyword that only a newer libpq knows.",
        VARIABLE: variable,
    }
    if keyword in CHOICES:
        schema["enum"] = list(CHOICES[keyword])
    else:
        is_number = keyword in INTEGERS or keyword == "port"
        schema["type"] = ["integer", "string"] if is_number else "string"
    if keyword in INTEGERS:
        schema[UNIT] = INTEGERS[keyword]
    resilient = resilient_defaults("resilient").get(keyword)
    default = str(resilient.value) if resilient else libpq.keywords()[keyword].default
    if default:
        schema["default"] = default
    return schema | ({"writeOnly": True} if is_secret(keyword) else {})


def _pool(names: SettingNames) -> dict[str, Any]:
    null = {"const": "null", "description": "A null pool: every call has a connection of its own."}
    options = {
        option.name: {
            **option.json_schema,
            VARIABLE: names.variable(("pool", option.name)),
            **({UNIT: option.unit} if option.unit else {}),
        }
        for option in describe()
    }
    return {"title": "Pool options", "anyOf": [null, _object(options)]}
