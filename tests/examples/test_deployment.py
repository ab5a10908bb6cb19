"""The container examples, without the containers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import procrastinate
import pytest
import yaml

from procrastinate_conn import make_connector
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.examples.running import EXAMPLES, Example

MOUNTED = "/run/secrets"
Mount = Callable[[EmbeddedPostgres, Path], tuple[list[str], dict[str, str]]]


def compose(server: EmbeddedPostgres, secrets: Path) -> tuple[list[str], dict[str, str]]:
    """Mount the secrets like Docker; return the container's command and environment."""
    service = yaml.safe_load((EXAMPLES / "secrets_directory" / "compose.yaml").read_text())["services"][
        "worker"
    ]
    [name] = service["secrets"]
    (secrets / name).write_text(f"{server.password}\n")
    return service["command"], service["environment"]


def deployment(server: EmbeddedPostgres, secrets: Path) -> tuple[list[str], dict[str, str]]:
    """Mount the secrets like Kubernetes; return the container's command and environment."""
    text = (EXAMPLES / "secrets_directory" / "deployment.yaml").read_text()
    [container] = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == [MOUNTED]
    assert "--from-literal=procrastinate_conn_dsn=postgresql://app@db1/jobs --from-file=password" in text
    (secrets / "procrastinate_conn_dsn").write_text("postgresql://app@db1/jobs")
    (secrets / "password").write_text(f"{server.password}\n")
    return container["command"], {variable["name"]: variable["value"] for variable in container["env"]}


@pytest.mark.parametrize("mount", [compose, deployment])
def test_worker_reads_its_connection_from_the_secrets_directory(
    mount, scram_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    command, environment = mount(scram_server, secrets)
    shutil.copy(EXAMPLES / "secrets_directory" / "worker.py", tmp_path)
    for file in secrets.glob("*_dsn"):
        file.write_text(localized(file.read_text(), scram_server, secrets))
    variables = [f"{name}={localized(value, scram_server, secrets)}" for name, value in environment.items()]
    words = [localized(word, scram_server, secrets) for word in command]

    connector = make_connector("sync-psycopg", env_file=None, connection=scram_server.parameters("jobs"))
    with procrastinate.App(connector=connector).open() as app:
        app.configure_task("greet").defer(name=mount.__name__)
    with Example(tmp_path, []).running(" ".join([*variables, *words])) as worker:
        worker.wait_for(f"Hello, {mount.__name__}!\n")


def localized(text: str, server: EmbeddedPostgres, secrets: Path) -> str:
    """Replace the example's directory and address by those of the test."""
    address = f"{server.user}@{server.host}:{server.port}"
    return text.replace(MOUNTED, str(secrets)).replace("app@db1", address)
