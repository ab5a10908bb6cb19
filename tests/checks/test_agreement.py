"""`check`, `doctor` and the library agree on what keeps a connector from being built."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from procrastinate_conn import ConfigurationError, ConnectorKind, make_connector
from procrastinate_conn.checks.runner import CheckTarget, check_target
from procrastinate_conn.cli.doctor import diagnose
from tests.checks.running import run

PREFIX = "PROCRASTINATE_CONN_"
CONNECTORS = [
    f"{PREFIX}CONNECTOR={kind}"
    for kind in ("psycopg", "psycopg2", "aiopg", "sqlalchemy-psycopg2", "psycop", '"psycopg2', "${NOPE}")
]
OTHERS = {
    "DSN": ["host=localhost", "postgresql://localhost", "host=a, dbname=b", "host=@abc", "mysql://a"],
    "CONNECTION__HOST": ["db1,db2", "@abc", "localhost:1"],
    "CONNECTION__PORT": ["5432,5433", "x"],
    "CONNECTION__MIN_PROTOCOL_VERSION": ["3.0"],
    "CONNECTION__SSLMODE": ["requre"],
    "POOL__MIN_SIZE": ["2", "x"],
    "POOL__MAX_SIZE": ["1"],
    "POOL__CONFIGURE": ["json:dumps", "asyncio:sleep"],
    "POOL__CLOSE_RETURNS": ["true"],
    "JSON_DUMPS": ["json:dumps", "json:nope"],
    "PASSWORD_COMMAND": ["echo x", "a 'b"],
    "DEFAULTS": ["libpq", "none"],
}
LINES = [f"{PREFIX}{name}={value}" for name, values in OTHERS.items() for value in values]
LINES += ["PGHOST=h", "PGPORT=x", "PGSERVICE=jobs", "PGSERVICE=", "DATABASE_URL=postgres://a@b/c"]


def settings_lines(most: int) -> st.SearchStrategy[list[str]]:
    """Some lines of a place, of which many are about the connector: on it depends what else is wrong."""
    lines = st.sampled_from(CONNECTORS) | st.sampled_from(LINES)
    return st.lists(lines, max_size=most)


def outcome(kind: ConnectorKind | None) -> str:
    """Tell whether the library builds a connector."""
    try:
        make_connector(kind)
    except ConfigurationError:
        return "rejected"
    return "built"


@pytest.mark.timeout(300)
@settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    lines=settings_lines(4),
    variables=settings_lines(2),
    kind=st.sampled_from([None, *ConnectorKind]) | st.none(),
)
def test_check_and_doctor_report_an_error_if_no_connector_can_be_built(
    lines: list[str], variables: list[str], kind: ConnectorKind | None, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setenv("HOME", str(tmp_path))
        patch.setenv("PGSYSCONFDIR", str(tmp_path))
        for variable in variables:
            patch.setenv(*variable.split("=", 1))
        if outcome(kind) == "rejected":
            target = CheckTarget(connector=kind)
            assert any(problem.severity == "error" for problem in check_target(target).problems)
            assert not diagnose(target, processes=1, seconds=1).passes(strict=False)


@pytest.mark.subprocess
@pytest.mark.parametrize(
    ("kinds", "environment"),
    [
        (["psycopg", "psycopg2"], {}),
        (["${NOPE}psycopg2"], {}),
        (["psycopg"], {"PROCRASTINATE_CONN_CONNECTOR": "psycopg2"}),
    ],
    ids=["set twice", "refers to nothing", "overridden"],
)
@pytest.mark.parametrize("command", ["check", "doctor"])
def test_warning_about_the_connector_hides_no_error(
    command: str, kinds: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    lines = [f"{PREFIX}CONNECTOR={kind}\n" for kind in kinds]
    (tmp_path / ".env").write_text("".join([*lines, f"{PREFIX}POOL__CONFIGURE=asyncio:sleep\n"]))
    done = run(tmp_path, command, environment=environment)
    assert done.returncode == 1
    assert "PC308" in done.stdout
