"""The event loop where a connector was opened, and its connections live: calls into it from other threads."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, wait
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


def on_owner_loop(execute: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Decorate a connector's method that uses its pool: it runs in the event loop that the pool belongs to.

    In another one, as `asyncio.run` makes it in a thread, it would wait for what never comes, and keep
    connections from callers in that loop. While it does not run, connections that can do without it
    are used in the other. The connector has four attributes: `config`, `owner_loop`, `loop_bound`, and
    `own_pool`, None where the pool is the caller's.

    Raises
    ------
    ConnectorException
        As `run_on_owner_loop`; or the connections cannot do without the event loop, and it does not run.
    """
    untyped: Any = execute

    @functools.wraps(execute)
    async def executes(connector: Any, *arguments: Any) -> Any:
        owner_loop = connector.owner_loop
        call = untyped(connector, *arguments)
        is_here = owner_loop is None or owner_loop is asyncio.get_running_loop() or owner_loop.is_closed()
        if connector.own_pool is None or is_here:
            return await call  # of a loop that was closed, nothing is left, as the call will find
        if not owner_loop.is_running():
            if not connector.loop_bound:
                return await call
            call.close()
            raise ConnectorException("the event loop that the connector was opened in does not run now")
        return await await_on_owner_loop(call, owner_loop, connector.config.pool.timeout)

    decorated: Any = executes
    typed: Callable[P, Awaitable[T]] = decorated
    return typed


class CrossLoopCall(Generic[T]):
    """A call that is handed to an event loop, which begins with it, or never does.

    Parameters
    ----------
    call
        The coroutine.
    loop
        The event loop of another thread, running.
    patience
        Seconds that the loop may take to begin with it, or stand still.

    Attributes
    ----------
    outcome : Future
        What the call returns.
    look_again : float
        Seconds to wait for it before the next look.

    Raises
    ------
    ConnectorException
        The loop was closed.
    """

    def __init__(
        self, call: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, patience: float
    ) -> None:
        self._call = call
        self._loop = loop
        self._patience = patience
        self._begun = False
        self._claim = threading.Lock()  # who takes it decides: the loop, that it begins; the caller, that not
        self._last_seen = monotonic()
        self.look_again = min(LOOK_AGAIN, patience)
        begins = self._begin()
        try:
            self.outcome = asyncio.run_coroutine_threadsafe(begins, loop)
        except RuntimeError as error:
            begins.close()
            call.close()
            raise ConnectorException("the event loop that the connector was opened in was closed") from error

    async def _begin(self) -> T:
        if not self._claim.acquire(blocking=False):
            raise asyncio.CancelledError
        self._begun = True
        return await self._call

    def look(self) -> None:
        """Look whether there is something to wait for.

        Raises
        ------
        ConnectorException
            There is nothing any more.
        """
        if self._begun and self._loop.is_running():
            self._last_seen = monotonic()
        if not self._loop.is_closed() and monotonic() - self._last_seen < self._patience:
            return
        if self.is_withdrawn():
            raise ConnectorException(
                f"the event loop that the connector was opened in did nothing for {self._patience:.2f} sec: "
                "does a synchronous call block it, or has it ended?"
            )
        if self._loop.is_closed() or not self._loop.is_running():
            raise ConnectorException(GIVEN_UP)

    def is_withdrawn(self) -> bool:
        """Withdraw the call, and tell whether that was in time."""
        if not self._claim.acquire(blocking=False):
            return False
        if not self._loop.is_closed():
            self.outcome.cancel()
        self._call.close()
        return True


def run_on_owner_loop(call: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, patience: float) -> T:
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
    handed = CrossLoopCall(call, loop, patience)
    while not wait([handed.outcome], handed.look_again).done:
        handed.look()
    try:
        return handed.outcome.result()
    except CancelledError as error:
        handed.is_withdrawn()  # it may be that it was never begun
        raise ConnectorException(GIVEN_UP) from error


async def await_on_owner_loop(
    call: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, patience: float
) -> T:
    """Do the same from another event loop; where the caller is cancelled, the call is cancelled, too."""
    handed = CrossLoopCall(call, loop, patience)
    outcome = asyncio.wrap_future(handed.outcome)
    try:
        while not (await asyncio.wait([outcome], timeout=handed.look_again))[0]:
            handed.look()
    except asyncio.CancelledError:
        if not handed.is_withdrawn():
            outcome.cancel()
        raise
    if outcome.cancelled():
        handed.is_withdrawn()
        raise ConnectorException(GIVEN_UP)
    return outcome.result()
