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

from procrastinate_conn.connectors.backoff import Backoff
from procrastinate_conn.connectors.farewell import AnswerLost

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
    " WHERE worker_id = %(worker_id)s AND status = 'doing' AND NOT id = ANY(%(at_work)s::bigint[])"
    " ORDER BY id LIMIT 1"
)
"""A job that a worker has fetched without knowing it, in the columns of `FETCH`."""

NOT_RETRIED = (
    "SELECT id FROM procrastinate_jobs WHERE id = %(job_id)s AND status = 'doing' AND attempts = %(attempts)s"
)
"""A job that its worker is still at: to retry it adds an attempt."""

RAISED = "P0001"
"""What PostgreSQL calls an exception of a function's own."""

REPEATS = 5
"""Each of them waits for a connection as long as any caller does."""

FETCHES_GO_ON_FOR = 60.0
"""Seconds that the server may still fetch a job, after the connection is lost on which it was asked to."""

P = ParamSpec("P")
T = TypeVar("T")
Ask = Callable[..., Awaitable[Any]]


class AtWork(dict[int, int]):
    """The jobs that a connector's workers have fetched and not finished, each with its attempts so far.

    Attributes
    ----------
    fetch_lost_at : float
        When the answer to a fetch was lost the last time.
    """

    fetch_lost_at = -math.inf

    def may_hold_more(self) -> bool:
        """Tell whether there may be a job that was fetched without its worker's knowledge."""
        return monotonic() - self.fetch_lost_at < FETCHES_GO_ON_FOR


def asked_again(execute: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Decorate a connector's method that takes a query, its arguments, and what to do with its cursor.

    The connector has two attributes: `core`, None where the pool is the caller's, and `at_work`.
    """
    untyped: Any = execute

    @functools.wraps(execute)
    async def executes(connector: Any, query: str, arguments: dict[str, Any], result: Any) -> Any:
        ask = functools.partial(untyped, connector)
        askable = query in (FETCH, FINISH, *SAME_IF_DONE_TWICE)
        if query == RETRY:  # a user's call may be about any job
            askable = arguments["job_id"] in connector.at_work
        if connector.core is not None and askable:
            answer = await _until_answered(ask, connector.at_work, query, arguments, result)
        else:
            answer = await ask(query, arguments, result)
        if query == FETCH and answer["id"] is not None:
            connector.at_work[answer["id"]] = answer["attempts"]
        elif query in (FINISH, RETRY):
            connector.at_work.pop(arguments["job_id"], None)
        return answer

    decorated: Any = executes
    typed: Callable[P, Awaitable[T]] = decorated
    return typed


async def _until_answered(
    ask: Ask, at_work: AtWork, query: str, arguments: dict[str, Any], result: Any
) -> Any:
    """Return the answer to a query, asking again where it is lost."""
    backoff = Backoff()
    for repeat in range(REPEATS):
        try:
            return await _ask(ask, at_work, query, arguments, result, again=repeat > 0)
        except AnswerLost as error:
            logger.warning("asking again: %s", error)
            if query == FETCH:
                at_work.fetch_lost_at = monotonic()
        await asyncio.sleep(backoff.failed())
    return await _ask(ask, at_work, query, arguments, result, again=True)


async def _ask(
    ask: Ask, at_work: AtWork, query: str, arguments: dict[str, Any], result: Any, *, again: bool
) -> Any:
    """Return the answer to a query; `again` means that it may have had its effect already."""
    if query == FETCH and (again or at_work.may_hold_more()):
        fetched = await ask(FETCHED, {**arguments, "at_work": list(at_work)}, result)
        if fetched is not None:
            return fetched
    if again and query == RETRY:
        attempts = at_work[arguments["job_id"]]
        if await ask(NOT_RETRIED, {**arguments, "attempts": attempts}, _first_row) is None:
            return None  # it was retried
    try:
        return await ask(query, arguments, result)
    except ConnectorException as error:
        if again and query in (FINISH, RETRY) and _sqlstate(error) == RAISED:
            return None  # it was done, or is by now
        raise


def _first_row(cursor: Any) -> Any:
    return cursor.fetchone()


def _sqlstate(error: ConnectorException) -> str | None:
    """Return the server's code for an error of psycopg's or of psycopg2's."""
    return getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)
