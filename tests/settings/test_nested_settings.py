"""Settings as a part of an application's own: they read what the application gives, and nothing else."""

from __future__ import annotations

import pickle

import pytest
from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from procrastinate_conn import ConfigurationError, ConnectorSettings


class Application(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="MYAPP_", env_nested_delimiter="__", env_file=".env")

    queue: ConnectorSettings
    debug: bool = False


class Plain(BaseModel):
    queue: ConnectorSettings


class WithLines(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="MYAPP_", env_file=".env", extra="ignore")

    queue: ConnectorSettings = Field(default_factory=lambda: ConnectorSettings(_env_prefix="MYAPP_QUEUE__"))


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    """Every test has a working directory of its own, with settings that are for others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROCRASTINATE_CONN_POOL__MAX_SIZE", "99")
    monkeypatch.setenv("PROCRASTINATE_CONN_DNS", "misspelt")
    monkeypatch.setenv("DATABASE_URL", "postgresql://web@db0/web")
    return tmp_path


def test_nested_settings_take_what_the_outer_settings_read(monkeypatch):
    monkeypatch.setenv("MYAPP_QUEUE__DSN", "host=db1")
    monkeypatch.setenv("MYAPP_QUEUE__POOL__MAX_SIZE", "7")
    monkeypatch.setenv("MYAPP_QUEUE__CONNECTION__PORT", "5433")
    queue = Application().queue
    assert (queue.spec().host, queue.spec().port, queue.pool.max_size) == ("db1", "5433", 7)


def test_nothing_else_strays_into_nested_settings(directory):
    (directory / ".env").write_text("PROCRASTINATE_CONN_CONNECTOR=aiopg\nPGHOST=db2\n")
    queue = Plain(queue={}).queue
    assert (queue.spec().host, queue.pool.max_size, queue.connector) == (None, 4, "psycopg")


def test_variables_of_libpq_count_for_nested_settings(monkeypatch):
    monkeypatch.setenv("PGHOST", "db3")
    assert Plain(queue={"connection": {"port": 5433}}).queue.spec().host == "db3"


def test_service_file_counts_for_nested_settings(directory, monkeypatch):
    (directory / "services.conf").write_text("[jobs]\nhost=db4\n")
    monkeypatch.setenv("PGSERVICEFILE", str(directory / "services.conf"))
    assert Plain(queue={"connection": {"service": "jobs"}}).queue.spec().host == "db4"


def test_json_of_a_model_reads_nothing_else():
    queue = Plain.model_validate_json('{"queue": {"dsn": "host=db1"}}').queue
    assert (queue.spec().host, queue.pool.max_size) == ("db1", 4)


def test_settings_that_are_built_already_are_taken_as_they_are():
    built = ConnectorSettings(_env_prefix="JOBS_", dsn="host=db1")
    assert Plain(queue=built).queue is built


def test_default_factory_with_a_prefix_reads_files_with_lines(directory):
    (directory / ".env").write_text("MYAPP_QUEUE__DSN=host=db1\nMYAPP_QUEUE__POOL__MAX_SIZE=7\n")
    queue = WithLines().queue
    assert (queue.spec().host, queue.pool.max_size) == ("db1", 7)
    assert str(queue.spec().origins["host"]) == ".env:1 MYAPP_QUEUE__DSN"


def test_mistake_in_a_default_factory_has_its_line(directory):
    (directory / ".env").write_text("MYAPP_QUEUE__DSN=host=db1\nMYAPP_QUEUE__POOL__MAX_SZIE=7\n")
    with pytest.raises((ConfigurationError, ValidationError), match=r"\.env:2 MYAPP_QUEUE__POOL__MAX_SZIE"):
        WithLines()


def test_mistake_in_nested_settings_is_a_validation_error(monkeypatch):
    monkeypatch.setenv("MYAPP_QUEUE__DNS", "host=hunter2")
    with pytest.raises(ValidationError, match="did you mean dsn") as caught:
        Application()
    assert "hunter2" not in str(caught.value)


def test_settings_nested_in_settings_read_nothing_else():
    class Outer(ConnectorSettings):
        model_config = SettingsConfigDict(env_prefix="OUTER_")
        other: ConnectorSettings

    outer = Outer(dsn="host=db1", other={"dsn": "host=db2"})
    assert (outer.spec().host, outer.other.spec().host, outer.other.pool.max_size) == ("db1", "db2", 4)


def test_settings_made_in_a_validator_read_their_sources(monkeypatch):
    monkeypatch.setenv("JOBS_DSN", "host=db1")
    assert Plain(queue=ConnectorSettings(_env_prefix="JOBS_")).queue.spec().host == "db1"


def test_outer_settings_can_be_dumped_and_read_again():
    outer = Plain(queue={"dsn": "host=db1", "pool": {"max_size": 7}})
    again = Plain(**outer.model_dump())
    assert (again.queue.spec(), again.queue.pool) == (outer.queue.spec(), outer.queue.pool)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"password_file": "/run/secrets/db"}, {"password_command": "echo hush"}, {"pool": "null"}],
    ids=str,
)
def test_settings_can_be_pickled(arguments):
    settings = ConnectorSettings(_env_prefix="JOBS_", dsn="host=db1", **arguments)
    again = pickle.loads(pickle.dumps(settings))
    assert again.spec() == settings.spec()
    assert again.model_dump() == settings.model_dump()
    assert again.model_copy(update={"dsn": "host=db2"}).spec().host == "db2"


@pytest.mark.parametrize("options", [{}, {"_env_parse_none_str": "null"}], ids=str)
def test_null_pool_of_the_outer_settings_is_one(options, monkeypatch):
    monkeypatch.setenv("MYAPP_QUEUE__DSN", "host=db1")
    monkeypatch.setenv("MYAPP_QUEUE__POOL", "null")
    assert Application(**options).queue.pool.null
    assert ConnectorSettings(_env_prefix="MYAPP_QUEUE__", **options).pool.null
    assert not ConnectorSettings(_env_prefix="JOBS_", pool=None).pool.null
