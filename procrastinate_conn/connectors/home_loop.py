"""The event loop where a connector was opened, and its connections live: calls into it from other threads."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future, wait
from typing import Any, ParamSpec, TypeVar

from procrastinate.exceptions import ConnectorException

P = ParamSpec("P")
T = TypeVar("T")

LOOK_AGAIN = 1.0
"""Seconds between two looks at whether the loop is still there: one that was closed answers nobody."""


def require_sockets(loop: asyncio.AbstractEventLoop) -> None:
    """Make sure that an event loop can wait for sockets that are not its own, as the drivers ask it to.

    Raises
    ------
    ConnectorException
        It cannot, as the one that asyncio makes on Windows; each attempt to connect would fail.
    """
    if type(loop).add_reader is asyncio.AbstractEventLoop.add_reader:
        raise ConnectorException(
            f"{type(loop).__name__} cannot wait for the connections' sockets: run the application with "
            "asyncio.Runner(loop_factory=asyncio.SelectorEventLoop), or call "
            "asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy()) before it runs"
        )


def at_home(execute: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Decorate a connector's method that uses its pool: it runs in the event loop that the pool belongs to.

    In another one, as `asyncio.run` makes it in a thread, it would wait for what never comes, and keep
    connections from those who are at home. The connector has three attributes: `blueprint`, `home`, and
    `core`, None where the pool is the caller's.

    Raises
    ------
    ConnectorException
        The event loop that the pool belongs to does not run.
    """
    untyped: Any = execute

    @functools.wraps(execute)
    async def executes(connector: Any, *arguments: Any) -> Any:
        home = connector.home
        call = untyped(connector, *arguments)
        if connector.core is None or home in (None, asyncio.get_running_loop()) or home.is_closed():
            return await call  # of a loop that was closed, nothing is left, as the call will find
        if not home.is_running():
            call.close()
            raise ConnectorException("the event loop that the connector was opened in does not run now")
        return await asyncio.to_thread(run_at_home, call, home, connector.blueprint.pool.timeout)

    decorated: Any = executes
    typed: Callable[P, Awaitable[T]] = decorated
    return typed


def run_at_home(call: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, patience: float) -> T:
    """Run a coroutine in the event loop of another thread, and return its result.

    Parameters
    ----------
    call
        The coroutine.
    loop
        The event loop, running.
    patience
        Seconds that the loop may take to begin with it.

    Raises
    ------
    ConnectorException
        The loop does not begin with it, or cancels it, or ends before it is done.
    """
    begun = threading.Event()
    claim = threading.Lock()  # who takes it decides: the loop, that it begins; the caller, that it never does

    async def run() -> T:
        if not claim.acquire(blocking=False):
            raise asyncio.CancelledError
        begun.set()
        return await call

    future = asyncio.run_coroutine_threadsafe(run(), loop)
    if not begun.wait(patience) and claim.acquire(blocking=False):
        future.cancel()
        call.close()
        raise ConnectorException(
            f"the event loop that the connector was opened in did nothing for {patience:.2f} sec: "
            "does a synchronous call block it?"
        )
    return _result(future, loop)


def _result(future: Future[T], loop: asyncio.AbstractEventLoop) -> T:
    """Return the result of a call that has begun."""
    given_up = (
        "the event loop that the connector was opened in has given up the call, "
        "which may have had its effect or not"
    )
    while not wait([future], LOOK_AGAIN).done:
        if loop.is_closed():
            raise ConnectorException(given_up)
    try:
        return future.result()
    except CancelledError as error:
        raise ConnectorException(given_up) from error
