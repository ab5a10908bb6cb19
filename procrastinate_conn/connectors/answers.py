"""A worker's queries whose answer is lost with the connection: asked again, so that the worker lives on.

Whether such a query had its effect is unknown, so only these are asked again: what is the same if done twice,
and fetching and finishing a job, whose effect can be looked up. To defer a job is none of them.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from procrastinate import sql
from procrastinate.exceptions import ConnectorException

from procrastinate_conn.connectors.farewell import AnswerLost
from procrastinate_conn.connectors.listening import Backoff

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

RAISED = "P0001"
"""What PostgreSQL calls an exception of a function's own."""

REPEATS = 5
"""Each of them waits for a connection as long as any caller does."""

P = ParamSpec("P")
T = TypeVar("T")
Ask = Callable[..., Awaitable[Any]]


def asked_again(execute: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Decorate a connector's method that takes a query, its arguments, and what to do with its cursor.

    The connector has two attributes: `core`, None where the pool is the caller's, and `at_work`, the set of
    the jobs that its workers have fetched and not finished.
    """
    untyped: Any = execute

    @functools.wraps(execute)
    async def executes(connector: Any, query: str, arguments: dict[str, Any], result: Any) -> Any:
        ask = functools.partial(untyped, connector)
        if connector.core is not None and query in (FETCH, FINISH, *SAME_IF_DONE_TWICE):
            answer = await _until_answered(ask, connector.at_work, query, arguments, result)
        else:
            answer = await ask(query, arguments, result)
        if query == FETCH:
            connector.at_work.add(answer["id"])
        elif query in (FINISH, RETRY):
            connector.at_work.discard(arguments["job_id"])
        return answer

    decorated: Any = executes
    typed: Callable[P, Awaitable[T]] = decorated
    return typed


async def _until_answered(
    ask: Ask, at_work: set[int | None], query: str, arguments: dict[str, Any], result: Any
) -> Any:
    """Return the answer to a query, asking again where it is lost."""
    backoff = Backoff()
    for repeat in range(REPEATS):
        try:
            return await _ask(ask, at_work, query, arguments, result, again=repeat > 0)
        except AnswerLost as error:
            logger.warning("asking again: %s", error)
        await asyncio.sleep(backoff.failed())
    return await _ask(ask, at_work, query, arguments, result, again=True)


async def _ask(
    ask: Ask, at_work: set[int | None], query: str, arguments: dict[str, Any], result: Any, *, again: bool
) -> Any:
    """Return the answer to a query; `again` means that it may have had its effect already."""
    if again and query == FETCH:
        fetched = await ask(FETCHED, {**arguments, "at_work": [id_ for id_ in at_work if id_]}, result)
        if fetched is not None:
            return fetched
    try:
        return await ask(query, arguments, result)
    except ConnectorException as error:
        if again and query == FINISH and _sqlstate(error) == RAISED:
            return None  # it was finished
        raise


def _sqlstate(error: ConnectorException) -> str | None:
    """Return the server's code for an error of psycopg's or of psycopg2's."""
    return getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)
