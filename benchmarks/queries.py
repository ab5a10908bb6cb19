"""procrastinate's queries on psycopg connections, without anything else."""

from __future__ import annotations

from typing import Any

import psycopg
from procrastinate import sql
from procrastinate.types import JobToDefer
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb

Connection = psycopg.Connection[DictRow]
AsyncConnection = psycopg.AsyncConnection[DictRow]

TASK = "measured"
ARGUMENTS: dict[str, Any] = {"number": 1, "text": "a job's usual argument"}

DEFER = sql.queries["defer_jobs"]
FETCH = sql.queries["fetch_job"]
FINISH = sql.queries["finish_job"]
FINISHED = {"status": "succeeded", "delete_job": False}


def arguments(jobs: int) -> dict[str, Any]:
    """Return the arguments of the query that defers `jobs` jobs."""
    job = JobToDefer("default", TASK, 0, None, None, Jsonb(ARGUMENTS), None)  # type: ignore[arg-type]
    return {"jobs": [job] * jobs}


def connect(dsn: str) -> Connection:
    """Return a connection with rows as dictionaries, as the connectors return them."""
    return psycopg.connect(dsn, autocommit=True, row_factory=dict_row)


async def connect_async(dsn: str) -> AsyncConnection:
    """Return an asynchronous connection with rows as dictionaries."""
    return await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row)


def defer_jobs(connection: Connection, jobs: int) -> None:
    """Defer `jobs` jobs with one query."""
    connection.execute(DEFER, arguments(jobs))


def register_worker(connection: Connection) -> int:
    """Register a worker and return its number."""
    row = connection.execute(sql.queries["register_worker"]).fetchone()
    assert row is not None
    return int(row["worker_id"])


def fetch_job(connection: Connection, worker_id: int) -> int:
    """Fetch a job and return its number."""
    row = connection.execute(FETCH, {"queues": None, "worker_id": worker_id}).fetchone()
    assert row is not None
    return int(row["id"])


def finish_job(connection: Connection, job: int) -> None:
    """Finish a job."""
    connection.execute(FINISH, {**FINISHED, "job_id": job})


async def work_job_async(connection: AsyncConnection, worker_id: int) -> None:
    """Fetch a job and finish it."""
    cursor = await connection.execute(FETCH, {"queues": None, "worker_id": worker_id})
    row = await cursor.fetchone()
    assert row is not None
    await connection.execute(FINISH, {**FINISHED, "job_id": row["id"]})
