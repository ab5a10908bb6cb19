"""Password sources: what each one gives, how it fails, and that it never tells what it read."""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from procrastinate_conn import ConfigurationError, make_connector, passwords, subprocesses
from procrastinate_conn.origins import Origin
from procrastinate_conn.passwords import PasswordUnavailable, from_command, from_file, from_function
from tests.servers import wait_until

SECRET = "marked-secret-7f3a"
ORIGIN = Origin("dotenv", "PROCRASTINATE_CONN_PASSWORD_COMMAND", ".env", 3)


def python(code: str, *arguments: object) -> str:
    """Return a command line that runs Python code."""
    return shlex.join([sys.executable, "-c", code, *map(str, arguments)])


def failure(source: passwords.PasswordFunction) -> str:
    """Return how a source fails, having looked for the secret in everything that could be logged."""
    with pytest.raises(PasswordUnavailable) as caught:
        source()
    error = caught.value
    assert SECRET not in "".join(traceback.format_exception(error))
    assert error.__context__ is None
    return str(error)


@pytest.mark.subprocess
@pytest.mark.parametrize(
    ("content", "password"),
    [
        ("plain", "plain"),
        ("line\n", "line"),
        ("line\r\n", "line"),
        ("two lines\n\n", "two lines\n"),
        (" blanks \n", " blanks "),
        ("naïve ☃", "naïve ☃"),
        ("\ufeffmarked", "marked"),
        ("x" * passwords.MAX_BYTES, "x" * passwords.MAX_BYTES),
    ],
)
def test_a_file_and_a_command_give_the_same(tmp_path, content, password):
    file = tmp_path / "password"
    file.write_bytes(content.encode())
    printing = python("import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read())", file)
    assert from_file(file)() == from_command(printing)() == password


def test_a_bare_word_that_names_no_file_may_be_the_password_and_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert failure(from_file(SECRET)) == "password_file: its file cannot be used: No such file or directory"
    (tmp_path / "password").write_text("")
    assert failure(from_file("password")) == (
        f"password_file: {tmp_path}/password cannot be used: an empty password"
    )


@pytest.mark.subprocess
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty password"),
        (b"\n", "an empty password"),
        (f"{SECRET}\0".encode(), "text with a NUL character"),
        (f"{SECRET}\xff".encode("latin-1"), "text that is not UTF-8"),
        (SECRET.encode() * passwords.MAX_BYTES, "more than 65536 bytes"),
    ],
)
def test_what_cannot_be_a_password_is_refused_and_not_shown(tmp_path, content, reason):
    file = tmp_path / "password"
    file.write_bytes(content)
    assert failure(from_file(file)) == f"password_file: {file} cannot be used: {reason}"
    printing = python("import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read())", file)
    assert failure(from_command(printing, ORIGIN)) == (
        "password_command (.env:3 PROCRASTINATE_CONN_PASSWORD_COMMAND): the command printed what cannot be"
        f" used: {reason}"
    )


def test_a_file_is_read_anew_each_time_wherever_the_process_has_gone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("password").write_text("old")
    read = from_file("password")
    assert read() == "old"
    monkeypatch.chdir("/")
    (tmp_path / "new").write_text("new")
    (tmp_path / "new").replace(tmp_path / "password")
    assert read() == "new"


def test_a_link_is_followed_each_time_as_kubernetes_swaps_it(tmp_path):
    link = tmp_path / "password"
    for version in ("old", "new"):
        (tmp_path / version).write_text(version)
        (tmp_path / "next").symlink_to(tmp_path / version)
        (tmp_path / "next").replace(link)
        assert from_file(link)() == version


@pytest.mark.parametrize("what", ["missing", "directory", "fifo", "device", "nul"])
def test_a_file_that_is_none_is_refused_at_once(tmp_path, what):
    path = tmp_path / what
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)  # nobody writes: opening it would wait for ever
    path, reason = {
        "missing": (path, "No such file or directory"),
        "directory": (path, "Is a directory"),
        "fifo": (path, "it is not a plain file"),
        "device": ("/dev/zero", "it is not a plain file"),
        "nul": ("/a/b\0c", "embedded null byte"),
    }[what]
    shown = "its file" if what == "nul" else path
    assert failure(from_file(path, ORIGIN)).endswith(f"{shown} cannot be used: {reason}")


def test_a_home_directory_of_nobody_is_told_when_it_is_read():
    assert "No such file or directory" in failure(from_file("~nobody-of-that-name/password"))


@pytest.mark.subprocess
def test_a_command_goes_through_no_shell(tmp_path):
    command = python("import sys; print(sys.argv[1:])", "$HOME", "`id`", ";", ">", tmp_path / "redirected")
    assert from_command(command)() == str(["$HOME", "`id`", ";", ">", str(tmp_path / "redirected")])
    assert not (tmp_path / "redirected").exists()


