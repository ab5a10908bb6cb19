"""What is decided about acquiring a connection, in tables, without a server and without waiting."""

from __future__ import annotations

import asyncio
import math

import psycopg
import psycopg_pool
import pytest

from procrastinate_conn.connectors.runtime import acquire
from procrastinate_conn.connectors.runtime.acquire import AcquireAttempt, Liveness, PingTimeout, Reconnection

NO_CONNECTION = psycopg.OperationalError("refused")
DEAD = psycopg.OperationalError("closed")
FULL = psycopg_pool.TooManyRequests("full")


def new_attempt(timeout, max_size):
    return AcquireAttempt(timeout, max_size, acquire.monotonic(), (psycopg.Error,))


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(acquire, "monotonic", clock)
    return clock


@pytest.mark.parametrize(
    ("idle_seconds", "check_after", "is_terminated", "expected"),
    [
        (0, 60, False, False),
        (59, 60, False, False),
        (60, 60, False, True),
        (0, 0, False, True),
        (0, 60, True, True),
    ],
)
def test_connection_is_pinged_if_long_idle_or_terminated(
    clock, idle_seconds, check_after, is_terminated, expected
):
    liveness = Liveness()
    liveness.is_readable = lambda: False
    liveness.is_terminated = is_terminated
    clock.now += idle_seconds
    assert liveness.should_ping(check_after) is expected


@pytest.mark.parametrize(("seconds_since_loss", "expected"), [(math.inf, False), (59, True), (60, False)])
def test_new_connection_is_pinged_within_the_loss_window(clock, seconds_since_loss, expected):
    liveness = Liveness()
    liveness.is_readable = lambda: False
    liveness.mark_new(clock.now - seconds_since_loss)
    assert liveness.should_ping(3600) is expected


@pytest.mark.parametrize(
    ("timeout", "seconds", "errors", "expected"),
    [
        (2, 0, [], False),
        (2, 1.9, [NO_CONNECTION], False),
        (2, 2, [NO_CONNECTION], True),
        (2, 3, [NO_CONNECTION], True),
        (0, 0, [], False),  # a timeout of 0 allows one try
        (0, 0, [NO_CONNECTION], True),
    ],
)
def test_attempt_times_out_after_at_least_one_try(clock, timeout, seconds, errors, expected):
    attempt = new_attempt(timeout, 4)
    for error in errors:
        attempt.failed(error)
    clock.now += seconds
    assert attempt.seconds_left() == pytest.approx(timeout - seconds)
    assert attempt.has_timed_out(attempt.seconds_left()) is expected


@pytest.mark.parametrize(
    ("errors", "pauses"),
    [
        ([NO_CONNECTION] * 7, [0.5, 1, 2, 4, 5, 5, 5]),
        ([NO_CONNECTION, FULL, FULL], [0.5, 0.1, 0.1]),
    ],
)
@pytest.mark.usefixtures("clock")
def test_pauses_grow_to_a_limit_while_there_is_no_connection(errors, pauses):
    attempt = new_attempt(3600, 4)
    seen = []
    for error in errors:
        attempt.failed(error)
        seen.append(attempt.pause)
    assert seen == pauses


@pytest.mark.usefixtures("clock")
def test_dead_connections_are_replaced_without_pause_until_there_were_max_size():
    attempt = new_attempt(3600, 2)
    pauses = []
    for _ in range(15):
        attempt.rejected(DEAD)
        pauses.append(round(attempt.pause, 3))
    assert pauses == [0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1, 1]
    assert attempt.rejection is DEAD


@pytest.mark.parametrize("step", [0.0, 1.0, 1.75, 3.0])
def test_pause_ends_with_the_timeout(clock, step):
    attempt = new_attempt(2, 0)
    clock.now += step
    for _ in range(4):
        attempt.failed(NO_CONNECTION)
    assert attempt.pause == max(0.0, 2 - step)


@pytest.mark.parametrize(
    ("errors", "is_raised"),
    [
        ([psycopg_pool.PoolClosed("closed")], True),
        ([NO_CONNECTION, psycopg_pool.PoolClosed("closed")], True),
        ([FULL], True),
        ([NO_CONNECTION, FULL], False),  # who has waited in turn is not sent away
        ([psycopg_pool.PoolTimeout("late")], False),
        ([KeyboardInterrupt()], True),
        ([NO_CONNECTION], False),
    ],
)
@pytest.mark.usefixtures("clock")
def test_attempt_ends_at_once_if_there_will_be_no_connection(errors, is_raised):
    attempt = new_attempt(3600, 4)
    for error in errors[:-1]:
        attempt.failed(error)
    if is_raised:
        with pytest.raises(type(errors[-1])):
            attempt.failed(errors[-1])
    else:
        attempt.failed(errors[-1])


@pytest.mark.usefixtures("clock")
def test_cancelled_caller_does_not_get_another_connection():
    with pytest.raises(asyncio.CancelledError):
        new_attempt(3600, 4).rejected(asyncio.CancelledError())


@pytest.mark.parametrize(
    ("rejections", "timeout", "expected"),
    [
        ([], 60, 5),
        ([DEAD] * 4, 60, 5),
        ([PingTimeout()], 60, 2.5),
        ([PingTimeout()] * 2 + [DEAD], 60, 1.25),
        ([PingTimeout()] * 20, 60, 0.1),
        ([], 3, 0.75),
        ([], 0, 0.1),
    ],
)
@pytest.mark.usefixtures("clock")
def test_ping_timeout_shrinks_with_each_unanswered_ping(rejections, timeout, expected):
    attempt = new_attempt(timeout, 4)
    for rejection in rejections:
        attempt.rejected(rejection)
    assert attempt.ping_timeout() == pytest.approx(expected)


def test_pool_connects_one_at_a_time_from_a_loss_until_an_attempt_succeeds():
    reconnection = Reconnection()
    assert all(map(reconnection.admits, ["grow", "grow too"]))
    reconnection.lost()
    assert [reconnection.admits(task) for task in "abc"] == [True, False, False]
    for failures in range(8):
        assert 1 <= reconnection.failed("again") <= min(1.5 + failures, 4)
        assert not reconnection.admits("d")
        assert reconnection.admits("again")
    assert reconnection.succeeded() == [*"bc", *"d" * 8]
    assert reconnection.admits("e")


def test_pool_lets_another_task_connect_once_one_gives_up():
    reconnection = Reconnection()
    reconnection.lost()
    assert [reconnection.admits(task) for task in "ab"] == [True, False]
    assert reconnection.gave_up() == ["b"]
    assert reconnection.admits("b")


def test_attempt_counts_what_was_waited_while_the_clock_stands(clock):
    attempt = new_attempt(2, 4)
    attempt.failed(NO_CONNECTION)
    attempt.waited(1.5)
    assert attempt.seconds_left() == 0.5


def test_pings_take_a_part_of_the_timeout_in_all(clock):
    attempt = new_attempt(5, 8)
    total = 0.0
    for _ in range(4):
        total += attempt.ping_timeout()
        attempt.rejected(PingTimeout("silent"))
    assert total < 5 / 2
