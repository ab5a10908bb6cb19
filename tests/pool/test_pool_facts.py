"""What psycopg_pool does with the values that we refuse or warn about, so that we refuse no others."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

import psycopg
import psycopg_pool
import pytest
from psycopg_pool import ConnectionPool, NullConnectionPool, PoolTimeout

from procrastinate_conn.demo.postgres import EmbeddedPostgres, free_port
from procrastinate_conn.pool.limits import LARGEST
from tests.pool.entries import errors, read

WAIT = 20.0


def no_server() -> str:
    return f"host=127.0.0.1 port={free_port()}"


@pytest.mark.skipif(
    psycopg_pool.__version__ < "3.3", reason="the first versions gave an idle connection all the same"
)
def test_with_no_time_to_wait_even_an_idle_connection_is_not_given(server: EmbeddedPostgres):
    with ConnectionPool(server.dsn(), min_size=1, timeout=0, open=True) as pool:
        pool.wait(WAIT)
        with pytest.raises(PoolTimeout), pool.connection():
            pass
    assert errors(read({"timeout": 0})[1])


@pytest.mark.parametrize("timeout", [float("inf"), 1e10])
def test_a_caller_cannot_wait_longer_than_the_clock_counts(server: EmbeddedPostgres, timeout):
    with ConnectionPool(server.dsn(), min_size=1, timeout=timeout, open=True) as pool:
        pool.wait(WAIT)
        with pool.connection(), pytest.raises(OverflowError), pool.connection():
            pass
    assert errors(read({"timeout": timeout})[1])


def test_a_caller_can_wait_for_as_long_as_we_allow(server: EmbeddedPostgres):
    options, problems = read({"timeout": LARGEST, "min_size": 1})
    assert errors(problems) == []
    with ConnectionPool(server.dsn(), open=True, **options.arguments(asynchronous=False)) as pool:
        pool.wait(WAIT)
        first = pool.getconn()
        threading.Timer(0.2, pool.putconn, [first]).start()
        with pool.connection() as second:
            assert second is first


def test_with_no_lifetime_every_call_has_a_new_connection(server: EmbeddedPostgres):
    with ConnectionPool(server.dsn(), min_size=1, max_lifetime=0, open=True) as pool:
        pids = []
        for _ in range(3):
            with pool.connection(WAIT) as connection:
                pids.append(connection.info.backend_pid)
        assert len(set(pids)) == 3
    assert errors(read({"max_lifetime": 0})[1])


def test_a_null_pool_gives_the_failure_to_the_caller_and_calls_nobody():
    told = []
    with NullConnectionPool(
        no_server(), reconnect_failed=told.append, reconnect_timeout=0.1, open=True
    ) as pool:
        for _ in range(2):
            with pytest.raises(psycopg.OperationalError), pool.connection(WAIT):
                pass
    assert told == []


def test_once_the_pool_has_given_up_nobody_tries_for_the_caller_who_still_waits():
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


def test_a_pool_that_never_tries_again_is_told_beforehand():
    [problem] = read({"reconnect_timeout": 0})[1]
    assert (problem.code, problem.severity) == ("PC315", "warning")
