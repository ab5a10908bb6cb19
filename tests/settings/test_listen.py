"""The section ``listen``: what differs for the connection on which workers listen."""

from __future__ import annotations

import json

import pytest

from procrastinate_conn import ConfigurationError, ConnectorSettings, make_connector

POOLER = {"dsn": "postgresql://app:one@pooler:6432/jobs?sslmode=require"}
MAIN = {"user": "app", "password": "one", "host": "pooler", "port": "6432", "sslmode": "require"}


def listening(**arguments) -> dict[str, str]:
    """Return the parameters of the connection that listens."""
    config = ConnectorSettings(_env_file=None, **arguments).configuration.connector_config()
    return dict((config.listening or config).spec.parameters)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"listen": {}}, {}),
        ({"listen": {"host": "db1", "port": 5432}}, {"host": "db1", "port": "5432"}),
        ({"listen": {"user": "other", "password": "two"}}, {"user": "other", "password": "two"}),
        (
            {"listen": {"dsn": "postgresql://app@db1/jobs"}},
            {"host": "db1", "port": "5432", "password": None, "sslmode": "prefer"},
        ),
        (
            {"listen": {"dsn": "postgresql://app@db1/jobs"}, "connection": {"port": 7, "sslmode": "allow"}},
            {"host": "db1", "port": "5432", "password": None, "sslmode": "allow"},
        ),
        (
            {"listen": {"dsn": "host=db1 port=1 user=app sslmode=require", "port": 2}},
            {"host": "db1", "port": "2", "password": None},
        ),
        (
            {"connection": {"hostaddr": "10.0.0.1"}, "listen": {"host": "db1"}},
            {"host": "db1", "hostaddr": None},
        ),
    ],
)
def test_section_overrides_the_connection_and_its_dsn_replaces_the_address(arguments, expected):
    found, wanted = listening(**POOLER, **arguments), {**MAIN, **expected}
    assert {keyword: found.get(keyword) or None for keyword in wanted} == wanted


def test_hostaddr_of_the_environment_does_not_redirect_the_listening_host(monkeypatch):
    monkeypatch.setenv("PGHOSTADDR", "10.0.0.1")
    assert not listening(listen={"host": "db1"}).get("hostaddr")


def test_nearest_source_decides_whether_workers_listen(tmp_path, monkeypatch):
    file = tmp_path / "listen.env"
    file.write_text("PROCRASTINATE_CONN_LISTEN=off\n")
    assert ConnectorSettings(_env_file=file).listen == "off"
    monkeypatch.setenv("PROCRASTINATE_CONN_LISTEN__HOST", "db1")
    assert ConnectorSettings(_env_file=file).listen == {"host": "db1"}
    monkeypatch.delenv("PROCRASTINATE_CONN_LISTEN__HOST")
    monkeypatch.setenv("PROCRASTINATE_CONN_LISTEN", '{"host": "db2"}')
    assert ConnectorSettings(_env_file=file).listen == {"host": "db2"}
    assert ConnectorSettings(_env_file=file, listen="off").listen == "off"
    assert ConnectorSettings(_env_file=file, listen=False).listen == "off"  # as YAML reads it


def test_another_prefix_has_a_section_of_its_own(monkeypatch):
    monkeypatch.setenv("JOBS_LISTEN__PORT", "5433")
    assert ConnectorSettings(_env_prefix="JOBS_", _env_file=None).listen == {"port": "5433"}


@pytest.mark.parametrize(
    ("listen", "setting", "code"),
    [
        ("on", "listen", "PC107"),
        ("postgresql://app@db1/jobs", "listen", "PC107"),
        ({"hots": "db1"}, "listen.hots", "PC204"),
        ({"sslmod": None, "sslmode": None, "dsn": None, "port": "5433"}, "listen.sslmod", "PC204"),
        ({"sslmode": "requre"}, "listen.sslmode", "PC205"),
        ({"host": "a,b", "port": "1,2,3"}, "listen.host", "PC206"),
        ({"sslrootcert": "system"}, "listen.sslrootcert", "PC208"),
        ({"dsn": "postgresql://app@db1/jobs?sslmode"}, "listen.dsn", "PC201"),
        ({"host": "postgresql://app@db1/jobs"}, "listen.host", "PC213"),
    ],
)
def test_mistake_is_reported_once_with_the_setting_of_the_section(listen, setting, code):
    with pytest.raises(ConfigurationError) as caught:
        make_connector(env_file=None, listen=listen, **POOLER)
    [problem] = caught.value.problems
    assert (problem.setting, problem.code) == (setting, code)
    assert problem.origin.source == "call"


def test_off_beside_a_keyword_in_the_same_place_is_a_mistake(monkeypatch):
    monkeypatch.setenv("PROCRASTINATE_CONN_LISTEN", "off")
    monkeypatch.setenv("PROCRASTINATE_CONN_LISTEN__HOST", "db1")
    with pytest.raises(ConfigurationError, match="listen is off, and PROCRASTINATE_CONN_LISTEN__HOST is set"):
        make_connector(env_file=None)


def test_mistake_in_the_connection_is_not_repeated_for_the_one_that_listens():
    with pytest.raises(ConfigurationError) as caught:
        make_connector(env_file=None, connection={"sslmode": "requre"}, listen={"host": "db1"})
    assert [problem.setting for problem in caught.value.problems] == ["connection.sslmode"]


def test_secrets_of_the_section_are_masked():
    settings = ConnectorSettings(
        _env_file=None, listen={"password": "hunter2", "dsn": "postgresql://app:hunter3@db1/jobs"}
    )
    config = settings.configuration.connector_config()
    assert "hunter" not in repr(settings) + json.dumps(settings.model_dump(mode="json")) + repr(config)
