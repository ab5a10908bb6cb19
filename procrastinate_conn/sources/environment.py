"""The process environment."""

from __future__ import annotations

from collections.abc import Mapping

from procrastinate_conn.origins import ENVIRONMENT, Origin
from procrastinate_conn.setting_names import DEFAULT_NAMES, SettingNames
from procrastinate_conn.sources.base import Source
from procrastinate_conn.sources.variables import read_variables


def read_environment(environment: Mapping[str, str], names: SettingNames = DEFAULT_NAMES) -> Source:
    """Read the variables of a process, such as ``os.environ``."""
    variables = ((name, value, Origin("environment", name)) for name, value in environment.items())
    return read_variables(ENVIRONMENT, variables, names, place="the environment")
