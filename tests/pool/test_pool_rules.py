"""Each rule of the pool options: what violates it, and what is reported."""

# ruff: noqa: E501 - the table reads best with a row to a line

from __future__ import annotations

from typing import NamedTuple

import pytest

from procrastinate_conn.checks.catalogue import all_rules
from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.pool import validate_pool_options
from procrastinate_conn.pool.callbacks import (
    CALLBACK_NOT_FOUND,
    NO_SYNC_CALLBACK,
    SYNC_ASYNC_MISMATCH,
    UNUSABLE_CALLBACK,
)
from procrastinate_conn.pool.constraints import (
    CONFLICTING_OPTIONS,
    CONFLICTING_TIMEOUTS,
    LARGE_POOL,
    OPTION_WITHOUT_EFFECT,
)
from procrastinate_conn.pool.conversion import OUT_OF_RANGE, WRONG_TYPE
from procrastinate_conn.pool.parameters import parameters
from procrastinate_conn.pool.validation import (
    INVALID_POOL,
    POOL_TOO_OLD,
    REJECTED_OPTIONS,
    RESERVED_OPTION,
    UNKNOWN_OPTION,
    UNSUPPORTED_OPTION,
)
from procrastinate_conn.problems import Rule
from procrastinate_conn.registry import ConnectorKind
from tests.pool import callbacks
from tests.pool.sourced_options import NULL, errors, origin_of, sourced, validate

PSYCOPG, SYNC, PSYCOPG2 = ConnectorKind.PSYCOPG, ConnectorKind.SYNC_PSYCOPG, ConnectorKind.PSYCOPG2


class Case(NamedTuple):
    options: dict[str, object]
    rule: Rule
    option: str
    message: str
    hint: str = ""
    null: bool = False
    kind: ConnectorKind = PSYCOPG


