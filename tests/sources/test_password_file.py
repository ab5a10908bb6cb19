"""The password file: the line that libpq takes the password from, and why it takes none."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from procrastinate_conn import libpq
from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connection.password_file import password_line
from tests.resolution.oracle import BROADCAST, Inputs, ask_libpq, ask_spec

FIELDS = st.sampled_from(
    [
        *(
            "*",
            "*",
            "*",
            "localhost",
            "/nowhere",
            BROADCAST,
            "db.example",
            "5432",
            "5433",
            "jobs",
            "a\\:b",
            "a:b",
            "::1",
        ),
        *("\\*", "**", "", "\\jobs", "jobs\\", "a\\\\b", "é", libpq.default_host()),
    ]
)
NAMES = st.sampled_from(["jobs", "a:b", "a\\b", "*", "é", "**"])
LINES = st.one_of(
    st.tuples(FIELDS, FIELDS, FIELDS, FIELDS).map(":".join),
    st.sampled_from(["# *:*:*:*", "", " *:*:*:*", "*:*:*"]),
)
HOSTS = st.sampled_from(
    [
        "",
        "/nowhere",
        BROADCAST,
        "localhost",
        "db.example",
        "::1",
        f"/nowhere,{BROADCAST}",
        libpq.default_host(),
    ]
)


@settings(
    max_examples=int(os.environ.get("FUZZ_CASES", "200")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(
    lines=st.lists(LINES, max_size=5),
    ending=st.sampled_from(["\n", "\r\n", "\r\r\n"]),
    keywords=st.fixed_dictionaries(
        {"user": NAMES, "dbname": NAMES},
        optional={"host": HOSTS, "port": st.sampled_from(["5432", "5433", "+5432", ""])},
    ),
    hostaddr=st.booleans(),
)
def test_line_of_the_password_file_is_the_one_that_libpq_uses(lines, ending, keywords, hostaddr, home):
    looked_up = keywords.get("host") in ("localhost", "db.example", "::1")
    if looked_up or (hostaddr and "," not in keywords.get("host", "")):
        keywords = {**keywords, "hostaddr": BROADCAST}
    written = "".join(f"{line}:line{number}{ending}" for number, line in enumerate(lines, start=1))
    inputs = Inputs(keywords=keywords, password_file=written.encode())
    password = ask_libpq(inputs, home).password
    spec = ask_spec(inputs, home).spec
    origin = password_line(spec, hosts(spec.parameters)[-1])  # libpq shows that of the last one it tried
    # A line with more colons has another password than `line1`, which the test's lines never begin with.
    assert (origin is None) == (password == "")
    if password.startswith("line"):
        assert password == f"line{origin.line}"


FOUND = {
    "an address with colons": ({"host": "::1", "hostaddr": BROADCAST}, "::1:5432:d:u:line1"),
    "escaped colons": ({"host": "::1", "hostaddr": BROADCAST}, r"\:\:1:5432:d:u:line1"),
    "a database with a colon": ({"hostaddr": BROADCAST, "dbname": "a:b"}, f"{BROADCAST}:5432:a:b:u:line1"),
    "the socket directory beside an address": (
        {"host": libpq.default_host(), "hostaddr": BROADCAST},
        "localhost:*:*:*:line1",
    ),
    "not the socket directory's own name": (
        {"host": libpq.default_host(), "hostaddr": BROADCAST},
        f"{libpq.default_host()}:*:*:*:line1",
    ),
}


@pytest.mark.parametrize(("keywords", "line"), FOUND.values(), ids=FOUND)
def test_colon_in_a_field_needs_no_backslash_for_libpq(keywords, line, home):
    inputs = Inputs(keywords={"user": "u", "dbname": "d", **keywords}, password_file=f"{line}\n".encode())
    spec = ask_spec(inputs, home).spec
    assert (password_line(spec) is not None) == (ask_libpq(inputs, home).password == "line1")


REASONS = {
    "readable by others": (lambda file: file.chmod(0o640), "permissions 0640 are too open"),
    "a directory": (lambda file: (file.unlink(), file.mkdir(mode=0o700)), "not a plain file"),
}


@pytest.mark.parametrize(("spoil", "reason"), REASONS.values(), ids=REASONS)
def test_password_file_that_libpq_ignores_is_a_warning(spoil, reason, written):
    file = written.file(".pgpass", "*:*:*:*:hush")
    file.chmod(0o600)
    assert not written.read().problems
    spoil(file)
    configuration = written.read()
    [problem] = configuration.problems
    assert (problem.code, problem.severity) == ("PC209", "warning")
    assert reason in problem.message
    assert password_line(configuration.spec) is None


def test_ignored_password_file_is_reported_where_it_is_named(written):
    file = written.file("passwords", "*:*:*:*:hush")
    written.env_file("", f"PGPASSFILE={file}")
    [problem] = written.read().problems
    assert problem.origin.line == 2


def test_absent_password_file_is_valid(written):
    configuration = written.read()
    assert not configuration.problems
    assert configuration.spec.passfile == str(written.directory / ".pgpass")


def test_password_file_is_not_read_if_a_password_is_set(written):
    written.file(".pgpass", "*:*:*:*:hush").chmod(0o644)
    written.variables(PGPASSWORD="p")
    assert not written.read().problems


@pytest.mark.parametrize("variable", ["HOME"])
def test_home_of_the_operating_system_is_used_without_the_variable(variable, written):
    from pwd import getpwuid

    for value in (None, ""):
        if value is None:
            written.patch.delenv(variable)
        else:
            written.patch.setenv(variable, value)
        assert written.read().spec.passfile == f"{getpwuid(os.geteuid()).pw_dir}/.pgpass"
