"""Values are converted to the types that the signature of psycopg_pool's pools declares."""

from __future__ import annotations

from datetime import timedelta

import pytest

from procrastinate_conn.redaction import describe_value
from tests.pool.sourced_options import validate


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("max_size", "8", 8),
        ("max_size", " 8 ", 8),
        ("max_size", "none", None),
        ("max_size", "NULL", None),
        ("num_workers", "1", 1),
        ("timeout", "2.5", 2.5),
        ("timeout", "10", 10.0),
        ("timeout", "500ms", 0.5),
        ("timeout", "30s", 30.0),
        ("timeout", "2 min", 120.0),
        ("timeout", "2m", 120.0),
        ("max_lifetime", "1h", 3600.0),
        ("max_lifetime", "1.5H", 5400.0),
        ("max_lifetime", "7d", 604800.0),
        ("max_lifetime", "1e3s", 1000.0),
        ("name", "jobs", "jobs"),
        ("name", "none", None),
        ("configure", "none", None),
    ],
)
def test_text_is_converted_to_type_of_option(option, text, value):
    options, problems = validate({option: text})
    assert problems == []
    assert options.explicit == {option: value}
    assert type(options.explicit[option]) is type(value)


@pytest.mark.parametrize(
    ("option", "value"),
    [("max_size", 8), ("max_size", None), ("timeout", 2.5), ("timeout", 10), ("name", None), ("reset", None)],
)
def test_value_of_right_type_is_kept(option, value):
    options, problems = validate({option: value})
    assert problems == []
    assert options.explicit == {option: value}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("max_size", "four", "max_size is 'four', and has to be a whole number, or none"),
        ("max_size", "", "max_size is '', and has to be a whole number, or none"),
        ("max_size", "4.5", "max_size is '4.5', and"),
        ("max_size", 4.0, "max_size is 4.0, and has to be a whole number, or none"),
        ("max_size", True, "max_size is true, and"),
        ("max_size", [4], "max_size is a value of type list, and"),
        ("max_size", b"4", "max_size is a value of type bytes, and"),
        ("max_size", "9" * 5000, "max_size is a text of 5000 characters, and"),
        ("min_size", None, "min_size is none, and has to be a whole number"),
        ("min_size", "none", "min_size is 'none', and has to be a whole number"),
        ("timeout", "soon", "timeout is 'soon', and has to be a number of seconds or a duration such as 30s"),
        ("timeout", "1.2.3s", "timeout is '1.2.3s', and"),
        ("timeout", "30 parsecs", "timeout is '30 parsecs', and"),
        ("timeout", "none", "timeout is 'none', and"),
        ("timeout", False, "timeout is false, and"),
        ("timeout", timedelta(seconds=3), "timeout is a value of type timedelta, and"),
        ("timeout", 10**400, "timeout is a value of type int, and"),
        pytest.param("timeout", 10**5000, "timeout is a value of type int, and", id="no-str-of-it"),
        ("name", 3, "name is 3, and has to be text, or none"),
        ("check_after", "later", "check_after is 'later', and has to be a number of seconds"),
    ],
)
def test_value_of_wrong_type_is_rejected_naming_the_right_type(option, value, message):
    options, [problem] = validate({option: value})
    assert options.explicit == {}
    assert (problem.code, problem.setting) == ("PC302", f"pool.{option}")
    assert message in problem.message


def test_check_after_is_not_passed_to_psycopg_pool():
    options, problems = validate({"check_after": "2m"})
    assert problems == []
    assert options.check_after == 120.0
    assert options.arguments(asynchronous=True) == {}


@pytest.mark.parametrize(
    "secret",
    [
        "postgresql://app:hunter2@db1/jobs",
        "password=hunter2",
        "host=db1 password=hunter2",
        "hunter2" * 10,
    ],
)
@pytest.mark.parametrize("option", ["max_size", "timeout", "configure", "conninfo", "kwargs", "conn_info"])
def test_message_does_not_repeat_possible_connection_string(option, secret):
    _, [problem] = validate({option: secret})
    assert "hunter2" not in str(problem)


def test_describe_value_does_not_call_repr_of_object():
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError

    assert describe_value(Hostile()) == "a value of type Hostile"