@pytest.mark.subprocess
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (python("import sys; print(sys.argv[1]); sys.exit(sys.argv[1])", SECRET), "ended with status 1"),
        (python("import os; os.kill(os.getpid(), 9)"), "ended with status -9"),
        (
            f"TOKEN={SECRET} vault read",
            "cannot be started: No such file or directory; it is run without a shell",
        ),
    ],
)
def test_a_failing_command_names_the_setting_and_nothing_else(capfd, command, reason):
    assert failure(from_command(command, ORIGIN)) == (
        f"password_command (.env:3 PROCRASTINATE_CONN_PASSWORD_COMMAND): the command {reason}"
    )
    assert SECRET not in "".join(capfd.readouterr())


@pytest.mark.subprocess
@pytest.mark.parametrize("holds_output", [True, False])
def test_a_command_that_hangs_is_killed_with_all_it_started(tmp_path, monkeypatch, holds_output):
    monkeypatch.setattr(passwords, "COMMAND_TIME_LIMIT", 1.0)
    note = tmp_path / "process"
    output = "None" if holds_output else "subprocess.DEVNULL"
    code = (
        "import subprocess, sys, time\n"
        f"sleeper = subprocess.Popen(['sleep', '600'], stdout={output})\n"
        "open(sys.argv[1], 'w').write(str(sleeper.pid))\n"
        f"{'' if holds_output else 'time.sleep(600)'}"
    )
    assert failure(from_command(python(code, note))) == ("password_command: the command took longer than 1 s")
    wait_until(lambda: not is_running(int(note.read_text())))


@pytest.fixture(params=[subprocesses._select_reader, subprocesses._thread_reader])
def reading(request, monkeypatch) -> None:
    """Read what commands print in each of the two ways, of which Windows has one."""
    monkeypatch.setattr(subprocesses, "_reader", request.param)


@pytest.fixture
def note(tmp_path) -> Iterator[Path]:
    """A file for the number of a process that leaves its command's group; it is ended with the test."""
    note = tmp_path / "process"
    yield note
    os.kill(int(note.read_text()), 9)


LEAVING = 'setsid sleep 600 & echo $! > "$0"; '


@pytest.mark.subprocess
def test_what_was_printed_is_used_while_a_process_that_has_left_holds_the_output(reading, note):
    assert from_command(shlex.join(["sh", "-c", f"{LEAVING} echo password", str(note)]))() == "password"
    assert is_running(int(note.read_text()))


@pytest.mark.subprocess
@pytest.mark.parametrize("then", ["exit 0", "sleep 600", "echo password; sleep 600"])
def test_the_time_limit_holds_where_a_process_that_has_left_holds_the_output(
    reading, note, monkeypatch, then
):
    monkeypatch.setattr(passwords, "COMMAND_TIME_LIMIT", 0.5)
    command = shlex.join(["sh", "-c", f"{LEAVING} {then}", str(note)])
    assert failure(from_command(command)) == "password_command: the command took longer than 0.5 s"
    assert is_running(int(note.read_text()))


@pytest.mark.subprocess
@pytest.mark.parametrize("then", ["exec >&-; sleep 600", "while :; do echo x; sleep 0.01; done"])
def test_the_time_limit_holds_where_output_ends_too_early_or_never(reading, monkeypatch, then):
    monkeypatch.setattr(passwords, "COMMAND_TIME_LIMIT", 0.3)
    assert failure(from_command(shlex.join(["sh", "-c", then]))).endswith("took longer than 0.3 s")


@pytest.mark.subprocess
def test_a_command_that_prints_without_end_is_stopped(reading):
    assert failure(from_command(python("while True: print('x' * 65536)"))).endswith("more than 65536 bytes")


@pytest.mark.subprocess
def test_a_command_that_prints_as_much_as_it_may_is_asked_for_its_status(reading):
    with pytest.raises(subprocesses.CommandFailed, match="ended with status 3"):
        subprocesses.output(["sh", "-c", "printf 0123456789; exit 3"], seconds=10, max_bytes=10)


@pytest.mark.subprocess
def test_a_process_that_has_ended_is_not_killed_as_its_number_may_be_anothers(monkeypatch):
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda process_id, _signal: killed.append(process_id))
    process = subprocess.Popen(["true"])
    process.wait()
    subprocesses._kill(process)
    assert subprocesses.output(["echo", "password"], seconds=10, max_bytes=10) == b"password\n"
    assert killed == []


