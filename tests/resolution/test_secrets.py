"""No piece of a password is in anything that is shown, however badly it is written."""

from __future__ import annotations

import os
import pickle
import traceback

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from procrastinate_conn import ConfigurationError, ConnectorSettings, libpq, make_connector
from tests.resolution.oracle import environment

MARK = "hunter"
"""Every piece of the passwords below is made of these, whole, so that any piece that shows is found."""

BETWEEN = st.sampled_from(
    ["@", ":", "/", "?", "#", "&", "=", "%", " ", "'", "\\", ",", "[", "]", "://", "%20", "\n"]
)
PASSWORDS = st.lists(BETWEEN, min_size=0, max_size=4).map(lambda seps: MARK + "".join(s + MARK for s in seps))

TEMPLATES = (
    "postgresql://app:{}@db1:5432/jobs?sslmode=require",
    "postgresql://app:1{}@db1/jobs",
    "postgresql+psycopg://app:{}@db1,db2:1/jobs",
    "postgresql:///jobs?password={}&user=app",
    "host=db1 password={} user=app",
    "host=db1 password='{}' user=app",
    "password={}",
    "mysql://app:{}@db1/jobs",
)

thoroughly = settings(
    max_examples=int(os.environ.get("FUZZ_CASES", "200")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)


def everything_shown(variables, **arguments):
    """Return all that a user, a log or a traceback would show."""
    with environment({"HOME": "/nowhere", **variables}):
        try:
            settings_ = ConnectorSettings(_env_file=None, **arguments)
        except ConfigurationError as error:
            problems = error.problems
            yield "".join(traceback.format_exception(error))
        else:
            problems = settings_.configuration.problems
            spec = settings_.spec()
            yield from (repr(spec), str(spec), str(spec.redacted()), spec.model_dump_json())
            yield from (repr(spec.origins), repr(settings_), settings_.model_dump_json())
            yield repr(settings_.configuration)
    for problem in problems:
        yield from (str(problem), repr(problem))


@thoroughly
@given(
    password=PASSWORDS,
    template=st.sampled_from(TEMPLATES),
    name=st.sampled_from(["PROCRASTINATE_CONN_DSN", "DATABASE_URL"]),
    address=st.sampled_from([{}, {"PGHOSTADDR": "127.0.0.1"}]),
)
@example("hunter?hunter@hunter", "postgresql://app:{}@db1:5432/jobs?sslmode=require", "DATABASE_URL", {})
def test_malformed_dsn_shows_no_piece_of_its_password(password, template, name, address):
    for shown in everything_shown({name: template.format(password), **address}):
        assert MARK not in shown


@pytest.mark.parametrize(
    ("variables", "arguments"),
    [
        ({"PGPASSWORD": MARK}, {}),
        ({"PROCRASTINATE_CONN_CONNECTION__PASSWORD": MARK}, {}),
        ({"PROCRASTINATE_CONN_CONNECTION": f'{{"password": "{MARK}"}}'}, {}),
        ({"PROCRASTINATE_CONN_CONNECTION": f'{{"password": "{MARK}"'}, {}),
        ({}, {"password": MARK}),
        ({}, {"password": SecretStr(MARK)}),
        ({}, {"connection": {"password": SecretStr(MARK), "sslpassword": MARK}}),
        ({}, {"connection": {"oauth_client_secret": MARK, "scram_client_key": MARK}}),
        ({}, {"connection": {"password": [MARK]}}),
        ({}, {"connection": {"password": MARK + "\0"}}),
        ({}, {"connection": {"password": MARK + "\udcff"}}),
        ({}, {"dsn": SecretStr(f"postgresql://:{MARK}@/")}),
        ({}, {"connection": f"password={MARK}"}),
        ({}, {"connection": {"host": f"postgresql://u:{MARK}@h/d"}}),
        ({"PGHOST": f"postgresql://u:{MARK}@h/d"}, {"connection": {"host": "h"}}),
        ({"PGSERVICE": f"postgresql://u:{MARK}@h/d"}, {}),
        ({"PROCRASTINATE_CONN_DSN": f"host=h;password={MARK}"}, {}),
        ({"PROCRASTINATE_CONN_CONNECTION__SSLMODE": f"require;password={MARK}"}, {}),
        ({"PROCRASTINATE_CONN_CONNECTOR": f"postgresql://u:{MARK}@h/d"}, {"connector": "aiopg"}),
        ({"PROCRASTINATE_CONN_DEFAULTS": f"postgresql://u:{MARK}@h/d"}, {}),
        ({"PROCRASTINATE_CONN_POOL__NAME": f"postgresql://u:{MARK}@h/d"}, {"pool": {"name": "web"}}),
    ],
)
def test_password_is_shown_nowhere(variables, arguments):
    for shown in everything_shown(variables, **arguments):
        assert MARK not in shown


def copied(**arguments):
    ConnectorSettings(_env_file=None).model_copy(update=arguments)


@pytest.mark.parametrize("make", [make_connector, ConnectorSettings, copied])
@pytest.mark.parametrize(
    "arguments",
    [
        {"pool": {"kwargs": {"password": MARK}}},
        {"pool": {"conninfo": f"postgresql://u:{MARK}@h/d"}},
        {"password_file": f"{MARK}/x"},
        {"json_dumps": f"postgresql://u:{MARK}@h/d"},
        {"dsn": f"postgresql://u:{MARK}@h/d"},
        {"connection": {"password": MARK}},
        {"password": MARK},
        {"password_command": f"echo {MARK}"},
    ],
    ids=str,
)
def test_no_frame_of_ours_has_a_secret_after_an_error(make, arguments):
    """Sentry and rich show the local variables of every frame."""
    with environment({}), pytest.raises(ConfigurationError) as caught:
        make(**{"pool": {"min_szie": 1}, **arguments})
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    held = [frame.locals for frame in shown.stack if frame.filename != __file__]
    assert held
    assert MARK not in str(held)


def test_password_is_in_clear_only_for_libpq():
    with environment({}):
        spec = ConnectorSettings(_env_file=None, dsn=f"postgresql://:{MARK}@/").spec()
    assert spec.parameters["password"] == MARK
    assert MARK in spec.conninfo()
    assert spec.password == SecretStr(MARK)


def test_password_file_is_not_read_into_the_spec(written):
    written.file(".pgpass", f"*:*:*:*:{MARK}").chmod(0o600)
    spec = written.read().spec
    assert MARK.encode() not in pickle.dumps(spec)
    assert spec.password is None


@pytest.mark.parametrize(
    "dsn",
    ["host=h password=x y", "host=h password=xx y z", "host=h password=a =y", 'host=h password=a y"="y'],
)
def test_text_that_libpq_quotes_is_not_shown(dsn):
    with pytest.raises(libpq.InvalidConninfo) as caught:
        libpq.parse(dsn)
    assert '"y' not in str(caught.value)
    assert 'y"' not in str(caught.value)
