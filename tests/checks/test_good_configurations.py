"""What public documentation tells to set has no finding on which its author would not act."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.checks.running import SECRET, run

FOLDER = Path(__file__).parent
FILES = FOLDER / "corpus" / "in-order-client-certificate"
CONFIGURATIONS = [
    configuration
    for file in sorted((FOLDER / "configurations").glob("*.toml"))
    for configuration in tomllib.loads(file.read_text("utf-8"))["configuration"]
]


@pytest.mark.subprocess
@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda configuration: configuration["of"])
def test_documented_configuration_has_no_finding_but_those_acted_on(
    configuration: dict[str, Any], tmp_path: Path
) -> None:
    texts = dict(configuration.get("files", {}))
    if "env" in configuration:
        texts[".env"] = configuration["env"]
    texts |= dict.fromkeys(configuration.get("certificates", ()), (FILES / "client.pem").read_text())
    texts |= dict.fromkeys(configuration.get("keys", ()), (FILES / "client.key").read_text())
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    environment = dict(configuration.get("environment", {}))
    for program in configuration.get("programs", ()):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o700)
        environment["PATH"] = f"{tmp_path}:/usr/bin:/bin"
    done = run(
        tmp_path,
        *("check", "--strict", "--format", "json", *configuration.get("arguments", ())),
        environment=environment,
    )
    [checked] = json.loads(done.stdout)["configurations"]
    found = [(problem["code"], problem["message"]) for problem in checked["problems"]]
    assert [code for code, _ in found] == configuration.get("acted_on", []), found
    assert SECRET not in done.stdout


def test_fifty_configurations_are_checked() -> None:
    assert len(CONFIGURATIONS) >= 50
    assert all(configuration["source"].startswith("https://") for configuration in CONFIGURATIONS)
