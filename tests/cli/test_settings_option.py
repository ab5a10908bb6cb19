"""``--settings MODULE:OBJECT``: settings in Python, for `check`, `show`, `doctor` and `schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.checks.running import SECRET, run

pytestmark = pytest.mark.subprocess

MODULE = """\
import os

from pydantic import Field
from pydantic_settings import BaseSettings

from procrastinate_conn import ConnectorSettings


class Jobs(ConnectorSettings):
    pass


class NotSettings:
    pass


def make():
    return ConnectorSettings(dsn="postgresql://app@localhost/jobs", pool={"max_size": 7})


def make_class():
    return Jobs


def takes_one(name): ...


async def make_later(): ...


class App(BaseSettings):
    queue: ConnectorSettings = Field(default_factory=make)


app = App()
jobs = make()
encrypted_perhaps = ConnectorSettings(
    dsn="postgresql://app@db1.example.com/jobs",
)
number = 3


def raises():
    raise ValueError("hunter2")


def lacks_variable():
    return os.environ["JOBS_DSN"]


def makes_mistake():
    return ConnectorSettings(dsn="postgresql://app@localhost/jobs", pool={"max_siz": 7})


def exits():
    raise SystemExit(0)


class Unfilled(BaseSettings):
    redis_url: str


class Nested(BaseSettings):
    queue: ConnectorSettings = Field(default_factory=makes_mistake)


class Fragile:
    @property
    def queue(self):
        return self.absent
