"""One kind of connector under terminated backends."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import procrastinate
import psutil

from procrastinate_conn import PoolStats, make_connector, pool_stats
from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from tests.servers import Observer
from tests.soak.accounting import Account, account
from tests.soak.callers import Callers

SLOTS = 10
"""`max_size` of the pools: half of the callers wait for a connection."""

TERMINATIONS = 4.0
"""Backends terminated in a second, on average."""

TERMINATE = """
SELECT pg_terminate_backend(pid) FROM (
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    ORDER BY random() LIMIT 1
) AS backend
"""

WARM_UP = 0.25
"""The share of the time after which memory is measured for the first time."""

MEMORY_GROWTH = 16.0
"""MiB by which the memory may grow after that, however long the soak is."""

TO_END = 90.0
"""Seconds for the pending calls to end: more than the pool's timeout, and the retries after it."""


@dataclass(slots=True)
class Result:
    """What a soak of one kind has found.

    Parameters
    ----------
    kind
        The kind of connector.
    seconds
        How long jobs were deferred.
    jobs
        What became of them.
    terminated
        The number of terminated backends.
    longest
        Seconds that the longest call took.
    memory_mib, growth_mib
        The memory of this process (its resident set) in the end, and how much it grew after the warm-up.
    most_connections
        The pool's size at most.
    usable_slots
        Connections that could be used at the same time in the end.
    left_open
        Connections that were still open after closing.
    hangs
        Whether a call did not end.
    """

    kind: ConnectorKind
    seconds: float
    jobs: Account
    terminated: int
    longest: float
    memory_mib: float
    growth_mib: float
    most_connections: int
    usable_slots: int
    left_open: int
    hangs: bool

    def findings(self) -> list[str]:
        """Return what is wrong, in words."""
        found = {
            f"{len(self.jobs.lost)} jobs lost": self.jobs.lost,
            f"{len(self.jobs.doubled)} jobs stored more than once": self.jobs.doubled,
            f"{len(self.jobs.misreported)} jobs stored, and reported as failed": self.jobs.misreported,
            f"a call did not end within {TO_END:g} s": self.hangs,
            f"{self.growth_mib:.0f} MiB more memory": self.growth_mib > MEMORY_GROWTH,
            f"{self.most_connections} connections of {SLOTS}": self.most_connections > SLOTS,
            f"{self.usable_slots} of {SLOTS} slots usable": not self.hangs and self.usable_slots < SLOTS,
            f"{self.left_open} connections left open": not self.hangs and self.left_open,
        }
        return [finding for finding, is_found in found.items() if is_found]


def soak(
    kind: ConnectorKind,
    server: EmbeddedPostgres,
    database: str,
    seconds: float,
    report: Callable[[str], object],
) -> Result:
    """Defer jobs for a time while backends are terminated, and account for them.

    Parameters
    ----------
    kind
        The kind of connector.
    server, database
        A server, and the name of an empty database with procrastinate's schema.
    seconds
        How long to defer jobs.
    report
        Called every second with the progress in words.
    """
    connector = make_connector(
        kind, connection=server.parameters(database), pool={"max_size": SLOTS}, env_file=None
    )
    app = procrastinate.App(connector=connector)
    app.task(name="work")(lambda caller, number: None)
    callers = Callers(app, SLOTS)
    with _running(callers, asynchronous=REGISTRY[kind].asynchronous) as thread:
        started = time.monotonic()
        with terminations(server, database) as terminated:
            warm_memory = 0.0
            most_connections = 0
            while (passed := time.monotonic() - started) < seconds and thread.is_alive():
                stats: PoolStats = pool_stats(connector)
                most_connections = max(most_connections, stats.size)
                if not warm_memory and passed >= WARM_UP * seconds:
                    warm_memory = memory_mib()
                report(_progress(kind, passed, seconds, callers, terminated[0]))
                time.sleep(min(1.0, seconds / 10))
        memory = memory_mib()
        seconds = time.monotonic() - started
        callers.stop.set()
        report(f"{kind}: waiting for the pending calls")
        thread.join(TO_END)
    observer = Observer(server, database)
    with observer.connection:
        return Result(
            kind,
            seconds,
            account(observer.connection, callers.calls, callers.failed),
            terminated[0],
            callers.longest,
            memory,
            memory - warm_memory,
            most_connections,
            len(callers.backends),
            _left_open(observer),
            thread.is_alive(),
        )


@contextmanager
def _running(callers: Callers, *, asynchronous: bool) -> Iterator[threading.Thread]:
    """Run the callers in another thread, a daemon, so that a call that hangs does not keep the process."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            if asynchronous:
                asyncio.run(callers.run_in_tasks())
            else:
                callers.run_in_threads()
        except BaseException as error:  # noqa: BLE001 - raised in the other thread
            errors.append(error)
        finally:
            callers.opened.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    callers.opened.wait()
    try:
        if not errors:
            yield thread
    finally:
        callers.stop.set()
        if errors:
            raise errors[0]


@contextmanager
def terminations(server: EmbeddedPostgres, database: str) -> Iterator[list[int]]:
    """Terminate backends at random meanwhile; yield a list with their number."""
    stop = threading.Event()
    terminated = [0]

    def terminate() -> None:
        with server.connect(database) as connection:
            while not stop.wait(random.expovariate(TERMINATIONS)):
                terminated[0] += len(connection.execute(TERMINATE).fetchall())

    thread = threading.Thread(target=terminate, daemon=True)
    thread.start()
    try:
        yield terminated
    finally:
        stop.set()
        thread.join()


def memory_mib() -> float:
    """Return the resident set of this process, in MiB."""
    gc.collect()
    size: int = psutil.Process().memory_info().rss
    return size / 2**20


def _progress(kind: ConnectorKind, passed: float, seconds: float, callers: Callers, terminated: int) -> str:
    return (
        f"{kind}: {passed:.0f} of {seconds:.0f} s, {sum(callers.calls):,} jobs,"
        f" {terminated} backends terminated, {len(callers.failed)} calls failed"
    )


def _left_open(observer: Observer, within: float = 10.0) -> int:
    """Return the number of other connections to the database after some time to end."""
    deadline = time.monotonic() + within
    while (backends := observer.backends()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return backends
