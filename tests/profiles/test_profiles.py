"""The profiles in ``settings/`` pass ``check``, have a reason for every line, and connect."""

from __future__ import annotations

import json
import os
import re
from itertools import pairwise
from pathlib import Path

import procrastinate
import pytest
from dotenv import dotenv_values

from procrastinate_conn import ConnectorKind, make_connector
from procrastinate_conn.demo.postgres import SERVER_USER, EmbeddedPostgres
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.registry import REGISTRY
from tests.checks.running import run
from tests.servers import KINDS

SETTINGS = Path(__file__).parents[2] / "settings"
PROFILES = sorted(SETTINGS.glob("*.env"))

of_each_profile = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.stem)


@pytest.mark.subprocess
@pytest.mark.parametrize("kind", KINDS)
def test_check_finds_only_what_the_profile_accepts(kind: ConnectorKind, tmp_path: Path) -> None:
    files = map(str, PROFILES)
    done = run(tmp_path, "check", *files, "--isolated", "--connector", kind, "--format", "json")
    found = {
        result["file"]: {p["code"] for p in result["problems"]}
        for result in json.loads(done.stdout)["configurations"]
    }
    for profile in PROFILES:
        accepted = {*re.findall(r"--ignore (PC\d+)", profile.read_text())}
        if unsupported_keywords(profile, kind):
            accepted.add("PC404")
        assert found[str(profile)] <= accepted, profile.name


def unsupported_keywords(profile: Path, kind: ConnectorKind) -> set[str]:
    """Return the keywords in a profile that the driver of a kind cannot honour."""
    keywords = {name.rpartition("__")[2].lower() for name in dotenv_values(profile)}
    return keywords & REGISTRY[kind].unsupported_keywords.keys()


@of_each_profile
def test_every_setting_has_a_comment_above_it(profile: Path) -> None:
    lines = profile.read_text().splitlines()
    for above, line in pairwise(["", *lines]):
        if line and not line.startswith("#"):
            assert above, f"there is no comment before {line}"


@of_each_profile
def test_profile_is_in_the_table_of_the_readme(profile: Path) -> None:
    assert f"[{profile.name}]({profile.name})" in (SETTINGS / "README.md").read_text()


@of_each_profile
def test_profile_contains_no_secret(profile: Path) -> None:
    for name, value in dotenv_values(profile).items():
        assert not is_secret(name.rpartition("__")[2].lower())
        assert ":" not in (value or "").partition("://")[2].partition("@")[0]


@of_each_profile
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.skipif(os.name == "nt", reason="there are no Unix sockets")
def test_profile_connects_to_the_server_of_the_test(
    profile: Path, kind: ConnectorKind, server: EmbeddedPostgres, database: str, tmp_path: Path
) -> None:
    """Connect without TLS, which the server does not support and other tests cover."""
    if unsupported_keywords(profile, kind):
        pytest.skip("the driver cannot honour the profile, as check says")
    address = server.parameters(database, unix_socket=profile.stem == "local-socket")
    overrides = {"sslmode": "disable", "requirepeer": "", "require_auth": ""}
    if profile.stem == "local-socket" and server.directory.owner() == SERVER_USER:
        overrides["requirepeer"] = SERVER_USER
    (tmp_path / "password").write_text("not requested")
    password = {"password_file": tmp_path / "password"} if "PASSWORD_FILE=/" in profile.read_text() else {}
    connector = make_connector(kind, env_file=profile, connection={**address, **overrides}, **password)
    with procrastinate.App(connector=connector).open() as app:
        assert app.check_connection()
