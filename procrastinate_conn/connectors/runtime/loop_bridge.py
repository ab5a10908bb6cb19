"""Calls into the event loop that a connector was opened in, from other threads and other loops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, Generic, TypeVar

from procrastinate.exceptions import ConnectorException

T = TypeVar("T")

CHECK_INTERVAL = 1.0
"""Seconds between two checks that the loop still runs: one that was closed completes no call."""

CANCELLED = (
    "the event loop that the connector was opened in has cancelled the call, "
    "which may have had its effect or not"
)


def require_sockets(loop: asyncio.AbstractEventLoop) -> None:
    """Raise an error if an event loop cannot watch the drivers' sockets, as the default one on Windows."""
    if type(loop).add_reader is asyncio.AbstractEventLoop.add_reader:
        raise ConnectorException(
            f"{type(loop).__name__} cannot wait for the connections' sockets: run the application with "
            "asyncio.Runner(loop_factory=asyncio.SelectorEventLoop), or call "
            "asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy()) before it runs"
        )


class CrossLoopCall(Generic[T]):
    """A call that is handed to the event loop of another thread, which starts it, or never does.

    Its result is set in `outcome`. `timeout` are the seconds that the loop may take to start the call, or be
    stopped; to notice that, `check_loop` has to be called every `check_interval` seconds.
    """

    def __init__(self, call: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._call = call
        self._loop = loop
        self._timeout = timeout
        self._task: asyncio.Task[T] | None = None
        self._idle = 0.0  # seconds that the loop did nothing; counted, since a test may freeze the clock
        self.check_interval = min(CHECK_INTERVAL, timeout)
        # Either the loop sets it to running, and starts the call, or the caller cancels it.
        self.outcome: Future[T] = Future()
        try:
            loop.call_soon_threadsafe(self._start)
        except RuntimeError as error:
            call.close()
            raise ConnectorException("the event loop that the connector was opened in was closed") from error

    def _start(self) -> None:
        if self.outcome.set_running_or_notify_cancel():
            self._task = self._loop.create_task(self._call)
            self._task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.outcome.set_exception(ConnectorException(CANCELLED))
        elif (error := task.exception()) is not None:
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(task.result())

    def check_loop(self) -> None:
        """Raise an error if the call cannot complete any more."""
        if self._task is not None and self._loop.is_running():
            self._idle = 0.0
        else:
            self._idle += self.check_interval
        if not self._loop.is_closed() and self._idle < self._timeout:
            return
        if self.withdraw():
            raise ConnectorException(
                f"the event loop that the connector was opened in did nothing for {self._timeout:.2f} sec: "
                "does a synchronous call block it, or has it ended?"
            )
        if self._loop.is_closed() or not self._loop.is_running():
            raise ConnectorException(CANCELLED)

    def withdraw(self) -> bool:
        """Withdraw the call, and tell whether that was in time."""
        if in_time := self.outcome.cancel():
            self._call.close()
        return in_time

    def cancel(self) -> None:
        if not self.withdraw():
            with suppress(RuntimeError):  # the loop was closed
                self._loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())


def run_on_owner_loop(call: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, timeout: float) -> T:
    """Run a coroutine in the event loop of another thread, and return its result.

    `ConnectorException` is raised if the loop does not start the call, or cancels it, or ends before.
    """
    handed = CrossLoopCall(call, loop, timeout)
    while not wait([handed.outcome], handed.check_interval).done:
        handed.check_loop()
    return handed.outcome.result()


async def await_on_owner_loop(
    call: Coroutine[Any, Any, T],
    loop: asyncio.AbstractEventLoop,
    timeout: float,  # noqa: ASYNC109 - not of this call
) -> T:
    """Do the same from another event loop; if the caller is cancelled, the call is cancelled, too."""
    handed = CrossLoopCall(call, loop, timeout)
    outcome = asyncio.wrap_future(handed.outcome)
    try:
        while not (await asyncio.wait([outcome], timeout=handed.check_interval))[0]:
            handed.check_loop()
    except asyncio.CancelledError:
        handed.cancel()
        raise
    finally:
        outcome.cancel()  # if nobody waits for it any more
    return outcome.result()
