"""The retry policy, as a table of failure by query, without a server."""

from __future__ import annotations

from types import SimpleNamespace

import psycopg
import pytest
from procrastinate import sql
from procrastinate.exceptions import ConnectorException

from procrastinate_conn.connectors.runtime import retry
from procrastinate_conn.connectors.runtime.disconnects import (
    DURATION_LOGGING_QUERY,
    OutcomeUnknown,
    SafeToRetry,
)
from procrastinate_conn.connectors.runtime.retry import (
    FETCH,
    FETCHED,
    FINISH,
    NOT_RETRIED,
    RETRIES,
    RETRY,
    InFlightJobs,
    RetryableQuery,
)
from procrastinate_conn.connectors.runtime.steps import run

DEFER = sql.queries["defer_jobs"]
HEARTBEAT = sql.queries["update_heartbeat"]
NOT_STARTED = SafeToRetry("not started", is_certain=True)
IN_DOUBT = SafeToRetry("not started unless durations are logged")
UNKNOWN = OutcomeUnknown("lost")
JOB = {"id": 7, "attempts": 0}
NO_JOB = {"id": None}


def raised_by_function():
    error = ConnectorException("raised")
    error.__cause__ = psycopg.errors.RaiseException()
    return error


def of_useless_session(error=psycopg.errors.ReadOnlySqlTransaction):
    """Return the error of a query that the server rejects in this session."""
    rejected = ConnectorException("rejected")
    rejected.__cause__ = error("rejected")
    return rejected


class FakePool:
    """Counts how often its connections are replaced."""

    def __init__(self):
        self.replaced = self.rejected = 0

    def replace_all(self):
        self.replaced += 1
        return not self.rejected

    def replacement_rejected(self):
        self.rejected += 1


class FakeConnector:
    """Answers queries with the given results, in turn, and notes the queries."""

    fetch_row = None
    own_pool = None

    def __init__(self, *results):
        self.results = list(results)
        self.sent = []
        self.sleep = lambda _: None

    def send(self, query, arguments, fetch):
        self.sent.append(query)
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


def outcome(query, *results, arguments=None, jobs=None):
    """Return what came of a query with the given results, and the queries that were sent."""
    connector = FakeConnector(*results)
    steps = RetryableQuery(connector, query, arguments or {}, None, jobs).steps()
    try:
        return run(steps), connector.sent
    except ConnectorException as error:
        return type(error), connector.sent


@pytest.mark.parametrize(
    ("query", "results", "expected", "sent"),
    [
        (DEFER, ["done"], "done", [DEFER]),
        (DEFER, [NOT_STARTED, "done"], "done", [DEFER, DEFER]),
        (DEFER, [UNKNOWN], OutcomeUnknown, [DEFER]),
        (DEFER, [NOT_STARTED, UNKNOWN], OutcomeUnknown, [DEFER, DEFER]),
        (DEFER, [IN_DOUBT, {"logged": False}, "done"], "done", [DEFER, DURATION_LOGGING_QUERY, DEFER]),
        (DEFER, [IN_DOUBT, {"logged": True}], OutcomeUnknown, [DEFER, DURATION_LOGGING_QUERY]),
        (DEFER, [IN_DOUBT, ConnectorException()], OutcomeUnknown, [DEFER, DURATION_LOGGING_QUERY]),
        (
            DEFER,
            [IN_DOUBT, IN_DOUBT, {"logged": False}, "done"],
            "done",
            [DEFER, DURATION_LOGGING_QUERY, DURATION_LOGGING_QUERY, DEFER],
        ),
        (DEFER, [ConnectorException()], ConnectorException, [DEFER]),
        (HEARTBEAT, [UNKNOWN, IN_DOUBT, "done"], "done", [HEARTBEAT] * 3),
        (FETCH, [JOB], JOB, [FETCH]),
        (FETCH, [UNKNOWN, JOB], JOB, [FETCH, FETCHED]),
        (FETCH, [UNKNOWN, None, JOB], JOB, [FETCH, FETCHED, FETCH]),
        (FETCH, [UNKNOWN, UNKNOWN, None, NO_JOB], NO_JOB, [FETCH, FETCHED, FETCHED, FETCH]),
        (FINISH, [UNKNOWN, "done"], "done", [FINISH, FINISH]),
        (FINISH, [UNKNOWN, raised_by_function()], None, [FINISH, FINISH]),
        (FINISH, [raised_by_function()], ConnectorException, [FINISH]),
        (RETRY, [UNKNOWN, None], None, [RETRY, NOT_RETRIED]),
        (RETRY, [UNKNOWN, {"id": 1}, "done"], "done", [RETRY, NOT_RETRIED, RETRY]),
        (RETRY, [UNKNOWN, {"id": 1}, raised_by_function()], None, [RETRY, NOT_RETRIED, RETRY]),
    ],
)
def test_failed_query_is_sent_again_looked_up_or_reported(query, results, expected, sent):
    found = outcome(query, *results, arguments={"job_id": 1}, jobs=InFlightJobs({1: 0}))
    assert found == (expected, sent)