def is_running(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def counting(tmp_path: Path) -> tuple[passwords.PasswordFunction, Path]:
    """Return a source whose command adds a byte to a file each time, and prints how many there are."""
    runs = tmp_path / "runs"
    code = "import sys; f = open(sys.argv[1], 'ab'); f.write(b'.'); f.flush(); print(f.tell())"
    return from_command(python(code, runs)), runs


@pytest.mark.subprocess
def test_a_command_runs_once_for_many_threads_and_again_when_its_time_is_over(tmp_path, monkeypatch):
    source, runs = counting(tmp_path)
    barrier = threading.Barrier(16)

    def ask() -> str:
        barrier.wait(30)
        return source()

    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask) for _ in range(16)]
        assert {future.result(60) for future in asked} == {"1"}
    assert runs.read_bytes() == b"."

    monkeypatch.setattr(passwords, "COMMAND_CACHED_FOR", 0.0)
    source.read._valid_until = 0.0
    assert [source(), source()] == ["2", "3"]


@pytest.mark.subprocess
def test_all_who_waited_for_a_run_share_its_failure(tmp_path, monkeypatch):
    runs, go_on = tmp_path / "runs", tmp_path / "go on"
    code = 'echo >> "$0"; while [ ! -e "$1" ]; do sleep 0.01; done; exit 3'
    source = from_command(shlex.join(["sh", "-c", code, str(runs), str(go_on)]))
    waiting: list[threading.Lock] = []

    def lock() -> threading.Lock:
        waiting.append(source.read._running)
        return source.read._running

    monkeypatch.setattr(source.read, "_lock", lock)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(failure, source) for _ in range(3)]
        wait_until(lambda: len(waiting) == 3)
        go_on.touch()
        assert {future.result(20) for future in asked} == {
            "password_command: the command ended with status 3"
        }
    assert runs.read_text() == "\n"


@pytest.mark.subprocess
def test_a_command_that_failed_is_run_again_the_next_time(tmp_path):
    file = tmp_path / "password"
    source = from_command(python("import sys; print(open(sys.argv[1]).read())", file))
    assert failure(source).endswith("ended with status 1")
    file.write_text("there")
    assert source() == "there"


@pytest.mark.subprocess
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_while_a_command_runs_does_not_hang_the_child(tmp_path):
    started, go_on = tmp_path / "started", tmp_path / "go on"
    code = (
        "import pathlib, sys, time\n"
        "started, go_on = map(pathlib.Path, sys.argv[1:])\n"
        "started.touch()\n"
        "while not go_on.exists(): time.sleep(0.01)\n"
        "print('password')"
    )
    source = from_command(python(code, started, go_on))
    thread = threading.Thread(target=source)
    thread.start()
    wait_until(started.exists)
    child = os.fork()
    if child == 0:
        go_on.touch()
        os._exit(0 if source() == "password" else 1)
    wait_until(lambda: os.waitpid(child, os.WNOHANG) == (child, 0))
    thread.join(20)


@pytest.mark.parametrize("given", ["text", SecretStr("text")])
def test_a_function_is_called_each_time(given):
    answers = iter([given, "new"])
    source = from_function(lambda: next(answers))
    assert [source(), source()] == ["text", "new"]


async def give_later() -> str:
    return SECRET


def fail() -> str:
    raise LookupError(SECRET)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda: None, "returned a NoneType, not text"),
        (SECRET.encode, "returned a bytes, not text"),
        (lambda: "", "returned an empty password"),
        (lambda: f"{SECRET}\0", "returned text with a NUL character"),
        (lambda: f"{SECRET}\udc80", "returned text that is not UTF-8"),
        (give_later, "returned a coroutine, not text"),
        (fail, f"raised LookupError at test_sources.py:{fail.__code__.co_firstlineno + 1}"),
    ],
)
def test_a_function_that_fails_is_named_and_its_text_is_not(function, reason):
    assert failure(from_function(function, Origin("call", "password"))) == (
        f"password (argument password): the function {reason}"
    )


@pytest.mark.parametrize("function", [give_later, functools.partial(give_later)])
def test_an_async_function_is_refused_when_the_connector_is_built(function):
    with pytest.raises(ConfigurationError) as caught:
        make_connector(password=function, env_file=None)
    [problem] = caught.value.problems
    assert (problem.code, problem.setting) == ("PC107", "password")
    assert problem.hint == "give a plain function: an asynchronous connector calls it in a thread"


@pytest.mark.parametrize("command", ["", "   ", "'open quote"])
def test_a_command_of_no_words_is_refused_when_the_connector_is_built(command):
    with pytest.raises(ConfigurationError) as caught:
        make_connector(password_command=command, env_file=None)
    assert [(problem.code, problem.setting) for problem in caught.value.problems] == [
        ("PC107", "password_command")
    ]
