"""The examples with a web server, tested over HTTP."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from urllib.error import HTTPError

import pytest
from django.core.exceptions import ImproperlyConfigured

from procrastinate_conn import ConnectorSettings
from procrastinate_conn.demo.postgres import EmbeddedPostgres, free_port
from procrastinate_conn.django import database
from tests.checks.running import run
from tests.examples.running import Example, request
from tests.installed import needs
from tests.servers import Observer, wait_until

LISTENING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%%'"
)
Copy = Callable[[str], Example]

STORED = "SELECT ARRAY[(SELECT count(*) FROM orders), (SELECT count(*) FROM procrastinate_jobs)]"
"""The number of orders and that of jobs."""


def test_asynchronous_worker_works_jobs_of_a_synchronous_web_server(example: Copy) -> None:
    pair = example("web_and_worker")
    schema, serve, work = pair.commands
    pair.run(schema)
    port = free_port()
    with pair.running(serve.replace("8000", str(port))), pair.running(work) as worker:
        wait_until(lambda: answers(port, "/ada@example.com", b""), 60)
        worker.wait_for("subscribed ada@example.com\n")


def test_fastapi_defers_and_works_jobs_in_one_process(example: Copy) -> None:
    application = example("fastapi_app")
    schema, serve, work = application.commands
    application.run(schema)
    port = free_port()
    with application.running(f"{serve} --port {port}") as web:
        web.wait_for("Uvicorn running on")  # only then is the port open
        for number in range(1, 4):
            assert json.loads(request(f"{port}/reports/no-{number}", b"")) == {"job": number}
        for number in range(1, 4):
            wait_until(lambda n=number: json.loads(request(f"{port}/jobs/{n}")) == {"status": "succeeded"})
    assert web.process.returncode in (0, -2), web.output.read_text()  # uvicorn ends with its signal
    printed = web.output.read_text()
    assert all(f"rendered no-{number}\n" in printed for number in range(1, 4))
    assert "Traceback" not in printed

    application.run("python -c 'from tasks import app, render; app.open(); render.defer(report=\"late\")'")
    with application.running(work) as worker:
        worker.wait_for("rendered late\n")


def test_flask_defers_on_the_engine_of_the_application(example: Copy, server: EmbeddedPostgres) -> None:
    needs("procrastinate>=3.8")  # older ones ignore connection=
    application = example("flask_app")
    schema, serve, work = application.commands
    application.run(schema)
    database = (application.folder / ".env").read_text().strip().rpartition("/")[2]
    port = free_port()
    with application.running(f"{serve} --port {port}") as web:
        web.wait_for("Running on")
        with pytest.raises(HTTPError, match="400"):
            request(f"{port}/orders", b"item=book&amount=0")
        assert json.loads(request(f"{port}/orders", b"item=book")) == {"order": 2, "job": 2}
        ours = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'procrastinate'"
        )
        observer = Observer(server, database)
        assert observer.one(ours) == 0, "there is a pool in addition to the engine's"
        assert observer.one(STORED) == [1, 1]
        with application.running(work) as worker:
            worker.wait_for("receipt for order 2\n")
            assert observer.one(ours) > 0
        observer.connection.close()


def test_fastapi_stores_order_and_job_in_one_transaction(example: Copy, server: EmbeddedPostgres) -> None:
    needs("procrastinate>=3.8")  # older ones ignore connection=
    application = example("fastapi_sqlalchemy")
    schema, serve, work = application.commands
    application.run(schema)
    database = (application.folder / ".env").read_text().strip().rpartition("/")[2]
    port = free_port()
    with application.running(f"{serve} --port {port}") as web:
        web.wait_for("Uvicorn running on")
        with pytest.raises(HTTPError, match="400"):
            request(f"{port}/orders/nothing", b"")
        assert json.loads(request(f"{port}/orders/book", b"")) == {"order": 2, "job": 2}
        observer = Observer(server, database)
        assert observer.one(STORED) == [1, 1]
        observer.connection.close()
        with application.running(work) as worker:
            worker.wait_for("receipt for order 2\n")


def test_django_and_the_worker_use_the_same_settings(
    example: Copy, server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = example("django_project")
    migrate, serve, work, test = project.commands
    project.run(migrate)
    project.run(test)
    port = free_port()
    with project.running(serve.replace("8000", str(port))) as web:
        web.wait_for("Quit the server with")
        assert json.loads(request(f"{port}/orders/book")) == {"job": 1}
        with project.running(f"PROCRASTINATE_CONN_LISTEN=off {work}") as worker:
            worker.wait_for("receipt for book\n")
            observer = Observer(server, database_of(project))
            assert observer.one(LISTENING) == 0, "the worker has a connector of procrastinate's own"
            observer.connection.close()
    monkeypatch.setenv("PATH", f"{server.binaries}{os.pathsep}{os.environ['PATH']}")
    shown = project.run("python manage.py dbshell -- -Atc 'SELECT current_database()'")
    assert shown.strip() == database_of(project)


def test_django_gets_the_password_apart_from_its_options():
    settings = ConnectorSettings(
        _env_file=None, dsn="postgresql://app:hunter2@db1:1,db2:2/jobs?sslmode=require"
    )
    entry = database(settings)
    assert {name: entry[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")} == {
        "NAME": "jobs",
        "USER": "app",
        "PASSWORD": "hunter2",
        "HOST": "db1,db2",
        "PORT": "1,2",
    }
    assert entry["OPTIONS"]["sslmode"] == "require"
    assert not {"dbname", "user", "password", "host", "port"} & entry["OPTIONS"].keys()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"password_command": "echo hush"}, "password_command (argument password_command) is read for each"),
        (
            {"password": lambda: "hush"},
            "password (argument password) is read for each connection, and Django",
        ),
        (
            {"connection": {"client_encoding": "latin1"}},
            "Django always uses client_encoding=UTF8",
        ),
    ],
)
def test_setting_that_django_cannot_have_is_refused(settings, message):
    with pytest.raises(ImproperlyConfigured, match=re.escape(message)):
        database(ConnectorSettings(_env_file=None, **settings))


def test_django_gets_a_password_of_its_own_and_no_default_of_libpq():
    settings = ConnectorSettings(
        _env_file=None, password_command="echo hush", connection={"sslmode": "allow"}, defaults="libpq"
    )
    entry = database(settings, password="of django")
    assert (entry["PASSWORD"], entry["OPTIONS"]) == ("of django", {"sslmode": "allow"})


SEVERAL_DATABASES = """
import sys
import procrastinate
from django.conf import settings
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate_conn import ConnectorSettings
from procrastinate_conn.django import database, use_connector

