"""The hint about an unknown setting names the one that was meant."""

from __future__ import annotations

import pytest

from procrastinate_conn.setting_names import DEFAULT_PREFIX as PREFIX
from procrastinate_conn.sources.variables import read_environment


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("DNS", "did you mean P_DSN?"),
        ("CONECTOR", "did you mean P_CONNECTOR?"),
        ("DEFAULT", "did you mean P_DEFAULTS?"),
        ("PASSWORDFILE", "did you mean P_PASSWORD_FILE?"),
        ("POOOL__MIN_SIZE", "did you mean P_POOL__MIN_SIZE?"),
        ("CONECTION__HOST", "did you mean P_CONNECTION__HOST?"),
        ("CONNECTION_HOST", "did you mean P_CONNECTION__HOST?"),
        ("CONNECTION_PASSWORD", "did you mean P_CONNECTION__PASSWORD?"),
        ("POOL_MAX_SIZE", "did you mean P_POOL__MAX_SIZE?"),
        ("POOL_MAX_SZIE", "did you mean P_POOL__MAX_SIZE?"),
        ("HOST", "did you mean P_CONNECTION__HOST?"),
        ("USER", "did you mean P_CONNECTION__USER?"),
        ("PORT", "did you mean P_CONNECTION__PORT?"),
        ("SSLMODE", "did you mean P_CONNECTION__SSLMODE?"),
        ("MAX_SIZE", "did you mean P_POOL__MAX_SIZE?"),
        ("URL", "did you mean P_DSN?"),
        ("DATABASE_URL", "did you mean P_DSN?"),
        ("DATABASE", "did you mean P_CONNECTION__DBNAME?"),
        ("KIND", "did you mean P_CONNECTOR?"),
        ("CONNECTION__HOST__X", "it has no parts: write P_CONNECTION__HOST"),
        ("DSN__X", "it has no parts: write P_DSN"),
        ("CONNECTION__", "name a part of it, as in P_CONNECTION__HOST"),
        ("POOL__", "name a part of it, as in P_POOL__MAX_SIZE"),
        ("PASSWORD", "write P_CONNECTION__PASSWORD, or a DSN with the password in it"),
        ("BANANA", "the settings are P_CONNECTOR, P_DSN,"),
    ],
)
@pytest.mark.parametrize("change_case", [str.upper, str.lower])
def test_hint_about_an_unknown_variable_names_the_one_that_was_meant(
    written: str, meant: str, change_case
) -> None:
    name = change_case(PREFIX + written)
    [problem] = read_environment({name: "x"}).problems
    assert problem.code == "PC101"
    assert problem.hint.replace(PREFIX, "P_").startswith(meant)