"""


INSECURE = "PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs\n"


def line_of(text: str) -> int:
    """Return the number of the only line of the module that has this text."""
    [line] = [number for number, line in enumerate(MODULE.splitlines(), 1) if text in line]
    return line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conf.py").write_text(MODULE)
    return tmp_path


def checked(folder: Path, path: str, *arguments: str, **environment: str) -> dict[str, Any]:
    done = run(folder, "check", "--format", "json", "--settings", path, *arguments, environment=environment)
    assert done.stderr == ""
    [configuration] = json.loads(done.stdout)["configurations"]
    assert done.returncode == (0 if configuration["ok"] else 1)
    return configuration


@pytest.mark.parametrize(
    "path", ["conf:make", "conf:jobs", "conf:app.queue", "conf:App.queue", "conf:make_class", "conf:Jobs"]
)
def test_subclass_instance_function_and_attribute_are_checked(path: str, folder: Path) -> None:
    environment = {"PROCRASTINATE_CONN_DSN": "postgresql://app@localhost/jobs"}
    assert checked(folder, path, **environment) == {
        "file": None,
        "prefix": None,
        "settings": path,
        "ok": True,
        "connector": "psycopg",
        "problems": [],
    }


def test_subclass_is_read_from_the_environment_and_env_file(folder: Path) -> None:
    (folder / ".env").write_text("PROCRASTINATE_CONN_POOL__MAX_SIZE=0\n")
    problems = checked(folder, "conf:Jobs", PGHSOT="localhost")["problems"]
    found = [(p["code"], p["origin"]["file"]) for p in problems]
    assert ("PC304", ".env") in found
    assert ("PC106", None) in found


def test_isolated_hides_the_environment_from_settings_in_python(folder: Path) -> None:
    environment = {
        "PROCRASTINATE_CONN_POOL__MAX_SIZE": "0",
        "JOBS_DSN": "postgresql://localhost",
        "PGPORT": "x",
    }
    assert not checked(folder, "conf:Jobs", **environment)["ok"]
    assert checked(folder, "conf:Jobs", "--isolated", **environment)["ok"]
    [problem] = checked(folder, "conf:lacks_variable", "--isolated", **environment)["problems"]
    assert problem["message"].endswith("KeyError: there is no JOBS_DSN")


def test_settings_that_parse_the_command_line_do_not_take_the_arguments_of_check(folder: Path) -> None:
    (folder / "parsing.py").write_text(
        "from procrastinate_conn import ConnectorSettings\n\n\n"
        "class Jobs(ConnectorSettings, cli_parse_args=True): ...\n"
    )
    (folder / ".env").write_text("PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs\n")
    assert checked(folder, "parsing:Jobs", "--connector", "aiopg")["problems"] == []


@pytest.mark.parametrize("option", [[], ["--strict"]])
def test_argument_that_overrides_the_environment_and_env_file_is_no_finding(
    option: list[str], folder: Path
) -> None:
    (folder / ".env").write_text("JOBS_DSN=postgresql://app@localhost/jobs\nJOBS_POOL__MAX_SIZE=3\n")
    (folder / ".env").chmod(0o600)
    (folder / "override.py").write_text(
        "from procrastinate_conn import ConnectorSettings\n\n"
        "dsn = 'postgresql://app@localhost/other'\n"
        "jobs = ConnectorSettings(_env_prefix='JOBS_', dsn=dsn, pool={'max_size': 9})\n"
    )
    assert checked(folder, "override:jobs", *option)["problems"] == []


def test_every_rule_is_checked_on_an_instance_at_its_definition(folder: Path) -> None:
    [problem] = checked(folder, "conf:encrypted_perhaps")["problems"]
    assert (problem["code"], problem["severity"]) == ("PC501", "warning")
    origin = problem["origin"]
    assert (origin["file"], origin["line"]) == ("conf.py", line_of("encrypted_perhaps ="))


def test_mistake_in_an_argument_is_at_the_line_of_the_call(folder: Path) -> None:
    for path in ("conf:makes_mistake", "conf:Nested.queue"):
        [problem] = checked(folder, path)["problems"]
        assert (problem["code"], problem["setting"]) == ("PC301", "pool.max_siz")
        origin = problem["origin"]
        assert (origin["source"], origin["file"], origin["line"]) == ("call", "conf.py", line_of('max_siz"'))


@pytest.mark.parametrize("path", ["lazy:Jobs", "lazy:make", "early:jobs"])
def test_every_problem_is_found_at_once_if_settings_cannot_be_built(path: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"PROCRASTINATE_CONN_POOL__MAX_SZIE=3\n{INSECURE}")
    (tmp_path / "lazy.py").write_text(
        "from procrastinate_conn import ConnectorSettings\n\n\n"
        "class Jobs(ConnectorSettings): ...\n\n\n"
        "def make():\n    return Jobs()\n"
    )
    (tmp_path / "early.py").write_text("from lazy import make\n\njobs = make()\n")
    assert [p["code"] for p in checked(tmp_path, path)["problems"]] == ["PC301", "PC501"]


def test_mistake_in_settings_made_during_the_import_is_a_finding(folder: Path) -> None:
    (folder / "early.py").write_text("import conf\n\njobs = conf.makes_mistake()\n")
    [problem] = checked(folder, "early:jobs")["problems"]
    assert (problem["code"], problem["origin"]["file"]) == ("PC301", "conf.py")


@pytest.mark.parametrize(
    ("path", "reason", "line"),
    [
        ("conf:raises", "raises ended with ValueError", "raise ValueError"),
        ("conf:exits", "exits ended with SystemExit", "raise SystemExit"),
        ("conf:lacks_variable", "lacks_variable ended with KeyError: there is no JOBS_DSN", "JOBS_DSN"),
        ("conf:takes_one", "takes_one takes arguments", "def takes_one"),
        ("conf:make_later", "it is of type coroutine, and no ConnectorSettings", "def make_later"),
        ("conf:number", "it is of type int, and no ConnectorSettings", "number = 3"),
        ("conf:NotSettings", "it is the class NotSettings, and no ConnectorSettings", "class NotSettings"),
        ("conf:app", "it is of type App, and no ConnectorSettings", "app = App()"),
        ("conf:Unfilled.queue", "Unfilled ended with ValidationError: redis_url (missing)", "class Unfilled"),
        ("conf:Fragile.queue", "looking queue up ended with AttributeError: absent", "self.absent"),
        ("conf:setings", "conf has no attribute setings", None),
        ("conf:app.que", "an object of type App has no attribute que", None),
    ],
)
def test_object_that_cannot_be_loaded_is_one_finding_with_its_line(
    path: str, reason: str, line: str | None, folder: Path
) -> None:
    [problem] = checked(folder, path)["problems"]
    assert (problem["code"], problem["setting"]) == ("PC114", "settings")
    assert problem["message"] == f"{path} cannot be loaded: {reason}"
    origin = problem["origin"]
    assert (origin["file"], origin["line"]) == ("conf.py", line and line_of(line))


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("conf:app", "did you mean conf:app.queue?"),
        ("conf:App", "did you mean conf:App.queue?"),
        ("conf:jbos", "did you mean jobs?"),
        ("conf:app.queu", "did you mean queue?"),
        ("conf:takes_one", "name a function that takes none"),
    ],
)
def test_hint_names_the_object_that_was_meant(path: str, hint: str, folder: Path) -> None:
    [problem] = checked(folder, path)["problems"]
    assert problem["hint"] == hint


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("x = 1\nraise RuntimeError('hunter2')\n", "RuntimeError", 2),
        ("x = 1\n\ndef (:\n", "SyntaxError", 3),
        ("import absent.part\n", "ModuleNotFoundError: no module absent", 1),
        ("import conf\nfrom conf import absent\n", "ImportError", 2),
        ("\nnumber = undefined\n", "NameError: undefined", 2),
        ("import json\n\njson.loads('{')\n", "JSONDecodeError", 3),
        ("import sys\nsys.exit('hunter2')\n", "SystemExit", 2),
    ],
)
def test_failed_import_is_one_finding_with_the_line_in_the_users_file(
    text: str, reason: str, line: int, folder: Path
) -> None:
    (folder / "broken.py").write_text(text)
    [problem] = checked(folder, "broken:settings")["problems"]
    assert problem["message"] == f"broken:settings cannot be loaded: importing broken ended with {reason}"
    assert (problem["origin"]["file"], problem["origin"]["line"]) == ("broken.py", line)


def test_failed_import_of_the_package_around_the_module_is_one_finding(folder: Path) -> None:
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("\nraise RuntimeError('hunter2')\n")
    (folder / "package" / "jobs.py").touch()
    [problem] = checked(folder, "package.jobs:settings")["problems"]
    assert problem["message"].endswith("importing package.jobs ended with RuntimeError")
    assert (problem["origin"]["file"], problem["origin"]["line"]) == ("package/__init__.py", 2)


def test_module_that_does_not_exist_is_named(folder: Path) -> None:
    [problem] = checked(folder, "absent.part:jobs")["problems"]
    assert problem["message"] == "absent.part:jobs cannot be loaded: there is no module absent"


def test_failure_is_one_line_of_text_without_traceback_or_secret(folder: Path) -> None:
    done = run(folder, "check", "--settings", "conf:raises")
    assert (done.returncode, done.stderr) == (1, "")
    line, _, summary = done.stdout.splitlines()
    assert line == (
        f"conf.py:{line_of('raise ValueError')}: PC114 error: conf:raises cannot be loaded: "
        "raises ended with ValueError"
    )
    assert summary.startswith("1 error;")
    assert SECRET not in done.stdout


APPLICATION = """\
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict, TomlConfigSettingsSource

