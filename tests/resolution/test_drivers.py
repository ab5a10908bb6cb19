"""Every spec that is accepted is accepted by the chosen driver; what is not is found without connecting."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import psycopg
import psycopg2
import pytest
from hypothesis import HealthCheck, assume, given, settings
from psycopg.conninfo import conninfo_attempts, conninfo_to_dict, make_conninfo, timeout_from_conninfo

from procrastinate_conn import ConnectorKind, drivers, libpq
from procrastinate_conn.configuration import configure
from procrastinate_conn.registry import REGISTRY, SERVER_KINDS
from procrastinate_conn.sources import read_sources
from tests.installed import unmet
from tests.resolution import cases
from tests.resolution.oracle import HARMLESS, environment

KINDS = SERVER_KINDS
ON_PSYCOPG2 = [kind for kind in KINDS if REGISTRY[kind].uses_psycopg2]
NEWER = [k for k in libpq.keywords() if k not in drivers.keywords(ConnectorKind.PSYCOPG2)]

ACCEPTABLE = {"oauth_scope": "jobs", "sslnegotiation": "postgres", "require_auth": "md5"}
"""A value for a keyword that came with each libpq, the newest first."""

thoroughly = settings(
    max_examples=int(os.environ.get("FUZZ_CASES", "100")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)


def accepted(kind, connection):
    with environment({"HOME": "/nowhere"}):
        configuration = configure(read_sources({"connector": kind, "connection": connection}, None, None))
    assume(not configuration.errors)
    return configuration.spec


@thoroughly
@given(connection=cases.parameters())
def test_psycopg_accepts_every_spec(connection):
    spec = accepted("psycopg", connection)
    parameters = conninfo_to_dict(spec.conninfo())
    assert timeout_from_conninfo(parameters) > 0
    harmless = {k: ",".join(map(HARMLESS[k], parameters[k].split(","))) for k in HARMLESS}
    for attempt in conninfo_attempts({**parameters, **harmless}):
        nowhere = {**attempt, "host": libpq.UNREACHABLE_HOST, "hostaddr": ""}
        if nowhere["gssencmode"] == "require":
            nowhere["gssencmode"] = "prefer"
        with pytest.raises(psycopg.OperationalError, match=libpq.UNREACHABLE_HOST):
            psycopg.connect(make_conninfo("", **nowhere)).close()


@thoroughly
@given(connection=cases.parameters())
def test_psycopg2_accepts_every_spec(connection):
    spec = accepted("psycopg2", connection)
    parameters = conninfo_to_dict(spec.conninfo(drivers.keywords(ConnectorKind.PSYCOPG2)))
    nowhere = {**parameters, "host": libpq.UNREACHABLE_HOST, "hostaddr": "", "port": ""}
    if nowhere["gssencmode"] == "require":
        nowhere["gssencmode"] = "prefer"
    with pytest.raises(psycopg2.OperationalError, match=libpq.UNREACHABLE_HOST):
        psycopg2.connect(make_conninfo("", **nowhere)).close()


@pytest.mark.skipif(not NEWER, reason="psycopg2's libpq knows every keyword of psycopg's")
@pytest.mark.parametrize("kind", KINDS)
def test_keyword_unknown_to_the_drivers_libpq_is_an_error_with_both_versions(kind, written):
    keyword = next(keyword for keyword in ACCEPTABLE if keyword in NEWER)
    written.env_file("", f"PROCRASTINATE_CONN_DSN=postgresql:///jobs?{keyword}={ACCEPTABLE[keyword]}")
    written.call.update(connector=kind)
    found = [p for p in written.read().errors if p.code == "PC402"]
    if kind not in ON_PSYCOPG2:
        assert not found
        return
    [problem] = found
    assert problem.setting == f"connection.{keyword}"
    assert problem.origin.line == 2
    for version in (libpq.version(), psycopg2.__libpq_version__):
        assert f"libpq {version // 10000} " in problem.message


@pytest.mark.skipif(libpq.version() < 180000 or psycopg2.__libpq_version__ >= 180000, reason="other versions")
@pytest.mark.parametrize("kind", KINDS)
def test_value_that_the_drivers_libpq_rejects_is_an_error_with_both_versions(kind, written):
    written.call.update(connector=kind)
    written.variables(PGREQUIREAUTH="oauth")
    found = [p for p in written.read().errors if p.code == "PC404"]
    if "require_auth" in REGISTRY[kind].unsupported_keywords:
        assert [p.message for p in found] == [
            f"{kind} cannot carry out 'oauth' for require_auth, and would ignore it"
        ]
        return
    if kind not in ON_PSYCOPG2:
        assert not found
        return
    [problem] = found
    assert problem.setting == "connection.require_auth"
    assert problem.origin.name == "PGREQUIREAUTH"
    assert "libpq 17 of psycopg2" in problem.message
    assert "libpq 18 of psycopg" in problem.message


ABSTRACT = "@procrastinate-conn-test"


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
@pytest.mark.parametrize("kind", KINDS)
def test_abstract_socket_is_rejected_if_psycopg_would_resolve_it(kind, written):
    written.call.update(connector=kind, connection={"host": ABSTRACT})
    problems = written.read().errors
    assert [p.code for p in problems] == ([] if kind.endswith("psycopg2") else ["PC404"])


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_psycopg_still_resolves_abstract_sockets():
    """When this fails, psycopg has learnt to connect to them, and the rule can go."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{ABSTRACT[1:]}/.s.PGSQL.5432")
        server.listen()
        reason = "Name or service not known" if unmet(["psycopg>=3.3"]) else "failed to resolve host"
        with pytest.raises(psycopg.OperationalError, match=reason):
            psycopg.connect(f"host={ABSTRACT}")


def test_keyword_of_a_newer_psycopg2_is_unset_in_its_conninfo():
    """psycopg may run on an older libpq than psycopg2, which then reads variables that psycopg's does not."""
    known = drivers.keywords(ConnectorKind.PSYCOPG2)
    with environment({}):
        spec = configure(read_sources({"connector": "psycopg2"}, None, None)).spec
    parameters = psycopg2.extensions.parse_dsn(spec.conninfo())
    assert {k for k in libpq.UNSET_VALUES if k in known} <= parameters.keys()
    assert parameters.keys() <= known


IMPORTS = """
import json, sys
from procrastinate_conn import ConnectorSettings
settings = ConnectorSettings(_env_file=None, dsn="postgresql://app:hush@db1/jobs")
settings.spec().conninfo()
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.subprocess
def test_resolving_imports_no_driver_that_the_kind_does_not_need(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    unneeded = {"psycopg2", "aiopg", "sqlalchemy", "procrastinate.contrib", "typer", "rich"}
    assert not unneeded & set(json.loads(done.stdout))
