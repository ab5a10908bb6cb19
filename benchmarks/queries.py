"""procrastinate's queries on the connections of raw drivers, without anything else."""

from __future__ import annotations

from typing import Any

from procrastinate import sql
from procrastinate.types import JobToDefer

from benchmarks.drivers import PSYCOPG, Driver, Execute, ExecuteAsync

TASK = "measured"
ARGUMENTS: dict[str, Any] = {"number": 1, "text": "a job's usual argument"}

QUERY = "SELECT 1 AS number"
"""A query that takes the server no time."""

DEFER = sql.queries["defer_jobs"]
FETCH = sql.queries["fetch_job"]
FINISH = sql.queries["finish_job"]
FINISHED = {"status": "succeeded", "delete_job": False}


def defer_arguments(jobs: int, driver: Driver[Any] = PSYCOPG) -> dict[str, Any]:
    """Return the arguments of the query that defers `jobs` jobs."""
    return {"jobs": driver.write_jobs([JobToDefer("default", TASK, 0, None, None, ARGUMENTS, None)] * jobs)}


def defer_jobs(execute: Execute, jobs: int) -> None:
    """Defer `jobs` jobs with one query, on a connection of psycopg's."""
    execute(DEFER, defer_arguments(jobs))


def register_worker(execute: Execute) -> int:
    """Register a worker and return its number."""
    [row] = execute(sql.queries["register_worker"], None)
    return int(row["worker_id"])


def fetch_job(execute: Execute, worker_id: int) -> int:
    """Fetch a job and return its number."""
    [row] = execute(FETCH, {"queues": None, "worker_id": worker_id})
    return int(row["id"])


def finish_job(execute: Execute, job: int) -> None:
    """Finish a job."""
    execute(FINISH, {**FINISHED, "job_id": job})


async def work_job_async(execute: ExecuteAsync, worker_id: int) -> None:
    """Fetch a job and finish it."""
    [row] = await execute(FETCH, {"queues": None, "worker_id": worker_id})
    await execute(FINISH, {**FINISHED, "job_id": row["id"]})
