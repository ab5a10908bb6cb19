"""One policy for queries that failed with their connection: send again, look up, or report.

=========================  ============  ================  ===================================
failure                    any query     idempotent query  fetch, finish or retry of a worker's
=========================  ============  ================  ===================================
nothing of it is left      send again    send again        send again
the session is of no use   once more     once more         once more
the outcome is unknown     report        send again        look up its effect, or send again
=========================  ============  ================  ===================================

If that depends on whether the server logs durations (see `disconnects`), its settings are read. So a worker
continues; to defer a job is none of its queries.

A session is of no use if the server rejects queries on it, as after a failover (`USELESS_SESSION`). That is
known for procrastinate's own queries; they are sent once more on a new connection, and all others are
replaced.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Iterator
from time import monotonic
from typing import Any

from procrastinate import sql
from procrastinate.exceptions import ConnectorException

from procrastinate_conn.connectors.runtime.disconnects import (
    DURATION_LOGGING_QUERY,
    PROCRASTINATE_QUERIES,
    OutcomeUnknown,
    SafeToRetry,
)
from procrastinate_conn.connectors.runtime.steps import Steps

logger = logging.getLogger(__name__)

FETCH, FINISH, RETRY = (sql.queries[name] for name in ("fetch_job", "finish_job", "retry_job"))

JOB_QUERIES = frozenset((FETCH, FINISH, RETRY))

IDEMPOTENT = frozenset(
    (
        DURATION_LOGGING_QUERY,
        sql.queries["update_heartbeat"],
        sql.queries["list_jobs_to_abort"],
        sql.queries["prune_stalled_workers"],
        sql.queries["unregister_worker"],
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

USELESS_SESSION = {
    "25006": "read_only_sql_transaction: the primary is a standby now",
    "25P03": "idle_in_transaction_session_timeout",
    "55006": "object_in_use: the database is being moved",
    "57P03": "cannot_connect_now, from a pooler whose server is starting",
    "57P05": "idle_session_timeout, from a pooler",
}
"""PostgreSQL's codes of errors that leave nothing of a query, and that its session would repeat."""

POOLER_LOST_SERVER = frozenset(("57P01", "57P02"))
"""admin_shutdown and crash_shutdown end a session. If it stands, they come from a pooler: its own session has
ended, and the query may have been complete by then."""

REPLAN_FUNCTION = "RevalidateCachedQuery"
"""PostgreSQL's function that rejects a prepared statement (0A000) since a migration has changed its columns;
the message is translated."""

RAISE_EXCEPTION = "P0001"
"""PostgreSQL's code for an exception that a function raises."""

RETRIES = 6
"""Each of them waits for a connection as long as any caller does."""

FETCH_WINDOW = 60.0
"""Seconds that the server may still fetch a job after the connection is lost that the query was sent on."""


LONGEST_PAUSE = 10.0
"""Seconds between two attempts at the same thing, at most."""


def growing_pauses() -> Iterator[float]:
    """Yield seconds to wait: none, then up to 0.5, then up to twice that; at random, against storms."""
    longest = 0.0
    while True:
        yield random.uniform(0.5, 1.0) * longest  # noqa: S311 - it is no secret
        longest = min(2 * longest or 0.5, LONGEST_PAUSE)


class InFlightJobs(dict[int, int]):
    """The jobs that a connector's workers have fetched and not finished, each with its attempts so far."""

    last_lost_fetch = -math.inf

    def may_miss_one(self) -> bool:
        """Tell whether a job may have been fetched without its worker's knowledge."""
        return monotonic() - self.last_lost_fetch < FETCH_WINDOW


