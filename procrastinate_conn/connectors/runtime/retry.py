"""One policy for queries that failed with their connection: send again, look up, or report.

================================  ============  ================  ===================================
failure                           any query     idempotent query  fetch, finish or retry of a worker's
================================  ============  ================  ===================================
the server did not begin with it  send again    send again        send again
the outcome is unknown            report        send again        look up its effect, or send again
================================  ============  ================  ===================================

If durations that the server logs would leave that in doubt (see `disconnects`), it is asked whether it logs
them. A worker lives on; to defer a job is none of its queries.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Generator
from time import monotonic
from typing import Any, NamedTuple

from procrastinate import sql
from procrastinate.exceptions import ConnectorException

from procrastinate_conn.connectors.runtime.backoff import Backoff
from procrastinate_conn.connectors.runtime.disconnects import (
    DURATION_LOGGING_QUERY,
    OutcomeUnknown,
    SafeToRetry,
)

logger = logging.getLogger(__name__)

FETCH, FINISH, RETRY = (sql.queries[name] for name in ("fetch_job", "finish_job", "retry_job"))

JOB_QUERIES = frozenset((FETCH, FINISH, RETRY))

IDEMPOTENT = frozenset(
    (
        DURATION_LOGGING_QUERY,
        sql.queries["update_heartbeat"],
        sql.queries["list_jobs_to_abort"],
        sql.queries["prune_stalled_workers"],
        sql.queries["defer_periodic_job"],  # a periodic task is deferred once for each time that it is due
    )
)

FETCHED = (
    f"{FETCH.rpartition('FROM')[0]} FROM procrastinate_jobs"
    " WHERE worker_id = %(worker_id)s AND status = 'doing' AND NOT id = ANY(%(in_flight)s::bigint[])"
    " ORDER BY id LIMIT 1"
)
"""A job that a worker has fetched without knowing it, in the columns of `FETCH`."""

NOT_RETRIED = (
    "SELECT id FROM procrastinate_jobs WHERE id = %(job_id)s AND status = 'doing' AND attempts = %(attempts)s"
)
"""A job that its worker has not finished: to retry it adds an attempt."""

RAISE_EXCEPTION = "P0001"
"""PostgreSQL's code for an exception that a function raises."""

RETRIES = 6
"""Each of them waits for a connection as long as any caller does."""

FETCH_WINDOW = 60.0
"""Seconds that the server may still fetch a job after the connection is lost that the query was sent on."""


class Send(NamedTuple):
    """A query to be sent once; `fetch` takes the cursor."""

    query: str
    arguments: dict[str, Any]
    fetch: Any


Steps = Generator[Send | float, Any, Any]
"""Yields queries to be sent, whose result is sent in or whose error is thrown, and seconds to wait."""


class InFlightJobs(dict[int, int]):
    """The jobs that a connector's workers have fetched and not finished, each with its attempts so far.

    Attributes
    ----------
    last_lost_fetch : float
        When the result of a fetch was lost the last time.
    """

    last_lost_fetch = -math.inf

    def may_miss_one(self) -> bool:
        """Tell whether a job may have been fetched without its worker's knowledge."""
        return monotonic() - self.last_lost_fetch < FETCH_WINDOW