from procrastinate_conn import ConnectorSettings


class Jobs(ConnectorSettings):
    model_config = SettingsConfigDict(env_prefix="JOBS_")


class Queue(ConnectorSettings):
    model_config = SettingsConfigDict(toml_file="queue.toml")

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, **others):
        return init_settings, TomlConfigSettingsSource(settings_cls)


class App(BaseSettings):
    queue: ConnectorSettings = Field(default_factory=lambda: ConnectorSettings(_env_prefix="MYAPP_QUEUE__"))
"""


def test_one_check_names_the_mistake_in_each_of_three_databases(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    (tmp_path / ".env").write_text("JOBS_POOL__MAX_SZIE=3\nMYAPP_QUEUE__CONNECTION__SSLMODE=requre\n")
    (tmp_path / "queue.toml").write_text('dsn = "postgresql://app@localhost/jobs"\n[pool]\nmax_sise = 3\n')
    (tmp_path / "pyproject.toml").write_text(
        '[tool.procrastinate-conn]\nsettings = ["app:Jobs", "app:App.queue", "app:Queue"]\n'
    )
    done = run(tmp_path, "check", "--format", "json")
    found = [
        (c["settings"], p["code"], p["origin"]["file"], p["origin"]["line"], p["hint"])
        for c in json.loads(done.stdout)["configurations"]
        for p in c["problems"]
    ]
    assert found == [
        ("app:Jobs", "PC301", ".env", 1, "did you mean max_size?"),
        ("app:App.queue", "PC205", ".env", 2, "did you mean require?"),
        ("app:Queue", "PC301", "queue.toml", 3, "did you mean max_size?"),
    ]


def test_several_settings_and_files_are_a_configuration_each(folder: Path) -> None:
    (folder / "a.env").write_text("PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs\n")
    done = run(folder, "check", "a.env", "--settings=conf:jobs", "--settings=conf:number", "--format=json")
    found = [(c["file"], c["settings"], c["ok"]) for c in json.loads(done.stdout)["configurations"]]
    assert found == [("a.env", None, True), (None, "conf:jobs", True), (None, "conf:number", False)]
    assert done.returncode == 1


def test_connector_option_overrides_the_settings_in_python(folder: Path) -> None:
    assert checked(folder, "conf:jobs", "--connector", "aiopg")["connector"] == "aiopg"


@pytest.mark.parametrize("command", ["check", "show", "doctor", "schema"])
def test_path_in_another_form_is_wrong_usage(command: str, folder: Path) -> None:
    done = run(folder, command, "--settings", "conf.jobs")
    assert (done.returncode, done.stdout) == (2, "")
    assert "package.module:object" in done.stderr


@pytest.mark.parametrize("command", ["show", "doctor"])
@pytest.mark.parametrize("other", [["a.env"], ["--secrets-dir", "secrets"], ["--prefix", "JOBS_"]])
def test_settings_beside_a_file_are_wrong_usage_of_show_and_doctor(
    command: str, other: list[str], folder: Path
) -> None:
    done = run(folder, command, "--settings", "conf:jobs", *other)
    assert (done.returncode, done.stdout) == (2, "")
    assert "conf:jobs" in done.stderr


def test_secrets_directory_without_env_file_is_wrong_usage_beside_settings(folder: Path) -> None:
    done = run(folder, "check", "--settings", "conf:jobs", "--secrets-dir", "secrets")
    assert (done.returncode, done.stdout) == (2, "")


def test_show_prints_effective_values_of_settings_in_python(folder: Path) -> None:
    done = run(folder, "show", "--format", "json", "--settings", "conf:app.queue")
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert document["pool"]["max_size"]["value"] == 7
    assert document["connection"]["host"]["value"] == "localhost"


def test_show_prints_why_settings_cannot_be_loaded(folder: Path) -> None:
    done = run(folder, "show", "--settings", "conf:number")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("conf.py:")


def test_doctor_reports_why_settings_cannot_be_loaded(folder: Path) -> None:
    done = run(folder, "doctor", "--settings", "conf:raises")
    assert (done.returncode, done.stderr) == (1, "")
    assert "FAIL  settings  conf.py:" in done.stdout
    assert "raises ended with ValueError" in done.stdout


def test_doctor_connects_with_settings_in_python(folder: Path) -> None:
    (folder / "closed.py").write_text(
        "from procrastinate_conn import ConnectorSettings\n"
        "jobs = ConnectorSettings(dsn='postgresql://app@127.0.0.1:1/jobs')\n"
    )
    done = run(folder, "doctor", "--settings", "closed:jobs", "--timeout", "5", "--format", "json")
    [host] = json.loads(done.stdout)["hosts"]
    assert (done.returncode, host["host"], host["port"]) == (1, "127.0.0.1", "1")


@pytest.mark.parametrize("path", ["conf:Jobs", "conf:jobs", "conf:app.queue"])
def test_schema_of_settings_in_python_is_printed(path: str, folder: Path) -> None:
    done = run(folder, "schema", "--settings", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pool" in json.loads(done.stdout)["properties"]


@pytest.mark.parametrize("path", ["prefixed:Mails", "prefixed:mails"])
def test_schema_of_settings_in_python_names_the_variables_of_their_prefix(path: str, folder: Path) -> None:
    (folder / "prefixed.py").write_text(
        "from procrastinate_conn import ConnectorSettings\nfrom pydantic import Field\n\n\n"
        "class Mails(ConnectorSettings, env_prefix='MAILS_'):\n"
        "    colour: str = Field(description='Its colour.')\n\n\n"
        "class Letters(Mails, env_prefix='LETTERS_'): ...\n\n\n"
        "mails = Letters(_env_prefix='MAILS_', colour='red')\n"
    )
    done = run(folder, "schema", "--settings", path)
    document = json.loads(done.stdout)
    assert document["properties"]["dsn"]["x-variable"] == "MAILS_DSN"
    assert document["properties"]["colour"] == {
        "description": "Its colour.",
        "type": "string",
        "x-variable": "MAILS_COLOUR",
    }
    assert document["required"] == ["colour"]


def test_schema_of_a_subclass_needs_no_valid_settings(folder: Path) -> None:
    (folder / "lazy.py").write_text(
        "from procrastinate_conn import ConnectorSettings\n\n\nclass Jobs(ConnectorSettings): ...\n"
    )
    assert run(folder, "schema", "--settings", "lazy:Jobs", environment={"PGPORT": "x"}).returncode == 0


def test_schema_prints_why_settings_cannot_be_loaded_to_stderr(folder: Path) -> None:
    done = run(folder, "schema", "--settings", "conf:raises")
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"conf.py:{line_of('raise ValueError')} conf:raises: PC114 ")


def test_output_of_an_imported_module_goes_to_stderr(folder: Path) -> None:
    (folder / "loud.py").write_text("print('loading')\nfrom conf import jobs\n")
    for command in (["check", "--format=json"], ["show", "--format=json"], ["schema"]):
        done = run(folder, *command, "--settings", "loud:jobs")
        assert json.loads(done.stdout)
        assert done.stderr == "loading\n"
