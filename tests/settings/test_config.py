"""The options of model_config mean what pydantic-settings documents, in the class and in the call."""

from __future__ import annotations

import pytest
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from procrastinate_conn import ConfigurationError, ConnectorSettings, make_connector
from procrastinate_conn.cli.formats.text import excerpt
from procrastinate_conn.redaction.lines import redact_env_line
from tests.installed import needs_argument


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    """Every test has a working directory of its own, without an env file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def jobs(**config):
    """Return a subclass with a prefix and other options."""

    class Jobs(ConnectorSettings):
        model_config = SettingsConfigDict(env_prefix="JOBS_", **config)

    return Jobs


def test_env_file_of_the_class_is_read(directory):
    (directory / "prod.env").write_text("JOBS_DSN=host=db1\n")
    assert jobs(env_file="prod.env")().spec().host == "db1"
    assert jobs()(_env_file="prod.env").spec().host == "db1"
    assert jobs(env_file="prod.env")(_env_file=None).spec().host is None


def test_later_env_file_overrides_an_earlier_one(directory):
    (directory / "a.env").write_text("JOBS_DSN=host=db1\n")
    (directory / "b.env").write_text("JOBS_DSN=host=db2\n")
    assert jobs(env_file=("a.env", "b.env"))().spec().host == "db2"


@pytest.mark.parametrize("present", ["a.env", "b.env"])
def test_env_file_that_is_absent_beside_another_is_no_error(directory, present):
    (directory / present).write_text("JOBS_DSN=host=db1\n")
    (directory / ".env").write_text("JOBS_DSN=host=db0\n")
    files = ["a.env", "b.env", "c.env"]
    assert jobs(env_file=tuple(files))().spec().host == "db1"
    assert jobs()(_env_file=files).spec().host == "db1"
    make_connector(env_prefix="JOBS_", env_file=files)


def test_env_files_of_which_none_is_there_are_an_error_except_beside_the_default(directory):
    with pytest.raises(ConfigurationError) as caught:
        jobs(env_file=("a.env", "b.env"))(dsn="host=db1")
    assert [(problem.code, str(problem.origin)) for problem in caught.value.problems] == [
        ("PC103", "b.env"),
        ("PC103", "a.env"),
    ]
    (directory / "a.env").mkdir()  # what a container platform mounts for a file that does not exist
    with pytest.raises(ConfigurationError, match=r"a\.env: PC103"):
        jobs(env_file=("a.env", "b.env"))(dsn="host=db1")
    assert jobs(env_file=(".env", ".env.local"))(dsn="host=db1").spec().host == "db1"


def test_env_file_encoding_is_used(directory):
    (directory / ".env").write_bytes("JOBS_CONNECTION__USER=jürgen\n".encode("latin-1"))
    assert jobs(env_file_encoding="latin-1")().spec().user == "jürgen"
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        jobs()()


def test_unknown_env_file_encoding_is_a_problem(directory):
    (directory / ".env").write_text("JOBS_DSN=host=db1\n")
    with pytest.raises(ConfigurationError, match="there is no such encoding"):
        jobs(env_file_encoding="klingon")()


def test_env_file_depth_searches_the_directories_above(directory, monkeypatch):
    needs_argument(DotEnvSettingsSource, "env_file_depth")
    (directory / "prod.env").write_text("JOBS_DSN=host=db1\n")
    (directory / "below").mkdir()
    monkeypatch.chdir(directory / "below")
    assert jobs(env_file="prod.env", env_file_depth=1)().spec().host == "db1"


def test_env_nested_delimiter_separates_sections_from_options(monkeypatch):
    monkeypatch.setenv("JOBS_POOL-MAX_SIZE", "7")
    monkeypatch.setenv("JOBS_CONNECTION-HOST", "db1")
    monkeypatch.setenv("JOBS_PASSWORD_COMMAND", "echo x")
    built = jobs(env_nested_delimiter="-")()
    assert (built.pool.max_size, built.spec().host) == (7, "db1")


def test_underscore_as_delimiter_needs_a_maximum_split(monkeypatch):
    needs_argument(EnvSettingsSource, "env_nested_max_split")
    monkeypatch.setenv("JOBS_POOL_MAX_SIZE", "7")
    monkeypatch.setenv("JOBS_PASSWORD_COMMAND", "echo x")
    built = jobs(env_nested_delimiter="_", env_nested_max_split=1)()
    assert built.pool.max_size == 7
    assert built.password_command.get_secret_value() == "echo x"


def test_hint_about_an_option_has_the_delimiter_of_the_class(monkeypatch):
    monkeypatch.setenv("JOBS_POOL_MAX_SIZE", "7")
    with pytest.raises(ConfigurationError, match="did you mean JOBS_POOL-MAX_SIZE"):
        jobs(env_nested_delimiter="-")()


@pytest.mark.parametrize("delimiter", ["-", ".", "--", "_"])
def test_excerpt_under_another_delimiter_shows_what_is_safe(delimiter, directory):
    file = directory / "jobs.env"  # absolute: excerpts remember the lines of a file
    file.write_text(
        f"JOBS_CONNECTION{delimiter}PASSWORD=hunter2\nJOBS_POOL{delimiter}MAX_SZIE=7\n"
        f"JOBS_CONNECTION{delimiter}SSLMODE=requre\n"
    )
    if delimiter == "_":
        needs_argument(EnvSettingsSource, "env_nested_max_split")
    split = {"env_nested_max_split": 1} if delimiter == "_" else {}
    with pytest.raises(ConfigurationError) as caught:
        jobs(env_file=file, env_nested_delimiter=delimiter, **split)()
    shown = {
        (found := excerpt(problem)).text: found.text[found.start : found.end]
        for problem in caught.value.problems
    }
    assert shown == {
        f"JOBS_POOL{delimiter}MAX_SZIE=7": "MAX_SZIE",
        f"JOBS_CONNECTION{delimiter}SSLMODE=requre": "requre",
    }
    assert redact_env_line(f"JOBS_CONNECTION{delimiter}PASSWORD=hunter2").endswith("=********")


def test_env_ignore_empty_counts_empty_variables_as_not_set(monkeypatch, directory):
    monkeypatch.setenv("JOBS_CONNECTION__HOST", "")
    (directory / ".env").write_text("JOBS_CONNECTION__HOST=db1\n")
    assert jobs(env_ignore_empty=True)().spec().host == "db1"
    assert jobs()().spec().host != "db1"


def test_env_parse_none_str_stands_for_none(monkeypatch, directory):
    monkeypatch.setenv("JOBS_CONNECTION__HOST", "void")
    monkeypatch.setenv("JOBS_POOL__MAX_SIZE", "void")
    (directory / ".env").write_text("JOBS_CONNECTION__HOST=db1\n")
    built = jobs(env_parse_none_str="void")()
    assert built.spec().host == "db1"
    assert built.pool.effective("max_size") is None


def test_case_sensitive_variables_are_written_like_the_fields(monkeypatch):
    monkeypatch.setenv("JOBS_dsn", "host=db2")
    assert jobs(case_sensitive=True)().spec().host == "db2"


def test_variable_in_another_case_is_an_unknown_setting_if_case_counts(monkeypatch):
    monkeypatch.setenv("JOBS_DSN", "host=db1")
    with pytest.raises(ConfigurationError, match=r"JOBS_DSN .*did you mean JOBS_dsn\?"):
        jobs(case_sensitive=True)()


def test_variables_are_read_in_any_case_by_default(monkeypatch):
    monkeypatch.setenv("jobs_Connection__Host", "db1")
    assert jobs()().spec().host == "db1"


def test_secrets_dir_of_the_class_is_read(directory):
    (directory / "secrets").mkdir()
    (directory / "secrets" / "jobs_dsn").write_text("host=db1")
    assert jobs(secrets_dir="secrets")().spec().host == "db1"
    assert jobs()(_secrets_dir="secrets").spec().host == "db1"


@pytest.mark.parametrize("option", ["toml_file", "yaml_file", "json_file"])
def test_file_option_without_its_source_is_a_problem(option):
    with pytest.raises(
        ConfigurationError, match=rf"{option} is set, and no \w+ConfigSettingsSource reads it"
    ):
        jobs(**{option: "queue.conf"})()


def test_option_of_the_call_overrides_that_of_the_class(monkeypatch):
    monkeypatch.setenv("MAILS_POOL-MAX_SIZE", "7")
    assert jobs()(_env_prefix="MAILS_", _env_nested_delimiter="-").pool.max_size == 7


def test_unknown_option_of_the_call_is_a_problem_with_a_hint():
    with pytest.raises(ConfigurationError, match="did you mean _env_file"):
        jobs()(_env_fiel=".env")
