"""The description and the schema of the options agree with their validation."""

from __future__ import annotations

import re

import pytest

from procrastinate_conn.pool.metadata import describe
from procrastinate_conn.pool.parameters import known_options
from procrastinate_conn.registry import ConnectorKind
from tests.pool.sourced_options import errors, validate

OPTIONS = {option.name: option.json_schema for option in describe()}


def test_every_known_option_has_its_own_description():
    described = list(describe())
    assert [option.name for option in described] == list(known_options(ConnectorKind.PSYCOPG, null=False))
    assert len({option.text for option in described}) == len(described)


def test_described_defaults_are_those_of_psycopg_pool():
    defaults = {option.name: option.default for option in describe()}
    assert (defaults["min_size"], defaults["max_size"], defaults["timeout"]) == ("4", "none", "30")


@pytest.mark.parametrize("option", list(describe()), ids=lambda option: option.name)
def test_described_default_is_accepted_as_value(option):
    assert errors(validate({option.name: option.default})[1]) == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("min_size", -1),
        ("max_size", 262144),
        ("num_workers", 0),
        ("timeout", 0),
        ("max_idle", 0),
        ("timeout", 2**31),
    ],
)
def test_schema_and_validation_have_the_same_bounds(option, value):
    schemas = OPTIONS[option].get("anyOf", [OPTIONS[option]])
    [bounds] = [schema for schema in schemas if schema["type"] in ("integer", "number")]
    outside = (
        value < bounds.get("minimum", value)
        or value > bounds["maximum"]
        or value <= bounds.get("exclusiveMinimum", value - 1)
    )
    assert outside
    assert "PC303" in [problem.code for problem in validate({option: value})[1]]


@pytest.mark.parametrize("text", ["30s", "500ms", "1.5h", "2 min", "7d"])
def test_accepted_duration_matches_schema(text):
    [pattern] = [schema["pattern"] for schema in OPTIONS["timeout"]["anyOf"] if "pattern" in schema]
    assert re.search(pattern, text)
    assert errors(validate({"timeout": text})[1]) == []


@pytest.mark.parametrize("text", ["tests.pool.callbacks:asynchronous", "tests.pool.callbacks:plain"])
def test_accepted_callback_name_matches_schema(text):
    patterns = [schema["pattern"] for schema in OPTIONS["reconnect_failed"]["anyOf"] if "pattern" in schema]
    assert any(re.search(pattern, text) for pattern in patterns)
    assert any(re.search(pattern, f"{text},{text}") for pattern in patterns)
    assert errors(validate({"reconnect_failed": text})[1]) == []
