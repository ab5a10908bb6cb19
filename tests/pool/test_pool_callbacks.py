"""Callbacks: each gets to the pool that can call it, and to no other."""

from __future__ import annotations

import asyncio

import psycopg
import psycopg_pool
import pytest

from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.pool import PoolOptions
from procrastinate_conn.redaction import format_value
from procrastinate_conn.registry import ConnectorKind
from tests.pool import callbacks
from tests.pool.sourced_options import ASYNC_KINDS, SYNC_KINDS, errors, validate

HERE = "tests.pool.callbacks"
ASYNCHRONOUS = [
    callbacks.asynchronous,
    callbacks.an_async_object,
    callbacks.an_async_object.__call__,
    callbacks.an_async_partial,
    callbacks.Nested.asynchronous,
]
PLAIN = [
    callbacks.plain,
    callbacks.a_plain_partial,
    print,
    lambda _connection: None,
    callbacks.AsyncCallable.__init__,
]


@pytest.mark.parametrize("kind", ASYNC_KINDS)
@pytest.mark.parametrize("function", ASYNCHRONOUS)
def test_async_kind_accepts_async_callback_with_warning_about_sync_use(kind, function):
    options, problems = validate({"configure": function}, kind)
    assert [problem.code for problem in problems] == ["PC313"]
    assert options.callback("configure", asynchronous=True) is function
    assert options.callback("configure", asynchronous=False) is None
    assert options.arguments(asynchronous=False) == {}


@pytest.mark.parametrize("kind", SYNC_KINDS)
@pytest.mark.parametrize("function", ASYNCHRONOUS)
def test_sync_kind_rejects_async_callback(kind, function):
    _, [problem] = validate({"configure": function}, kind)
    assert problem.code == "PC308"
    assert f"the {kind} connector is synchronous" in problem.message


@pytest.mark.parametrize("kind", SYNC_KINDS)
@pytest.mark.parametrize("function", PLAIN[:-1])
def test_sync_kind_accepts_sync_callback(kind, function):
    options, problems = validate({"reset": function}, kind)
    assert problems == []
    assert options.arguments(asynchronous=False) == {"reset": function}


@pytest.mark.parametrize("kind", ConnectorKind)
@pytest.mark.parametrize("turn", [1, -1], ids=["asynchronous-first", "plain-first"])
@pytest.mark.parametrize("container", [tuple, list])
def test_every_kind_accepts_callback_pair_in_either_order(kind, turn, container):
    pair = (callbacks.asynchronous, callbacks.plain)
    options, problems = validate({"configure": container(pair[::turn])}, kind)
    assert problems == []
    assert options.explicit["configure"] == pair
    assert options.arguments(asynchronous=True) == {"configure": callbacks.asynchronous}
    assert options.arguments(asynchronous=False) == {"configure": callbacks.plain}


@pytest.mark.parametrize(
    "written_as",
    [
        f"{HERE}:asynchronous,{HERE}:plain",
        f" {HERE}:plain , {HERE}:asynchronous ",
        [f"{HERE}:asynchronous", f"{HERE}:plain"],
    ],
)
def test_callback_pair_is_imported_by_name(written_as):
    options, problems = validate({"configure": written_as})
    assert problems == []
    assert options.explicit["configure"] == (callbacks.asynchronous, callbacks.plain)


def test_nested_function_is_imported_by_name():
    options, problems = validate({"configure": f"{HERE}:Nested.asynchronous"})
    assert errors(problems) == []
    assert options.explicit["configure"] is callbacks.Nested.asynchronous


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_sync_reconnect_failed_is_used_by_both_pools_of_async_kind(kind):
    options, problems = validate({"reconnect_failed": callbacks.plain}, kind)
    assert problems == []
    assert options.callback("reconnect_failed", asynchronous=True) is callbacks.plain
    assert options.callback("reconnect_failed", asynchronous=False) is callbacks.plain


def test_each_pool_uses_its_reconnect_failed_of_a_pair():
    options, _ = validate({"reconnect_failed": (callbacks.plain, callbacks.asynchronous)})
    assert options.callback("reconnect_failed", asynchronous=True) is callbacks.asynchronous
    assert options.callback("reconnect_failed", asynchronous=False) is callbacks.plain


def test_pair_of_two_sync_functions_is_rejected_even_if_each_is_accepted_alone():
    _, [problem] = validate({"reconnect_failed": (callbacks.plain, callbacks.plain)})
    assert problem.code == "PC308"


def test_check_and_connection_class_are_not_passed_to_psycopg_pool():
    options, problems = validate(
        {
            "check": (callbacks.asynchronous, callbacks.plain),
            "connection_class": (callbacks.AsyncConnection, callbacks.Connection),
        }
    )
    assert problems == []
    assert options.arguments(asynchronous=True) == {}
    assert options.callback("check", asynchronous=False) is callbacks.plain
    assert options.callback("connection_class", asynchronous=True) is callbacks.AsyncConnection
    assert options.callback("connection_class", asynchronous=False) is callbacks.Connection


def test_async_connection_class_by_name_is_accepted_with_warning_about_sync_use():
    options, [problem] = validate({"connection_class": f"{HERE}:AsyncConnection"})
    assert (problem.code, problem.severity) == ("PC313", "warning")
    assert options.callback("connection_class", asynchronous=True) is callbacks.AsyncConnection
    assert options.callback("connection_class", asynchronous=False) is None


def test_async_function_is_not_passed_to_sync_pool_even_without_validation():
    options = PoolOptions(configure=callbacks.asynchronous)
    assert options.arguments(asynchronous=False) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (callbacks.plain, f"{HERE}:plain"),
        (callbacks.Nested.asynchronous, f"{HERE}:Nested.asynchronous"),
        (callbacks.an_async_object, f"{HERE}:AsyncCallable"),
        ((callbacks.asynchronous, callbacks.plain), f"{HERE}:asynchronous,{HERE}:plain"),
        (psycopg.Connection, "psycopg:Connection"),
        (None, "none"),
        (False, "false"),
        (30.0, "30"),
        (0.1, "0.1"),
        (4, "4"),
        ("jobs", "jobs"),
    ],
)
def test_format_value_returns_notation_of_env_file(value, text):
    assert format_value(value) == text


def test_async_pool_awaits_and_sync_pool_calls_its_callback_of_a_pair(
    server: EmbeddedPostgres, database: str
):
    async def configure_async(connection):
        await connection.execute("set application_name to 'awaited'")
        await connection.commit()

    def configure(connection):
        connection.execute("set application_name to 'called'")
        connection.commit()

    options, problems = validate({"configure": (configure_async, configure), "min_size": 1})
    assert problems == []
    assert asyncio.run(_name_by_async_pool(server.dsn(database), options)) == "awaited"
    arguments = options.arguments(asynchronous=False)
    with (
        psycopg_pool.ConnectionPool(server.dsn(database), open=False, **arguments) as pool,
        pool.connection() as connection,
    ):
        assert connection.execute("show application_name").fetchone() == ("called",)


async def _name_by_async_pool(dsn: str, options: PoolOptions) -> str:
    async with (
        psycopg_pool.AsyncConnectionPool(dsn, open=False, **options.arguments(asynchronous=True)) as pool,
        pool.connection() as connection,
    ):
        [name] = await (await connection.execute("show application_name")).fetchone()
    return name
