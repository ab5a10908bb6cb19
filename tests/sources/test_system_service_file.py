"""The service file in the directory that was compiled into libpq, which only libpq knows."""

from __future__ import annotations

import ctypes.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.subprocess

COMPILED_IN = b"/etc/postgresql-common\0"
"""Where Debian's libpq, and the ones in the wheels of psycopg, look."""

RESOLVE = """
import json, sys
from procrastinate_conn import ConnectorSettings
settings = ConnectorSettings(_env_file=".env", defaults="libpq", connection=json.loads(sys.argv[1]))
spec = settings.spec()
print(json.dumps([dict(spec.parameters), {k: str(v) for k, v in spec.origins.items()}, spec.conninfo()]))
"""


@pytest.fixture
def systems_directory(tmp_path):
    """A short directory for the system's service file."""
    directory = Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def resolve(tmp_path, systems_directory):
    """Resolve in a process whose libpq has another directory compiled in."""
    library = system_libpq()
    content = library.read_bytes()
    if COMPILED_IN not in content:
        pytest.skip("the system's libpq has another directory compiled in than Debian's")
    source = bytes(systems_directory).ljust(len(COMPILED_IN), b"\0")
    (tmp_path / "libpq.so.5").write_bytes(content.replace(COMPILED_IN, source))

    def run(connection, dotenv="", **variables):
        (tmp_path / ".env").write_text(dotenv)
        done = subprocess.run(
            [sys.executable, "-c", RESOLVE, json.dumps(connection)],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "PSYCOPG_IMPL": "python",
                "LD_LIBRARY_PATH": str(tmp_path),
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    return run


def system_libpq() -> Path:
    name = ctypes.util.find_library("pq")
    found = [Path(d) / name for d in (*map(str, Path("/usr/lib").glob("*-linux-gnu")), "/usr/lib64") if name]
    for library in found:
        if library.exists():
            return library
    pytest.skip("there is no libpq of the system's here")


def test_service_of_the_system_is_read_by_libpq(resolve, systems_directory):
    service = "[jobs]\nhost=/service\nport=5432\nuser=service\npassword=hush\nsslmode=require\npassfile=/p\n"
    (systems_directory / "pg_service.conf").write_text(service)
    dotenv = "PGHOST=/dotenv\nPGDATABASE=dotenv\nPGPORT=1\nPGTARGETSESSIONATTRS=standby\n"
    parameters, origins, conninfo = resolve(
        {"service": "jobs", "user": "call"}, dotenv, PGAPPNAME="environment"
    )
    found = {
        k: parameters.get(k) for k in ("host", "port", "user", "password", "sslmode", "passfile", "dbname")
    }
    assert found == {
        "host": "/service",
        "port": "5432",  # also libpq's default, but the service sets it, and overrides the env file's
        "user": "call",
        "password": "hush",
        "sslmode": "require",
        "passfile": "/p",
        "dbname": "dotenv",
    }
    assert parameters["application_name"] == "environment"
    assert parameters["target_session_attrs"] == "standby"
    assert origins["host"] == "[jobs]"
    assert "service=" not in conninfo


def test_fault_in_the_systems_service_file_is_reported_in_libpqs_words(resolve, systems_directory):
    (systems_directory / "pg_service.conf").write_text("[jobs]\nhots=/x\n")
    message = resolve({"service": "jobs"})
    assert f'syntax error in service file "{systems_directory}/pg_service.conf", line 2' in message


def test_undefined_service_is_an_error(resolve):
    assert 'definition of service "jobs" not found' in resolve({}, PGSERVICE="jobs")
