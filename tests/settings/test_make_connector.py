"""`make_connector` and `ConnectorSettings`: their arguments, their sources, and their errors."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from traceback import TracebackException
from unittest.mock import Mock

import procrastinate
import pytest
from procrastinate.connector import BaseAsyncConnector, BaseConnector
from procrastinate.contrib.aiopg import AiopgConnector
from procrastinate.contrib.psycopg2 import Psycopg2Connector
from procrastinate.contrib.sqlalchemy import SQLAlchemyPsycopg2Connector
from pydantic_settings import SettingsConfigDict

from procrastinate_conn import (
    ConfigurationError,
    ConnectorKind,
    ConnectorSettings,
    PoolOptions,
    make_connector,
)
from procrastinate_conn.registry import REGISTRY
from tests.servers import KINDS

CLASSES = {
    "psycopg": procrastinate.PsycopgConnector,
    "aiopg": AiopgConnector,
    "sync-psycopg": procrastinate.SyncPsycopgConnector,
    "psycopg2": Psycopg2Connector,
    "sqlalchemy-psycopg2": SQLAlchemyPsycopg2Connector,
    "sqlalchemy-psycopg": BaseConnector,
    "sqlalchemy-async": BaseAsyncConnector,
    "asyncpg": BaseAsyncConnector,
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test has a working directory of its own, without an env file."""
    monkeypatch.chdir(tmp_path)


def problems_of(**arguments):
    with pytest.raises(ConfigurationError) as caught:
        make_connector(**arguments)
    return caught.value.problems


@pytest.mark.parametrize(("kind", "connector_class"), CLASSES.items())
def test_each_kind_is_an_instance_of_procrastinates_class(kind, connector_class):
    assert isinstance(make_connector(kind), connector_class)


@pytest.mark.parametrize("kind", CLASSES)
def test_procrastinates_class_names_are_kinds_in_any_case(kind):
    name = REGISTRY[kind].implementation_class
    assert ConnectorKind(name) == ConnectorKind(name.upper()) == ConnectorKind(kind.upper()) == kind


def test_the_default_kind_is_psycopg():
    assert type(make_connector()).__mro__.index(procrastinate.PsycopgConnector)


def test_kind_in_the_call_overrides_the_environment(monkeypatch):
    monkeypatch.setenv("PROCRASTINATE_CONN_CONNECTOR", "psycopg2")
    assert isinstance(make_connector(), Psycopg2Connector)
    assert isinstance(make_connector("sync-psycopg"), procrastinate.SyncPsycopgConnector)


@pytest.mark.parametrize("kind", CLASSES)
def test_building_a_connector_opens_no_connection(kind):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        make_connector(kind, dsn=f"postgresql://u:p@127.0.0.1:{listener.getsockname()[1]}/jobs")
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_password_and_password_file_in_one_call_are_an_error():
    for where in ({"password_file": "/run/secrets/jobs"}, {"password_command": "cat jobs"}):
        [problem] = problems_of(password="hunter2", **where)
        [name] = where
        assert (problem.code, problem.setting) == ("PC109", name)
        assert problem.message == f"password and {name} are set in one place"


@pytest.mark.parametrize("password", [123, b"hunter2", ["hunter2"], True])
def test_password_that_is_neither_text_nor_function_is_an_error(password):
    [problem] = problems_of(password=password)
    assert (problem.code, problem.setting) == ("PC107", "password")
    assert problem.message == "password is not text or a plain function"
    assert "hunter2" not in str(problem)


def test_password_file_that_may_be_the_password_is_not_in_the_repr():
    assert "hunter2" not in repr(ConnectorSettings(password_file="hunter2.x"))
    assert "/run/secrets/jobs" in repr(ConnectorSettings(password_file="/run/secrets/jobs"))


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        ("host", 'write connection={"host": ...}'),
        ("max_size", 'write pool={"max_size": ...}'),
        ("username", 'write connection={"user": ...}'),
        ("kind", "did you mean connector?"),
        ("passwordfile", "did you mean password_file?"),
        ("env_file", "did you mean _env_file?"),
        ("banana", "the arguments are connector, dsn"),
    ],
)
def test_unknown_argument_has_a_hint_where_it_belongs(argument, hint):
    with pytest.raises(ConfigurationError) as caught:
        ConnectorSettings(**{argument: "x"})
    [problem] = caught.value.problems
    assert (problem.code, problem.setting) == ("PC101", argument)
    assert problem.hint.startswith(hint)


