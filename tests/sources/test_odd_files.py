"""A file that cannot be looked at, or whose name is none, is a finding or nothing, and never an exception."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from procrastinate_conn.configuration import configure
from procrastinate_conn.connection.password_file import password_line
from procrastinate_conn.sources import read_sources
from tests.resolution.other_user import as_unknown_user


@pytest.mark.parametrize("name", ["a\0b", "~a\0b", "~no-such-user/x", "n" * 300])
@pytest.mark.parametrize("sources", [(None, "."), (".", None)], ids=["secrets_dir", "env_file"])
def test_impossible_file_name_is_a_problem(sources, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = configure(read_sources({}, *(source and name for source in sources))).problems
    assert [problem.code for problem in found] in (["PC103"], ["PC105"])


@pytest.mark.subprocess
def test_files_in_an_inaccessible_home_are_ignored(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / ".pgpass").write_text("*:*:*:*:hush\n")
    (home / ".pgpass").chmod(0o600)
    monkeypatch.setenv("HOME", str(home))

    def ask():
        configuration = configure(read_sources({"connection": {"user": "app"}}, None, str(home / "secrets")))
        return [[p.code for p in configuration.problems], password_line(configuration.spec)]

    assert as_unknown_user(ask) == [["PC103"], None]


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="there is no /dev/null")
def test_dev_null_as_password_file_is_valid(written):
    written.variables(PGPASSFILE=os.devnull)
    assert not written.read().problems


def test_ignored_password_file_has_the_hint_for_its_reason(written):
    file = written.file(".pgpass", "*:*:*:*:hush")
    file.chmod(0o644)
    [problem] = written.read().problems
    assert problem.hint == f"chmod 0600 {file}"
    file.unlink()
    file.mkdir()
    [problem] = written.read().problems
    assert problem.hint == "name a plain file"


def test_missing_service_file_is_reported_at_pgservicefile(written):
    written.env_file("PGSERVICE=jobs", "PGSERVICEFILE=no-such-file")
    [problem] = written.read().errors
    assert (problem.code, problem.origin.name, problem.origin.line) == ("PC207", "PGSERVICEFILE", 2)
    assert "name a file that exists" in problem.hint
