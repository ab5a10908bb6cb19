"""pydantic-settings' cloud sources against local fakes, and its ways to run a command line."""

from __future__ import annotations

import json

import boto3
import pytest
from moto import mock_aws

pytest.importorskip("pydantic_settings", minversion="2.10", reason="has no source for AWS before")
from pydantic_settings import (
    AWSSecretsManagerSettingsSource,
    BaseSettings,
    CliApp,
    SettingsConfigDict,
)

from procrastinate_conn import ConfigurationError, ConnectorSettings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test has a working directory of its own, and credentials that are none."""
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")


class FromAws(ConnectorSettings):
    model_config = SettingsConfigDict(env_prefix="JOBS_")

    @classmethod
    def settings_customise_sources(cls, settings_cls, **_):
        return (AWSSecretsManagerSettingsSource(settings_cls, "jobs", region_name="eu-west-1"),)


def read_from_aws(**secrets):
    with mock_aws():
        client = boto3.client("secretsmanager", region_name="eu-west-1")
        client.create_secret(Name="jobs", SecretString=json.dumps(secrets))
        return FromAws()


def test_secret_of_aws_has_its_class_and_key_as_origin():
    built = read_from_aws(**{"JOBS_dsn": "host=db1 password=hush", "JOBS_pool--max_size": "7"})
    origin = built.spec().origins["host"]
    assert (built.spec().host, built.pool.max_size) == ("db1", 7)
    assert (origin.source, origin.name) == ("AWSSecretsManagerSettingsSource", "JOBS_dsn")


def test_misspelt_secret_of_aws_is_a_problem_without_its_value():
    with pytest.raises(ConfigurationError) as caught:
        read_from_aws(JOBS_dns="host=db1 password=hunter2")
    [problem] = caught.value.problems
    assert (problem.code, problem.hint) == ("PC101", "did you mean JOBS_dsn?")
    assert problem.origin.source == "AWSSecretsManagerSettingsSource"
    assert "hunter2" not in str(caught.value)


def test_secret_that_aws_does_not_have_is_a_problem_of_its_source():
    with mock_aws(), pytest.raises(ConfigurationError) as caught:
        FromAws()
    [problem] = (problem for problem in caught.value.problems if problem.severity == "error")
    assert (problem.code, problem.origin.source) == ("PC116", "AWSSecretsManagerSettingsSource")


class Jobs(ConnectorSettings):
    model_config = SettingsConfigDict(env_prefix="JOBS_")


def test_cli_app_runs_the_settings(monkeypatch):
    monkeypatch.setenv("JOBS_POOL__MAX_SIZE", "7")
    built = CliApp.run(Jobs, cli_args=["--dsn", "host=db1"])
    assert (built.spec().host, built.pool.max_size) == ("db1", 7)
    assert str(built.spec().origins["host"]) == "--dsn"


def test_cli_app_reports_a_mistake_in_an_argument():
    with pytest.raises(ConfigurationError, match=r"--dsn.*PC205"):
        CliApp.run(Jobs, cli_args=["--dsn", "host=db1 sslmode=requre"])


def test_command_line_of_an_application_reaches_its_nested_settings():
    class Application(BaseSettings):
        queue: ConnectorSettings

    built = CliApp.run(Application, cli_args=["--queue.dsn", "host=db1"])
    assert built.queue.spec().host == "db1"
