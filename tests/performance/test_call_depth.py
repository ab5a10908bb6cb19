"""A deferred job passes few functions of ours on its way to the socket and back, counted as round trips are.

Only calls are counted: they do not depend on the machine.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

import procrastinate_conn
from tests.servers import ASYNC_KINDS, KINDS, app, connector

PACKAGE = str(Path(procrastinate_conn.__file__).parent)

# At most 20 on every kind; whoever makes them fewer lowers the numbers.
DEFER = {
    "psycopg": 16,
    "aiopg": 15,
    "sync-psycopg": 13,
    "psycopg2": 12,
    "sqlalchemy-psycopg2": 16,
    "sqlalchemy-psycopg": 17,
    "sqlalchemy-async": 19,
    "asyncpg": 16,
}
DEFER_ASYNC = {"psycopg": 15, "aiopg": 18, "sqlalchemy-async": 18, "asyncpg": 28}

COMPREHENSIONS = {"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"}
"""Calls to Python 3.11, and none since 3.12."""

WARM = 12
"""Calls until a connection has done everything that it does once; psycopg prepares a query after five."""

MEASURED = 5
"""Calls of which the shortest counts: a driver polls once more if a response comes in two parts."""


@contextmanager
def recorded_calls(folder: str = PACKAGE) -> Iterator[list[str]]:
    """Yield a list that gets the functions defined in a folder, for each call by this thread in the block."""
    frames: dict[
        FrameType, None
    ] = {}  # keeps the frames: a coroutine's counts once, however often it resumes

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(folder):
            frames.setdefault(frame)

    calls: list[str] = []
    previous = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield calls
    finally:
        sys.setprofile(previous)
    codes = [frame.f_code for frame in frames if frame.f_code.co_name not in COMPREHENSIONS]
    calls += [f"{code.co_filename.removeprefix(folder)}: {code.co_qualname}" for code in codes]


def check(calls: list[str], maximum: int) -> None:
    assert len(calls) <= maximum, "\n".join([f"{len(calls)} calls, at most {maximum}:", *calls])


def test_call_of_a_coroutine_is_recorded_once_and_a_comprehension_not():
    async def resumed_twice():
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return [number for number in range(3)]  # noqa: C416 - a call to Python 3.11

    with recorded_calls(__file__) as calls:
        asyncio.run(resumed_twice())
    [call] = [call for call in calls if "recorded_calls" not in call]
    assert call.endswith(".resumed_twice")


@pytest.mark.parametrize("kind", KINDS)
def test_defer_passes_few_functions_of_ours(kind, server, database):
    jobs = app(connector(kind, server.parameters(database), min_size=1))
    measured = []
    with jobs.open():
        for _ in range(WARM):
            jobs.tasks["work"].defer(argument=1)
        for _ in range(MEASURED):
            with recorded_calls() as calls:
                jobs.tasks["work"].defer(argument=1)
            measured.append(calls)
    check(min(measured, key=len), DEFER[kind])


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_defer_async_passes_few_functions_of_ours(kind, server, database):
    jobs = app(connector(kind, server.parameters(database), min_size=1))

    async def scenario():
        measured = []
        async with jobs.open_async():
            for _ in range(WARM):
                await jobs.tasks["work"].defer_async(argument=1)
            for _ in range(MEASURED):
                with recorded_calls() as calls:
                    await jobs.tasks["work"].defer_async(argument=1)
                measured.append(calls)
        return min(measured, key=len)

    check(asyncio.run(scenario()), DEFER_ASYNC[kind])
