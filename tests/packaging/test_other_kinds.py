"""Packages whose kinds of connector cannot be used: each is named, and breaks nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from procrastinate.exceptions import AlreadyEnqueued

from procrastinate_conn import ConfigurationError, entry_points, make_connector
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.registry import ConnectorKind, installed_kinds, unusable_kinds
from tests.checks.running import run
from tests.servers import Observer, app

GOOD = """
from procrastinate_conn import POOL_OPTIONS, ConnectorInfo

KIND = ConnectorInfo(
    interface=1,
    implementation="{module}:Connector",
    drivers=("psycopg",),
    asynchronous=False,
    resolves_hosts=True,
    pool_options=POOL_OPTIONS,
)
"""

SYNC_KIND = Path(__file__).with_name("sync_kind.py").read_text()

BROKEN = {
    "no-import": ("import a_driver_that_is_missing", "there is no module a_driver_that_is_missing"),
    "no-version": (GOOD.replace("interface=1,", ""), "states no version of the interface"),
    "newer": (
        GOOD.replace("interface=1", "interface=99"),
        "is written for version 99 of the interface, and the installed one is 1",
    ),
    "no-kind": ("KIND = 'a kind'", "is of type str, which is no ConnectorInfo"),
    "raises": ("\nraise RuntimeError('a secret')", "ended with RuntimeError at {site}/kind_raises.py:2"),
    "calls": (
        f"{GOOD}\nimport json; json.loads('')",
        "ended with JSONDecodeError at {site}/kind_calls.py:13",
    ),
    "no-syntax": ("\n\n(", "ended with SyntaxError at {site}/kind_no_syntax.py:3"),
    "no-field": (GOOD.replace("drivers", "driver"), "ended with TypeError at {site}/kind_no_field.py:4"),
    "exits": ("raise SystemExit(0)", "importing kind_exits ended with SystemExit"),
    "no-attribute": ("", "kind_no_attribute has no such attribute"),
    "a name": (GOOD, "cannot be chosen: a name has letters, digits and hyphens"),
    "wrong-option": (
        GOOD.replace("=POOL_OPTIONS", "={**POOL_OPTIONS, 'min_szie': POOL_OPTIONS['min_size']}"),
        "has a ConnectorInfo with pool options that do not exist: min_szie",
    ),
    "no-path": (GOOD.replace(":Connector", ""), "whose implementation is not package.module:class"),
    "no-module": (GOOD.replace('("psycopg",)', '("",)'), "whose drivers are not all names of modules"),
    "psycopg": (GOOD, "procrastinate-conn has a connector of that name itself"),
    "aiopgconnector": (GOOD, "procrastinate-conn has a connector of that name itself"),
}
"""By name: the module of a kind, and why it cannot be used."""

for number, (right, wrong, field) in enumerate(
    (
        ("interface=1", "interface='one'", "interface: Input should be a valid integer"),
        ("'{module}:Connector'", "None", "implementation: Input should be a valid string"),
        ("('psycopg',)", "'psycopg'", "drivers: Input should be a valid tuple"),
        ("False", "'no way'", "asynchronous: Input should be a valid boolean"),
        ("True", "None", "resolves_hosts: Input should be a valid boolean"),
        ("=POOL_OPTIONS", "=tuple(POOL_OPTIONS)", "pool_options: Input should be a valid"),
        ("=POOL_OPTIONS", "={'name': ('exac', '')}", "pool_options.name.0: Input should be 'exact'"),
        ("drivers", "unsupported_keywords=['sslmode'], drivers", "unsupported_keywords: Input should be a"),
        ("drivers", "aliases='one', drivers", "aliases: Input should be a valid tuple"),
        ("drivers", "size_by_hand='many', drivers", "size_by_hand: Input should be a valid integer"),
        ("drivers", "extra=None, drivers", "extra: Input should be a valid string"),
    )
):
    source = GOOD.replace('"', "'").replace(right, wrong)
    BROKEN[f"wrong-{number}"] = (source, f"has a ConnectorInfo with an invalid {field}")

NO_CLASS = {
    "no-class": (GOOD, "kind_no_class has no such attribute"),
    "no-connector": (
        GOOD.replace("{module}:Connector", "collections:OrderedDict"),
        "is collections:OrderedDict, which is no subclass of SyncConnector",
    ),
    "no-send": (
        f"{GOOD}\nfrom procrastinate_conn.connectors.interface import SyncConnector as Connector",
        "which does not implement send",
    ),
    "no-async": (
        SYNC_KIND.replace("asynchronous=False", "asynchronous=True"),
        "which is no subclass of AsyncConnector",
    ),
    "no-factory": (
        SYNC_KIND.replace("    connection_factory", "    factory"),
        "whose connection_factory is no subclass of SyncConnectionFactory",
    ),
    "no-ping": (
        SYNC_KIND.replace("def ping", "def pong"),
        "whose connection_factory does not implement ping",
    ),
}
"""The same for those that can be listed, but not built."""


def package_of(name: str) -> str:
    return f"broken-{name}".replace(" ", "-")


def install(site: Path, name: str, source: str, package: str) -> None:
    """Install a package with a kind, as pip does, and its module."""
    module = f"kind_{name}".replace("-", "_").replace(" ", "_")
    (site / f"{module}.py").write_text(source.replace("{module}", module))
    info = site / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{entry_points.GROUP}]\n{name} = {module}:KIND\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a directory with all of them, from which modules are imported."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name, (source, _) in {**BROKEN, **NO_CLASS}.items():
        install(folder, name, source, package_of(name))
    install(folder, "twice", GOOD, "first")
    install(folder, "twice", GOOD, "second")
    monkeypatch.syspath_prepend(str(folder))
    entry_points.forget()
    yield folder
    entry_points.forget()


def test_unusable_kind_names_its_package_and_breaks_no_other(site: Path) -> None:
    found = {error.name: str(error) for error in unusable_kinds()}
    expected = {
        **{name: (f"{package_of(name)} 1.0", reason) for name, (_, reason) in BROKEN.items()},
        "twice": ("first 1.0 and second 1.0", "is ambiguous"),
    }
    assert set(found) == set(expected)
    for name, (package, reason) in expected.items():
        assert found[name].startswith(f"the connector {name} of {package} ")
        assert reason.format(site=site) in found[name]
        assert "a secret" not in found[name]
    assert installed_kinds() == (*ConnectorKind, *sorted(NO_CLASS))
    assert all(ConnectorKind(kind) is kind for kind in installed_kinds())
    assert type(make_connector("psycopg", env_file=None)).__name__ == "PsycopgConnector"


@pytest.mark.parametrize("name", [name for name in BROKEN if not name.endswith(("psycopg", "connector"))])
def test_make_connector_says_why_kind_is_unusable(name: str, site: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_connector(name, env_file=None)
    problem = next(problem for problem in caught.value.problems if problem.severity == "error")
    assert (problem.code, problem.origin.source) == ("PC405", "call")
    assert f"{package_of(name)} 1.0" in problem.message
    assert BROKEN[name][1].format(site=site) in problem.message
    assert "pip " in problem.hint
    assert problem.hint.startswith("install the module a_driver_that_is_missing, or ") == (
        name == "no-import"
    )


@pytest.mark.parametrize("name", NO_CLASS)
def test_make_connector_says_why_class_of_kind_is_unusable(name: str, site: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"PC405 the connector {name} of .*{NO_CLASS[name][1]}"):
        make_connector(name, env_file=None)


@pytest.mark.subprocess
def test_check_and_connectors_report_unusable_kinds(site: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PROCRASTINATE_CONN_DSN=postgresql:///jobs\n")
    done = run(tmp_path, "check", "--format", "json", import_first=[site])
    problems = json.loads(done.stdout)["configurations"][0]["problems"]
    assert (done.returncode, {problem["code"] for problem in problems}) == (0, {"PC406"})
    assert len(problems) == len(BROKEN) + 1

    listed = json.loads(run(tmp_path, "connectors", "--format", "json", import_first=[site]).stdout)
    assert {kind["kind"] for kind in listed["connectors"] if kind["usable"]} >= set(ConnectorKind)
    assert len(listed["unusable"]) == len(BROKEN) + 1
    assert "broken-newer 1.0" in run(tmp_path, "check", "--connector", "newer", import_first=[site]).stderr


@pytest.mark.subprocess
def test_show_does_not_replace_unusable_connector_by_default(site: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PROCRASTINATE_CONN_CONNECTOR=newer\nDATABASE_URL=postgresql:///jobs\n")
    shown = run(tmp_path, "show", import_first=[site]).stdout.partition("PC40")[0]
    assert re.search(r"^ connector +newer +\.env:1 ", shown, re.MULTILINE)
    assert "psycopg" not in shown


def test_built_in_kind_reads_no_entry_points(site: Path) -> None:
    for name in ("aiopg", "PsycopgConnector"):
        make_connector(name, env_file=None)
    assert entry_points._by_name.cache_info().misses == 0


def test_missing_driver_within_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "dotted", GOOD.replace('"psycopg"', '"nowhere.driver"'), "dotted-kind")
    monkeypatch.syspath_prepend(str(tmp_path))
    entry_points.forget()
    with pytest.raises(ConfigurationError, match=r"PC401 the dotted connector needs nowhere\.driver"):
        make_connector("dotted", env_file=None)
    entry_points.forget()


def test_synchronous_kind_defers_and_survives_terminated_backends(
    server: EmbeddedPostgres, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "small", SYNC_KIND, "small-kind")
    monkeypatch.syspath_prepend(str(tmp_path))
    entry_points.forget()
    observer = Observer(server, database)
    pool = {"min_size": 1, "max_size": 1}
    jobs = app(make_connector("small", connection=server.parameters(database), pool=pool, env_file=None))
    task = jobs.tasks["work"].configure(queueing_lock="once")
    with jobs.open():
        task.defer(argument={"b": [1, None]})
        assert observer.terminate() == 1
        with pytest.raises(AlreadyEnqueued):
            task.defer(argument="twice")
        assert observer.jobs() == [{"b": [1, None]}]
    observer.connection.close()
    entry_points.forget()
