"""pydantic-settings' sources for Azure and Google: their SDKs against servers on this machine."""

from __future__ import annotations

import functools
import http.server
import json
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import azure.keyvault.secrets
import grpc
import pydantic_settings
import pytest
import trustme
from azure.core.credentials import AccessToken
from google.cloud import secretmanager
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)
from pydantic_settings import SettingsConfigDict

pytest.importorskip("pydantic_settings", minversion="2.14", reason="takes no client of Google's before")

from procrastinate_conn import ConfigurationError, ConnectorSettings

DENIED = None
"""A secret whose value is not for the application."""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test has a working directory of its own, without an env file."""
    monkeypatch.chdir(tmp_path)


def settings(source, *arguments, **options):
    class Jobs(ConnectorSettings):
        model_config = SettingsConfigDict(env_prefix="JOBS_")

        @classmethod
        def settings_customise_sources(cls, settings_cls, **_):
            return (getattr(pydantic_settings, source)(settings_cls, *arguments, **options),)

    return Jobs


class KeyVault(http.server.BaseHTTPRequestHandler):
    """The two requests of Azure's API that read secrets."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        secrets, url = self.server.secrets, f"https://localhost:{self.server.server_port}/secrets"
        name = self.path.partition("?")[0].removeprefix("/secrets").strip("/")
        if not self.headers.get("Authorization"):
            self.answer(401, {})
        elif not name:
            listed = [{"id": f"{url}/{name}", "attributes": {"enabled": True}} for name in secrets]
            self.answer(200, {"value": listed})
        elif secrets[name := name.partition("/")[0]] is DENIED:
            self.answer(403, {"error": {"code": "Forbidden", "message": "hunter2"}})
        else:
            self.answer(200, {"id": f"{url}/{name}/1", "value": secrets[name], "attributes": {}})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        challenge = 'Bearer authorization="https://login.localhost/t", resource="https://vault.localhost"'
        self.send_response(status)
        self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Print nothing."""


class Credential:
    def get_token(self, *_scopes, **_options):
        return AccessToken("hunter2", int(time.time()) + 3600)


@pytest.fixture(scope="module")
def key_vault(tmp_path_factory):
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    file = tmp_path_factory.mktemp("azure") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    with http.server.ThreadingHTTPServer(("localhost", 0), KeyVault) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.authority = str(file)
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def azure_settings(key_vault, monkeypatch):
    def read(port=key_vault.server_port, **secrets):
        key_vault.secrets = {name.replace("_", "-"): text for name, text in secrets.items()}
        source = "AzureKeyVaultSettingsSource"
        return settings(source, f"https://localhost:{port}", Credential(), dash_to_underscore=True)()

    # A vault under Azure's domain, certified by an authority that everyone has, and no waiting.
    client = functools.partial(
        azure.keyvault.secrets.SecretClient,
        verify_challenge_resource=False,
        connection_verify=key_vault.authority,
        retry_total=0,
    )
    monkeypatch.setattr(azure.keyvault.secrets, "SecretClient", client)
    return read


@pytest.fixture(scope="module")
def secret_manager():
    secrets = {}

    def list_secrets(request, _context):
        names = [f"{request.parent}/secrets/{name}" for name in secrets]
        return secretmanager.ListSecretsResponse(secrets=[secretmanager.Secret(name=name) for name in names])

    def access(request, context):
        name = request.name.split("/")[3]
        if name not in secrets:
            context.abort(grpc.StatusCode.NOT_FOUND, "hunter2")
        if secrets[name] is DENIED:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "hunter2")
        return secretmanager.AccessSecretVersionResponse(payload={"data": secrets[name].encode()})

    def handler(method, request, response):
        return grpc.unary_unary_rpc_method_handler(method, request.deserialize, response.serialize)

    methods = {
        "ListSecrets": handler(
            list_secrets, secretmanager.ListSecretsRequest, secretmanager.ListSecretsResponse
        ),
        "AccessSecretVersion": handler(
            access, secretmanager.AccessSecretVersionRequest, secretmanager.AccessSecretVersionResponse
        ),
    }
    server = grpc.server(ThreadPoolExecutor(1))
    service = "google.cloud.secretmanager.v1.SecretManagerService"
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, methods)])
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield port, secrets
    server.stop(None)


@pytest.fixture
def google_settings(secret_manager):
    open_port, stored = secret_manager

    def read(port=open_port, case_sensitive=True, **secrets):
        stored.clear()
        stored.update(secrets)
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            transport = SecretManagerServiceGrpcTransport(channel=channel)
            client = secretmanager.SecretManagerServiceClient(transport=transport)
            options = {"project_id": "shop", "secret_client": client, "case_sensitive": case_sensitive}
            return settings("GoogleSecretManagerSettingsSource", **options)()

    return read


def problem_of(read, **arguments):
    with pytest.raises(ConfigurationError) as caught:
        read(**arguments)
    [problem] = (problem for problem in caught.value.problems if problem.severity == "error")
    assert "hunter2" not in f"{caught.value!r} {caught.value}"
    return problem


def test_secret_of_azure_has_its_class_and_name_as_origin(azure_settings):
    built = azure_settings(jobs_dsn="host=db1", jobs_pool__max_size="7", jobs_connection__connect_timeout="5")
    origins = built.spec().origins
    assert (built.spec().host, built.pool.max_size, built.spec().parameters["connect_timeout"]) == (
        "db1", 7, "5",
    )  # fmt: skip
    assert (origins["host"].source, origins["host"].name) == ("AzureKeyVaultSettingsSource", "jobs-dsn")
    assert origins["connect_timeout"].name == "jobs-connection--connect-timeout"


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [
        ("jobs_dns", "PC101", "did you mean JOBS-DSN?"),
        ("jobs_pool_max_size", "PC101", "did you mean JOBS-POOL--MAX-SIZE?"),
        ("jobs_pool__max_szie", "PC301", "did you mean max_size?"),
    ],
)
def test_misspelt_secret_of_azure_is_a_problem_with_dashes_in_its_hint(azure_settings, name, code, hint):
    problem = problem_of(azure_settings, **{name: "hunter2"})
    assert (problem.code, problem.hint) == (code, hint)
    assert problem.origin.name == name.replace("_", "-")


def test_other_secrets_of_a_shared_vault_are_none_of_ours(azure_settings):
    assert azure_settings(jobs_dsn="host=db1", jobs_mail_host="x", debug="1").spec().host == "db1"


def test_secret_that_google_has_is_read_with_its_origin(google_settings):
    built = google_settings(JOBS_dsn="host=db1", JOBS_pool__max_size="7")
    origin = built.spec().origins["host"]
    assert (built.spec().host, built.pool.max_size) == ("db1", 7)
    assert (origin.source, origin.name) == ("GoogleSecretManagerSettingsSource", "JOBS_dsn")


@pytest.mark.parametrize(
    ("name", "case_sensitive", "hint"),
    [("JOBS_dns", True, "did you mean JOBS_dsn?"), ("JOBS_DNS", False, "did you mean JOBS_DSN?")],
)
def test_misspelt_secret_of_google_is_one_problem(google_settings, name, case_sensitive, hint):
    problem = problem_of(google_settings, case_sensitive=case_sensitive, **{name: "hunter2"})
    assert (problem.code, problem.hint, problem.origin.name) == ("PC101", hint, name)


def test_secret_that_the_application_is_denied_is_a_problem(azure_settings, google_settings):
    azure_problem = problem_of(azure_settings, jobs_dsn=DENIED)
    assert (azure_problem.code, azure_problem.origin.source) == ("PC116", "AzureKeyVaultSettingsSource")
    assert "HttpResponseError" in azure_problem.message
    google_problem = problem_of(google_settings, JOBS_dsn=DENIED)
    assert (google_problem.code, google_problem.origin.name) == ("PC116", "JOBS_dsn")


def test_absent_secret_counts_as_not_set(azure_settings, google_settings):
    assert azure_settings(jobs_connection__host="db1").dsn is None
    assert google_settings(JOBS_connection__host="db1").dsn is None


def test_vault_that_cannot_be_reached_is_one_problem(azure_settings, google_settings):
    azure_problem = problem_of(azure_settings, port=1)
    assert (azure_problem.code, azure_problem.origin.source) == ("PC116", "AzureKeyVaultSettingsSource")
    google_problem = problem_of(google_settings, port=1, case_sensitive=False)
    assert (google_problem.code, google_problem.origin.source) == (
        "PC116", "GoogleSecretManagerSettingsSource",
    )  # fmt: skip
    assert "ServiceUnavailable" in google_problem.message
