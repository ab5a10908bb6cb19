"""The precedence, keyword by keyword: the higher source, and in one source the single keyword."""

from __future__ import annotations

from itertools import pairwise

import pytest

# Every row of the precedence, the nearest first: what writes a value into it, and where it then comes from.
ROWS = {
    "the call's keyword": lambda w, v: w.call.update(connection={"application_name": v}),
    "the call's DSN": lambda w, v: w.call.update(dsn=f"application_name={v}"),
    "the environment's keyword": lambda w, v: w.variables(PROCRASTINATE_CONN_CONNECTION__APPLICATION_NAME=v),
    "the environment's keyword, in JSON": lambda w, v: w.variables(
        PROCRASTINATE_CONN_CONNECTION=f'{{"application_name": "{v}"}}'
    ),
    "the environment's DSN": lambda w, v: w.variables(PROCRASTINATE_CONN_DSN=f"application_name={v}"),
    "the later env file's keyword": lambda w, v: w.later.append(
        f"PROCRASTINATE_CONN_CONNECTION__APPLICATION_NAME={v}"
    ),
    "the later env file's DSN": lambda w, v: w.later.append(f"PROCRASTINATE_CONN_DSN=application_name={v}"),
    "the earlier env file's keyword": lambda w, v: w.earlier.append(
        f"PROCRASTINATE_CONN_CONNECTION__APPLICATION_NAME={v}"
    ),
    "the earlier env file's DSN": lambda w, v: w.earlier.append(
        f"PROCRASTINATE_CONN_DSN=application_name={v}"
    ),
    "the secrets' keyword": lambda w, v: w.hidden.update(PROCRASTINATE_CONN_CONNECTION__APPLICATION_NAME=v),
    "the secrets' DSN": lambda w, v: w.hidden.update(PROCRASTINATE_CONN_DSN=f"application_name={v}"),
    "DATABASE_URL in the environment": lambda w, v: w.variables(
        DATABASE_URL=f"postgresql:///?application_name={v}"
    ),
    "DATABASE_URL in an env file": lambda w, v: w.later.append(
        f"DATABASE_URL=postgresql:///?application_name={v}"
    ),
    "DATABASE_URL among the secrets": lambda w, v: w.hidden.update(
        DATABASE_URL=f"postgresql:///?application_name={v}"
    ),
    "the service": lambda w, v: w.service.append(f"application_name={v}"),
    "libpq's variable in the environment": lambda w, v: w.variables(PGAPPNAME=v),
    "libpq's variable in the later env file": lambda w, v: w.later.append(f"PGAPPNAME={v}"),
    "libpq's variable in the earlier env file": lambda w, v: w.earlier.append(f"PGAPPNAME={v}"),
}
PAIRS = [(higher, lower) for i, higher in enumerate(ROWS) for lower in list(ROWS)[i + 1 :]]


@pytest.fixture
def rows(written):
    written.later, written.earlier, written.hidden, written.service = [], [], {}, []
    return written


def read(written):
    written.env_file(*written.earlier, name="earlier.env")
    written.env_file(*written.later, name="later.env")
    written.secrets(**written.hidden, unrelated="x")
    if written.service:
        written.file(".pg_service.conf", "[jobs]", *written.service)
        written.variables(PGSERVICE="jobs")
    return written.read()


@pytest.mark.parametrize(("higher", "lower"), PAIRS, ids=[f"{n} over {f}" for n, f in PAIRS])
def test_higher_row_overrides_the_lower(higher, lower, rows):
    ROWS[higher](rows, "higher")
    ROWS[lower](rows, "lower")
    configuration = read(rows)
    assert not configuration.errors
    assert configuration.spec.application_name == "higher"


def test_values_of_all_rows_are_kept(rows):
    single = [name for name in ROWS if "DSN" not in name and "DATABASE" not in name and "JSON" not in name]
    for number, name in enumerate(single):
        ROWS[name](rows, f"row{number}")
    found = [sourced.value for sourced in read(rows).connection.configured["application_name"]]
    assert found == [f"row{number}" for number in range(len(single))]


