"""What is told about the options agrees with what is accepted."""

from __future__ import annotations

import re

import pytest

from procrastinate_conn.pool.metadata import describe, json_schema
from procrastinate_conn.pool.option_names import vocabulary
from procrastinate_conn.registry import ConnectorKind
from tests.pool.entries import errors, read

OPTIONS = json_schema()["anyOf"][1]["properties"]


def test_every_option_is_described_in_words_of_its_own():
    described = describe()
    assert [option.name for option in described] == list(vocabulary(ConnectorKind.PSYCOPG, null=False))
    assert not any(option.text.startswith("An option of psycopg_pool") for option in described)
    assert len({option.text for option in described}) == len(described)


def test_defaults_are_those_of_the_pool_in_question():
    defaults = {option.name: option.default for option in describe()}
    assert (defaults["min_size"], defaults["max_size"], defaults["timeout"]) == ("4", "none", "30")
    assert {option.name: option.default for option in describe(null=True)}["min_size"] == "0"


@pytest.mark.parametrize("option", describe(), ids=lambda option: option.name)
def test_a_default_can_be_written_as_it_is_told(option):
    assert errors(read({option.name: option.default})[1]) == []


def test_the_schema_knows_the_options_and_no_others():
    assert json_schema()["anyOf"][1]["additionalProperties"] is False
    assert list(OPTIONS) == list(vocabulary(ConnectorKind.PSYCOPG, null=False))


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
def test_the_bounds_of_the_schema_are_those_that_are_judged(option, value):
    schemas = OPTIONS[option].get("anyOf", [OPTIONS[option]])
    [bounds] = [schema for schema in schemas if schema["type"] in ("integer", "number")]
    outside = (
        value < bounds.get("minimum", value)
        or value > bounds["maximum"]
        or value <= bounds.get("exclusiveMinimum", value - 1)
    )
    assert outside
    assert "PC303" in [problem.code for problem in read({option: value})[1]]


@pytest.mark.parametrize("text", ["30s", "500ms", "1.5h", "2 min", "7d"])
def test_a_duration_that_is_accepted_matches_the_schema(text):
    [pattern] = [schema["pattern"] for schema in OPTIONS["timeout"]["anyOf"] if "pattern" in schema]
    assert re.search(pattern, text)
    assert errors(read({"timeout": text})[1]) == []


@pytest.mark.parametrize("text", ["tests.pool.callbacks:asynchronous", "tests.pool.callbacks:plain"])
def test_a_name_that_is_accepted_matches_the_schema(text):
    patterns = [schema["pattern"] for schema in OPTIONS["reconnect_failed"]["anyOf"] if "pattern" in schema]
    assert any(re.search(pattern, text) for pattern in patterns)
    assert any(re.search(pattern, f"{text},{text}") for pattern in patterns)
    assert errors(read({"reconnect_failed": text})[1]) == []
