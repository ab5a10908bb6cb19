"""Code that is the same for synchronous and asynchronous callers: generators that yield calls.

As in psycopg, the generator holds the logic, and its driver waits. In a synchronous class the calls that it
yields are done already, and their results are sent back; in an asynchronous one they are awaited.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

Steps = Generator[Any, Any, Any]


def run(steps: Steps) -> Any:
    """Run steps whose calls are done when they are yielded; return what they return."""
    result = None
    try:
        while True:
            result = steps.send(result)
    except StopIteration as done:
        return done.value


async def run_async(steps: Steps) -> Any:
    """Run steps whose calls are to be awaited; return what they return."""
    result = None
    error: BaseException | None = None
    while True:
        try:
            call = steps.send(result) if error is None else steps.throw(error)
        except StopIteration as done:
            return done.value
        result = error = None
        try:
            result = await call
        except BaseException as failure:  # noqa: BLE001 - it is thrown into the steps
            error = failure
