"""Another prefix: every source, message and schema speaks of its names, and no value crosses."""

from __future__ import annotations

import pytest
from procrastinate.contrib.psycopg2 import Psycopg2Connector
from pydantic_settings import SettingsConfigDict

from procrastinate_conn import ConfigurationError, ConnectorSettings, make_connector
from procrastinate_conn.checks.runner import CheckTarget, check_target
from procrastinate_conn.configuration import configure
from procrastinate_conn.schema import settings_schema
from procrastinate_conn.setting_names import SettingNames
from procrastinate_conn.sources import read_sources

JOBS = SettingNames("JOBS_")
CALL = {"connection": {"host": "db1"}}


class Jobs(ConnectorSettings):
    model_config = SettingsConfigDict(env_prefix="JOBS_")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test has a working directory of its own, without an env file."""
    monkeypatch.chdir(tmp_path)


def problems(environment, names=JOBS):
    return configure(read_sources(CALL, None, None, environment, names)).problems


def test_prefix_of_a_subclass_is_read(monkeypatch):
    monkeypatch.setenv("JOBS_DSN", "host=db1")
    monkeypatch.setenv("JOBS_POOL__MAX_SIZE", "7")
    assert (Jobs().spec().host, Jobs().pool.max_size) == ("db1", 7)


def test_prefix_of_the_call_overrides_that_of_the_class(monkeypatch):
    monkeypatch.setenv("JOBS_DSN", "host=db1")
    monkeypatch.setenv("MAILS_DSN", "host=db2")
    assert Jobs(_env_prefix="MAILS_").spec().host == "db2"
    assert ConnectorSettings(_env_prefix="JOBS_").spec().host == "db1"


def test_make_connector_reads_variables_with_its_prefix(monkeypatch):
    monkeypatch.setenv("JOBS_CONNECTOR", "psycopg2")
    assert isinstance(make_connector(env_prefix="JOBS_"), Psycopg2Connector)


def test_no_value_crosses_between_two_prefixes_in_one_env_file(tmp_path):
    (tmp_path / ".env").write_text(
        "PROCRASTINATE_CONN_DSN=host=db0 user=app\nPROCRASTINATE_CONN_POOL__MAX_SIZE=9\n"
        "JOBS_DSN=host=db1 dbname=jobs\nMAILS_DSN=host=db2\nMAILS_POOL__MIN_SIZE=2\n"
    )
    jobs, mails = Jobs(), ConnectorSettings(_env_prefix="MAILS_")
    assert (jobs.spec().host, jobs.spec().dbname, jobs.pool.max_size) == ("db1", "jobs", 4)
    assert jobs.spec().parameters.get("user") != "app"
    assert (mails.spec().host, mails.pool.min_size) == ("db2", 2)
    assert mails.spec().parameters.get("dbname") != "jobs"


def test_secrets_directory_has_files_named_with_the_prefix(tmp_path):
    (tmp_path / "jobs_connection__password").write_text("hush")
    (tmp_path / "procrastinate_conn_connection__host").write_text("db0")
    spec = Jobs(_secrets_dir=tmp_path).spec()
    assert (spec.parameters["password"], spec.host) == ("hush", None)


def test_database_url_belongs_to_the_default_prefix(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://db0/shop")
    assert ConnectorSettings().spec().host == "db0"
    assert Jobs().spec().host is None


def test_database_url_with_the_prefix_takes_its_place(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://db0/shop")
    monkeypatch.setenv("JOBS_DATABASE_URL", "postgresql://db1/jobs")
    assert Jobs().spec().host == "db1"
    assert Jobs(dsn="host=db2").spec().host == "db2"
    assert ConnectorSettings().spec().host == "db0"


def test_database_url_with_the_prefix_beside_a_dsn_has_no_effect(tmp_path):
    (tmp_path / "jobs.env").write_text("JOBS_DSN=host=localhost\nJOBS_DATABASE_URL=postgresql:///jobs\n")
    [problem] = check_target(CheckTarget(tmp_path / "jobs.env", prefix="JOBS_", isolated=True)).problems
    assert (problem.code, problem.origin.line) == ("PC110", 2)


def test_variables_of_libpq_count_for_every_prefix(monkeypatch):
    monkeypatch.setenv("PGHOST", "db3")
    assert Jobs().spec().host == ConnectorSettings().spec().host == "db3"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("JOBS_DNS", "did you mean JOBS_DSN?"),
        ("JOBS_POOOL__MAX_SIZE", "did you mean JOBS_POOL__MAX_SIZE?"),
        ("JOBS_POOL_MAX_SIZE", "did you mean JOBS_POOL__MAX_SIZE?"),
        ("JOBS_CONNECTOR__KIND", "it has no parts: write JOBS_CONNECTOR"),
        ("JOBS_POOL__", "name a part of it, as in JOBS_POOL__MAX_SIZE"),
        ("JOBS_DSM", "did you mean JOBS_DSN?"),
        ("JOBS_SSLMODE", "did you mean JOBS_CONNECTION__SSLMODE?"),
        ("JOBS_SSL_MODE", "did you mean JOBS_CONNECTION__SSLMODE?"),
        ("jobs_max_szie", "did you mean JOBS_POOL__MAX_SIZE?"),
        ("JOBS_DBNAME", "did you mean JOBS_CONNECTION__DBNAME?"),
    ],
)
def test_near_miss_under_a_shared_prefix_is_an_error_in_its_names(name, hint):
    [problem] = problems({name: "1"})
    assert (problem.code, problem.severity, problem.hint) == ("PC101", "error", hint)


@pytest.mark.parametrize(
    "names",
    [
        "SECRET_KEY DEBUG COLOUR MAX_RETRIES MAX_AGE PROTOCOL_VERSION RESPONSE_TIME SSL_KEY OAUTH_CLIENT_ID",
        "DATABASE URL HOST PORT USER PASSWORD SERVICE OPTIONS NAME TIMEOUT APPLICATION_NAME CHECK",
        "CONFIGURE RESET DB_NAME REQUIRE_AUTH NUM_WORKERS KEEPALIVE USERNAME HOSTNAME SSL",
    ],
)
def test_variable_of_the_application_under_its_prefix_is_no_finding(names):
    assert not problems({f"JOBS_{name}": "1" for name in names.split()})


def test_keyword_is_a_variable_like_any_other_without_a_prefix():
    assert not problems({"SSLMODE": "require", "SSLKEYLOGFILE": "keys"}, SettingNames(""))


def test_keyword_that_is_a_field_of_the_subclass_is_no_finding(monkeypatch):
    class Own(Jobs):
        max_size: int = 1

    monkeypatch.setenv("JOBS_MAX_SIZE", "7")
    assert (Own(**CALL).max_size, Own(**CALL).pool.max_size) == (7, 4)


def test_words_of_the_application_are_named_if_nothing_else_describes_the_connection(tmp_path):
    directory = tmp_path / "secrets"
    directory.mkdir()
    (directory / "jobs_password").write_text("hush")
    environment = {"JOBS_HOST": "db1", "JOBS_PORT": "5433", "JOBS_POOL__MAX_SIZE": "9", "JOBS_NAME": "x"}
    [problem] = configure(read_sources({}, None, directory, environment, JOBS)).problems
    assert problem.code == "PC113"
    assert "JOBS_HOST" in problem.message
    assert "jobs_password" in problem.message
    assert problem.hint == "write JOBS_CONNECTION__HOST, JOBS_CONNECTION__PORT, JOBS_CONNECTION__PASSWORD"
    [nothing] = configure(read_sources({}, None, None, {"JOBS_PORT": "80"}, JOBS)).problems
    assert "JOBS_PORT" not in str(nothing)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("JOBS_DSN", "JOBS_dsn"),
        ("JOBS_POOL__MAX_SIZE", "JOBS_pool__max_size"),
        ("JOBS_Pool_max_size", "JOBS_pool__max_size"),
        ("JOBS_CONNECTION_HOST", "JOBS_connection__host"),
        ("JOBS_SSLMODE", "JOBS_connection__sslmode"),
        ("jobs_dsn", "JOBS_dsn"),
        ("JOB_POOL__MAX_SIZE", "JOBS_pool__max_size"),
        ("jobs-dsn", "JOBS_dsn"),
    ],
)
def test_hint_where_case_counts_names_what_is_accepted_there(name, meant, tmp_path):
    (tmp_path / name).write_text("9")
    names = JOBS._replace(case_sensitive=True)
    [problem, *_] = configure(read_sources({}, None, tmp_path, {}, names)).problems
    assert problem.hint in (f"did you mean {meant}?", f"name the file {meant}")
    assert not configure(read_sources({}, None, None, {"JOBS_dsn": "host=db1"}, names)).problems


def test_unknown_name_under_the_default_prefix_is_always_an_error():
    [problem] = problems({"PROCRASTINATE_CONN_SECRET_KEY": "1"}, SettingNames())
    assert (problem.code, problem.severity) == ("PC101", "error")


def test_variables_of_the_default_prefix_are_not_read_under_another():
    assert not problems({"PROCRASTINATE_CONN_DNS": "1", "PROCRASTINATE_CONN_POOL": "["})


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"JOBS_CONNECTION": "localhost"}, "JOBS_CONNECTION is not a JSON object"),
        ({"JOBS_CONNECTION": "localhost"}, "JOBS_CONNECTION__NAME=value"),
        ({"JOBS_DATABASE_URL": "mysql://db/shop"}, "JOBS_DATABASE_URL is a mysql: URL and is ignored"),
        ({"JOBS_DATABASE_URL": "mysql://db/shop"}, "set JOBS_DSN to a postgresql:// URL"),
        ({"PGDSN": "host=db1"}, "did you mean JOBS_DSN?"),
    ],
)
def test_messages_and_hints_speak_the_names_of_the_prefix(environment, text):
    [problem] = problems(environment)
    assert text in str(problem)


def test_malformed_line_of_a_prefix_is_an_error_with_its_name(tmp_path):
    (tmp_path / ".env").write_text('JOBS_DSN="host=db1\n')
    with pytest.raises(ConfigurationError, match=r"\.env:1 JOBS_DSN: PC112"):
        Jobs()


def test_malformed_line_of_the_application_is_no_error_of_ours(tmp_path):
    (tmp_path / ".env").write_text("JOBS_DSN=host=db1\nJOBS_COLOUR\n")
    assert Jobs().spec().host == "db1"


def test_schema_names_the_variables_of_the_prefix():
    schema = settings_schema(JOBS)
    assert schema["properties"]["dsn"]["x-variable"] == "JOBS_DSN"
    assert schema["properties"]["connection"]["properties"]["host"]["x-variable"] == "JOBS_CONNECTION__HOST"
    assert "PROCRASTINATE_CONN_" not in str(schema)


def test_nested_delimiter_and_case_are_those_of_the_names():
    names = SettingNames("Jobs_", "-", case_sensitive=True)
    assert names.variable(("pool", "max_size")) == "Jobs_pool-max_size"
    assert names.path("Jobs_pool-max_size") == ("pool", "max_size")
    assert names.path("JOBS_pool-max_size") is None


def test_example_is_translated_into_the_names_of_a_prefix():
    example = "PROCRASTINATE_CONN_POOL__MAX_SIZE=9\nDATABASE_URL=postgresql://db1/jobs"
    assert JOBS.translate(example) == "JOBS_POOL__MAX_SIZE=9\nJOBS_DATABASE_URL=postgresql://db1/jobs"
    assert SettingNames().translate(example) == example