def test_keyword_that_a_dsn_does_not_set_is_taken_from_the_next_row(written):
    written.call.update(dsn="host=/call")
    written.variables(PGPORT="1", PGDATABASE="environment")
    written.env_file("PGDATABASE=file", "PGUSER=file")
    spec = written.read().spec
    assert (spec.host, spec.port, spec.dbname, spec.user) == ("/call", "1", "environment", "file")


def test_no_part_of_an_overridden_dsn_is_used(written):
    written.call.update(dsn="host=/call")
    written.variables(PROCRASTINATE_CONN_DSN="user=environment port=1")
    written.env_file("PROCRASTINATE_CONN_DSN=dbname=file")
    written.variables(DATABASE_URL="postgresql://other:hush@/other")
    configuration = written.read()
    assert configuration.spec.host == "/call"
    assert set(configuration.connection.configured) & {"user", "port", "dbname", "password"} == set()


def test_empty_dsn_overrides_a_lower_one(written):
    written.variables(PROCRASTINATE_CONN_DSN="", DATABASE_URL="postgresql:///other")
    assert "dbname" not in written.read().connection.configured


def test_dsn_overrides_a_single_keyword_of_a_lower_source(written):
    written.variables(PROCRASTINATE_CONN_DSN="host=/environment")
    written.env_file("PROCRASTINATE_CONN_CONNECTION__HOST=/stale", "PROCRASTINATE_CONN_CONNECTION__PORT=1")
    spec = written.read().spec
    assert (spec.host, spec.port) == ("/environment", "1")


@pytest.mark.parametrize("scheme", ["mysql", "sqlite", "redis", "mssql+pyodbc"])
def test_database_url_of_another_database_is_ignored_with_a_warning(scheme, written):
    written.variables(DATABASE_URL=f"{scheme}://u:hush@h/other", PGDATABASE="jobs")
    configuration = written.read()
    assert configuration.spec.dbname == "jobs"
    [problem] = configuration.problems
    assert (problem.code, problem.severity) == ("PC203", "warning")
    assert "hush" not in str(problem)


def test_dsn_of_another_database_is_an_error(written):
    written.variables(PROCRASTINATE_CONN_DSN="mysql://u:hush@h/other")
    [problem] = written.read().errors
    assert problem.code == "PC202"
    assert "hush" not in str(problem)


def test_resilient_defaults_override_only_libpqs_own(written):
    written.variables(PGCONNECT_TIMEOUT="3")
    assert written.read().spec.parameters["connect_timeout"] == "3"
    written.patch.delenv("PGCONNECT_TIMEOUT")
    assert written.read().spec.parameters["connect_timeout"] == "10"
    written.call.update(defaults="libpq")
    assert "connect_timeout" not in written.read().spec.parameters


PASSWORDS = {
    "the call": lambda w, v: w.call.update(password=v),
    "the environment": lambda w, v: w.variables(PROCRASTINATE_CONN_CONNECTION__PASSWORD=v),
    "an env file": lambda w, v: w.env_file(f"PROCRASTINATE_CONN_DSN=postgresql://:{v}@/"),
    "a secret": lambda w, v: w.secrets(PROCRASTINATE_CONN_CONNECTION__PASSWORD=v),
    "PGPASSWORD": lambda w, v: w.variables(PGPASSWORD=v),
}


@pytest.mark.parametrize(("higher", "lower"), list(pairwise(PASSWORDS)))
def test_password_of_the_higher_source_is_used(higher, lower, written):
    PASSWORDS[lower](written, "lower")
    PASSWORDS[higher](written, "higher")
    assert written.read().spec.parameters["password"] == "higher"


def test_password_function_overrides_a_password_of_a_lower_source(written):
    written.call.update(password=lambda: "fresh")
    written.variables(PGPASSWORD="lower")
    assert written.read().settings.password() == "fresh"


def test_password_overrides_a_password_file_of_a_lower_source(written):
    written.call.update(password="higher")
    written.variables(PROCRASTINATE_CONN_PASSWORD_FILE=str(written.file("password", "lower")))
    configuration = written.read()
    assert configuration.settings.password is None
    assert configuration.spec.parameters["password"] == "higher"
