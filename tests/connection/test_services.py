"""What a service that is named later can change in a connection string."""

from __future__ import annotations

import pytest

from procrastinate_conn import ConnectorSettings, libpq
from procrastinate_conn.libpq.conninfo import start_connection

OPEN = (
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "sslpassword",
    "scram_client_key",
    "scram_server_key",
)
"""As in the docstring of `ConnectionSpec.conninfo`."""
NEVER_READ = (
    "fallback_application_name",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_scope",
    "service",
    "servicefile",
)
"""Beside an application_name, or without an issuer, libpq does not read these."""


@pytest.mark.parametrize("keyword", [k for k in libpq.keywords() if k not in NEVER_READ])
def test_service_that_is_named_later_sets_only_keywords_without_an_unset_value(
    keyword, tmp_path, monkeypatch
):
    spec = ConnectorSettings(
        _env_file=None, dsn=f"host={libpq.UNREACHABLE_HOST} user=u password=p", defaults="libpq"
    ).spec()
    value = "A" * 43 + "=" if keyword.startswith("scram") else "7"
    (tmp_path / "services").write_text(f"[jobs]\n{keyword}={value}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    unspoilt, _ = start_connection(spec.keyword_values())
    monkeypatch.setenv("PGSERVICE", "jobs")
    spoilt, _ = start_connection(spec.keyword_values())
    spoilt.pop("service", None)  # its name alone does nothing
    assert (spoilt == unspoilt) is (keyword not in OPEN)
    if keyword in OPEN:
        with libpq.pinned_environment(spec.keyword_values(), spec.session):
            assert start_connection(spec.keyword_values())[0] == unspoilt
