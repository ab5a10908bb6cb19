"""The origin of every value, effective or overridden: variable, file and line, service section."""

from __future__ import annotations

import pytest

from procrastinate_conn import Origin


def test_keywords_of_a_dsn_have_its_origin(written):
    written.env_file("# comment", "", "PROCRASTINATE_CONN_DSN=postgresql://u:hush@/d?sslmode=require")
    spec = written.read().spec
    file = str(written.directory / "project.env")
    origin = Origin("dotenv", "PROCRASTINATE_CONN_DSN", file, 3)
    assert {spec.origins[k] for k in ("user", "password", "dbname", "sslmode")} == {origin}
    assert str(origin) == f"{file}:3 PROCRASTINATE_CONN_DSN"


def test_keywords_of_a_service_have_their_lines(written):
    file = written.file(
        ".pg_service.conf", "# comment", "[other]", "user=x", "[jobs]", "", "user=s", "port=1"
    )
    written.variables(PGSERVICE="jobs")
    spec = written.read().spec
    assert spec.origins["user"] == Origin("service-file", "[jobs]", str(file), 6)
    assert spec.origins["port"] == Origin("service-file", "[jobs]", str(file), 7)
    assert spec.origins["service"] == Origin("environment", "PGSERVICE")


def test_fault_in_a_service_file_has_its_line(written):
    file = written.file(".pg_service.conf", "[jobs]", "user=s", "hots=/x")
    written.call.update(dsn="service=jobs")
    [problem] = written.read().errors
    assert problem.origin == Origin("service-file", "[jobs]", str(file), 3)
    assert "did you mean host?" in problem.hint


def test_undefined_service_is_reported_where_it_is_named(written):
    file = written.file("services", "[other]")
    written.env_file("PGSERVICE=jobs", f"PGSERVICEFILE={file}")
    [problem] = written.read().errors
    assert problem.origin.line == 1
    assert str(file) in problem.hint


def test_call_secrets_and_defaults_have_origins(written):
    written.call.update(connection={"user": "u"})
    written.secrets(PROCRASTINATE_CONN_CONNECTION__DBNAME="d")
    origins = written.read().spec.origins
    assert origins["user"] == Origin("call", 'connection["user"]')
    assert origins["dbname"].source == "secrets"
    assert origins["dbname"].file.endswith("PROCRASTINATE_CONN_CONNECTION__DBNAME")
    assert origins["connect_timeout"] == Origin("resilient-default")
    assert origins["sslmode"] == Origin("libpq-default")
    assert origins["passfile"] == Origin("libpq-default")


def test_derived_value_has_the_origin_of_its_keyword_or_libpqs(written):
    written.variables(PGCLIENTENCODING="auto", PGUSER="")
    origins = written.read().spec.origins
    assert origins["client_encoding"] == Origin("environment", "PGCLIENTENCODING")
    assert origins["user"] == origins["dbname"] == Origin("libpq-default")


def test_overridden_values_are_kept_with_their_origins(written):
    written.call.update(dsn="port=1")
    written.file(".pg_service.conf", "[jobs]", "port=2")
    written.variables(PGSERVICE="jobs", PGPORT="3")
    written.env_file("", "PGPORT=4")
    values = [(at.value, str(at.origin)) for at in written.read().connection.configured["port"]]
    assert values == [
        ("1", "argument dsn"),
        ("2", f"{written.directory}/.pg_service.conf:2 [jobs]"),
        ("3", "PGPORT"),
        ("4", f"{written.directory}/project.env:2 PGPORT"),
    ]


def test_pghostaddr_that_overrides_the_dsns_host_is_a_warning(written):
    written.call.update(dsn="postgresql://db.example/jobs")
    written.variables(PGHOSTADDR="127.0.0.2")
    [problem] = written.read().problems
    assert (problem.code, problem.severity) == ("PC210", "warning")
    assert problem.origin == Origin("environment", "PGHOSTADDR")


@pytest.mark.parametrize(
    ("dsn", "hostaddr"),
    [("hostaddr=127.0.0.1 host=db.example", "127.0.0.2"), ("host=db.example", ""), ("", "127.0.0.2")],
    ids=["the DSN states one", "it is empty", "no host is found"],
)
def test_pghostaddr_that_overrides_no_host_is_no_warning(dsn, hostaddr, written):
    written.call.update(dsn=dsn)
    written.variables(PGHOSTADDR=hostaddr)
    assert not written.read().problems


@pytest.mark.parametrize("name", ["PGTZ", "PGDATESTYLE", "PGGEQO"])
def test_session_variable_in_an_env_file_is_a_warning(name, written):
    written.env_file(f"{name}=x")
    [problem] = written.read().problems
    assert (problem.code, problem.severity, problem.origin.line) == ("PC212", "warning", 1)


def test_session_variable_of_the_process_is_kept_in_the_spec(written):
    written.variables(PGTZ="UTC")
    configuration = written.read()
    assert not configuration.problems
    assert configuration.spec.session == {"PGTZ": "UTC"}