VIOLATIONS = [
    Case({"min_szie": "3"}, UNKNOWN_OPTION, "min_szie", "no pool option min_szie", "did you mean min_size?"),
    Case({"MAX_SIZE": 3}, UNKNOWN_OPTION, "MAX_SIZE", "MAX_SIZE", "psycopg_pool calls it max_size"),
    Case({"maxSize": 3}, UNKNOWN_OPTION, "maxSize", "maxSize", "psycopg_pool calls it max_size"),
    Case({"max-size": 3}, UNKNOWN_OPTION, "max-size", "max-size", "psycopg_pool calls it max_size"),
    Case({"chek_after": 3}, UNKNOWN_OPTION, "chek_after", "chek_after", "did you mean check_after?"),
    Case({"maxsize": 3}, UNKNOWN_OPTION, "maxsize", "maxsize", "psycopg_pool calls it max_size"),
    Case({"minconn": 3}, UNKNOWN_OPTION, "minconn", "minconn", "psycopg_pool calls it min_size"),
    Case({"pool_size": 3}, UNKNOWN_OPTION, "pool_size", "pool_size", "psycopg_pool calls it min_size"),
    Case({"max_overflow": 3}, UNKNOWN_OPTION, "max_overflow", "max_overflow", "max_size is the sum"),
    Case({"pool_recycle": 3}, UNKNOWN_OPTION, "pool_recycle", "pool_recycle", "it max_lifetime"),
    Case({"pool_timeout": 3}, UNKNOWN_OPTION, "pool_timeout", "pool_timeout", "it timeout"),
    Case({"pool_pre_ping": True}, UNKNOWN_OPTION, "pool_pre_ping", "pool_pre_ping", "it check_after; 0"),
    Case({"maximumPoolSize": 3}, UNKNOWN_OPTION, "maximumPoolSize", "maximumPoolSize", "it max_size"),
    Case({"default_pool_size": 3}, UNKNOWN_OPTION, "default_pool_size", "default_pool_size", "max_size"),
    Case({"connect_timeout": 3}, UNKNOWN_OPTION, "connect_timeout", "", "write connection.connect_timeout"),
    Case({"json_dumps": "a:b"}, UNKNOWN_OPTION, "json_dumps", "json_dumps", "a setting of its own"),
    Case({"wibble": 3}, UNKNOWN_OPTION, "wibble", "no pool option wibble"),
    Case({"max_size": "four"}, WRONG_TYPE, "max_size", "max_size is 'four'"),
    Case({"min_size": -1}, OUT_OF_RANGE, "min_size", "min_size is -1, and has to be between 0 and 262143"),
    Case({"max_size": "262144"}, OUT_OF_RANGE, "max_size", "max_size is 262144, and has to be between"),
    Case({"num_workers": 0}, OUT_OF_RANGE, "num_workers", "num_workers is 0, and has to be between 1 and"),
    Case({"max_waiting": -1}, OUT_OF_RANGE, "max_waiting", "max_waiting is -1, and has to be between 0"),
    Case({"timeout": "0"}, OUT_OF_RANGE, "timeout", "timeout is 0, and has to be greater than 0"),
    Case({"timeout": "-1s"}, OUT_OF_RANGE, "timeout", "timeout is -1, and has to be greater than 0"),
    Case({"timeout": "nan"}, OUT_OF_RANGE, "timeout", "timeout is nan, and has to be", "365d"),
    Case({"timeout": float("inf")}, OUT_OF_RANGE, "timeout", "timeout is inf, and has to be", "365d"),
    Case({"timeout": "1e400"}, OUT_OF_RANGE, "timeout", "timeout is inf, and has to be", "365d"),
    Case({"max_size": 10**400}, OUT_OF_RANGE, "max_size", "max_size is a value of type int, and has to be"),
    Case({"timeout": 1e12}, OUT_OF_RANGE, "timeout", "at most 2147483647"),
    Case({"max_lifetime": 0}, OUT_OF_RANGE, "max_lifetime", "greater than 0"),
    Case({"max_idle": "10 minutes"}, WRONG_TYPE, "max_idle", "has to be a number", "write 10m"),
    Case({"max_idle": 0, "max_size": 9}, OUT_OF_RANGE, "max_idle", "greater than 0"),
    Case({"reconnect_timeout": -1}, OUT_OF_RANGE, "reconnect_timeout", "between 0 and"),
    Case({"check_after": "-1"}, OUT_OF_RANGE, "check_after", "check_after is -1, and has to be between 0"),
    Case({"min_size": 5, "max_size": 3}, CONFLICTING_OPTIONS, "max_size", "max_size is 3, less than min_size, which is 5"),
    Case({"max_size": 0}, CONFLICTING_OPTIONS, "max_size", "min_size is 4 by default and max_size is 0: such a pool"),
    Case({"min_size": 0}, CONFLICTING_OPTIONS, "min_size", "min_size is 0 and max_size is not set", "pool=null"),
    Case({"min_size": 0, "max_size": "0"}, CONFLICTING_OPTIONS, "min_size", "max_size is 0", "pool=null"),
    Case({"min_size": 1}, CONFLICTING_OPTIONS, "min_size", "a null pool keeps no connections", "remove min_size", null=True),
    Case({"conninfo": "host=db1"}, RESERVED_OPTION, "conninfo", "from the connection settings", "dsn"),
    Case({"kwargs": {"host": "db1"}}, RESERVED_OPTION, "kwargs", "connection settings", "connection.<keyword>"),
    Case({"open": True}, RESERVED_OPTION, "open", "procrastinate opens the pool", "app.open()"),
    Case(
        {"connection_class": callbacks.Connection},
        UNSUPPORTED_OPTION,
        "connection_class",
        "not possible on the psycopg2 connector",
        "choose psycopg or sync-psycopg",
        kind=PSYCOPG2,
    ),
    Case({"configure": "wibble:f"}, CALLBACK_NOT_FOUND, "configure", "there is no module wibble", "PYTHONPATH"),
    Case({"configure": "tests.pool.callbacks:f"}, CALLBACK_NOT_FOUND, "configure", "has no such attribute"),
    Case({"configure": "tests.pool.callbacks.f"}, CALLBACK_NOT_FOUND, "configure", "not written as package.module"),
    Case({"configure": ""}, CALLBACK_NOT_FOUND, "configure", "not written as package.module"),
    Case({"configure": "..:f"}, CALLBACK_NOT_FOUND, "configure", "not written as package.module"),
    Case(
        {"configure": "tests.pool.faulty_module:f"},
        CALLBACK_NOT_FOUND,
        "configure",
        "importing tests.pool.faulty_module ended with AttributeError",
    ),
    Case(
        {"configure": "tests.pool.broken_module:f"},
        CALLBACK_NOT_FOUND,
        "configure",
        "importing tests.pool.broken_module ended with RuntimeError",
    ),
    Case(
        {"configure": "tests.pool.exiting_module:f"},
        CALLBACK_NOT_FOUND,
        "configure",
        "importing tests.pool.exiting_module ended with SystemExit",
    ),
    Case({"configure": "tests.pool.callbacks:plain"}, SYNC_ASYNC_MISMATCH, "configure", "synchronous, and", "async def"),
    Case({"reset": callbacks.plain}, SYNC_ASYNC_MISMATCH, "reset", "synchronous, and the psycopg", "async def"),
    Case({"check": callbacks.asynchronous}, SYNC_ASYNC_MISMATCH, "check", "asynchronous, and", "def`", kind=SYNC),
    Case({"configure": (callbacks.plain,) * 2}, SYNC_ASYNC_MISMATCH, "configure", "gives two that are synchronous"),
    Case({"configure": (callbacks.asynchronous,) * 2}, SYNC_ASYNC_MISMATCH, "configure", "gives two that are asynchronous"),
    Case({"connection_class": callbacks.Connection}, SYNC_ASYNC_MISMATCH, "connection_class", "is synchronous"),
    Case({"configure": callbacks.no_argument}, UNUSABLE_CALLBACK, "configure", "cannot be called with one"),
    Case({"configure": "tests.pool.callbacks:A_NUMBER"}, UNUSABLE_CALLBACK, "configure", "which is not callable"),
    Case({"configure": 3}, UNUSABLE_CALLBACK, "configure", "a int, which is not callable"),
    Case({"configure": ()}, UNUSABLE_CALLBACK, "configure", "neither one nor a pair"),
    Case({"configure": "a:b,c:d,e:f"}, UNUSABLE_CALLBACK, "configure", "neither one nor a pair"),
    Case({"connection_class": int}, UNUSABLE_CALLBACK, "connection_class", "not a subclass of psycopg:Async"),
    Case({"connection_class": callbacks.plain}, UNUSABLE_CALLBACK, "connection_class", "not a subclass"),
    Case({"configure": callbacks.asynchronous}, NO_SYNC_CALLBACK, "configure", "the connector leaves it out", "give a pair"),
    Case({"max_idle": "60"}, OPTION_WITHOUT_EFFECT, "max_idle", "this pool always has 4", "max_size greater than"),
    Case({"max_idle": "60"}, OPTION_WITHOUT_EFFECT, "max_idle", "no effect on a null pool", "remove", null=True),
    Case({"reconnect_timeout": 5}, OPTION_WITHOUT_EFFECT, "reconnect_timeout", "on a null pool", "remove", null=True),
    Case(
        {"reconnect_failed": callbacks.plain},
        OPTION_WITHOUT_EFFECT,
        "reconnect_failed",
        "no effect on a null pool",
        null=True,
    ),
    Case({"max_waiting": 1}, OPTION_WITHOUT_EFFECT, "max_waiting", "no caller waits for a null pool", "set max_size", null=True),
    Case({"max_waiting": 3}, OPTION_WITHOUT_EFFECT, "max_waiting", "no caller waits for a null pool", "set max_size", null=True),
    Case({"num_workers": 9}, OPTION_WITHOUT_EFFECT, "num_workers", "more than the 4 connections", "num_workers=4 does"),
    Case(
        {"max_size": 9, "max_idle": "2h", "max_lifetime": "1h"},
        CONFLICTING_TIMEOUTS,
        "max_idle",
        "max_idle is 7200 s and max_lifetime is 3600 s (.env:3 PROCRASTINATE_CONN_POOL__MAX_LIFETIME)",
    ),
    Case({"max_idle": 3600}, CONFLICTING_TIMEOUTS, "max_idle", "max_lifetime is 3600 s by default"),
    Case({"timeout": "10m"}, CONFLICTING_TIMEOUTS, "timeout", "reconnect_timeout is 300 s by default and timeout is 600"),
    Case({"reconnect_timeout": 5}, CONFLICTING_TIMEOUTS, "reconnect_timeout", "timeout is 30 s by default"),
    Case({"max_size": 98}, LARGE_POOL, "max_size", "may open 98 connections, and PostgreSQL has 97"),
    Case({"min_size": 98}, LARGE_POOL, "min_size", "may open 98 connections"),
]  # fmt: skip


