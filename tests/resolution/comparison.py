"""procrastinate-conn and libpq side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from procrastinate_conn import libpq
from procrastinate_conn.connection.driver_support import REJECTED_BY_DRIVER
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.resolution.embedded_dsn import DSN_IN_VALUE
from procrastinate_conn.sources.dsn import foreign_scheme
from tests.resolution.oracle import Inputs, Verdict, ask_libpq, ask_spec, environment, judged

HOSTILE = {
    **{keyword.variable: "hostile" for keyword in libpq.keywords().values() if keyword.variable},
    **dict.fromkeys(["PGSERVICEFILE", "PGSYSCONFDIR", "PGREQUIRESSL"], "1"),
}
"""Every variable that libpq reads, with a value that would spoil a connection."""


def compare(inputs: Inputs, home: Path) -> None:
    """Assert that a configuration agrees with libpq on the same inputs."""
    expected = ask_libpq(inputs, home)
    configuration = ask_spec(inputs, home)
    if inputs.dsn_in == "DATABASE_URL" and foreign_scheme(inputs.dsn or ""):
        return  # libpq would not ignore a DATABASE_URL of another database
    if DSN_IN_VALUE.code in {problem.code for problem in configuration.problems}:
        return  # nor reject one as a host
    several = any("," in (expected.info or {}).get(keyword, "") for keyword in ("host", "hostaddr"))
    if several and "GSSAPI encryption required" in expected.message:
        return  # without a Kerberos ticket libpq stops at the first host, and does not come to a socket
    if expected.info is None:
        assert configuration.errors, f"libpq rejects it: {expected.message}"
        return
    assert not [p for p in configuration.errors if p.code != REJECTED_BY_DRIVER.code], "libpq accepts it"
    spec = configuration.spec
    assert spec is not None
    assert without_service(spec.parameters) == expected.info
    again = connected(spec, {"HOME": "/nowhere"})
    assert again == Verdict(said(expected.info, again, spec), expected.password)
    assert connected(spec, {"HOME": "/nowhere", **HOSTILE}) == again


def connected(spec: ConnectionSpec, variables: Mapping[str, str]) -> Verdict:
    """Return what libpq makes of the spec's connection string in another environment."""
    with environment(variables), libpq.pinned_environment(spec.keyword_values(), spec.session):
        return judged(spec.conninfo())


def said(expected: Mapping[str, str], again: Verdict, spec: ConnectionSpec) -> dict[str, str]:
    """Return what is expected, and what an unset keyword means where its variable has to be kept out."""
    assert again.info is not None, again.message
    unset_value = {
        keyword: value for keyword, value in again.info.items() if value == neutral_value(keyword, spec)
    }
    return {**unset_value, **expected}


def neutral_value(keyword: str, spec: ConnectionSpec) -> str:
    if keyword == "application_name":
        return spec.fallback_application_name or ""
    if keyword == "max_protocol_version" and spec.min_protocol_version not in (None, "3.0"):
        return "latest"
    if keyword == "require_auth" and spec.oauth_issuer is not None:
        return libpq.unset_value(keyword) + ",oauth"
    return libpq.unset_value(keyword)


def without_service(parameters: Mapping[str, str]) -> dict[str, str]:
    return {
        keyword: value for keyword, value in parameters.items() if keyword not in ("service", "servicefile")
    }
