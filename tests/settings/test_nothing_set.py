"""Nothing set at all is a warning with the places; with a misspelt prefix, an error."""

from __future__ import annotations

import logging

import pytest

from procrastinate_conn import ConfigurationError, ConnectorSettings, make_connector
from procrastinate_conn.checks.runner import CheckTarget, check_target


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    """Every test has a working directory of its own, without an env file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def logged(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_connector_logs_the_places_and_what_the_defaults_come_to(directory, caplog):
    make_connector()
    [message] = [message for message in logged(caplog) if "PC113" in message]
    assert f"{directory / '.env'} (there is no such file)" in message
    assert "the environment" in message
    assert "port=5432" in message
    assert "set PROCRASTINATE_CONN_DSN" in message


def test_warning_names_the_variable_of_the_prefix(caplog):
    ConnectorSettings(_env_prefix="JOBS_")
    [message] = [message for message in logged(caplog) if "PC113" in message]
    assert "set JOBS_DSN" in message


def test_env_file_without_settings_is_named_with_its_absolute_path(directory, caplog):
    (directory / ".env").write_text("COLOUR=red\n")
    make_connector()
    [message] = [message for message in logged(caplog) if "PC113" in message]
    assert f"{directory / '.env'};" in message


@pytest.mark.parametrize(
    "arguments", [{"dsn": "host=db1"}, {"connection": {"host": "db1"}}, {"pool": {"max_size": 8}}], ids=str
)
def test_anything_set_in_the_call_is_no_finding(arguments, caplog):
    make_connector(**arguments)
    assert not any("PC113" in message for message in logged(caplog))


@pytest.mark.parametrize("name", ["PROCRASTINATE_CONN_DSN", "DATABASE_URL", "PGSERVICE", "PGDATABASE"])
def test_any_variable_is_no_finding(name, caplog, directory, monkeypatch):
    (directory / "services.conf").write_text("[jobs]\nhost=db4\n")
    monkeypatch.setenv("PGSERVICEFILE", str(directory / "services.conf"))
    value = {"PGSERVICE": "jobs", "PGDATABASE": "jobs"}.get(name, "postgresql://db1/jobs")
    monkeypatch.setenv(name, value)
    make_connector()
    assert not any("PC113" in message for message in logged(caplog))


def test_connector_alone_describes_no_connection(caplog):
    make_connector("psycopg2")
    assert any("PC113" in message for message in logged(caplog))


@pytest.mark.parametrize(
    ("prefix", "name", "hint"),
    [
        (None, "PROCRASTINATE_CON_DSN", "did you mean PROCRASTINATE_CONN_DSN?"),
        ("JOBS_", "JOB_DSN", "did you mean JOBS_DSN?"),
        ("JOBS_", "JOSB_CONNECTION__HOST", "did you mean JOBS_CONNECTION__HOST?"),
    ],
)
def test_settings_that_all_have_a_misspelt_prefix_are_an_error(prefix, name, hint, monkeypatch):
    monkeypatch.setenv(name, "host=db1")
    with pytest.raises(ConfigurationError) as caught:
        make_connector(env_prefix=prefix)
    [problem] = caught.value.problems
    assert (problem.code, problem.severity, problem.hint) == ("PC106", "error", hint)


def test_misspelt_prefix_beside_other_settings_is_a_warning(monkeypatch, caplog):
    monkeypatch.setenv("PROCRASTINATE_CON_POOL__MAX_SIZE", "2")
    make_connector(dsn="host=db1")
    assert any("PC106" in message for message in logged(caplog))


def test_near_prefix_of_another_connection_is_no_finding(monkeypatch, caplog):
    monkeypatch.setenv("JOBS_DSN", "host=db1")
    monkeypatch.setenv("JOBS2_DSN", "host=db2")
    assert ConnectorSettings(_env_prefix="JOBS_").spec().host == "db1"
    assert ConnectorSettings(_env_prefix="JOBS2_").spec().host == "db2"
    assert not logged(caplog)


def test_check_warns_once_that_nothing_is_set():
    result = check_target(CheckTarget(isolated=True))
    assert [(problem.code, problem.severity) for problem in result.problems] == [("PC113", "warning")]


def test_override_that_is_meant_is_no_finding(directory):
    (directory / ".env").write_text("PROCRASTINATE_CONN_DSN=host=localhost dbname=jobs\n")
    from procrastinate_conn.checks.runner import check_configuration

    settings = ConnectorSettings(dsn="host=localhost dbname=other", pool={"max_size": 8})
    assert not check_configuration(CheckTarget(), settings.configuration).problems


def test_model_validate_and_a_class_without_variables_name_what_they_read(caplog, monkeypatch):
    class Own(ConnectorSettings):
        @classmethod
        def settings_customise_sources(cls, settings_cls, init_settings, **_):
            return (init_settings,)

    monkeypatch.setenv("PROCRASTINATE_CONN_DSN", "host=db1")
    ConnectorSettings.model_validate({})
    Own()
    nested, own = (message for message in logged(caplog) if "PC113" in message)
    assert "nothing is set in the values given and libpq's variables; nested settings" in nested
    assert "nothing is set in the arguments" in own
    assert nested.endswith("(set dsn)")
    assert own.endswith("(set dsn)")
