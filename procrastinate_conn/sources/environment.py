"""The process environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from procrastinate_conn.origins import ENVIRONMENT, Origin
from procrastinate_conn.setting_names import DEFAULT_NAMES, SettingNames
from procrastinate_conn.sources.base import Source
from procrastinate_conn.sources.variables import read_variables

LIBPQ_ALONE = "the values given and libpq's variables; nested settings and model_validate() read nothing else"
"""The place of a source of libpq's variables, in a message that nothing is set."""


def read_environment(environment: Mapping[str, str], names: SettingNames = DEFAULT_NAMES) -> Source:
    """Read the variables of a process, such as ``os.environ``."""
    variables = ((name, value, Origin("environment", name)) for name, value in environment.items())
    return read_variables(ENVIRONMENT, variables, names, place="the environment")


def read_libpq_variables() -> Source:
    """Read libpq's own variables of this process, and no settings."""
    source = read_environment({name: value for name, value in os.environ.items() if name.startswith("PG")})
    return source._replace(place=LIBPQ_ALONE, elsewhere={})
