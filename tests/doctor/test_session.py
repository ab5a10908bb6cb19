"""The doctor's session is the application's, whatever the environment and the drivers are."""

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
from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.registry import ConnectorKind
from tests.doctor.run_doctor import Examined


@contextmanager
def session(connector_config: ConnectorConfig) -> Iterator[psycopg.Connection[Any]]:
    """Connect as the doctor does."""
    [host] = hosts(connector_config.spec.parameters)
    patient = Patient(host, connector_config, True, 1, monotonic() + 20, address="127.0.0.1", is_reached=True)
    with patient.connect() as connection:
        yield connection


def resolved(address: Mapping[str, str]) -> ConnectorConfig:
    return ConnectorSettings(connection=address, _env_file=None).configuration.connector_config()


def test_a_service_in_the_environment_that_the_application_does_not_use(address, tmp_path):
    stated = "".join(f"{keyword}={value}\n" for keyword, value in address.items())
    (tmp_path / "services").write_text(f"[good]\n{stated}")
    with pytest.MonkeyPatch.context() as patch:  # over before the test's database is dropped
        patch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        patch.setenv("PGSERVICE", "bad")
        assert Examined({}, dsn="service=good").faults() == {}


@pytest.mark.parametrize(
    ("then", "later"), [("Asia/Tokyo", None), (None, "Asia/Tokyo"), ("UTC", "Asia/Tokyo")]
)
def test_a_setting_of_the_session_is_what_it_was_when_the_application_was_configured(
    address, monkeypatch, then, later
):
    def put(value: str | None) -> None:
        if value is None:
            monkeypatch.delenv("PGTZ", raising=False)
        else:
            monkeypatch.setenv("PGTZ", value)

    put(then)
    connector_config = resolved(address)
    with session(connector_config) as connection:
        before = connection.execute("SHOW TimeZone").fetchone()
    put(later)
    with session(connector_config) as connection:
        assert connection.execute("SHOW TimeZone").fetchone() == before


def test_a_keyword_that_only_the_applications_newer_libpq_knows_is_left_out(address):
    known = [*libpq.keywords(), "of_a_newer_libpq"]
    spec = ConnectionSpec.from_parameters(address, {}, known=known)
    assert "of_a_newer_libpq" in spec.conninfo()
    with session(ConnectorConfig(ConnectorKind.PSYCOPG2, spec, PoolOptions({}))) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
