"""The reference pages: the settings, the pool options and the rules that the package defines."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from docs.generate.interface import interface_page
from docs.generate.markdown import code, page, paragraphs, table
from docs.generate.rooms import rooms_picture
from procrastinate_conn import libpq
from procrastinate_conn.checks.catalogue import all_checks, all_rules
from procrastinate_conn.cli.rule import markdown
from procrastinate_conn.pool.metadata import OptionDescription, describe
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from procrastinate_conn.schema import UNIT, VARIABLE, settings_schema
from procrastinate_conn.sources.defaults import resilient_defaults

SETTINGS = """\
# Settings

Each setting is an argument of `make_connector()`, a variable in the environment or in `.env`, or the name
of a file in a secrets directory. `connector` is the first argument, and positional:
`make_connector("aiopg")`. [Precedence](precedence.md) describes which of them is effective.

```python
make_connector("aiopg", dsn="postgresql://app@db1/jobs", pool={"max_size": 8})
```

A secrets directory has a file for each setting, with the name of its variable in any case; the content of the
file is the value: `/etc/jobs/procrastinate_conn_connection__password`. Pass its path to
`make_connector(secrets_dir="/etc/jobs")`, or `procrastinate-conn check --secrets-dir /etc/jobs`.
"""

NOTES = """\
The password is `connection.password`, or part of the DSN. The argument `password` sets it as well: text, or a
function that is called for every new connection; together with `password_file` or `password_command` in the
same call it is an error. The options of `pool` are on [another page](pool.md).
"""

KEYWORDS = """\
## Connection keywords

The parts of `connection`: the variable of each is `PROCRASTINATE_CONN_CONNECTION__` and the keyword in
capitals; a DSN sets them as well. They have the meaning that [libpq documents][libpq], and the keywords of a
newer libpq are available as soon as it is installed. A keyword that is not set has the value of libpq's own
variable, or else its default.

[libpq]: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

ITALICS = """\
Defaults in *italics* are the resilient ones, which differ from libpq's: `defaults=libpq` turns them off.
"""

POOL = """\
# Pool options

Every kind of connector has the same options, with `psycopg_pool`'s names, and keeps its connections in
`psycopg_pool`'s pools, so that an option has the same meaning on all of them. The variable of each is
`PROCRASTINATE_CONN_POOL__` and the name in capitals. A duration is a number of seconds, or has a unit:
`500ms`, `30s`, `5m`, `1h`.

`PROCRASTINATE_CONN_POOL=null` keeps no connections: every call opens one. psycopg_pool opens them one after
the other, so that a caller may wait for the attempts of earlier callers, in addition to its own `timeout`.
"""

RULES = """\
# Rules

The findings of `procrastinate-conn check`. `make_connector()` raises errors as well, except
{check_only}:
libpq accepts the value, or the file or command may exist by the time it is needed. Warnings fail only
`check --strict`. `procrastinate-conn rule PC301` prints the same text.
"""


def settings_page() -> str:
    """Return the page of the settings and of libpq's keywords."""
    properties = settings_schema()["properties"]
    settings = [
        (f"`{name}`", f"`{found[VARIABLE]}`", _value(found), found["description"])
        for name, found in properties.items()
    ]
    keywords = [
        (f"`{keyword}`", code(libpq.keywords()[keyword].variable), _default(keyword, found), _about(found))
        for keyword, found in properties["connection"]["properties"].items()
    ]
    return page(
        SETTINGS,
        table(("setting", "variable", "value", "meaning"), settings),
        NOTES,
        KEYWORDS,
        table(("keyword", "libpq's variable", "default", "meaning"), keywords),
        ITALICS,
    )


def pool_page() -> str:
    """Return the page of the pool options, with what each means on every kind."""
    return page(POOL, *(_option(option) for option in describe()))


def rules_page() -> str:
    """Return the page of the rules."""
    checks = "".join(inspect.getsource(sys.modules[check.__module__]) for check in all_checks())
    errors = (rule.code for rule in all_rules().values() if rule.severity == "error")
    check_only = ", ".join(code for code in errors if f'"{code}",' in checks)
    return page(RULES.format(check_only=check_only), markdown(all_rules().values()))


PAGES = {
    "settings.md": settings_page,
    "pool.md": pool_page,
    "rules.md": rules_page,
    "api.md": interface_page,
    "pictures/rooms.svg": rooms_picture,
}
"""The generated files, by their path in ``docs/``."""


def _option(option: OptionDescription) -> str:
    unit = f" ({option.unit})" if option.unit else ""
    supported = [(kind, REGISTRY[kind].support(option.name)) for kind in ConnectorKind]
    rows = [
        (", ".join(f"`{kind}`" for kind, _ in kinds), found.how, found.sentence)
        for found, kinds in _grouped(supported)
    ]
    return paragraphs(
        f"## {option.name}",
        option.text,
        f"Value: {option.type}{unit}. Default: `{option.default}`.",
        table(("connector", "support", "effect"), rows),
    )


def _grouped(
    supported: Sequence[tuple[ConnectorKind, Any]],
) -> Iterator[tuple[Any, list[tuple[ConnectorKind, Any]]]]:
    """Yield each support once, with the kinds that have it."""
    order = list(dict.fromkeys(found for _, found in supported))
    in_order = sorted(supported, key=lambda pair: order.index(pair[1]))
    for found, kinds in groupby(in_order, key=lambda pair: pair[1]):
        yield found, list(kinds)


def _default(keyword: str, found: dict[str, Any]) -> str:
    default = code(found.get("default"))
    return f"*{default}*" if keyword in resilient_defaults("resilient") else default


def _about(found: dict[str, Any]) -> str:
    unit = f" In {found[UNIT]}." if found.get(UNIT, "").endswith("seconds") else ""
    choices = f" One of {', '.join(map(code, found['enum']))}." if "enum" in found else ""
    unit_if_missing = unit if unit.strip(" .").lower() not in found["description"].lower() else ""
    return f"{found['description']}{unit_if_missing}{choices}"


def _value(found: dict[str, Any]) -> str:
    if "enum" in found:
        return ", ".join(map(code, found["enum"]))
    if "examples" in found:
        return f"such as {code(found['examples'][0])}"
    return {"object": "parts, or JSON"}.get(found.get("type", "object"), "text")
