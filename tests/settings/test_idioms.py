"""More of what pydantic's documentation shows: each idiom works for the settings as for any model."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    Field,
    PostgresDsn,
    TypeAdapter,
    computed_field,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from procrastinate_conn import ConnectorSettings, PoolOptions

pytest.importorskip("pydantic_settings", minversion="2.14", reason="some of these are younger")
from pydantic_settings import NoDecode

Item = TypeVar("Item")


class Jobs(ConnectorSettings):
    model_config = SettingsConfigDict(env_prefix="JOBS_")


class Typed(Jobs, Generic[Item]):
    item: Item


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    """Every test has a working directory of its own, without an env file, and a DSN."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBS_DSN", "host=db1")
    return tmp_path


def test_any_alias_of_a_field_sets_it(monkeypatch):
    class Own(Jobs):
        token: str = Field(validation_alias=AliasChoices("SHOP_TOKEN", "SHOP_KEY"))
        first: str = Field(validation_alias=AliasPath("SHOP_NAMES", 0))

    monkeypatch.setenv("SHOP_KEY", "key")
    monkeypatch.setenv("SHOP_NAMES", '["a", "b"]')
    assert (Own().token, Own().first, Own(SHOP_TOKEN="call").token) == ("key", "a", "call")


def test_dsn_may_be_a_url_of_pydantic():
    url = TypeAdapter(PostgresDsn).validate_python("postgresql://app:hush@db2:5433/jobs")
    spec = Jobs(dsn=url).spec()
    assert (spec.host, spec.port, spec.parameters["password"]) == ("db2", "5433", "hush")


def test_type_adapter_reads_containers_of_settings():
    adapter = TypeAdapter(dict[str, Jobs])
    read = adapter.validate_json('{"jobs": {"dsn": "host=db2", "pool": {"max_size": 2}}}')
    assert (read["jobs"].spec().host, read["jobs"].pool.max_size) == ("db2", 2)


def test_model_validate_reads_what_it_is_given_and_nothing_else(monkeypatch):
    monkeypatch.setenv("JOBS_POOL__MAX_SIZE", "7")
    built = Jobs.model_validate({"dsn": "host=db2"})
    assert (built.spec().host, built.pool.explicit) == ("db2", {})
    assert Jobs.model_validate(built) is built
    assert Jobs.model_validate_strings({"pool": {"max_size": "3"}}).pool.max_size == 3


def test_variables_partially_update_nested_settings_that_are_a_default(monkeypatch):
    class Application(BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix="MYAPP_", env_nested_delimiter="__", nested_model_default_partial_update=True
        )
        queue: ConnectorSettings = Jobs(pool={"max_size": 3, "timeout": 5})

    monkeypatch.setenv("MYAPP_QUEUE__POOL__MAX_SIZE", "7")
    queue = Application().queue
    assert (queue.spec().host, queue.pool.explicit) == ("db1", {"max_size": 7, "timeout": 5})


def test_nested_settings_may_be_optional_and_several(monkeypatch):
    class Application(BaseSettings):
        model_config = SettingsConfigDict(env_prefix="MYAPP_", env_nested_delimiter="__")
        queue: ConnectorSettings | None = None
        queues: dict[str, ConnectorSettings] = Field(default_factory=dict)

    assert Application().queue is None
    monkeypatch.setenv("MYAPP_QUEUES__mails__DSN", "host=db2")
    assert Application().queues["mails"].spec().host == "db2"


def test_later_secrets_directory_overrides_an_earlier_one(directory, monkeypatch):
    monkeypatch.delenv("JOBS_DSN")
    for name, files in {"a": {"dsn": "host=db1", "pool__max_size": "4"}, "b": {"dsn": "host=db2"}}.items():
        (directory / name).mkdir()
        for setting, text in files.items():
            (directory / name / f"jobs_{setting}").write_text(text)
    built = Jobs(_secrets_dir=["a", "b"])
    assert (built.spec().host, built.pool.max_size) == ("db2", 4)


def test_subclass_of_a_subclass_inherits_config_and_defaults(directory, monkeypatch):
    class Base(Jobs):
        model_config = SettingsConfigDict(env_file="prod.env")
        pool: PoolOptions = PoolOptions(max_size=9)

    class Mails(Base):
        model_config = SettingsConfigDict(env_prefix="MAILS_")
        colour: str = "red"

    (directory / "prod.env").write_text("MAILS_DSN=host=db2\nMAILS_COLOUR=blue\n")
    built = Mails()
    assert (built.spec().host, built.pool.max_size, built.colour) == ("db2", 9, "blue")


def test_generic_settings_and_mixins_have_the_fields_of_all(monkeypatch):
    class Logging(BaseModel):
        level: str = "info"

    class Both(Jobs, Logging): ...

    monkeypatch.setenv("JOBS_ITEM", "3")
    monkeypatch.setenv("JOBS_LEVEL", "debug")
    assert (Typed[int]().item, Both().level) == (3, "debug")


def test_computed_field_is_dumped():
    class Own(Jobs):
        @computed_field
        @property
        def server(self) -> str:
            return self.spec().host

    assert Own().model_dump()["server"] == "db1"


def test_field_that_is_not_decoded_is_a_text_for_its_validator(monkeypatch):
    class Own(Jobs):
        tags: Annotated[list[str], NoDecode] = Field(default_factory=list)
        split = field_validator("tags", mode="before")(lambda tags: tags.split(","))

    monkeypatch.setenv("JOBS_TAGS", "a,b")
    assert Own().tags == ["a", "b"]