@pytest.mark.parametrize("case", VIOLATIONS, ids=lambda case: f"{case.rule.code}-{case.option}")
def test_violation_is_reported_once_with_setting_origin_and_hint(case):
    _, problems = validate(case.options, case.kind, null=case.null)
    assert [problem.code for problem in problems] == [case.rule.code]
    [problem] = problems
    assert problem.severity == case.rule.severity
    assert problem.setting == f"pool.{case.option}"
    assert problem.origin == origin_of(case.option, line=list(case.options).index(case.option) + 1)
    assert case.message in problem.message
    assert case.hint in problem.hint


HINTS = [
    ({"min_size": 5, "max_size": 3}, "set min_size=3 or less"),
    ({"max_size": 0}, "set max_size to 1 or more; for connections that are not kept write pool=null"),
    ({"wibble": 3}, "`procrastinate-conn schema` lists them all"),
    ({"timeout": "90 Seconds"}, "write 90s"),
    (
        {"check": callbacks.asynchronous},
        "leave it out, as connections are checked anyway, or give a pair: check=(async_function, plain_function)",
    ),
    ({"autocommit": True}, "leave it out: every connector commits each query by itself"),
    ({"maxsize": 3}, "psycopg_pool calls it max_size"),
    ({"min-conn": 3}, "psycopg_pool calls it min_size"),
    ({"minconn": 3}, "psycopg_pool calls it min_size"),
    ({"sslmode": "require"}, "it is a keyword of libpq: write connection.sslmode"),
    ({"password_file": "x"}, "it is a setting of its own: write password_file"),
]