def test_all_problems_are_reported_at_once(monkeypatch):
    monkeypatch.setenv("PROCRASTINATE_CONN_POOOL__MIN_SIZE", "3")
    monkeypatch.setenv("PROCRASTINATE_CONN_CONNECTION__SSLMODE", "requier")
    monkeypatch.setenv("PROCRASTINATE_CONN_POOL__MIN_SZIE", "2")
    monkeypatch.setenv("PROCRASTINATE_CONN_CONNECTOR", "psycopg3")
    monkeypatch.setenv("PGHSOT", "db1")
    found = problems_of(dsn="host=db1 hots=db2", json_dumps="no.such.module:dumps")
    assert {(problem.code, problem.setting) for problem in found} == {
        ("PC101", "poool.min_size"),
        ("PC106", "PGHSOT"),
        ("PC107", "connector"),
        ("PC108", "json_dumps"),
        ("PC204", "connection.hots"),
        ("PC205", "connection.sslmode"),
        ("PC301", "pool.min_szie"),
    }


def test_error_lists_the_problems_with_their_origins(tmp_path):
    (tmp_path / ".env").write_text("# profile\n\nPROCRASTINATE_CONN_POOL__MIN_SZIE=3\n")
    with pytest.raises(ConfigurationError, match="1 problem in the connection settings") as caught:
        make_connector()
    assert ".env:3 PROCRASTINATE_CONN_POOL__MIN_SZIE: PC301" in str(caught.value)
    assert "did you mean min_size?" in str(caught.value)


def test_error_lists_errors_before_warnings(monkeypatch):
    monkeypatch.setenv("PGHSOT", "localhost")
    monkeypatch.setenv("PROCRASTINATE_CONN_POOL__MIN_SZIE", "4")
    with pytest.raises(ConfigurationError) as caught:
        make_connector()
    assert [problem.code for problem in caught.value.problems] == ["PC301", "PC106"]
    _, error, warning = str(caught.value).splitlines()
    assert "PC301 there is no pool option" in error
    assert "PC106 warning: libpq does not know PGHSOT" in warning


def test_connector_with_warnings_is_built_and_they_are_logged(monkeypatch, caplog):
    monkeypatch.setenv("PGHSOT", "db1")
    make_connector()
    assert "PGHSOT" in caplog.text
    assert "did you mean PGHOST?" in caplog.text


def test_default_env_file_may_be_absent():
    assert make_connector() is not None


def test_named_env_file_that_is_absent_is_an_error():
    (problem,) = problems_of(env_file="prod.env")
    assert (problem.code, problem.origin.file) == ("PC103", "prod.env")


@pytest.mark.parametrize("argument", ["env_file", "secrets_dir"])
@pytest.mark.parametrize(
    "string",
    [
        "postgresql://app:hunter2@db1/jobs",
        "postgresql:/app/hunter2",
        "host=db1 password=hunter2",
        "host=db1 pasword = hunter2",
        "dbname=jobs sslpasword=hunter2",
    ],
)
@pytest.mark.parametrize("form", [str, Path])
def test_connection_string_as_a_file_name_is_an_error_and_not_repeated(argument, string, form):
    for build in (make_connector, lambda **given: ConnectorSettings(**{f"_{argument}": given[argument]})):
        with pytest.raises(ConfigurationError) as caught:
            build(**{argument: form(string)})
        (problem,) = caught.value.problems
        assert (problem.code, str(problem.origin)) == ("PC103", f"argument {argument}")
        frames = TracebackException.from_exception(caught.value, capture_locals=True).stack
        held = [frame.locals for frame in frames if frame.filename != __file__]
        assert "hunter2" not in f"{problem} {held}"


def test_no_env_file_is_read_if_it_is_none(tmp_path):
    (tmp_path / ".env").write_text("PROCRASTINATE_CONN_CONNECTOR=nonsense\n")
    assert make_connector(env_file=None) is not None


def test_later_env_file_overrides_an_earlier_one(tmp_path):
    (tmp_path / "base.env").write_text("PROCRASTINATE_CONN_DSN=host=base dbname=base\n")
    (tmp_path / "local.env").write_text("PROCRASTINATE_CONN_CONNECTION__HOST=local\n")
    spec = ConnectorSettings(_env_file=["base.env", "local.env"]).spec()
    assert (spec.host, spec.dbname) == ("local", "base")
    assert str(spec.origins["host"]) == "local.env:1 PROCRASTINATE_CONN_CONNECTION__HOST"


