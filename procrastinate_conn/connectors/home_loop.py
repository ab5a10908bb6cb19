"""The event loop where a connector was opened, and its connections live: calls into it from other threads."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future, wait
from time import monotonic
from typing import Any, Generic, ParamSpec, TypeVar

from procrastinate.exceptions import ConnectorException

P = ParamSpec("P")
T = TypeVar("T")

LOOK_AGAIN = 1.0
"""Seconds between two looks at whether the loop is still there: one that was closed answers nobody."""

GIVEN_UP = (
    "the event loop that the connector was opened in has given up the call, "
    "which may have had its effect or not"
)


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
    connections from those who are at home. Only while that one does not run, they may do without it. The
    connector has three attributes: `blueprint`, `home`, and `core`, None where the pool is the caller's.

    Raises
    ------
    ConnectorException
        As `run_at_home`.
    """
    untyped: Any = execute

    @functools.wraps(execute)
    async def executes(connector: Any, *arguments: Any) -> Any:
        home = connector.home
        call = untyped(connector, *arguments)
        is_elsewhere = home is not None and home is not asyncio.get_running_loop() and home.is_running()
        if connector.core is None or not is_elsewhere:
            return await call
        return await await_at_home(call, home, connector.blueprint.pool.timeout)

    decorated: Any = executes
    typed: Callable[P, Awaitable[T]] = decorated
    return typed


class _Handover(Generic[T]):
    """A call that is handed to an event loop, which begins with it, or never does.

    Parameters
    ----------
    call
        The coroutine.
    loop
        The event loop of another thread, running.

    Attributes
    ----------
    begun : Future
        Done once the loop has begun with the call.
    outcome : Future
        What the call returns.
    """

    def __init__(self, call: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> None:
        self._call = call
        self._claim = (
            threading.Lock()
        )  # who takes it decides: the loop, that it begins; the caller, that it never does
        self.begun: Future[None] = Future()
        self.outcome = asyncio.run_coroutine_threadsafe(self._run(), loop)

    async def _run(self) -> T:
        if not self._claim.acquire(blocking=False):
            raise asyncio.CancelledError
        self.begun.set_result(None)
        return await self._call

    def is_withdrawn(self) -> bool:
        """Withdraw the call, and tell whether that was in time."""
        if not self._claim.acquire(blocking=False):
            return False
        self.outcome.cancel()
        self._call.close()
        return True


class _Watch:
    """An eye on whether an event loop still runs, which stops between two runs, or for good.

    Parameters
    ----------
    loop
        The event loop.
    patience
        Seconds that it may stand still.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, patience: float) -> None:
        self._loop = loop
        self._patience = patience
        self._last_seen = monotonic()

    def look(self) -> None:
        """Look at the loop.

        Raises
        ------
        ConnectorException
            It does not run any more.
        """
        if self._loop.is_running():
            self._last_seen = monotonic()
        if self._loop.is_closed() or monotonic() - self._last_seen > self._patience:
            raise ConnectorException(GIVEN_UP)


def run_at_home(call: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, patience: float) -> T:
    """Run a coroutine in the event loop of another thread, and return its result.

    Parameters
    ----------
    call
        The coroutine.
    loop
        The event loop, running.
    patience
        Seconds that the loop may take to begin with it, or stand still.

    Raises
    ------
    ConnectorException
        The loop does not begin with it, or cancels it, or ends before it is done.
    """
    handed = _Handover(call, loop)
    if not wait([handed.begun], patience).done and handed.is_withdrawn():
        raise _not_begun(patience)
    watch = _Watch(loop, patience)
    while not wait([handed.outcome], LOOK_AGAIN).done:
        watch.look()
    try:
        return handed.outcome.result()
    except CancelledError as error:
        raise ConnectorException(GIVEN_UP) from error


async def await_at_home(call: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, patience: float) -> T:
    """Do the same from another event loop; where the caller is cancelled, the call is cancelled, too."""
    handed = _Handover(call, loop)
    begun, outcome = asyncio.wrap_future(handed.begun), asyncio.wrap_future(handed.outcome)
    try:
        await asyncio.wait([begun], timeout=patience)
        if not begun.done() and handed.is_withdrawn():
            raise _not_begun(patience)
        watch = _Watch(loop, patience)
        while not (await asyncio.wait([outcome], timeout=LOOK_AGAIN))[0]:
            watch.look()
    except asyncio.CancelledError:
        if not handed.is_withdrawn():
            outcome.cancel()
        raise
    if outcome.cancelled():
        raise ConnectorException(GIVEN_UP)
    return outcome.result()


def _not_begun(patience: float) -> ConnectorException:
    return ConnectorException(
        f"the event loop that the connector was opened in did nothing for {patience:.2f} sec: "
        "does a synchronous call block it?"
    )