jobs = ConnectorSettings(_env_file=None, connector="aiopg", dsn="postgresql://app@db1/jobs")
shop = database(ConnectorSettings(_env_file=None, dsn="postgresql://app@db2/shop"))
databases = {"default": shop, "jobs": database(jobs) | {"NAME": "test_jobs"}}
settings.configure(DATABASES=databases, PROCRASTINATE_CONN=jobs if sys.argv[1:] else "JOBS_")
app = procrastinate.App(connector=DjangoConnector("jobs"))
use_connector(app)
config = app.connector.get_worker_connector().config
print(config.kind, config.spec.host, config.spec.dbname)
"""


@pytest.mark.subprocess
def test_worker_uses_the_database_of_its_alias_as_django_names_it(tmp_path):
    done = run(tmp_path, "settings", script=SEVERAL_DATABASES)
    assert done.stdout == "aiopg db1 test_jobs\n", done.stderr
    refused = run(tmp_path, script=SEVERAL_DATABASES).stderr
    assert "PROCRASTINATE_CONN is of type str, and has to be an instance of ConnectorSettings" in refused


def database_of(example: Example) -> str:
    return (example.folder / ".env").read_text().strip().rpartition("/")[2]


def answers(port: int, path: str, data: bytes | None = None) -> bool:
    """Return whether a server accepts a request; it may not listen yet."""
    try:
        request(f"{port}{path}", data)
    except OSError:
        return False
    return True
