"""Values that no driver can pass on to libpq: an error with the reason, in every source."""

from __future__ import annotations

from enum import Enum

import pytest

NUL, HALF, LATIN1 = "a\0b", "a\ud800b", "a\udcffb"

VALUES = {
    "NUL in a keyword": (lambda w: w.call.update(connection={"user": NUL}), "NUL"),
    "NUL in a DSN": (lambda w: w.call.update(dsn=f"user={NUL}"), "NUL"),
    "NUL in JSON": (lambda w: w.variables(PROCRASTINATE_CONN_CONNECTION='{"user": "a\\u0000b"}'), "NUL"),
    "NUL in an env file": (lambda w: w.env_file(f"PGUSER='{NUL}'"), "NUL"),
    "NUL in a secret": (lambda w: w.secrets(PROCRASTINATE_CONN_CONNECTION__USER=NUL), "NUL"),
    "half a character in a keyword": (
        lambda w: w.call.update(connection={"user": HALF}),
        "half of a character",
    ),
    "half a character in a DSN": (lambda w: w.call.update(dsn=f"user={HALF}"), "half of a character"),
    "half a character in JSON": (
        lambda w: w.variables(PROCRASTINATE_CONN_CONNECTION='{"user": "a\\ud800b"}'),
        "half of a character",
    ),
    "Latin-1 in a variable": (lambda w: w.variables(PGUSER=LATIN1), "not UTF-8"),
    "Latin-1 in a DSN": (lambda w: w.variables(PROCRASTINATE_CONN_DSN=f"user={LATIN1}"), "not UTF-8"),
    "Latin-1, percent-encoded": (lambda w: w.call.update(dsn="postgresql://a%FFb@/"), "not UTF-8"),
    "Latin-1 in a service file": (
        lambda w: (
            (w.directory / ".pg_service.conf").write_bytes(b"[jobs]\nuser=a\xffb\n"),
            w.variables(PGSERVICE="jobs"),
        ),
        "not UTF-8",
    ),
    "a list": (lambda w: w.call.update(connection={"host": ["a", "b"]}), "not text or a number"),
    "nothing": (
        lambda w: w.variables(PROCRASTINATE_CONN_CONNECTION='{"host": null}'),
        "not text or a number",
    ),
    "a DSN that is bytes": (lambda w: w.call.update(dsn=b"user=u"), "not text"),
    "a service in LDAP": (
        lambda w: (
            w.file(".pg_service.conf", "[jobs]", "ldap://ldap.example/o=x?description?one?(cn=x)"),
            w.variables(PGSERVICE="jobs"),
        ),
        "LDAP, which is not supported",
    ),
}


@pytest.mark.parametrize(("write", "reason"), VALUES.values(), ids=VALUES)
def test_value_that_is_not_text_is_an_error_with_its_reason(write, reason, written):
    write(written)
    [problem] = written.read().errors
    assert reason in problem.message


TEXTS = {True: "1", False: "0", 5: "5", 2.5: "2.5"}


@pytest.mark.parametrize(("value", "text"), TEXTS.items())
def test_numbers_and_booleans_become_text_for_libpq(value, text, written):
    written.call.update(connection={"application_name": value})
    assert written.read().spec.application_name == text


def test_path_becomes_text(written):
    written.call.update(connection={"sslrootcert": written.directory / "root.crt"})
    assert written.read().spec.sslrootcert == f"{written.directory}/root.crt"


class Mode(str, Enum):  # noqa: UP042 - as it is written for Python 3.10
    REQUIRE = "require"


class Seconds(int, Enum):
    FIVE = 5


def test_enum_member_becomes_its_value(written):
    written.call.update(
        connector=Enum("Kind", {"AIOPG": "aiopg"}, type=str).AIOPG,
        connection={"sslmode": Mode.REQUIRE, "connect_timeout": Seconds.FIVE},
    )
    configuration = written.read()
    assert not configuration.errors
    assert configuration.settings.kind == "aiopg"
    parameters = configuration.spec.parameters
    assert (parameters["sslmode"], parameters["connect_timeout"]) == ("require", "5")


HINTS = {
    "bytes": ({"connection": {"user": b"u"}}, "write it as text"),
    "a list of hosts": ({"connection": {"host": ["a", "b"]}}, "separated by commas"),
    "keepalives": ({"connection": {"host": "h", "keepalives": "yes"}}, "write 0 or 1"),
    "no connections at all": ({"pool": {"max_size": 0}}, "set max_size to 1 or more"),
}


@pytest.mark.parametrize(("arguments", "hint"), HINTS.values(), ids=HINTS)
def test_configuration_that_follows_the_hint_is_valid(arguments, hint, written):
    written.call.update(arguments)
    [problem] = written.read().errors
    assert hint in problem.hint
