"""How psycopg_pool behaves with the values that are rejected or warned about, which justifies the limits."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

import psycopg
import psycopg_pool
import pytest
from psycopg_pool import ConnectionPool, NullConnectionPool, PoolTimeout

from procrastinate_conn.demo.postgres import EmbeddedPostgres, free_port
from procrastinate_conn.pool.conversion import INT_MAX
from tests.pool.sourced_options import errors, validate

WAIT = 20.0


def no_server() -> str:
    return f"host=127.0.0.1 port={free_port()}"


@pytest.mark.skipif(
    psycopg_pool.__version__ < "3.3", reason="the first versions gave an idle connection all the same"
)
def test_zero_timeout_fails_even_with_idle_connection_and_is_rejected(server: EmbeddedPostgres):
    with ConnectionPool(server.dsn(), min_size=1, timeout=0, open=True) as pool:
        pool.wait(WAIT)
        with pytest.raises(PoolTimeout), pool.connection():
            pass
    assert errors(validate({"timeout": 0})[1])


@pytest.mark.parametrize("timeout", [float("inf"), 1e10])
def test_timeout_beyond_clock_range_overflows_and_is_rejected(server: EmbeddedPostgres, timeout):
    with ConnectionPool(server.dsn(), min_size=1, timeout=timeout, open=True) as pool:
        pool.wait(WAIT)
        with pool.connection(), pytest.raises(OverflowError), pool.connection():
            pass
    assert errors(validate({"timeout": timeout})[1])


def test_largest_accepted_timeout_works(server: EmbeddedPostgres):
    options, problems = validate({"timeout": INT_MAX, "min_size": 1})
    assert errors(problems) == []
    with ConnectionPool(server.dsn(), open=True, **options.arguments(asynchronous=False)) as pool:
        pool.wait(WAIT)
        first = pool.getconn()
        threading.Timer(0.2, pool.putconn, [first]).start()
        with pool.connection() as second:
            assert second is first


def test_zero_max_lifetime_replaces_connection_on_every_call_and_is_rejected(server: EmbeddedPostgres):
    with ConnectionPool(server.dsn(), min_size=1, max_lifetime=0, open=True) as pool:
        pids = []
        for _ in range(3):
            with pool.connection(WAIT) as connection:
                pids.append(connection.info.backend_pid)
        assert len(set(pids)) == 3
    assert errors(validate({"max_lifetime": 0})[1])


def test_null_pool_raises_connection_error_without_calling_reconnect_failed():
    calls = []
    with NullConnectionPool(
        no_server(), reconnect_failed=calls.append, reconnect_timeout=0.1, open=True
    ) as pool:
        for _ in range(2):
            with pytest.raises(psycopg.OperationalError), pool.connection(WAIT):
                pass
    assert calls == []


def test_pool_makes_no_attempt_for_waiting_caller_after_reconnect_timeout():
    still_waiting = Queue()
    pool = ConnectionPool(
        no_server(),
        min_size=1,
        reconnect_timeout=2,
        reconnect_failed=lambda pool: still_waiting.put(pool.get_stats()["requests_waiting"]),
        open=False,
    )

    def attempts_after_giving_up() -> int:
        with pytest.raises(PoolTimeout), pool.connection(6):
            pass
        return pool.get_stats()["connections_num"]

    with pool, ThreadPoolExecutor() as caller:
        attempts = caller.submit(attempts_after_giving_up)
        assert still_waiting.get(timeout=WAIT) == 1
        assert pool.get_stats()["connections_num"] == attempts.result(timeout=WAIT)


def test_zero_reconnect_timeout_is_a_warning():
    [problem] = validate({"reconnect_timeout": 0})[1]
    assert (problem.code, problem.severity) == ("PC315", "warning")