@pytest.mark.parametrize(
    ("query", "results", "expected", "sent"),
    [
        (DEFER, [of_useless_session(), "done"], "done", 2),
        (DEFER, [of_useless_session(psycopg.errors.CannotConnectNow), "done"], "done", 2),
        (DEFER, [of_useless_session(psycopg.errors.AdminShutdown)], OutcomeUnknown, 1),
        (DEFER, [of_useless_session(), of_useless_session(), "done"], ConnectorException, 2),
        ("SELECT application()", [of_useless_session(), "done"], ConnectorException, 1),
        (HEARTBEAT, [of_useless_session(psycopg.errors.CrashShutdown), "done"], "done", 2),
    ],
)
def test_query_rejected_in_a_useless_session_is_sent_once_more(query, results, expected, sent):
    connector = FakeConnector(*results)
    connector.own_pool = FakePool()
    try:
        found = run(RetryableQuery(connector, query, {}).steps())
    except ConnectorException as error:
        found = type(error)
    assert (found, len(connector.sent)) == (expected, sent)


def test_query_is_not_sent_again_while_new_sessions_are_rejected_too():
    connector = FakeConnector(of_useless_session(), of_useless_session(), of_useless_session())
    connector.own_pool = FakePool()
    for _ in range(2):
        with pytest.raises(ConnectorException):
            run(RetryableQuery(connector, DEFER, {}).steps())
    assert len(connector.sent) == 3


@pytest.mark.parametrize("query", [FETCH, FINISH, RETRY])
def test_worker_query_on_a_pool_of_the_callers_is_reported(query):
    assert outcome(query, UNKNOWN, arguments={"job_id": 1}) == (OutcomeUnknown, [query])


def test_retry_of_a_job_that_no_worker_has_is_reported():
    assert outcome(RETRY, UNKNOWN, arguments={"job_id": 1}, jobs=InFlightJobs()) == (OutcomeUnknown, [RETRY])


@pytest.mark.parametrize("failure", [NOT_STARTED, UNKNOWN])
def test_retries_are_limited_whatever_the_failure(failure):
    found, sent = outcome(HEARTBEAT, *[failure] * 100)
    assert found is type(failure)
    assert len(sent) == RETRIES


def test_jobs_in_flight_are_those_fetched_and_not_finished():
    jobs = InFlightJobs()
    outcome(FETCH, JOB, jobs=jobs)
    outcome(FETCH, {"id": 8, "attempts": 2}, jobs=jobs)
    outcome(FETCH, NO_JOB, jobs=jobs)
    assert jobs == {7: 0, 8: 2}
    outcome(FINISH, None, arguments={"job_id": 7}, jobs=jobs)
    assert jobs == {8: 2}


def test_job_fetched_again_before_its_retry_has_a_result_stays_in_flight():
    jobs = InFlightJobs({7: 0})
    steps = RetryableQuery(FakeConnector(None), RETRY, {"job_id": 7}, None, jobs).steps()
    jobs[7] = 1
    run(steps)
    assert jobs == {7: 1}


def test_fetch_looks_for_missed_jobs_within_the_window_after_a_lost_one(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(retry, "monotonic", lambda: clock.now)
    jobs = InFlightJobs()
    outcome(FETCH, UNKNOWN, JOB, jobs=jobs)
    assert outcome(FETCH, None, NO_JOB, jobs=jobs) == (NO_JOB, [FETCHED, FETCH])
    clock.now += retry.FETCH_WINDOW
    assert outcome(FETCH, NO_JOB, jobs=jobs) == (NO_JOB, [FETCH])
