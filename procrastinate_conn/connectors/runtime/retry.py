"""A worker's queries whose answer is lost with the connection: asked again, so that the worker lives on.

Whether such a query had its effect is unknown, so only these are asked again: what is the same if done twice,
and to fetch, finish and retry a job, whose effect can be looked up. To defer a job is none of them.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, ParamSpec, TypeVar

from procrastinate import sql
from procrastinate.exceptions import ConnectorException

from procrastinate_conn.connectors.runtime.backoff import Backoff
from procrastinate_conn.connectors.runtime.disconnects import OutcomeUnknown

logger = logging.getLogger(__name__)

FETCH, FINISH, RETRY = (sql.queries[name] for name in ("fetch_job", "finish_job", "retry_job"))

SAME_IF_DONE_TWICE = tuple(
    sql.queries[name]
    for name in (
        "update_heartbeat",
        "list_jobs_to_abort",
        "prune_stalled_workers",
        "defer_periodic_job",  # a periodic task is deferred once for each time that it is due
    )
)

FETCHED = (
    f"{FETCH.rpartition('FROM')[0]} FROM procrastinate_jobs"
    " WHERE worker_id = %(worker_id)s AND status = 'doing' AND NOT id = ANY(%(in_flight_jobs)s::bigint[])"
    " ORDER BY id LIMIT 1"
)
"""A job that a worker has fetched without knowing it, in the columns of `FETCH`."""

NOT_RETRIED = (
    "SELECT id FROM procrastinate_jobs WHERE id = %(job_id)s AND status = 'doing' AND attempts = %(attempts)s"
)
"""A job that its worker is still at: to retry it adds an attempt."""

RAISED = "P0001"
"""What PostgreSQL calls an exception of a function's own."""

NO_JOB = -1
"""The number of none."""

REPEATS = 5
"""Each of them waits for a connection as long as any caller does."""

FETCH_WINDOW = 60.0
"""Seconds that the server may still fetch a job, after the connection is lost on which it was asked to."""

P = ParamSpec("P")
T = TypeVar("T")
Ask = Callable[..., Awaitable[Any]]


class InFlightJobs(dict[int, int]):
    """The jobs that a connector's workers have fetched and not finished, each with its attempts so far.

    Attributes
    ----------
    fetch_lost_at : float
        When the answer to a fetch was lost the last time.
    """

    fetch_lost_at = -math.inf

    def may_hold_more(self) -> bool:
        """Tell whether there may be a job that was fetched without its worker's knowledge."""
        return monotonic() - self.fetch_lost_at < FETCH_WINDOW


def retry_idempotent(execute: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Decorate a connector's method that takes a query, its arguments, and what to do with its cursor.

    The connector has two attributes: `own_pool`, None where the pool is the caller's, and `in_flight_jobs`.
    """
    untyped: Any = execute

    @functools.wraps(execute)
    async def executes(connector: Any, query: str, arguments: dict[str, Any], result: Any) -> Any:
        ask = functools.partial(untyped, connector)
        in_flight_jobs: InFlightJobs = connector.in_flight_jobs
        job = arguments.get("job_id", NO_JOB)
        attempts = in_flight_jobs.get(
            job
        )  # now: by the time of an answer the job may have been fetched once more
        askable = query in (FETCH, FINISH, *SAME_IF_DONE_TWICE)
        if query == RETRY:  # a user's call may be about any job
            askable = attempts is not None
        if connector.own_pool is not None and askable:
            question = RetryableQuery(
                ask, query, arguments, result, in_flight_jobs=in_flight_jobs, attempts=attempts
            )
            answer = await question.until_answered()
        else:
            answer = await ask(query, arguments, result)
        if query == FETCH and answer["id"] is not None:
            in_flight_jobs[answer["id"]] = answer["attempts"]
        elif query in (FINISH, RETRY) and in_flight_jobs.get(job) == attempts:
            in_flight_jobs.pop(job, None)
        return answer

    decorated: Any = executes
    typed: Callable[P, Awaitable[T]] = decorated
    return typed


class RetryableQuery:
    """A query that may be asked again.

    Parameters
    ----------
    ask
        The connector's method.
    query, arguments, result
        What it is called with.
    in_flight_jobs
        The jobs that the connector's workers are at.
    attempts
        Of the job that the query is about.
    """

    def __init__(
        self,
        ask: Ask,
        query: str,
        arguments: dict[str, Any],
        result: Any,
        *,
        in_flight_jobs: InFlightJobs,
        attempts: int | None,
    ) -> None:
        self.ask = ask
        self.query = query
        self.arguments = arguments
        self.result = result
        self.in_flight_jobs = in_flight_jobs
        self.attempts = attempts

    async def until_answered(self) -> Any:
        """Return the answer, asking again where it is lost."""
        backoff = Backoff()
        for repeat in range(REPEATS):
            try:
                return await self._answer(again=repeat > 0)
            except OutcomeUnknown as error:
                logger.warning("asking again: %s", error)
                if self.query == FETCH:
                    self.in_flight_jobs.fetch_lost_at = monotonic()
            await asyncio.sleep(backoff.failed())
        return await self._answer(again=True)

    async def _answer(self, *, again: bool) -> Any:
        """Return the answer; `again` means that the query may have had its effect already."""
        if self.query == FETCH and (again or self.in_flight_jobs.may_hold_more()):
            known = {**self.arguments, "in_flight_jobs": list(self.in_flight_jobs)}
            fetched = await self.ask(FETCHED, known, self.result)
            if fetched is not None:
                return fetched
        if again and self.query == RETRY:
            known = {**self.arguments, "attempts": self.attempts}
            if await self.ask(NOT_RETRIED, known, _first_row) is None:
                return None  # it was retried
        try:
            return await self.ask(self.query, self.arguments, self.result)
        except ConnectorException as error:
            if again and self.query in (FINISH, RETRY) and _sqlstate(error) == RAISED:
                return None  # it was done, or is by now
            raise


def _first_row(cursor: Any) -> Any:
    return cursor.fetchone()


def _sqlstate(error: ConnectorException) -> str | None:
    """Return the server's code for an error of psycopg's or of psycopg2's."""
    return getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)
