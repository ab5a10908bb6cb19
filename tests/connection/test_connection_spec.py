"""The model of a connection."""

from __future__ import annotations

import pickle

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from procrastinate_conn import ConnectionSpec, ConnectorSettings, libpq
from procrastinate_conn.libpq import CHOICES, INTEGERS, is_secret


def spec_of(**arguments):
    return ConnectorSettings(_env_file=None, **arguments).spec()


def test_spec_has_a_described_field_for_every_keyword_of_libpq():
    for keyword in libpq.keywords():
        assert ConnectionSpec.model_fields[keyword].description


def test_every_secret_of_libpqs_table_is_secret_in_the_spec():
    marked = {name for name, keyword in libpq.keywords().items() if keyword.secret}
    assert marked <= {name for name in ConnectionSpec.model_fields if is_secret(name)}
    assert is_secret("oauth_client_secret")


def test_keyword_of_a_newer_libpq_is_kept(monkeypatch):
    newer = {**libpq.keywords(), "future": libpq.keywords()["sslsni"]._replace(variable=None)}
    monkeypatch.setattr(libpq, "keywords", lambda: newer)
    spec = ConnectionSpec(host="h", future="x")
    assert spec.parameters["future"] == "x"
    assert "future=x" in spec.conninfo().split()


def test_unknown_keyword_is_rejected_without_showing_its_value():
    with pytest.raises(ValidationError) as caught:
        ConnectionSpec(host="h", pasword="hunter2", hots="db1")
    assert "libpq knows no pasword (did you mean password?); libpq knows no hots (did you mean host?)" in str(
        caught.value
    )
    assert "hunter2" not in f"{caught.value} {caught.value.errors()} {caught.value.json()}"


def test_validation_error_of_an_outer_model_shows_no_value_of_the_spec():
    class Jobs(BaseModel):
        connection: ConnectionSpec

    for wrong in ({"pasword": "hunter2"}, {"password": ["hunter2"]}, ["hunter2"]):
        with pytest.raises(ValidationError) as caught:
            Jobs(connection=wrong)
        assert "hunter2" not in f"{caught.value} {caught.value.errors()}"


def test_specs_of_equal_values_from_different_sources_are_equal(monkeypatch):
    by_dsn = spec_of(dsn="postgresql://u:p@h:1/d?connect_timeout=5")
    monkeypatch.setenv("PGUSER", "u")
    monkeypatch.setenv("PGPORT", "1")
    by_parts = spec_of(connection={"host": "h", "dbname": "d", "password": "p", "connect_timeout": 5})
    assert by_dsn == by_parts
    assert hash(by_dsn) == hash(by_parts)
    assert by_dsn.origins != by_parts.origins
    assert by_dsn != spec_of(dsn="postgresql://u:other@h:1/d?connect_timeout=5")
    assert len({by_dsn, by_parts}) == 1


EMPTY = {
    "application_name": ("host=/x application_name=''", "host=/x", False),
    "sslsni": ("host=/x sslsni=''", "host=/x", False),
    "hostaddr": ("host=/x hostaddr=''", "host=/x", True),
}


@pytest.mark.parametrize(("one", "other", "equal"), EMPTY.values(), ids=EMPTY)
def test_specs_are_equal_if_they_mean_the_same_to_libpq(one, other, equal):
    first, second = spec_of(dsn=one), spec_of(dsn=other)
    assert (first == second) is equal
    assert (first.conninfo() == second.conninfo()) is equal
    assert (hash(first) == hash(second)) is equal


def test_spec_is_frozen():
    spec = spec_of(dsn="host=h")
    with pytest.raises(ValidationError):
        spec.host = "other"
    spec.origins.clear()
    assert spec.origins


def test_integer_field_keeps_its_spelling_in_the_parameters():
    assert spec_of(connection={"connect_timeout": "5"}).connect_timeout == 5
    assert spec_of(connection={"connect_timeout": 5}).parameters["connect_timeout"] == "5"
    assert spec_of(connection={"connect_timeout": " +5 "}).parameters["connect_timeout"] == " +5 "


def test_secrets_are_masked_everywhere_except_in_parameters_and_conninfo():
    spec = spec_of(dsn="postgresql://u:hush@h/d?sslpassword=hush")
    assert spec.parameters["sslpassword"] == "hush"
    assert spec.redacted()["sslpassword"] == spec.redacted()["password"] == "********"
    for shown in (repr(spec), str(spec), spec.model_dump_json(), repr(spec.model_dump())):
        assert "hush" not in shown
    assert isinstance(spec.sslpassword, SecretStr)


def test_spec_is_equal_after_pickling():
    spec = spec_of(dsn="postgresql://u:hush@h/d", connection={"sslsni": ""})
    again = pickle.loads(pickle.dumps(spec))
    assert again == spec
    assert again.conninfo() == spec.conninfo()
    assert again.origins == spec.origins


def test_conninfo_of_a_spec_without_sources_overrides_every_variable():
    parameters = libpq.parse(ConnectionSpec(host="h", port="1").conninfo())
    assert parameters["host"] == "h"
    assert parameters["sslmode"] == libpq.keywords()["sslmode"].default
    with_variables = {name for name, keyword in libpq.keywords().items() if keyword.variable}
    assert with_variables - {"service", "servicefile"} <= parameters.keys()


@pytest.mark.parametrize("keyword", [k for k in CHOICES if k in libpq.keywords()])
def test_choices_of_a_keyword_are_those_of_libpq(keyword):
    """libpq accepts each of them, or was built without it; and it rejects everything else."""
    beside = {"sslmode": "require"} if keyword == "sslnegotiation" else {}
    beside |= {"max_protocol_version": "latest"} if keyword == "min_protocol_version" else {}
    beside |= {"ssl_min_protocol_version": "TLSv1"} if keyword == "ssl_max_protocol_version" else {}
    for choice in CHOICES[keyword]:
        rejection = libpq.probe({**beside, keyword: choice}, over_tcp=True).rejection
        assert rejection is None or "compiled" in rejection or "supported" in rejection
    assert libpq.probe({keyword: "nonsense"}).rejection


@pytest.mark.parametrize("keyword", INTEGERS)
def test_integer_keyword_has_an_integer_field_and_keeps_its_spelling(keyword):
    assert spec_of(connection={"host": "/nowhere", keyword: "1"}).parameters[keyword] == "1"
    assert ConnectionSpec.model_fields[keyword].annotation == int | str | None