class RetryableQuery:
    """A query that may be sent again; without I/O.

    Parameters
    ----------
    query, arguments, fetch
        As in `Send`.
    fetch_row
        Returns the first row, or None.
    jobs
        The jobs in flight; None on a pool of the caller's.
    """

    def __init__(
        self,
        query: str,
        arguments: dict[str, Any],
        fetch: Any,
        fetch_row: Any,
        jobs: InFlightJobs | None = None,
    ) -> None:
        self._sent = Send(query, arguments, fetch)
        self._fetch_row = fetch_row
        self._jobs = jobs
        self._job_id = arguments.get("job_id", -1)
        # Now: by the time of a result the job may have been fetched once more.
        self._attempts = None if jobs is None else jobs.get(self._job_id)
        self._may_have_run = False

    def steps(self, error: Exception | None = None) -> Steps:
        """Take the steps of the policy, after `error` if the query was sent once already."""
        result = yield from self._until_done(error)
        query, jobs = self._sent.query, self._jobs
        if jobs is not None and query == FETCH and result["id"] is not None:
            jobs[result["id"]] = result["attempts"]
        elif jobs is not None and query in (FINISH, RETRY) and jobs.get(self._job_id) == self._attempts:
            jobs.pop(self._job_id, None)
        return result

    def _until_done(self, error: Exception | None) -> Steps:
        backoff = Backoff()
        for retries in range(RETRIES + 1):
            if isinstance(error, SafeToRetry) and not error.is_certain and (yield from self._may_be_logged()):
                error = OutcomeUnknown.after(error.__cause__)
            if error is not None and retries == RETRIES:
                break
            if isinstance(error, OutcomeUnknown):
                if not self._may_be_sent_twice():
                    break
                logger.warning("sending a query again: %s", error)
                self._may_have_run = True
                if self._jobs is not None and self._sent.query == FETCH:
                    self._jobs.last_lost_fetch = monotonic()
                yield backoff.failed()
            try:
                return (yield from self._try())
            except (SafeToRetry, OutcomeUnknown) as failure:
                error = failure
        assert error is not None
        raise error

    def _may_be_sent_twice(self) -> bool:
        """Tell whether to send the query again if its outcome is unknown."""
        query = self._sent.query
        if query in IDEMPOTENT:
            return True
        if self._jobs is None or query not in JOB_QUERIES:
            return False
        return query != RETRY or self._attempts is not None  # otherwise a user retries any job

    def _may_be_logged(self) -> Steps:
        """Ask on another connection whether the server logs durations; if it does not answer, it may."""
        if self._sent.query in IDEMPOTENT:
            return False
        question = RetryableQuery(DURATION_LOGGING_QUERY, {}, self._fetch_row, self._fetch_row)
        try:
            row = yield from question.steps()
        except ConnectorException:
            return True
        return row["logged"]

    def _try(self) -> Steps:
        """Send the query, unless its effect is found."""
        query, arguments, _ = self._sent
        if self._jobs is not None and query == FETCH and (self._may_have_run or self._jobs.may_miss_one()):
            known = {**arguments, "in_flight": list(self._jobs)}
            if (job := (yield Send(FETCHED, known, self._fetch_row))) is not None:
                return job
        if self._may_have_run and query == RETRY:
            known = {**arguments, "attempts": self._attempts}
            if (yield Send(NOT_RETRIED, known, self._fetch_row)) is None:
                return None  # it was retried
        try:
            return (yield self._sent)
        except ConnectorException as error:
            if self._may_have_run and query in (FINISH, RETRY) and _sqlstate(error) == RAISE_EXCEPTION:
                return None  # it was done, or is by now
            raise


def run(steps: Steps, send: Callable[[str, dict[str, Any], Any], Any]) -> Any:
    """Carry out the steps of a policy."""
    error: Exception | None = None
    result: Any = None
    while True:
        try:
            step = steps.send(result) if error is None else steps.throw(error)
        except StopIteration as done:
            return done.value
        error = result = None
        if isinstance(step, float):
            time.sleep(step)
            continue
        try:
            result = send(*step)
        except ConnectorException as failure:
            error = failure


async def run_async(steps: Steps, send: Callable[[str, dict[str, Any], Any], Awaitable[Any]]) -> Any:
    """Carry out the steps of a policy."""
    error: Exception | None = None
    result: Any = None
    while True:
        try:
            step = steps.send(result) if error is None else steps.throw(error)
        except StopIteration as done:
            return done.value
        error = result = None
        if isinstance(step, float):
            await asyncio.sleep(step)
            continue
        try:
            result = await send(*step)
        except ConnectorException as failure:
            error = failure


def _sqlstate(error: ConnectorException) -> str | None:
    """Return the server's code for an error of psycopg's or of psycopg2's."""
    return getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)
