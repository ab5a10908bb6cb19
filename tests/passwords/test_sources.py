"""Password sources: the password that each returns, how it fails, and that it never shows what it read."""

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
    """Return the error of a source, after a search for the secret in everything that could be logged."""
    with pytest.raises(PasswordUnavailable) as caught:
        source()
    error = caught.value
    with_locals = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert SECRET not in "".join(with_locals.format())
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
def test_file_and_command_return_the_same_password(tmp_path, content, password):
    file = tmp_path / "password"
    file.write_bytes(content.encode())
    printing = python("import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read())", file)
    assert from_file(file)() == from_command(printing)() == password


def test_password_file_that_may_be_a_password_is_not_shown(tmp_path, monkeypatch):
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
def test_invalid_password_is_rejected_and_not_shown(tmp_path, content, reason):
    file = tmp_path / "password"
    file.write_bytes(content)
    assert failure(from_file(file)) == f"password_file: {file} cannot be used: {reason}"
    printing = python("import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read())", file)
    assert failure(from_command(printing, ORIGIN)) == (
        "password_command (.env:3 PROCRASTINATE_CONN_PASSWORD_COMMAND): the command printed what cannot be"
        f" used: {reason}"
    )


def test_relative_file_is_read_each_time_from_the_original_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("password").write_text("old")
    read = from_file("password")
    assert read() == "old"
    monkeypatch.chdir("/")
    (tmp_path / "new").write_text("new")
    (tmp_path / "new").replace(tmp_path / "password")
    assert read() == "new"


def test_link_is_followed_each_time_as_kubernetes_swaps_it(tmp_path):
    link = tmp_path / "password"
    for version in ("old", "new"):
        (tmp_path / version).write_text(version)
        (tmp_path / "next").symlink_to(tmp_path / version)
        (tmp_path / "next").replace(link)
        assert from_file(link)() == version


@pytest.mark.parametrize("what", ["missing", "directory", "fifo", "device", "nul"])
def test_unusable_file_is_rejected_without_blocking(tmp_path, what):
    path = tmp_path / what
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)  # without a writer, opening it would block for ever
    path, reason = {
        "missing": (path, "No such file or directory"),
        "directory": (path, "Is a directory"),
        "fifo": (path, "it is not a plain file"),
        "device": ("/dev/zero", "it is not a plain file"),
        "nul": ("/a/b\0c", "embedded null byte"),
    }[what]
    shown = "its file" if what == "nul" else path
    assert failure(from_file(path, ORIGIN)).endswith(f"{shown} cannot be used: {reason}")


def test_unknown_home_directory_fails_when_it_is_read():
    assert "No such file or directory" in failure(from_file("~nobody-of-that-name/password"))


@pytest.mark.subprocess
def test_command_runs_without_a_shell(tmp_path):
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
def test_failing_command_is_reported_by_its_setting_alone(capfd, command, reason):
    assert failure(from_command(command, ORIGIN)) == (
        f"password_command (.env:3 PROCRASTINATE_CONN_PASSWORD_COMMAND): the command {reason}"
    )
    assert SECRET not in "".join(capfd.readouterr())


@pytest.mark.subprocess
def test_open_quote_in_a_command_has_its_hint_also_before_a_line_break():
    with pytest.raises(ConfigurationError) as caught:
        make_connector(env_file=None, dsn="host=db1", password_command="echo 'x\n")
    assert caught.value.problems[0].hint == "close every quote, and end it with no backslash"


@pytest.mark.parametrize("holds_output", [True, False])
def test_hanging_command_is_killed_with_its_child_processes(tmp_path, monkeypatch, holds_output):
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
def reader(request, monkeypatch) -> None:
    """Use each of the two readers of output, one of which is for Windows."""
    monkeypatch.setattr(subprocesses, "_reader", request.param)


@pytest.fixture
def note(tmp_path) -> Iterator[Path]:
    """A file for the PID of a process outside of its command's process group; it is killed at the end."""
    note = tmp_path / "process"
    yield note
    os.kill(int(note.read_text()), 9)


DAEMON = 'setsid sleep 600 & echo $! > "$0"; '


@pytest.mark.subprocess
def test_output_is_used_while_a_daemon_holds_it_open(reader, note):
    assert from_command(shlex.join(["sh", "-c", f"{DAEMON} echo password", str(note)]))() == "password"
    assert is_running(int(note.read_text()))


@pytest.mark.subprocess
@pytest.mark.parametrize("then", ["exit 0", "sleep 600", "echo password; sleep 600"])
def test_time_limit_holds_while_a_daemon_holds_the_output_open(reader, note, monkeypatch, then):
    monkeypatch.setattr(passwords, "COMMAND_TIME_LIMIT", 0.5)
    command = shlex.join(["sh", "-c", f"{DAEMON} {then}", str(note)])
    assert failure(from_command(command)) == "password_command: the command took longer than 0.5 s"
    assert is_running(int(note.read_text()))


@pytest.mark.subprocess
@pytest.mark.parametrize("then", ["exec >&-; sleep 600", "while :; do echo x; sleep 0.01; done"])
def test_time_limit_holds_if_output_ends_early_or_never(reader, monkeypatch, then):
    monkeypatch.setattr(passwords, "COMMAND_TIME_LIMIT", 0.3)
    assert failure(from_command(shlex.join(["sh", "-c", then]))).endswith("took longer than 0.3 s")


