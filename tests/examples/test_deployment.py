"""The container examples, without the containers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import procrastinate
import pytest
import yaml

from procrastinate_conn import make_connector
from procrastinate_conn.demo.postgres import EmbeddedPostgres, free_port
from tests.checks.running import run
from tests.examples.running import EXAMPLES, Example
from tests.servers import wait_until

MANIFESTS = list(yaml.safe_load_all((EXAMPLES / "secrets_directory" / "deployment.yaml").read_text()))
MOUNTED = re.compile(r"/run/secrets|/etc/jobs")
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
    return mounted("worker", server, secrets)


def mounted(name: str, server: EmbeddedPostgres, secrets: Path) -> tuple[list[str], dict[str, str]]:
    container = container_of(name)
    (secrets / "procrastinate_conn_dsn").write_text("postgresql://app@db1/jobs")
    (secrets / "password").write_text(f"{server.password}\n")
    return container["command"], {variable["name"]: variable["value"] for variable in container["env"]}


def container_of(name: str) -> dict[str, Any]:
    """Return the container of a Deployment."""
    [found] = [manifest for manifest in MANIFESTS if manifest["metadata"]["name"] == name]
    [container] = found["spec"]["template"]["spec"]["containers"]
    return container


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["metadata"]["name"])
@pytest.mark.parametrize("version", ["1.27", "1.33"])
def test_manifest_is_valid(manifest, version):
    kubernetes_validate.validate(manifest, version, strict=True)


def test_secrets_are_not_mounted_over_the_directory_of_the_service_account():
    """Pods crash if they are (kubernetes#65835)."""
    for name in ("worker", "web"):
        [mount] = container_of(name)["volumeMounts"]
        assert not "/run/secrets/kubernetes.io".startswith(mount["mountPath"].removeprefix("/var"))


@pytest.mark.subprocess
def test_volume_that_everybody_can_read_gets_advice_for_kubernetes(tmp_path):
    (tmp_path / "..data").mkdir()
    (tmp_path / "password").write_text("hush")
    (tmp_path / "password").chmod(0o644)
    settings = "PROCRASTINATE_CONN_DSN=postgresql://app@db1/jobs\nPROCRASTINATE_CONN_PASSWORD_FILE="
    (tmp_path / ".env").write_text(f"{settings}{tmp_path}/password\n")
    assert "= set defaultMode: 0400 in the volume" in run(tmp_path, "check", "--select", "PC506").stdout


def test_probes_tell_a_server_that_is_down_from_a_process_that_is_stuck(own_server, tmp_path):
    """While the server is down the web process is not ready, and nothing is restarted."""
    secrets, alive = tmp_path / "secrets", tmp_path / "alive"
    secrets.mkdir()
    worker, environment = mounted("worker", own_server, secrets)
    web, web_environment = mounted("web", own_server, secrets)
    (secrets / "procrastinate_conn_dsn").write_text(own_server.dsn("jobs"))
    for script in ("worker.py", "web.py"):
        shutil.copy(EXAMPLES / "secrets_directory" / script, tmp_path)

    def command(words: list[str], variables: dict[str, str], *more: str) -> str:
        given = [f"{name}={MOUNTED.sub(str(secrets), value)}" for name, value in variables.items()]
        return " ".join([*given, *(MOUNTED.sub(str(secrets), word) for word in words), *more])

    def passes(probe: str) -> bool:
        words = container_of("worker")[probe]["exec"]["command"]
        done = subprocess.run([word.replace("/tmp/alive", str(alive)) for word in words], check=False)
        return done.returncode == 0

    port = free_port()
    web = [word.replace("8000", str(port)) for word in web]
    copied = Example(tmp_path, [])
    assert not passes("startupProbe")
    with (
        copied.running(command(worker, environment, str(alive))),
        copied.running(command(web, web_environment)),
    ):
        wait_until(lambda: passes("startupProbe"), 60)
        wait_until(lambda: answer(port, "/live") == (200, "alive"), 60)
        assert answer(port, "/ready") == (200, "ready")
        own_server.stop()
        status, reason = answer(port, "/ready")
        assert status == 503
        assert "couldn't get a connection after 2.00 sec" in reason
        assert answer(port, "/live") == (200, "alive")
        assert passes("livenessProbe")
        own_server.start()
        wait_until(lambda: answer(port, "/ready") == (200, "ready"), 60)
    os.utime(alive, (0, 0))
    assert not passes("livenessProbe")


def answer(port: int, path: str) -> tuple[int, str]:
    """Return the status and the text of an answer; 0 if there is none yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


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
    with Example(tmp_path, []).running(" ".join([*variables, *words, str(tmp_path / "alive")])) as worker:
        worker.wait_for(f"Hello, {mount.__name__}!\n")


def localized(text: str, server: EmbeddedPostgres, secrets: Path) -> str:
    """Replace the example's directory and address by those of the test."""
    address = f"{server.user}@{server.host}:{server.port}"
    return MOUNTED.sub(str(secrets), text).replace("app@db1", address)