@pytest.mark.parametrize(("options", "hint"), HINTS)
def test_hint_fits_the_options(options, hint):
    assert [problem.hint for problem in validate(options)[1]] == [hint]


VALID = [
    ({}, False),
    ({"min_size": 0, "max_size": 1}, False),
    ({"min_size": 4, "max_size": 4}, False),
    ({"min_size": 97}, False),
    ({"max_size": 97}, False),
    ({"max_size": 5, "max_idle": 60}, False),
    ({"max_size": 5, "max_idle": 59, "max_lifetime": 60}, False),
    ({"timeout": 300}, False),
    ({"timeout": 5, "reconnect_timeout": 5}, False),
    ({"timeout": 5, "reconnect_timeout": "10"}, False),
    ({"num_workers": 4}, False),
    ({"max_waiting": 0}, False),
    ({"check_after": 0}, False),
    ({"max_lifetime": 60}, False),
    ({}, True),
    ({"min_size": 0}, True),
    ({"max_size": 0}, True),
    ({"max_waiting": 0}, True),
    ({"max_size": 3, "max_waiting": 3}, True),
    ({"timeout": "10m"}, True),
]


@pytest.mark.parametrize("kind", ConnectorKind)
@pytest.mark.parametrize(("options", "null"), VALID)
def test_options_within_the_limits_have_no_problems(options, null, kind):
    assert validate(options, kind, null=null)[1] == []