@pytest.mark.subprocess
def test_command_with_endless_output_is_killed(reader):
    assert failure(from_command(python("while True: print('x' * 65536)"))).endswith("more than 65536 bytes")


@pytest.mark.subprocess
def test_exit_status_counts_at_exactly_max_bytes_of_output(reader):
    with pytest.raises(subprocesses.CommandFailed, match="ended with status 3"):
        subprocesses.output(["sh", "-c", "printf 0123456789; exit 3"], seconds=10, max_bytes=10)


@pytest.mark.subprocess
def test_reaped_process_is_not_killed(monkeypatch):
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
    """Return a source whose command adds a byte to a file each time, and prints the size of the file."""
    runs = tmp_path / "runs"
    code = "import sys; f = open(sys.argv[1], 'ab'); f.write(b'.'); f.flush(); print(f.tell())"
    return from_command(python(code, runs)), runs


@pytest.mark.subprocess
def test_command_runs_once_for_concurrent_threads_and_again_after_its_cache_expires(tmp_path, monkeypatch):
    source, runs = counting(tmp_path)
    now = 1.0
    monkeypatch.setattr(passwords, "monotonic", lambda: now)
    barrier = threading.Barrier(16)

    def read() -> str:
        barrier.wait(30)
        return source()

    with ThreadPoolExecutor(16) as pool:
        reads = [pool.submit(read) for _ in range(16)]
        assert {future.result(60) for future in reads} == {"1"}
    assert runs.read_bytes() == b"."

    now += passwords.COMMAND_CACHED_FOR - 0.1
    assert source() == "1"
    now += 0.1
    assert [source(), source()] == ["2", "2"]


@pytest.mark.subprocess
def test_threads_that_waited_for_a_run_share_its_failure(tmp_path, monkeypatch):
    runs, proceed = tmp_path / "runs", tmp_path / "proceed"
    code = 'echo >> "$0"; while [ ! -e "$1" ]; do sleep 0.01; done; exit 3'
    source = from_command(shlex.join(["sh", "-c", code, str(runs), str(proceed)]))
    waiting: list[threading.Lock] = []

    def lock() -> threading.Lock:
        waiting.append(source._running)
        return source._running

    monkeypatch.setattr(source, "_lock", lock)
    with ThreadPoolExecutor(3) as pool:
        reads = [pool.submit(failure, source) for _ in range(3)]
        wait_until(lambda: len(waiting) == 3)
        proceed.touch()
        assert {future.result(20) for future in reads} == {
            "password_command: the command ended with status 3"
        }
    assert runs.read_text() == "\n"


@pytest.mark.subprocess
def test_failed_command_is_run_again_on_the_next_call(tmp_path):
    file = tmp_path / "password"
    source = from_command(python("import sys; print(open(sys.argv[1]).read())", file))
    assert failure(source).endswith("ended with status 1")
    file.write_text("there")
    assert source() == "there"


@pytest.mark.subprocess
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_while_a_command_runs_does_not_block_the_child(tmp_path):
    started, proceed = tmp_path / "started", tmp_path / "proceed"
    code = (
        "import pathlib, sys, time\n"
        "started, proceed = map(pathlib.Path, sys.argv[1:])\n"
        "started.touch()\n"
        "while not proceed.exists(): time.sleep(0.01)\n"
        "print('password')"
    )
    source = from_command(python(code, started, proceed))
    thread = threading.Thread(target=source)
    thread.start()
    wait_until(started.exists)
    child = os.fork()
    if child == 0:
        proceed.touch()
        os._exit(0 if source() == "password" else 1)
    wait_until(lambda: os.waitpid(child, os.WNOHANG) == (child, 0))
    thread.join(20)


@pytest.mark.parametrize("given", ["text", SecretStr("text")])
def test_function_is_called_each_time(given):
    passwords_in_turn = iter([given, "new"])
    source = from_function(lambda: next(passwords_in_turn))
    assert [source(), source()] == ["text", "new"]


async def later() -> str:
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
        (later, "returned a coroutine, not text"),
        (fail, f"raised LookupError at test_sources.py:{fail.__code__.co_firstlineno + 1}"),
    ],
)
def test_failing_function_is_reported_without_its_text(function, reason):
    assert failure(from_function(function, Origin("call", "password"))) == (
        f"password (argument password): the function {reason}"
    )


@pytest.mark.parametrize("function", [later, functools.partial(later)])
def test_async_function_is_rejected_when_the_connector_is_built(function):
    with pytest.raises(ConfigurationError) as caught:
        make_connector(password=function, env_file=None)
    [problem] = caught.value.problems
    assert (problem.code, problem.setting) == ("PC107", "password")
    assert problem.hint == "give a plain function: an asynchronous connector calls it in a thread"


@pytest.mark.parametrize("command", ["", "   ", "'open quote"])
def test_command_without_words_is_rejected_when_the_connector_is_built(command):
    with pytest.raises(ConfigurationError) as caught:
        make_connector(password_command=command, env_file=None)
    assert [(problem.code, problem.setting) for problem in caught.value.problems] == [
        ("PC107", "password_command")
    ]
