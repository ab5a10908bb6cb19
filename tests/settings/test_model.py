"""ConnectorSettings as a model: subclasses, copies, hashes, dumps and schemas."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from procrastinate_conn import ConfigurationError, ConnectorKind, ConnectorSettings, PoolOptions
from procrastinate_conn.schema import settings_schema


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test has a working directory of its own, without an env file."""
    monkeypatch.chdir(tmp_path)


def test_settings_that_were_not_resolved_say_so():
    with pytest.raises(TypeError, match="model_construct"):
        ConnectorSettings.model_construct(dsn="host=db1").spec()


def test_a_subclass_may_name_another_secrets_directory(tmp_path):
    class Ours(ConnectorSettings):
        model_config = SettingsConfigDict(secrets_dir="ours")

    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "procrastinate_conn_dsn").write_text("host=db7")
    assert Ours().spec().host == "db7"
    assert Ours(_secrets_dir=None).spec().host is None


def test_a_subclass_may_have_other_defaults(monkeypatch):
    class Ours(ConnectorSettings):
        connector: ConnectorKind = ConnectorKind.AIOPG
        pool: PoolOptions = PoolOptions(max_size=7, timeout=5)
        defaults: str = "libpq"

    settings = Ours()
    assert (settings.connector, settings.pool.max_size, settings.pool.timeout) == ("aiopg", 7, 5)
    assert "keepalives_idle" not in settings.spec().parameters
    assert str(settings.configuration.settings.explicit["connector"].origin) == "argument Ours.connector"
    monkeypatch.setenv("PROCRASTINATE_CONN_CONNECTOR", "psycopg2")
    monkeypatch.setenv("PROCRASTINATE_CONN_POOL__MAX_SIZE", "9")
    assert (Ours().connector, Ours().pool.max_size, Ours().pool.timeout) == ("psycopg2", 9, 5)


SUBCLASSES = {
    "enable_decoding": {"model_config": SettingsConfigDict(enable_decoding=False)},
    "alias_generator": {"model_config": SettingsConfigDict(alias_generator=str.upper)},
    "extra": {"model_config": SettingsConfigDict(extra="allow")},
    "frozen": {"model_config": SettingsConfigDict(frozen=False)},
    "dsn": {"__annotations__": {"dsn": SecretStr}, "dsn": SecretStr("host=db1")},
    "pool": {"__annotations__": {"pool": PoolOptions}, "pool": Field(PoolOptions(), alias="queue_pool")},
    "password": {"__annotations__": {"password": SecretStr}},
    "configuration": {"__annotations__": {"configuration": str}},
}


@pytest.mark.filterwarnings("ignore:Field name .* shadows an attribute:UserWarning")
@pytest.mark.parametrize("name", SUBCLASSES)
def test_change_that_cannot_be_honoured_is_a_type_error_with_a_reason(name):
    with pytest.raises(TypeError, match=rf"Ours cannot change these of ConnectorSettings: .*{name}: \w+"):
        type("Ours", (ConnectorSettings,), {"__module__": __name__, **SUBCLASSES[name]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"dsn": "postgresql://a/b", "pasword": "hunter2"},
        {"dsn": "postgresql://app:hunter2@db/jobs?sslmode=requre"},
        {"password": ["hunter2"]},
        "hunter2",
    ],
)
def test_error_of_nested_settings_shows_no_input(wrong):
    class Application(BaseModel):
        jobs: ConnectorSettings

    with pytest.raises(ValidationError) as caught:
        Application(jobs=wrong)
    [error] = caught.value.errors()
    assert error["loc"] == ("jobs",)
    assert "hunter2" not in f"{caught.value} {caught.value.errors()} {caught.value.json()}"


