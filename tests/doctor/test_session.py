"""The doctor's session has the application's parameters, in any environment and with any driver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any

import psycopg
import pytest

from procrastinate_conn import ConnectorSettings, libpq
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connection.spec import ConnectionSpec
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.registry import ConnectorKind
from tests.doctor.run_doctor import DoctorRun


@contextmanager
def session(connector_config: ConnectorConfig) -> Iterator[psycopg.Connection[Any]]:
    """Connect as the doctor does."""
    [host] = hosts(connector_config.spec.parameters)
    context = HostContext(host, connector_config, 1, monotonic() + 20, address="127.0.0.1", is_reachable=True)
    with context.connect() as connection:
        yield connection


def resolved(address: Mapping[str, str]) -> ConnectorConfig:
    return ConnectorSettings(connection=address, _env_file=None).configuration.connector_config()


def test_undefined_pgservice_in_the_environment_is_ignored(address, tmp_path):
    section = "".join(f"{keyword}={value}\n" for keyword, value in address.items())
    (tmp_path / "services").write_text(f"[good]\n{section}")
    with pytest.MonkeyPatch.context() as patch:  # over before the test's database is dropped
        patch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        patch.setenv("PGSERVICE", "bad")
        assert DoctorRun({}, dsn="service=good").problems() == {}


@pytest.mark.parametrize(
    ("then", "later"), [("Asia/Tokyo", None), (None, "Asia/Tokyo"), ("UTC", "Asia/Tokyo")]
)
def test_session_settings_are_those_of_the_time_of_configuration(address, monkeypatch, then, later):
    def set_variable(value: str | None) -> None:
        if value is None:
            monkeypatch.delenv("PGTZ", raising=False)
        else:
            monkeypatch.setenv("PGTZ", value)

    set_variable(then)
    connector_config = resolved(address)
    with session(connector_config) as connection:
        before = connection.execute("SHOW TimeZone").fetchone()
    set_variable(later)
    with session(connector_config) as connection:
        assert connection.execute("SHOW TimeZone").fetchone() == before


def test_keyword_unknown_to_the_loaded_libpq_is_left_out(address):
    known = [*libpq.keywords(), "of_a_newer_libpq"]
    spec = ConnectionSpec.from_parameters(address, {}, known=known)
    assert "of_a_newer_libpq" in spec.conninfo()
    with session(ConnectorConfig(ConnectorKind.PSYCOPG2, spec, PoolOptions({}))) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