class RetryableQuery:
    """A query that may be sent again.

    `query`, `arguments` and `fetch` are as the connector's `send` takes them, which sends a query once; its
    `fetch_row` returns a cursor's first row or None. An asynchronous connector awaits what the steps yield:
    the results of these, and of `sleep`. `jobs` are those in flight; None on a pool of the caller's.
    """

    def __init__(
        self,
        connector: Any,
        query: str,
        arguments: dict[str, Any],
        fetch: Any = None,
        jobs: InFlightJobs | None = None,
    ) -> None:
        self._connector = connector
        self._query = query
        self._arguments = arguments
        self._fetch = fetch
        self._jobs = jobs if query in JOB_QUERIES else None
        self._job_id = arguments.get("job_id", -1)
        # Now: by the time of a result the job may have been fetched once more.
        self._attempts = None if jobs is None else jobs.get(self._job_id)
        self._may_have_run = False
        self._is_on_new_session = False

    def steps(self, error: ConnectorException | None = None) -> Steps:
        """Take the steps of the policy, after `error` if the query was sent once already."""
        return self.with_jobs_noted((yield from self._until_done(error)))

    def looks_up_first(self) -> bool:
        """Tell whether a job may have been fetched without its worker's knowledge."""
        return self._jobs is not None and self._query == FETCH and self._jobs.may_miss_one()

    def with_jobs_noted(self, result: Any) -> Any:
        """Return a result, after noting which jobs are in flight now."""
        jobs = self._jobs
        if jobs is None:
            return result
        if self._query != FETCH:
            if jobs.get(self._job_id) == self._attempts:
                jobs.pop(self._job_id, None)
        elif isinstance(result, dict) and result["id"] is not None:  # as procrastinate asks for it
            jobs[result["id"]] = result["attempts"]
        return result

    def _until_done(self, error: ConnectorException | None) -> Steps:
        pauses = growing_pauses()
        for retries in range(RETRIES + 1):
            if error is not None:
                error = self._classified(error)
            if isinstance(error, SafeToRetry) and not error.is_certain and (yield from self._may_be_logged()):
                error = OutcomeUnknown.after(error.__cause__)
            if error is not None and retries == RETRIES:
                break
            if isinstance(error, OutcomeUnknown):
                if not self._may_be_sent_twice():
                    break
                logger.warning("sending a query again: %s", error)
                self._may_have_run = True
                if self._jobs is not None and self._query == FETCH:
                    self._jobs.last_lost_fetch = monotonic()
                yield self._connector.sleep(next(pauses))
            try:
                return (yield from self._try())
            except ConnectorException as failure:
                error = failure
        assert error is not None
        raise error

    def _classified(self, error: ConnectorException) -> SafeToRetry | OutcomeUnknown:
        """Return the failure of the table that an error is; raise it if it is none of them."""
        if isinstance(error, SafeToRetry | OutcomeUnknown):
            return error
        cause, pool = driver_error(error), self._connector.own_pool
        if pool is None or self._query not in PROCRASTINATE_QUERIES:
            raise error
        if sqlstate(cause) in POOLER_LOST_SERVER:
            pool.replace_all()
            return OutcomeUnknown.after(cause)
        if not is_of_useless_session(cause):
            raise error
        if self._is_on_new_session:
            pool.replacement_rejected()
            raise error
        if not pool.replace_all():
            raise error
        self._is_on_new_session = True
        message = f"the server rejects queries in this session: {cause}"
        useless = SafeToRetry(message, is_certain=True)
        useless.__cause__ = cause
        return useless

    def _may_be_sent_twice(self) -> bool:
        """Tell whether to send the query again if its outcome is unknown."""
        query = self._query
        if query in IDEMPOTENT:
            return True
        if self._jobs is None:
            return False
        return query != RETRY or self._attempts is not None  # otherwise a user retries any job

    def _may_be_logged(self) -> Steps:
        """Read on another connection whether the server logs durations; if that fails, it may."""
        if self._query in IDEMPOTENT:
            return False
        question = RetryableQuery(self._connector, DURATION_LOGGING_QUERY, {}, self._connector.fetch_row)
        try:
            row = yield from question.steps()
        except ConnectorException:
            return True
        return row["logged"]

    def _try(self) -> Steps:
        """Send the query, unless its effect is found."""
        query, send, fetch_row = self._query, self._connector.send, self._connector.fetch_row
        if self._jobs is not None and (self.looks_up_first() or (self._may_have_run and query == FETCH)):
            known = {**self._arguments, "in_flight": list(self._jobs)}
            if (job := (yield send(FETCHED, known, fetch_row))) is not None:
                return job
        if self._may_have_run and query == RETRY:
            known = {**self._arguments, "attempts": self._attempts}
            if (yield send(NOT_RETRIED, known, fetch_row)) is None:
                return None  # it was retried
        try:
            return (yield send(query, self._arguments, self._fetch))
        except ConnectorException as error:
            if (
                self._may_have_run
                and query in (FINISH, RETRY)
                and sqlstate(driver_error(error)) == RAISE_EXCEPTION
            ):
                return None  # it was done, or is by now
            raise


def driver_error(error: BaseException) -> BaseException | None:
    """Return the driver's error behind one of procrastinate's; SQLAlchemy's is in between."""
    cause = error.__cause__
    return getattr(cause, "orig", None) or cause


def sqlstate(error: BaseException | None) -> str | None:
    """Return the server's code for an error of psycopg's, psycopg2's or asyncpg's."""
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)


def is_of_useless_session(error: BaseException | None) -> bool:
    """Tell whether an error leaves nothing of its query, and would be repeated in the same session."""
    source_function = getattr(getattr(error, "diag", None), "source_function", None)
    return sqlstate(error) in USELESS_SESSION or source_function == REPLAN_FUNCTION