def test_settings_argument_replaces_every_source(monkeypatch):
    settings = ConnectorSettings(dsn="host=db1 dbname=jobs", pool={"min_size": 2, "max_size": 3})
    monkeypatch.setenv("PROCRASTINATE_CONN_CONNECTOR", "nonsense")
    monkeypatch.setenv("PGHSOT", "misspelt")
    assert isinstance(make_connector(settings=settings), procrastinate.PsycopgConnector)


def test_arguments_override_the_settings_argument():
    settings = ConnectorSettings(dsn="host=db1 dbname=jobs")
    assert isinstance(make_connector("psycopg2", settings=settings), Psycopg2Connector)
    (problem,) = problems_of(settings=settings, pool={"min_size": -1})
    assert problem.setting == "pool.min_size"


def test_unknown_argument_is_an_error_with_a_suggestion():
    with pytest.raises(ConfigurationError, match=r"did you mean dsn\?"):
        ConnectorSettings(dns="host=db1")


def test_keyword_that_is_none_is_not_set_and_has_to_be_one_of_libpq():
    assert ConnectorSettings(connection={"host": "db1", "sslmode": None}).connection == {"host": "db1"}
    problems = problems_of(connection={"sslmod": None, "prepare_threshold": None})
    assert [(problem.code, problem.hint.rstrip("?")) for problem in problems] == [
        ("PC204", "did you mean sslmode"),
        ("PC204", "it is an option of the pool: write pool.prepare_threshold"),
    ]


def test_pool_is_a_mapping_or_pool_options():
    by_mapping = ConnectorSettings(pool={"min_size": "2", "max_size": 5}).pool
    by_options = ConnectorSettings(pool=PoolOptions(min_size=2, max_size=5)).pool
    assert (by_mapping.min_size, by_mapping.max_size) == (by_options.min_size, by_options.max_size) == (2, 5)


def test_null_turns_pooling_off(monkeypatch):
    assert ConnectorSettings(pool="null").pool.null
    monkeypatch.setenv("PROCRASTINATE_CONN_POOL", "null")
    assert ConnectorSettings().pool.null


def test_fields_of_the_settings_have_the_values_that_were_read(monkeypatch):
    monkeypatch.setenv("PROCRASTINATE_CONN_CONNECTION__PORT", "5433")
    settings = ConnectorSettings(
        connector="aiopg", dsn="host=db1 password=hush", connection={"user": "app", "password": "hush"}
    )
    assert settings.connector is ConnectorKind.AIOPG
    assert settings.dsn.get_secret_value() == "host=db1 password=hush"
    assert settings.connection["port"] == "5433"
    assert settings.connection["user"] == "app"
    assert settings.defaults == "resilient"
    assert "hush" not in repr(settings) + str(settings) + repr(settings.model_dump())


def test_subclasses_may_name_another_env_file(tmp_path):
    class Ours(ConnectorSettings):
        model_config = SettingsConfigDict(env_file="ours.env")

    (tmp_path / "ours.env").write_text("PROCRASTINATE_CONN_CONNECTION__HOST=db7\n")
    assert Ours().spec().host == "db7"


def in_a_process_without(modules, code):
    """Run code where some modules cannot be imported, and return what it prints."""
    program = f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n{textwrap.dedent(code)}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.subprocess
def test_missing_driver_is_a_problem_with_the_name_of_its_extra_and_other_kinds_work():
    code = """
        from procrastinate_conn import ConfigurationError, make_connector
        for kind in ("aiopg", "psycopg2", "sqlalchemy-psycopg2", "sqlalchemy-psycopg", "sync-psycopg"):
            try:
                print(type(make_connector(kind, dsn="host=db1", env_file=None)).__name__)
            except ConfigurationError as error:
                [problem] = [problem for problem in error.problems if problem.severity == "error"]
                print(problem.message, problem.hint)
    """
    needs = {
        "aiopg": ("aiopg and psycopg2, which are", "aiopg"),
        "psycopg2": ("psycopg2, which is", "psycopg2"),
        "sqlalchemy-psycopg2": ("sqlalchemy and psycopg2, which are", "sqlalchemy,psycopg2"),
        "sqlalchemy-psycopg": ("sqlalchemy, which is", "sqlalchemy"),
    }
    assert in_a_process_without(["aiopg", "psycopg2", "sqlalchemy"], code).splitlines() == [
        *(
            f"the {kind} connector needs {drivers} not installed pip install 'procrastinate-conn[{extra}]'"
            for kind, (drivers, extra) in needs.items()
        ),
        "SyncPsycopgConnector",
    ]


