"""Fields and validators of a subclass's own are read and checked like ours."""

from __future__ import annotations

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_settings import SettingsConfigDict, TomlConfigSettingsSource

from procrastinate_conn import ConfigurationError, ConnectorKind, ConnectorSettings
from tests.installed import needs


class Limits(BaseModel):
    jobs: int = 1
    names: list[str] = []


class Jobs(ConnectorSettings):
    model_config = SettingsConfigDict(env_prefix="JOBS_", toml_file="queue.toml")

    colour: str = "red"
    tenants: list[str] = Field(default_factory=list)
    limits: Limits = Limits()
    token: SecretStr | None = Field(None, validation_alias="SHOP_TOKEN")
    workers: int = 1

    @field_validator("workers")
    @classmethod
    def positive(cls, workers):
        if workers < 1:
            raise ValueError("there must be a worker")
        return workers

    @model_validator(mode="after")
    def enough_connections(self):
        if self.workers > self.pool.max_size:
            raise ValueError("more workers than connections")
        return self

    @classmethod
    def settings_customise_sources(cls, settings_cls, **sources):
        inherited = super().settings_customise_sources(settings_cls, **sources)
        return *inherited, TomlConfigSettingsSource(settings_cls)


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    """Every test has a working directory of its own, with an empty TOML file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "queue.toml").write_text("")
    return tmp_path


def problem_of(**arguments):
    with pytest.raises(ConfigurationError) as caught:
        Jobs(connection={"host": "db1"}, **arguments)
    [problem] = caught.value.problems
    return problem


def test_own_field_is_read_from_every_source(directory, monkeypatch):
    (directory / "queue.toml").write_text("colour = 'toml'\n")
    assert Jobs().colour == "toml"
    (directory / "secrets").mkdir()
    (directory / "secrets" / "jobs_colour").write_text("secret\n")
    assert Jobs(_secrets_dir="secrets").colour == "secret"
    (directory / ".env").write_text("JOBS_COLOUR=dotenv\n")
    assert Jobs(_secrets_dir="secrets").colour == "dotenv"
    monkeypatch.setenv("JOBS_COLOUR", "environment")
    assert Jobs().colour == "environment"
    assert Jobs(colour="call").colour == "call"


def test_complex_field_is_json(monkeypatch):
    monkeypatch.setenv("JOBS_TENANTS", '["a", "b"]')
    assert Jobs().tenants == ["a", "b"]


def test_nested_field_is_merged_across_sources(directory, monkeypatch):
    (directory / "queue.toml").write_text("[limits]\njobs = 2\nnames = ['x']\n")
    monkeypatch.setenv("JOBS_LIMITS__JOBS", "3")
    assert Jobs().limits == Limits(jobs=3, names=["x"])


def test_alias_of_a_field_has_no_prefix(directory):
    (directory / ".env").write_text("SHOP_TOKEN=hush\n")
    assert Jobs().token.get_secret_value() == "hush"


def test_field_that_may_be_named_either_way_has_the_value_of_the_first_source(monkeypatch):
    needs("pydantic-settings>2.4.0")  # which takes the name and the alias for two values

    class Named(Jobs):
        model_config = SettingsConfigDict(populate_by_name=True)

    monkeypatch.setenv("SHOP_TOKEN", "hush")
    assert Named().token.get_secret_value() == "hush"
    assert Named(token="call").token.get_secret_value() == "call"


def test_own_field_under_the_default_prefix_is_no_unknown_setting(monkeypatch):
    class Own(ConnectorSettings):
        colour: str = "red"

    monkeypatch.setenv("PROCRASTINATE_CONN_COLOUR", "blue")
    assert Own().colour == "blue"


def test_wrong_type_of_a_field_is_a_problem_with_its_line(directory):
    (directory / ".env").write_text("\nJOBS_WORKERS=many\n")
    problem = problem_of()
    assert (problem.code, problem.setting) == ("PC107", "workers")
    assert str(problem.origin) == ".env:2 JOBS_WORKERS"
    assert "many" not in str(problem)


def test_field_that_is_no_json_is_a_problem_with_its_line(directory):
    (directory / ".env").write_text("\nJOBS_TENANTS=a,b\n")
    problem = problem_of()
    assert (problem.code, problem.setting, str(problem.origin)) == ("PC107", "tenants", ".env:2 JOBS_TENANTS")


def test_error_of_a_validator_is_a_problem_with_its_origin(directory):
    (directory / "queue.toml").write_text("# workers\nworkers = 0\n")
    problem = problem_of()
    assert (problem.setting, str(problem.origin)) == ("workers", "queue.toml:2 workers")
    assert "there must be a worker" in problem.message


def test_error_of_a_validator_of_the_whole_model_has_no_place():
    problem = problem_of(workers=9)
    assert (problem.message, problem.origin) == ("Jobs: more workers than connections", None)
    assert problem.hint == "change the settings so that the validator of Jobs accepts them"


@pytest.mark.parametrize(
    ("field", "lines", "place"),
    [
        ("dsn", "PROCRASTINATE_CONN_DSN=host=db1", ".env:1 PROCRASTINATE_CONN_DSN"),
        ("dsn", "DATABASE_URL=postgresql://db1/jobs", ".env:1 DATABASE_URL"),
        ("pool", "\nPROCRASTINATE_CONN_POOL__MAX_SIZE=7", ".env:2 PROCRASTINATE_CONN_POOL__MAX_SIZE"),
        ("connection", "PROCRASTINATE_CONN_CONNECTION__{0}=1\nPROCRASTINATE_CONN_CONNECTION__{1}=1", "None"),
    ],
)
def test_error_of_a_validator_has_the_place_of_the_value_if_it_has_one(directory, field, lines, place):
    class Own(ConnectorSettings):
        @field_validator(field)
        @classmethod
        def reject(cls, value):
            raise ValueError("no localhost in production")

    (directory / ".env").write_text(lines.format("HOST", "PORT"))
    with pytest.raises(ConfigurationError) as caught:
        Own()
    [problem] = (problem for problem in caught.value.problems if problem.severity == "error")
    assert (problem.message, str(problem.origin)) == (f"{field}: no localhost in production", place)
    assert problem.hint == "write a value that its validator accepts"


@pytest.mark.parametrize("prefix", ["PROCRASTINATE_CONN_", "JOBS_"])
def test_missing_required_field_is_a_problem_that_names_its_variables(prefix):
    class Part(BaseModel):
        jobs: int

    class Own(ConnectorSettings):
        colour: str
        limits: Part
        token: str = Field(validation_alias=AliasChoices("SHOP_TOKEN", "OLD_TOKEN"))

    with pytest.raises(ConfigurationError) as caught:
        Own(dsn="host=db1", limits={}, _env_prefix=prefix)
    assert {problem.message: problem.hint for problem in caught.value.problems} == {
        "colour: field required": f"set {prefix}COLOUR",
        "limits.jobs: field required": f"set {prefix}LIMITS__JOBS",
        "SHOP_TOKEN: field required": "set SHOP_TOKEN or OLD_TOKEN",
    }
    with pytest.raises(ValidationError, match=r"colour: field required \(give it a value\)"):
        create_model("Outer", queue=(Own, ...))(queue={"dsn": "host=db1"})  # which reads no variables of ours


def test_hint_about_an_unknown_name_knows_the_fields(directory, monkeypatch):
    class Own(Jobs):
        model_config = SettingsConfigDict(env_prefix="PROCRASTINATE_CONN_")

    (directory / "queue.toml").write_text("tenents = ['a']\n")
    monkeypatch.setenv("PROCRASTINATE_CONN_TENENTS", "[]")
    monkeypatch.setenv("PROCRASTINATE_CONN_BANANA", "1")
    with pytest.raises(ConfigurationError) as caught:
        Own(dsn="host=db1", tenents=[])
    *misspelt, unknown = sorted(problem.hint for problem in caught.value.problems)
    assert misspelt == ["did you mean PROCRASTINATE_CONN_TENANTS?", *["did you mean tenants?"] * 2]
    assert unknown.endswith("PROCRASTINATE_CONN_TENANTS, PROCRASTINATE_CONN_WORKERS")


def test_name_of_a_field_that_has_an_alias_alone_is_unknown(monkeypatch):
    class Own(ConnectorSettings):
        token: str = Field("", validation_alias="SHOP_TOKEN")

    monkeypatch.setenv("PROCRASTINATE_CONN_TOKEN", "hush")
    with pytest.raises(ConfigurationError, match="no setting is called PROCRASTINATE_CONN_TOKEN"):
        Own(dsn="host=db1")


def test_what_a_validator_makes_of_a_setting_counts():
    class Own(ConnectorSettings):
        @field_validator("dsn")
        @classmethod
        def on_the_standby(cls, dsn):
            return SecretStr(dsn.get_secret_value().replace("db1", "db2"))

    built = Own(dsn="host=db1 port=5433")
    assert (built.spec().host, built.spec().port) == ("db2", "5433")
    assert built.dsn == SecretStr("host=db2 port=5433")
    assert built.spec().origins["host"].name == "Own.dsn"


def test_validator_of_the_whole_model_sees_the_resolved_connection():
    class Own(ConnectorSettings):
        @field_validator("dsn")
        @classmethod
        def on_the_standby(cls, dsn):
            return SecretStr(dsn.get_secret_value().replace("db1", "db2"))

        @model_validator(mode="after")
        def not_the_primary(self):
            if self.spec().host != "db2":
                raise ValueError(f"{self.spec().host} is the primary")
            return self

    assert Own(dsn="host=db1").spec().host == "db2"
    with pytest.raises(ConfigurationError, match="db3 is the primary"):
        Own(dsn="host=db3")
    with pytest.raises(ConfigurationError, match="db3 is the primary"):
        Own(dsn="host=db1").model_copy(update={"dsn": "host=db3"})


def test_mistake_of_a_validator_is_a_problem_like_any_other():
    class Own(ConnectorSettings):
        @field_validator("dsn", mode="before")
        @classmethod
        def default(cls, dsn):
            return dsn or "host=db1 sslmode=requre"

    with pytest.raises(ConfigurationError) as caught:
        Own(pool={"max_size": 7})
    [problem] = (problem for problem in caught.value.problems if problem.severity == "error")
    assert (problem.code, problem.origin.name) == ("PC205", "Own.dsn")


@pytest.mark.parametrize(("pool", "is_null"), [({"max_size": 11}, False), ("null", True)])
def test_validator_may_return_a_pool_as_a_call_takes_it(pool, is_null):
    class Own(ConnectorSettings):
        replace_pool = field_validator("pool", mode="before")(lambda _value: pool)

    built = Own(dsn="host=db1")
    assert built.pool.null is is_null
    assert built.configuration.connector_config().pool == built.pool


def test_own_fields_survive_copy_and_dump():
    built = Jobs(dsn="host=db1", colour="blue")
    assert built.model_copy().colour == "blue"
    assert built.model_copy(update={"dsn": "host=db2"}).colour == "blue"
    assert built.model_copy(update={"colour": "green"}).colour == "green"
    assert built.model_dump()["colour"] == "blue"
    assert "configuration" not in built.model_dump()


def test_json_schema_of_a_subclass_has_its_names_and_fields():
    schema = Jobs.model_json_schema()
    assert schema["properties"]["dsn"]["x-variable"] == "JOBS_DSN"
    assert schema["properties"]["colour"]["type"] == "string"
    assert schema["properties"]["colour"]["x-variable"] == "JOBS_COLOUR"
    assert schema["properties"]["token"]["x-variable"] == "SHOP_TOKEN"
    assert "required" not in schema


def test_nested_subclass_takes_its_own_fields_and_has_its_own_defaults():
    class Nested(ConnectorSettings):
        colour: str
        connector: ConnectorKind = ConnectorKind.AIOPG

    class Application(BaseModel):
        queue: Nested

    queue = Application(queue={"colour": "blue"}).queue
    assert (queue.colour, queue.connector) == ("blue", "aiopg")


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("token", {"token": "hunter2"}),
        ("dsn", {"dsn": "postgresql://app:hunter2@db1/jobs"}),
        ("dsn", {"dsn": "postgresql://app:hunter%32@db1/jobs"}),
        ("connection", {"connection": {"password": "hunter2"}}),
    ],
)
@pytest.mark.parametrize("validates", ["field", "model"])
def test_error_of_a_validator_that_quotes_a_secret_is_shown_without_it(field, given, validates):
    def quote(value):
        raise ValueError(f"hunter2 is wrong in {value} of {given}, not 8 characters")

    class Own(ConnectorSettings):
        token: str = ""
        check_field = field_validator(field)(lambda value: quote(value) if validates == "field" else value)
        check_model = model_validator(mode="after")(quote)

    with pytest.raises(ConfigurationError) as caught:
        Own(**{"dsn": "host=db1", **given})
    [problem] = caught.value.problems
    assert "not 8 characters" in problem.message
    assert "hunter" not in f"{caught.value} {caught.value!r} {caught.value.__context__!r}"


def test_error_of_a_validator_in_nested_settings_has_no_secret_in_its_context():
    class Own(ConnectorSettings):
        @field_validator("dsn")
        @classmethod
        def reject(cls, dsn):
            raise ValueError(f"{dsn.get_secret_value()} is wrong")

    class Application(BaseModel):
        queue: Own

    with pytest.raises(ValidationError) as caught:
        Application(queue={"dsn": "host=db1 password=hunter2"})
    assert "hunter2" not in f"{caught.value} {caught.value.errors()} {caught.value.json()}"
    assert "is wrong" in str(caught.value)


def test_errors_of_own_fields_and_of_the_settings_are_reported_at_once(directory, monkeypatch):
    class Own(Jobs):
        region: str

        @model_validator(mode="after")
        def reject(self):
            raise AssertionError("the whole model is not validated")

    (directory / ".env").write_text("JOBS_TENANTS=a,b\nJOBS_WORKERS=0\nSHOP_TOKEN=hush\n")
    monkeypatch.setenv("JOBS_LIMITS", "{")
    monkeypatch.setenv("JOBS_POOL__MAX_SZIE", "7")
    with pytest.raises(ConfigurationError) as caught:
        Own(connection={"host": "db1", "sslmode": "requre"})
    assert {problem.setting for problem in caught.value.problems} == {
        "tenants", "limits", "workers", "region", "pool.max_szie", "connection.sslmode",
    }  # fmt: skip


def test_validator_that_fails_on_settings_with_errors_hides_none_of_them():
    class Own(ConnectorSettings):
        @field_validator("dsn")
        @classmethod
        def on_the_standby(cls, dsn):
            return SecretStr(dsn.get_secret_value())

    with pytest.raises(ConfigurationError, match="PC2"):
        Own(dsn="host='db1")
    with pytest.raises(AttributeError):
        Own(connection={"host": "db1"}, dsn=None)


def test_connection_is_resolved_in_model_post_init():
    class Own(ConnectorSettings):
        server: str = ""

        def model_post_init(self, context):
            assert self.spec().host in ("db1", "db2")
            object.__setattr__(self, "server", self.spec().host)

    assert Own(dsn="host=db1").server == "db1"
    assert Own(dsn="host=db1").model_copy(update={"dsn": "host=db2"}).server == "db2"
    assert Own(dsn="host=db1").model_copy().spec().host == "db1"
    with pytest.raises(TypeError, match="model_construct"):
        Own.model_construct()