def test_every_rule_of_the_pool_options_has_a_case():
    elsewhere = {POOL_TOO_OLD, REJECTED_OPTIONS, INVALID_POOL}
    of_pools = {rule for code, rule in all_rules().items() if code.startswith("PC3")}
    assert {case.rule for case in VIOLATIONS} | elsewhere == of_pools


def test_problems_are_reported_together_in_order_of_the_options():
    _, problems = validate({"min_szie": 1, "open": True, "max_size": "x", "timeout": "0", "configure": "a:b"})
    assert [problem.code for problem in problems] == ["PC301", "PC305", "PC302", "PC303", "PC307"]


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ({"min_size": "x", "max_size": 2}, ["PC302"]),
        ({"min_szie": 1, "max_size": 2}, ["PC301"]),
        ({"minsize": 1, "max_size": 2}, ["PC301"]),
        ({"max_size": "x", "min_size": 0}, ["PC302"]),
        ({"max_size": -1, "num_workers": 9, "max_idle": 5}, ["PC303"]),
        ({"min_size": 3, "max_size": 2, "max_idle": 5, "num_workers": 3}, ["PC304"]),
        ({"min_size": 200, "max_size": 100}, ["PC304"]),
        ({"reconnect_timeout": "x", "timeout": "10m"}, ["PC302"]),
        ({"max_lifetime": "x", "max_idle": "10h"}, ["PC302"]),
    ],
)
def test_one_mistake_is_reported_once(options, codes):
    assert [problem.code for problem in validate(options)[1]] == codes


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        ("nul", "pool is 'nul', and has to be null, or options", "did you mean null?"),
        ("NullPool", "pool is 'NullPool'", "did you mean null?"),
        ("queue", "pool is 'queue'", "pool.max_size"),
        ("", "pool is ''", "pool.max_size"),
        (5, "pool is 5", "pool.max_size"),
        ("postgresql://app:hunter2@db1/jobs", "pool is a text of 33 characters", "pool.max_size"),
    ],
)
def test_pool_setting_that_is_neither_options_nor_null_is_rejected(value, message, hint):
    origin = Origin("environment", "PROCRASTINATE_CONN_POOL")
    options, [problem] = validate_pool_options({}, PSYCOPG, SourcedValue(value, origin))
    assert not options.null
    assert (problem.code, problem.setting, problem.origin) == ("PC312", "pool", origin)
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize("text", ["null", "NULL", " Null "])
def test_pool_setting_null_makes_a_null_pool(text):
    options, problems = validate_pool_options({}, PSYCOPG, SourcedValue(text, NULL.origin))
    assert problems == []
    assert options.null
    assert (options.min_size, options.max_size) == (0, 0)


def test_conflict_names_origin_of_the_other_option():
    _, [problem] = validate({"min_size": 5, "max_size": 3})
    assert "min_size, which is 5 (.env:1 PROCRASTINATE_CONN_POOL__MIN_SIZE)" in problem.message
    assert problem.origin.line == 2


def test_conflict_does_not_repeat_a_shared_origin():
    call = Origin("call", "pool")
    options = {
        name: SourcedValue(entry.value, call)
        for name, entry in sourced({"min_size": 5, "max_size": 3}).items()
    }
    _, [problem] = validate_pool_options(options, PSYCOPG)
    assert problem.message == "max_size is 3, less than min_size, which is 5"


@pytest.mark.skipif("close_returns" not in parameters(), reason="came with psycopg_pool 3.3")
def test_unsupported_option_set_to_its_default_is_accepted():
    assert errors(validate({"close_returns": False}, PSYCOPG2)[1]) == []