def test_error_of_nested_settings_has_their_problems():
    class Application(BaseModel):
        jobs: ConnectorSettings

    with pytest.raises(
        ValidationError, match=r"argument dsn: PC205 libpq rejects sslmode.*mean require"
    ) as caught:
        Application(jobs={"dsn": "postgresql://localhost/jobs?sslmode=requre"})
    assert [p.code for p in caught.value.errors()[0]["ctx"]["error"].problems] == ["PC205"]
    assert Application(jobs={"dsn": "postgresql://localhost/jobs"}).jobs.spec().host == "localhost"


def test_the_dsn_may_be_database_url(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:hush@db1/jobs")
    settings = ConnectorSettings()
    assert settings.dsn == SecretStr("postgresql://app:hush@db1/jobs")
    assert "hush" not in repr(settings)
    monkeypatch.setenv("DATABASE_URL", "mysql://app:hush@db1/jobs")
    assert ConnectorSettings().dsn is None
    assert ConnectorSettings(dsn="host=db2").dsn == SecretStr("host=db2")


def test_copy_with_an_update_is_resolved_again():
    settings = ConnectorSettings(dsn="host=db1 port=1", connection={"dbname": "jobs"})
    copy = settings.model_copy(update={"dsn": "host=db2", "pool": {"max_size": 7}})
    assert (copy.spec().host, copy.spec().port, copy.spec().dbname) == ("db2", "5432", "jobs")
    assert copy.dsn == SecretStr("host=db2")
    assert copy.configuration.connector_config().pool.max_size == 7
    assert settings.spec().host == "db1"
    assert settings.model_copy() == settings
    with pytest.raises(ConfigurationError):
        settings.model_copy(update={"dsn": "hots=db2"})


def test_equal_settings_have_equal_hashes():
    first, second = (ConnectorSettings(dsn="host=db1", pool={"max_size": 7}) for _ in range(2))
    assert first == second
    assert len({first, second, ConnectorSettings(dsn="host=db2")}) == 2


def test_boolean_keyword_is_shown_as_libpq_reads_it():
    settings = ConnectorSettings(connection={"keepalives": True})
    assert settings.connection["keepalives"] == settings.spec().parameters["keepalives"] == "1"


async def configure(_connection):
    """Set a connection up."""


def test_functions_are_dumped_by_name():
    settings = ConnectorSettings(
        json_dumps=json.dumps, pool={"configure": configure, "max_size": 7, "check_after": 5.0}
    )
    dumped = json.loads(settings.model_dump_json())
    assert dumped["json_dumps"] == "json:dumps"
    assert dumped["pool"] == {"configure": f"{__name__}:configure", "max_size": 7, "check_after": 5.0}
    assert json.loads(ConnectorSettings(pool="null").model_dump_json())["pool"] == "null"


@pytest.mark.parametrize(
    "arguments",
    [
        {"connector": "aiopg", "dsn": "postgresql://app:hunter2@db/jobs", "json_dumps": json.dumps},
        {"connection": {"host": "db", "password": "hunter2"}, "defaults": "libpq"},
        {
            "pool": {"max_size": 7, "configure": configure, "check_after": 5.0},
            "password_file": "/run/secrets/db",
        },
        {"pool": "null", "password_command": "echo hunter2"},
    ],
    ids=" ".join,
)
def test_dumped_settings_can_be_read_again(arguments):
    settings = ConnectorSettings(**arguments)
    again = ConnectorSettings(**settings.model_dump())
    assert again.model_dump() == settings.model_dump()
    assert (again.spec(), again.pool) == (settings.spec(), settings.pool)


@pytest.mark.parametrize("names", [["password", "connection"], ["connection", "password"]])
def test_password_argument_overrides_the_keyword_in_one_call(names):
    arguments = {"password": "a", "connection": {"password": "b"}}
    settings = ConnectorSettings(**{name: arguments[name] for name in names})
    assert settings.spec().parameters["password"] == "a"


def test_json_schema_of_the_model_is_that_of_the_settings():
    assert ConnectorSettings.model_json_schema() == settings_schema()

    class Application(BaseModel):
        jobs: ConnectorSettings

    assert "dsn" in str(Application.model_json_schema())
