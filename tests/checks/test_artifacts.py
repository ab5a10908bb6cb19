"""What is left in a value is found wherever it is written; a suggestion is never the opposite of a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic_settings import SettingsConfigDict, TomlConfigSettingsSource

from procrastinate_conn import ConnectorSettings, libpq, suggestions
from procrastinate_conn.aliases import ALIASES, HINTS, VALUES, plain
from procrastinate_conn.artifacts import find_deceptive
from procrastinate_conn.checks.runner import CheckTarget, check_configuration
from procrastinate_conn.configuration import Configuration, configure
from procrastinate_conn.libpq import CHOICES
from procrastinate_conn.registry import DEFAULT_KIND, REGISTRY
from procrastinate_conn.sources.arguments import read_call
from procrastinate_conn.sources.dotenv import read_dotenv
from procrastinate_conn.sources.secrets import read_secrets
from procrastinate_conn.sources.variables import read_environment

P = "PROCRASTINATE_CONN_"
VALUES_WITH_ARTIFACTS = {
    "hunter2\u200b": "U+200B",
    "'hunter2'": "leave out the quotes",
    "{{ hunter2 }}": "fill it in",
    "$HUNTER_PASSWORD": "${NAME}",
}


class TomlSettings(ConnectorSettings):
    model_config = SettingsConfigDict(toml_file="settings.toml")

    @classmethod
    def settings_customise_sources(cls, settings_cls, **sources):
        return (TomlConfigSettingsSource(settings_cls),)


def write(name: str, text: str) -> str:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text, "utf-8")
    Path(name).chmod(0o600)
    return name


def toml(value: str) -> Configuration:
    write("settings.toml", f'[connection]\nhost = "localhost"\npassword = "{value}"\n')
    return TomlSettings().configuration


def service(value: str) -> Configuration:
    write("services", f"[jobs]\nhost=localhost\npassword={value}\n")
    return configure([read_environment({"PGSERVICE": "jobs", "PGSERVICEFILE": "services"})])


def secrets(value: str) -> Configuration:
    write(f"secrets/{P}CONNECTION__PASSWORD", value)
    return configure([read_environment({"PGHOST": "localhost"}), read_secrets("secrets")])


def password_file(value: str) -> Configuration:
    write("password", value)
    return configure([read_environment({"PGHOST": "localhost", f"{P}PASSWORD_FILE": "password"})])


def pgpass(value: str) -> Configuration:
    write("pgpass", f"*:*:*:*:{value}\n")
    return configure([read_environment({"PGHOST": "localhost", "PGPASSFILE": "pgpass"})])


def env_file(value: str) -> Configuration:
    return configure([read_dotenv(write("jobs.env", f'PGHOST=localhost\nPGPASSWORD="{value}"\n'))])


PLACES: dict[str, Callable[[str], Configuration]] = {
    "call": lambda value: configure([read_call({"connection": {"host": "localhost", "password": value}})]),
    "environment": lambda value: configure([read_environment({"PGHOST": "localhost", "PGPASSWORD": value})]),
    "env file": env_file,
    "secrets directory": secrets,
    "service file": service,
    "password file": password_file,
    "libpq's password file": pgpass,
    "TOML": toml,
    "URI": lambda value: configure([read_call({"dsn": f"postgresql://app:{quote(value)}@localhost/jobs"})]),
    "keywords": lambda value: configure(
        [read_environment({f"{P}DSN": libpq.conninfo({"host": "localhost", "password": value})})]
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", VALUES_WITH_ARTIFACTS)
def test_artifact_of_a_password_is_found_in_every_place_and_not_shown(
    value: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = check_configuration(CheckTarget(), PLACES[place](value))
    [problem] = [problem for problem in result.problems if problem.code == "PC218"]
    assert VALUES_WITH_ARTIFACTS[value] in problem.hint
    assert "hunter2" not in f"{result.problems}"


def test_line_break_in_options_is_a_blank() -> None:
    options = "-c search_path=jobs\n-c jit=off\n"
    configuration = configure([read_call({"connection": {"host": "localhost", "options": options}})])
    assert not check_configuration(CheckTarget(), configuration).problems


@pytest.mark.parametrize(
    "text",
    [
        *("", "müller", "пароль", "パスワード\uff01", "\U0001f468\u200d\U0001f469", "a b", "می\u200cد"),
        *("db.база.рф", "оса", "adminпароль", "Ω", "mаüller"),  # noqa: RUF001 - letters of two scripts
    ],
)
def test_text_that_is_what_it_looks_like_has_nothing_deceptive(text: str) -> None:
    assert find_deceptive(text) is None


@pytest.mark.parametrize("character", [*"\u00a0\u00ad\u200b\u200e\u2060\ufeff\uff21", "о", "ο"])  # noqa: RUF001
@pytest.mark.parametrize(
    ("text", "place"), [("{}host", "at its beginning"), ("ho{}st", "in it"), ("host{}", "at its end")]
)
def test_deceptive_character_is_named_with_its_place(text: str, place: str, character: str) -> None:
    found = find_deceptive(text.format(character))
    assert found is not None
    assert found.description.startswith(f"U+{ord(character):04X} (")
    assert f") {place}, which " in found.description


@pytest.mark.parametrize(
    ("keyword", "text", "meant"),
    [
        ("sslmode", "no-verify", "require"),
        ("sslmode", "enable", "require"),
        ("sslmode", "verify", "verify-full"),
        ("sslmode", "disabel", "disable"),
        ("channel_binding", "enable", None),
        ("gssencmode", "unrequired", None),
    ],
)
def test_suggested_value_is_never_the_opposite(keyword: str, text: str, meant: str | None) -> None:
    assert suggestions.value(keyword, text, CHOICES[keyword]) == meant


def test_names_of_other_libraries_lead_to_what_exists() -> None:
    options = REGISTRY[DEFAULT_KIND].pool_options
    for alias, setting in ALIASES.items():
        section, _, part = setting.partition(".")
        assert part in {"connection": libpq.keywords(), "pool": options}.get(section, {part: None}), alias
    assert not {plain(name) for name in HINTS} & {plain(keyword) for keyword in libpq.keywords()}
    assert all(value in CHOICES[keyword] for keyword, values in VALUES.items() for value in values.values())
