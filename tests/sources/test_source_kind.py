"""A source of a new kind, which no other module knows, is checked like the others."""

from __future__ import annotations

import os

import pytest

from procrastinate_conn.checks.runner import CheckTarget, check_configuration
from procrastinate_conn.cli.formats.text import excerpt
from procrastinate_conn.configuration import configure
from procrastinate_conn.origins import SOURCE_KINDS, Origin, SourcedValue, SourceKind
from procrastinate_conn.problems import Problem
from procrastinate_conn.sources.arguments import read_call
from procrastinate_conn.sources.base import Source
from procrastinate_conn.sources.variables import read_environment


def toml_source(file):
    """Read a file with one line, as a source for TOML would."""
    setting, _, value = file.read_text().strip().partition(" = ")
    origin = Origin("TomlConfigSettingsSource", setting, str(file), 1)
    path = tuple(setting.split("."))
    return Source(SourceKind(origin.source), {path: SourcedValue(value.strip('"'), origin)})


def found(sources):
    """Check sources, by precedence."""
    return check_configuration(CheckTarget(), configure(sources)).problems


@pytest.fixture
def toml(tmp_path):
    file = tmp_path / "queue.toml"
    file.write_text('connection.password = "hush"\n')
    return file


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
@pytest.mark.parametrize(
    "line", ['dsn = "postgresql://app:hush@localhost/jobs"', 'connection.password = "hush"']
)
@pytest.mark.parametrize(("mode", "codes"), [(0o644, ["PC506"]), (0o600, [])])
def test_password_in_a_readable_file_of_a_new_kind_is_found(line, mode, codes, toml):
    toml.write_text(f"{line}\n")
    toml.chmod(mode)
    assert [problem.code for problem in found([toml_source(toml)])] == codes


@pytest.mark.parametrize(
    "higher",
    [
        read_call({"connection": {"password": "other"}}),
        read_environment({"PROCRASTINATE_CONN_CONNECTION__PASSWORD": "other"}),
    ],
    ids=["call", "environment"],
)
def test_overridden_value_of_a_new_kind_is_no_finding(higher, toml):
    toml.chmod(0o600)
    assert not found([higher, toml_source(toml)])


def test_line_of_a_new_kind_is_not_shown_before_its_secrets_can_be_masked(toml):
    origin = toml_source(toml).settings["connection", "password"].origin
    assert excerpt(Problem("PC506", "warning", "connection.password", "", origin=origin)) is None


@pytest.mark.parametrize("name", SOURCE_KINDS)
def test_origin_has_the_kind_of_its_source(name):
    assert Origin(name).kind is SOURCE_KINDS[name]
    assert Origin(name).kind.name == name
