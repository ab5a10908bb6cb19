"""The options of check, its exit status, and several files at once."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from procrastinate_conn.registry import ConnectorKind
from tests.checks.running import SECRET, run
from tests.installed import needs

pytestmark = pytest.mark.subprocess

GOOD = "PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs\n"
WARNING = "PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs\n"
ERROR = f"{GOOD}PROCRASTINATE_CONN_POOL__MIN_SZIE=3\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"good": GOOD, "warning": WARNING, "error": ERROR}.items():
        (tmp_path / f"{name}.env").write_text(text)
    return tmp_path


def checked(folder: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    return json.loads(run(folder, "check", "--format", "json", *arguments, environment=environment).stdout)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["good.env"], 0),
        (["warning.env"], 0),
        (["error.env"], 1),
        (["missing.env"], 1),
        (["good.env", "error.env"], 1),
        (["good.env", "--strict"], 0),
        (["warning.env", "--strict"], 1),
        (["warning.env", "--strict", "--ignore", "PC5"], 0),
        (["error.env", "--ignore", "PC301"], 0),
        (["error.env", "--ignore", "pc2,pc3"], 0),
        (["error.env", "--select", "PC5"], 0),
        (["error.env", "--select", "PC5", "--select", "PC3"], 1),
        (["error.env", "--select", "PC3", "--ignore", "PC301"], 0),
        ([], 0),
    ],
    ids=str,
)
def test_exit_status_is_1_if_a_selected_rule_is_broken(
    arguments: list[str], status: int, folder: Path
) -> None:
    done = run(folder, "check", *arguments)
    assert (done.returncode, done.stderr) == (status, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--connector", "psycopg3"], "did you mean psycopg"),
        (["--connector", "banana"], "the connectors are psycopg"),
        (["--select", "PX1"], "no rule's code begins with 'PX1'"),
        (["--select", "PC999"], "`procrastinate-conn rule` lists them"),
        (["--ignore", ""], "no rule's code begins with"),
        (["--format", "xml"], "xml"),
        (["--bananas"], "--bananas"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_exits_with_2_and_a_message_on_stderr(
    arguments: list[str], message: str, folder: Path
) -> None:
    done = run(folder, "check", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.replace("│", "").split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "{}"],
        ["check", "good.env", "{}", "--format", "json"],
        ["check", "--secrets-dir", "{}"],
        ["check", "--secrets-dir={}"],
        ["check", "--connector", "{}"],
        ["check", "--format", "{}"],
        ["show", "{}"],
        ["doctor", "good.env", "{}"],
        ["{}"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    "string",
    [
        f"postgresql://app:{SECRET}@db1/jobs",
        f"app:{SECRET}@db1",
        f"host=db1 password={SECRET}",
        f"host=db1 Password = '{SECRET}'",
    ],
)
def test_connection_string_as_argument_is_wrong_usage_and_not_repeated(
    arguments: list[str], string: str, folder: Path
) -> None:
    done = run(folder, *(argument.replace("{}", string) for argument in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert "Set PROCRASTINATE_CONN_DSN" in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.parametrize("name", ["app@corp:1.env", "./a:b@c.env", "host=db1 password=1.env"])
def test_env_file_may_have_any_name(name: str, folder: Path) -> None:
    (folder / name).write_text(GOOD)
    assert run(folder, "check", name).returncode == 0


@pytest.mark.parametrize("command", ["check", "show", "doctor"])
def test_internal_error_is_one_line_without_the_values_read(command: str, folder: Path) -> None:
    script = (
        "from procrastinate_conn.checks import hosts\n"
        "def fail(configuration):\n"
        "    raise OSError(36, 'File name too long', configuration.settings.explicit['dsn'].value)\n"
        "hosts.check = fail\n"
        "from procrastinate_conn.cli import app\n"
        f"app([{command!r}, 'good.env'])\n"
    )
    done = run(folder, script=script)
    assert (done.returncode, done.stdout) == (3, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("good.env cannot be checked: OSError at <string>:3; ")
    assert "localhost" not in line


def test_each_file_is_a_configuration_of_its_own(folder: Path) -> None:
    (folder / "warning.env").write_text("PROCRASTINATE_CONN_CONNECTOR=aiopg\n")
    document = checked(folder, "good.env", "warning.env", "error.env")
    assert [(c["file"], c["ok"], c["connector"]) for c in document["configurations"]] == [
        ("good.env", True, "psycopg"),
        ("warning.env", True, "aiopg"),
        ("error.env", False, "psycopg"),
    ]
    assert document["ok"] is False


def test_named_file_replaces_the_default_env_file(folder: Path) -> None:
    (folder / ".env").write_text(ERROR)
    assert checked(folder, "good.env")["ok"]
    assert not checked(folder)["ok"]


def test_problem_of_the_environment_is_in_every_configuration_and_printed_once(folder: Path) -> None:
    files = ["good.env", "warning.env", "error.env"]
    document = checked(folder, *files, PGHSOT="localhost")
    assert all("PC106" in [p["code"] for p in c["problems"]] for c in document["configurations"])
    for output in ("text", "github"):
        done = run(folder, "check", "--format", output, *files, environment={"PGHSOT": "localhost"})
        assert done.stdout.count("libpq does not know PGHSOT") == 1


def test_isolated_ignores_the_process_environment(folder: Path) -> None:
    environment = {
        "PROCRASTINATE_CONN_CONECTOR": "aiopg",
        "procrastinate_conn_pool__min_szie": "3",
        "DATABASE_URL": "mysql://localhost/shop",
        "PGSSLMODE": "nonsense",
        "PGHOST": "db1.example.com",
        "PGSERVICE": "nowhere",
        "PGPORT": "x",
    }
    assert checked(folder, "good.env", **environment)["configurations"][0]["problems"]
    assert checked(folder, "good.env", "--isolated", **environment)["configurations"][0]["problems"] == []


@pytest.mark.parametrize("name", ["aiopg", "AiopgConnector", "AIOPG"])
def test_connector_option_overrides_the_settings(name: str, folder: Path) -> None:
    (folder / "good.env").write_text(f"{GOOD}PROCRASTINATE_CONN_CONNECTOR=psycopg2\n")
    [configuration] = checked(folder, "good.env", "--connector", name)["configurations"]
    assert (configuration["connector"], configuration["problems"]) == (ConnectorKind.AIOPG, [])


def test_unknown_connector_is_null_in_json(folder: Path) -> None:
    [configuration] = checked(folder, PROCRASTINATE_CONN_CONNECTOR="psycopg3")["configurations"]
    assert (configuration["file"], configuration["connector"]) == (None, None)


def test_output_of_an_imported_module_goes_to_stderr(folder: Path) -> None:
    (folder / "codec.py").write_text("print('loading')\n\n\ndef dumps(value): ...\n")
    (folder / "good.env").write_text(f"{GOOD}PROCRASTINATE_CONN_JSON_DUMPS=codec:dumps\n")
    done = run(folder, "check", "good.env", "--format", "json")
    assert json.loads(done.stdout)["ok"]
    assert done.stderr == "loading\n"


def test_check_of_files_imports_neither_rich_nor_procrastinate_nor_pydantic_settings(folder: Path) -> None:
    needs("typer>=0.19")  # older ones import Rich by themselves
    script = (
        "import sys\n"
        "from procrastinate_conn.cli import app\n"
        "for output in ('text', 'json', 'github', 'gitlab', 'sarif'):\n"
        "    try:\n"
        "        app(['check', 'error.env', '--format', output])\n"
        "    except SystemExit:\n"
        "        pass\n"
        "print({'rich', 'procrastinate', 'pydantic_settings'} & sys.modules.keys(), file=sys.stderr)\n"
    )
    assert run(folder, script=script).stderr == "set()\n"


def test_hundred_files_are_checked_in_one_run(folder: Path) -> None:
    names = [f"{number}.env" for number in range(100)]
    for name in names:
        (folder / name).write_text(ERROR)
    done = run(folder, "check", *names)
    assert done.returncode == 1
    assert done.stdout.count("did you mean min_size?") == 100
    assert done.stdout.splitlines()[-1].startswith("100 errors in 100 of 100 configurations;")


def test_check_starts_no_process_and_no_connection(folder: Path) -> None:
    (folder / "warning.env").write_text(f"{WARNING}PROCRASTINATE_CONN_PASSWORD_COMMAND=touch started\n")
    script = (
        "import sys\n"
        "def deny(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.bind', 'subprocess.Popen', 'os.system', 'os.exec'):\n"
        "        raise SystemExit(f'{event} {arguments}')\n"
        "sys.addaudithook(deny)\n"
        "from procrastinate_conn.cli import app\n"
        "app(['check', 'good.env', 'warning.env', 'error.env'])\n"
    )
    done = run(folder, script=script)
    assert (done.returncode, done.stderr) == (1, "")
    assert not (folder / "started").exists()


def test_importing_the_command_line_imports_nothing_large(folder: Path) -> None:
    needs("typer>=0.19")
    script = (
        "import sys\n"
        "import procrastinate_conn.cli\n"
        "print({'pydantic', 'psycopg', 'rich', 'dotenv', 'procrastinate'} & sys.modules.keys())\n"
    )
    assert run(folder, script=script).stdout == "set()\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_env_file_that_is_a_pipe_is_read_once(mode: int, folder: Path) -> None:
    os.mkfifo(folder / "decrypted.env")
    (folder / "decrypted.env").chmod(mode)
    writer = threading.Thread(target=(folder / "decrypted.env").write_text, args=(ERROR,), daemon=True)
    writer.start()
    done = run(folder, "check", "decrypted.env", "--ignore", "PC5")
    writer.join(timeout=10)
    assert done.stdout.startswith(
        "decrypted.env:2: PC301 error: there is no pool option min_szie\n  = did you"
    )