@pytest.mark.subprocess
def test_missing_libpq_is_one_line_with_what_to_install():
    code = """
        import os
        os.environ["PSYCOPG_IMPL"] = "binary"
        from procrastinate_conn import ConfigurationError, make_connector
        try:
            make_connector(env_file=None)
        except ConfigurationError as error:
            print(error)
    """
    printed = in_a_process_without(["psycopg_binary"], code)
    assert "PC403" in printed
    assert "procrastinate-conn[binary]" in printed


def test_name_of_the_pool_is_the_fallback_name_of_its_sessions(monkeypatch):
    named = ConnectorSettings(pool={"name": "web"}).spec()
    assert (named.fallback_application_name, named.application_name) == ("web", None)
    assert str(named.origins["fallback_application_name"]) == 'argument pool["name"]'
    monkeypatch.setenv("PGAPPNAME", "mine")
    assert ConnectorSettings(pool={"name": "web"}).spec().application_name == "mine"


@pytest.mark.parametrize(
    ("higher", "from_file"),
    [
        ({"dsn": "host=db1 password=hush"}, False),
        ({"connection": {"password": "hush"}}, False),
        ({"dsn": "host=db1"}, True),
        ({"dsn": "host=db1 password=hush", "password_file": "here"}, True),
    ],
)
def test_password_or_its_source_of_the_higher_source_is_used(higher, from_file, monkeypatch):
    monkeypatch.setenv("PROCRASTINATE_CONN_PASSWORD_FILE", "there")
    connector_config = ConnectorSettings(**higher).configuration.connector_config()
    assert (connector_config.password is not None) is from_file


@pytest.mark.parametrize("value", [3, "", b"password", ["password"]])
def test_password_file_that_is_no_file_name_is_an_error(value):
    with pytest.raises(ConfigurationError) as caught:
        ConnectorSettings(password_file=value)
    (problem,) = caught.value.problems
    assert (problem.code, problem.setting) == ("PC107", "password_file")


def test_json_that_is_nested_too_deeply_is_an_error(monkeypatch):
    monkeypatch.setenv("PROCRASTINATE_CONN_CONNECTION", "[" * 60_000 + "]" * 60_000)
    (problem,) = problems_of()
    assert (problem.code, problem.setting) == ("PC102", "connection")


@pytest.mark.parametrize("name", ["json_dumps", "json_loads"])
def test_asynchronous_json_function_is_an_error(name):
    async def convert(value):
        return value

    (problem,) = problems_of(**{name: convert})
    assert (problem.code, problem.setting) == ("PC108", name)


def test_callable_object_with_every_attribute_is_a_json_function():
    loads = Mock()
    assert make_connector(env_file=None, dsn="dbname=jobs", json_loads=loads).config.json_loads is loads


@pytest.mark.parametrize("kind", KINDS)
def test_small_max_size_alone_lowers_the_default_of_min_size(kind):
    connector = make_connector(kind, env_file=None, dsn="dbname=jobs", pool={"max_size": 2})
    assert (connector.config.pool.min_size, connector.config.pool.max_size) == (2, 2)


@pytest.mark.parametrize(
    ("kind", "by_hand"), [("aiopg", 10), ("psycopg2", 10), ("sqlalchemy-psycopg2", 15), ("psycopg", None)]
)
def test_pool_that_is_smaller_than_by_hand_is_logged(kind, by_hand, caplog):
    caplog.set_level("INFO", "procrastinate_conn")
    make_connector(kind, env_file=None, dsn="dbname=jobs")
    assert any(f"has up to {by_hand} by default" in line for line in caplog.messages) == bool(by_hand)
    caplog.clear()
    make_connector(kind, env_file=None, dsn="dbname=jobs", pool={"max_size": 6})
    assert not caplog.messages


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ConnectorSettings, "settings is the class ConnectorSettings (write settings=ConnectorSettings())"),
        ({"dsn": "host=hunter2"}, "settings is a dict (give an instance of ConnectorSettings)"),
        ("host=hunter2", "settings is a str (give an instance of ConnectorSettings)"),
    ],
)
def test_settings_that_are_no_instance_are_an_error(settings, message):
    with pytest.raises(ConfigurationError) as caught:
        make_connector(settings=settings)
    assert str(caught.value).endswith(message)
