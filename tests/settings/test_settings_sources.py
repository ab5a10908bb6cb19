"""settings_customise_sources: what it returns is what is read, in that order, with origins."""

from __future__ import annotations

import sys
from typing import ClassVar

import pydantic_settings
import pytest
from pydantic_settings import (
    DotEnvSettingsSource,
    EnvSettingsSource,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
    YamlConfigSettingsSource,
)

from procrastinate_conn import ConfigurationError, ConnectorSettings, make_connector
from procrastinate_conn.origins import Origin, SourceKind
from procrastinate_conn.sources import SOURCES
from procrastinate_conn.sources.arguments import read_mapping
from tests.installed import needs_argument


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    """Every test has a working directory of its own, without an env file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(*after, before=(), config=(), built_in=("init_settings", "env_settings", "dotenv_settings")):
    """Return a subclass whose sources are `before`, the built-in ones, and `after`."""

    class Jobs(ConnectorSettings):
        model_config = SettingsConfigDict(env_prefix="JOBS_", **dict(config))

        @classmethod
        def settings_customise_sources(cls, settings_cls, **sources):
            return (
                *(make(settings_cls) for make in before),
                *(sources[name] for name in built_in),
                *(make(settings_cls) for make in after),
            )

    return Jobs


class Vault(PydanticBaseSettingsSource):
    """A dictionary that stands for a vault."""

    content: ClassVar[dict] = {}

    def get_field_value(self, field, field_name):
        return self.content.get(field_name), field_name, False

    def __call__(self):
        return self.content


def vault(**content):
    return type("Vault", (Vault,), {"content": content})


def problems_of(cls, **arguments):
    with pytest.raises(ConfigurationError) as caught:
        cls(**arguments)
    return caught.value.problems


def origin_of(built, keyword):
    return str(built.spec().origins[keyword])


FILES = {
    TomlConfigSettingsSource: ("toml_file", "queue.toml", 'dsn = "host=db1"\n[pool]\nmax_size = 7\n'),
    YamlConfigSettingsSource: ("yaml_file", "queue.yaml", "dsn: host=db1\n\npool:\n  max_size: 7\n"),
    JsonConfigSettingsSource: (
        "json_file",
        "queue.json",
        '{"dsn": "host=db1",\n "pool": {\n  "max_size": 7}}\n',
    ),
}


@pytest.fixture(params=FILES, ids=lambda source: source.__name__)
def of_a_file(request, directory):
    option, name, text = FILES[request.param]
    (directory / name).write_text(text)
    return request.param, option, name


def test_file_source_is_read(of_a_file):
    source, option, name = of_a_file
    built = settings(source, config={option: name})()
    assert (built.spec().host, built.pool.max_size) == ("db1", 7)


def test_value_of_a_file_source_has_its_file_line_and_key(of_a_file):
    source, option, name = of_a_file
    built = settings(source, config={option: name})()
    (origin,) = (s.settings["pool", "max_size"].origin for s in built.configuration.sources if s.settings)
    assert (origin.source, origin.file, origin.line) == (
        source.__name__,
        name,
        3 if "yaml" not in name else 4,
    )
    assert str(origin).endswith("[pool] max_size" if "toml" in name else "pool.max_size")


def test_file_source_is_at_its_rank(of_a_file, monkeypatch):
    source, option, name = of_a_file
    monkeypatch.setenv("JOBS_DSN", "host=db2 port=1")
    assert settings(source, config={option: name})().spec().host == "db2"
    assert settings(before=[source], config={option: name})().spec().host == "db1"


def test_missing_file_of_a_source_is_an_error_with_its_name(of_a_file):
    source, option, _ = of_a_file
    [problem] = problems_of(settings(source, config={option: "prod.conf"}))
    assert (problem.code, problem.origin.file) == ("PC103", "prod.conf")
    assert source.__name__ in problem.message


UNKNOWN_KEYS = {
    "queue.toml": ("[conection]\nhost = 'db1'\n", "did you mean connection?"),
    "queue.yaml": ("conection:\n  host: db1\n", "did you mean connection?"),
    "queue.json": ('{"conection": {"host": "db1"}}', "did you mean connection?"),
}


def test_unknown_key_of_a_file_source_has_a_hint_and_its_line(of_a_file, directory):
    source, option, name = of_a_file
    text, hint = UNKNOWN_KEYS[name]
    (directory / name).write_text(text)
    [problem] = problems_of(settings(source, config={option: name}))
    assert (problem.code, problem.hint, problem.origin.file, problem.origin.line) == ("PC101", hint, name, 1)


def test_hint_about_a_key_of_toml_names_its_table(directory):
    (directory / "queue.toml").write_text("max_size = 7\n")
    [problem] = problems_of(settings(TomlConfigSettingsSource, config={"toml_file": "queue.toml"}))
    assert problem.hint == "did you mean [pool] max_size?"


def test_unknown_pool_option_of_a_file_source_has_a_hint_and_its_line(of_a_file, directory):
    source, option, name = of_a_file
    text = (directory / name).read_text().replace("max_size", "max_szie")
    (directory / name).write_text(text)
    [problem] = problems_of(settings(source, config={option: name}))
    assert (problem.code, problem.hint) == ("PC301", "did you mean max_size?")
    assert (problem.origin.file, problem.origin.line) == (name, 4 if "yaml" in name else 3)


def test_wrong_type_in_a_file_source_is_an_error_with_its_line(of_a_file, directory):
    source, option, name = of_a_file
    text = (directory / name).read_text().replace("7", '"many"')
    (directory / name).write_text(text)
    [problem] = problems_of(settings(source, config={option: name}))
    assert (problem.code, problem.origin.line) == ("PC302", 4 if "yaml" in name else 3)


MALFORMED = {
    "queue.toml": "dsn = 'host=db1'\npool = = 7\n",
    "queue.yaml": "dsn: x\npool: {a\nb: [",
    "queue.json": '{\n"a"}',
}


def test_malformed_file_is_an_error_with_its_line_and_no_content(of_a_file, directory):
    source, option, name = of_a_file
    (directory / name).write_text(MALFORMED[name] + "\n# hunter2\n")
    [problem] = problems_of(settings(source, config={option: name}))
    assert (problem.code, problem.origin.source, problem.origin.file) == ("PC116", source.__name__, name)
    assert problem.origin.line
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize("kind", ["Toml", "Json"])
def test_byte_order_mark_of_a_file_is_named(directory, kind):
    name = f"queue.{kind.lower()}"
    (directory / name).write_text("dsn = 'x'\n" if kind == "Toml" else "{}", "utf-8-sig")
    source = getattr(pydantic_settings, f"{kind}ConfigSettingsSource")
    [problem] = problems_of(settings(source, config={f"{kind.lower()}_file": name}))
    assert (problem.code, problem.hint) == ("PC116", "save it as UTF-8 without one")
    assert f"{name}: it begins with a byte order mark (U+FEFF)" in problem.message


def test_toml_table_header_is_in_the_name_of_the_origin(directory):
    needs_argument(TomlConfigSettingsSource, "toml_table_header")
    (directory / "queue.toml").write_text("[other]\ndsn = 'host=db0'\n[tool.jobs]\ndsn = 'host=db1'\n")
    config = {"toml_file": "queue.toml", "toml_table_header": ("tool", "jobs")}
    built = settings(TomlConfigSettingsSource, config=config)()
    assert origin_of(built, "host") == "queue.toml:4 [tool.jobs] dsn"


def test_later_toml_file_overrides_an_earlier_one_and_is_the_origin(directory):
    (directory / "a.toml").write_text("dsn = 'host=db1'\n")
    (directory / "b.toml").write_text("\ndsn = 'host=db2'\n")
    built = settings(TomlConfigSettingsSource, config={"toml_file": ["a.toml", "b.toml"]})()
    assert (built.spec().host, origin_of(built, "host")) == ("db2", "b.toml:2 dsn")


def test_table_of_pyproject_toml_is_read(directory):
    (directory / "pyproject.toml").write_text("[tool.jobs]\n[tool.jobs.connection]\nhost = 'db1'\n")
    config = {"pyproject_toml_table_header": ("tool", "jobs")}
    assert settings(PyprojectTomlConfigSettingsSource, config=config)().spec().host == "db1"


@pytest.mark.skipif(
    not hasattr(pydantic_settings, "NestedSecretsSettingsSource"), reason="pydantic-settings is too old"
)
def test_nested_secrets_are_read_with_the_name_of_their_file(directory):
    (directory / "secrets" / "jobs_connection").mkdir(parents=True)
    (directory / "secrets" / "jobs_connection" / "password").write_text("hush\n")
    (directory / "secrets" / "jobs_dns").write_text("host=db1")

    class Jobs(ConnectorSettings):
        model_config = SettingsConfigDict(
            env_prefix="JOBS_", secrets_dir="secrets", secrets_nested_subdir=True
        )

        @classmethod
        def settings_customise_sources(cls, settings_cls, init_settings, file_secret_settings, **_):
            return init_settings, pydantic_settings.NestedSecretsSettingsSource(file_secret_settings)

    [problem] = problems_of(Jobs)
    assert (problem.code, problem.hint) == ("PC101", "did you mean JOBS_DSN?")
    (directory / "secrets" / "jobs_dns").unlink()
    assert Jobs().spec().parameters["password"] == "hush"


@pytest.mark.parametrize("build", [make_connector, ConnectorSettings])
def test_order_of_the_sources_is_the_same_in_every_way_in(build, directory, monkeypatch):
    (directory / ".env").write_text("PROCRASTINATE_CONN_CONNECTOR=psycopg2\n")
    monkeypatch.setenv("PROCRASTINATE_CONN_CONNECTOR", "aiopg")
    assert "aiopg" in f"{build()!r}".lower()
    order = dict(reversed(SOURCES.items()))
    SOURCES.clear()
    try:
        SOURCES.update(order)
        assert "psycopg2" in f"{build()!r}".lower()
    finally:
        SOURCES.clear()
        SOURCES.update(reversed(order.items()))


@pytest.mark.parametrize("build", [make_connector, ConnectorSettings])
def test_source_that_pydantic_settings_has_no_name_for_is_read_in_every_way_in(build, monkeypatch):
    read = read_mapping(SourceKind("vault"), {"connector": "psycopg2"}, lambda path: Origin("vault"), str)
    monkeypatch.setitem(SOURCES, "vault", lambda options: [read])
    assert "psycopg2" in f"{build()!r}".lower()


def test_source_sees_what_those_before_it_have_returned(directory):
    (directory / ".env").write_text("JOBS_DSN=host=db1\nJOBS_POOL__MAX_SIZE=7\n")
    seen = []

    class Region(Vault):
        def __call__(self):
            seen.append((self.current_state, self.settings_sources_data))
            return {}

    settings(Region)(connector="aiopg")
    [(state, data)] = seen
    assert state == {"connector": "aiopg", "dsn": "host=db1", "pool": {"max_size": "7"}}
    assert data["InitSettingsSource"] == {"connector": "aiopg"}


def test_source_that_is_left_out_is_not_read(monkeypatch):
    monkeypatch.setenv("JOBS_DSN", "host=db1")
    assert settings(built_in=["init_settings"])().spec().host is None


def test_sources_are_read_in_the_order_of_the_hook(directory, monkeypatch):
    monkeypatch.setenv("JOBS_DSN", "host=db1")
    (directory / ".env").write_text("JOBS_DSN=host=db2\n")
    assert settings()().spec().host == "db1"
    assert settings(built_in=["dotenv_settings", "env_settings"])().spec().host == "db2"
    assert settings(built_in=["env_settings", "init_settings"])(dsn="host=db3").spec().host == "db1"


def test_hook_of_a_subclass_may_call_that_of_its_base(monkeypatch):
    monkeypatch.setenv("JOBS_CONNECTION__PORT", "5433")

    class Jobs(ConnectorSettings):
        model_config = SettingsConfigDict(env_prefix="JOBS_")

        @classmethod
        def settings_customise_sources(cls, settings_cls, *sources, **named):
            return (
                *super().settings_customise_sources(settings_cls, *sources, **named),
                vault(dsn="host=db1")(cls),
            )

    assert (Jobs().spec().host, Jobs().spec().port) == ("db1", "5433")


def test_keyword_of_a_lower_source_does_not_override_the_dsn_of_a_higher_one():
    lower = vault(connection={"host": "db2", "port": 5433, "dbname": "jobs"})
    built = settings(vault(dsn="host=db1 port=5434"), lower)()
    assert (built.spec().host, built.spec().port, built.spec().dbname) == ("db1", "5434", "jobs")


def test_password_from_a_vault_has_its_class_as_origin():
    built = settings(vault(password="hush"))(dsn="host=db1")
    assert built.spec().parameters["password"] == "hush"
    assert built.spec().origins["password"].source == "Vault"


def test_unknown_key_of_a_vault_has_a_hint():
    [problem] = problems_of(settings(vault(dns="host=db1")))
    assert (problem.code, problem.hint, problem.origin.source) == ("PC101", "did you mean dsn?", "Vault")


def test_exception_of_a_source_is_an_error_without_its_text():
    class Broken(Vault):
        def __call__(self):
            raise PermissionError("token hunter2 is expired")

    [problem] = problems_of(settings(Broken))
    assert (problem.code, problem.origin.source) == ("PC116", "Broken")
    assert "PermissionError" in problem.message
    assert "hunter2" not in str(problem)


def test_exception_in_the_constructor_of_a_source_names_the_source():
    class Broken(Vault):
        def __init__(self, settings_cls):
            super().__init__(settings_cls)
            raise ConnectionError("hunter2")

    [problem] = problems_of(settings(Broken))
    assert (problem.code, problem.origin.source) == ("PC116", "Broken")
    assert "hunter2" not in str(problem)


def test_problems_of_all_sources_are_reported_at_once(directory, monkeypatch):
    (directory / "queue.toml").write_text("dns = 'host=db1'\n")
    monkeypatch.setenv("JOBS_POOL__MAX_SZIE", "1")
    jobs = settings(TomlConfigSettingsSource, vault(pol={}), config={"toml_file": "queue.toml"})
    assert {p.origin.source for p in problems_of(jobs)} == {
        "TomlConfigSettingsSource",
        "Vault",
        "environment",
    }


def test_built_in_source_that_the_hook_makes_itself_has_lines(directory):
    (directory / "other.env").write_text("\nJOBS_DSN=host=db1\n")
    built = settings(lambda cls: DotEnvSettingsSource(cls, env_file="other.env"))()
    assert origin_of(built, "host") == "other.env:2 JOBS_DSN"


def test_source_may_wrap_a_built_in_one(directory):
    (directory / "other.env").write_text("JOBS_DSN=host=db1\n")

    class Jobs(ConnectorSettings):
        model_config = SettingsConfigDict(env_prefix="JOBS_", env_file="other.env")

        @classmethod
        def settings_customise_sources(cls, settings_cls, dotenv_settings, **_):
            return (vault(**dotenv_settings())(settings_cls),)

    assert Jobs().spec().host == "db1"


def test_source_of_variables_names_the_variable_and_reports_unknown_ones():
    class Consul(EnvSettingsSource):
        """Variables from elsewhere, as the sources of cloud secret managers have them."""

        def _load_env_vars(self):
            return {"jobs_connection__host": "db1", "jobs_pol__max_size": "1", "jobs_colour": "red"}

    [problem] = problems_of(settings(Consul))
    assert (problem.code, problem.origin.source, problem.hint) == (
        "PC101", "Consul", "did you mean JOBS_POOL__MAX_SIZE?",
    )  # fmt: skip


def test_command_line_is_the_highest_source(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["worker", "--dsn", "host=db1", "--pool", '{"max_size": 7}'])
    monkeypatch.setenv("JOBS_DSN", "host=db2")
    built = settings(config={"cli_parse_args": True})()
    assert (built.spec().host, built.pool.max_size) == ("db1", 7)
    assert origin_of(built, "host") == "--dsn"


def test_arguments_of_the_command_line_may_be_given():
    built = settings()(_cli_parse_args=["--connection", "host=db1", "--connector", "sync-psycopg"])
    assert (built.spec().host, built.connector) == ("db1", "sync-psycopg")


def test_undecodable_env_file_is_a_problem(directory):
    (directory / ".env").write_bytes(b"JOBS_DSN=host=\xff\n")
    [problem] = problems_of(settings())
    assert (problem.code, problem.origin.file) == ("PC103", ".env")


def test_null_pool_of_the_command_line_and_of_json_is_one(directory):
    assert settings()(_cli_parse_args=["--dsn", "host=db1", "--pool", "null"]).pool.null
    (directory / "queue.json").write_text('{"dsn": "host=db1", "pool": null}')
    assert settings(JsonConfigSettingsSource, config={"json_file": "queue.json"})().pool.null


def test_pool_without_options_in_yaml_is_an_error(directory):
    (directory / "queue.yaml").write_text("dsn: host=db1\npool:\n  # max_size: 7\n")
    [problem] = problems_of(settings(YamlConfigSettingsSource, config={"yaml_file": "queue.yaml"}))
    assert (problem.setting, problem.origin.line) == ("pool", 2)
    assert 'write pool: "null"' in problem.hint


def test_plain_function_is_a_source_and_the_origin_of_its_values():
    def vault_of_ours():
        return {"dsn": "host=db1", "pool": {"max_size": 7}}

    built = settings(lambda cls: vault_of_ours)()
    assert (built.pool.max_size, built.spec().origins["host"].source) == (7, "vault_of_ours")
    [problem] = problems_of(settings(lambda cls: lambda: {"dns": "host=db1"}))
    assert (problem.hint, problem.origin.source) == ("did you mean dsn?", "<lambda>")


@pytest.mark.parametrize(
    ("returned", "hint"),
    [(TomlConfigSettingsSource, "write TomlConfigSettingsSource("), (None, "return sources")],
)
def test_what_is_no_source_is_an_error_by_name(returned, hint):
    [problem] = problems_of(settings(lambda cls: returned))
    assert problem.code == "PC116"
    assert problem.hint.startswith(hint)


def test_missing_package_of_a_source_is_named(directory, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.setattr(sys.modules[YamlConfigSettingsSource.__module__], "yaml", None)
    (directory / "queue.yaml").write_text("dsn: host=db1\n")
    [problem] = problems_of(settings(YamlConfigSettingsSource, config={"yaml_file": "queue.yaml"}))
    assert problem.code == "PC116"
    assert "PyYAML is not installed" in problem.message
