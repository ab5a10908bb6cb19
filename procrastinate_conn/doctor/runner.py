"""Run the checks of all hosts at once, within a time limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from time import monotonic

import psycopg

from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.doctor import (
    budget,
    connectivity,
    connector,
    listen,
    login,
    pooler,
    privileges,
    schema,
    server,
    tls,
)
from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import HostReport, Result, failed
from procrastinate_conn.passwords import PasswordUnavailable
from procrastinate_conn.tracebacks import raised_at

Check = Callable[[HostContext], Result | list[Result] | None]
Step = tuple[str, Check, HostContext]
"""A check to run, by its name."""

CHECKS_WITHOUT_SESSION: Mapping[str, Check] = {
    "resolve": connectivity.resolve,
    "connect": connectivity.connect,
    "login": login.run,
    "tls": tls.run,
}
"""Checks that need no session, in the order of the report."""

CHECKS: Mapping[str, Check] = {
    "identity": server.check_identity,
    "role": server.check_role,
    "clock": server.check_clock,
    "schema": schema.run,
    "rights": privileges.run,
    "pooler": pooler.check_pooler,
    "listen": listen.run,
    "prepared": pooler.check_prepared_statements,
    "budget": budget.run,
    "timeouts": server.check_timeouts,
}
"""Checks that need the session that `login` opens, in the order of the report."""

ON_LISTENING_HOSTS = ("identity", "role", "pooler", "listen", "budget", "timeouts")
"""The checks of a host on which workers only listen."""

PREREQUISITES = {"rights": "schema", "listen": "pooler", "prepared": "pooler", "budget": "pooler"}
"""Checks that need what another one has found."""

NAMES = ("settings", *CHECKS_WITHOUT_SESSION, *CHECKS, "connector")
"""The names of all results."""


class _Run:
    """Checks in a daemon thread, which is not waited for, since a system call that hangs cannot be ended."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._current = ""
        self._results: list[Result] = []
        self._thread = threading.Thread(target=self._collect, args=(steps,), daemon=True)
        self._thread.start()

    def _collect(self, steps: Iterable[Step]) -> None:
        for name, check, context in steps:
            self._current = name
            self._results += run_check(name, check, context)

    def results_at(self, deadline: float, seconds: float) -> list[Result]:
        """Return the results at the deadline, with a failure if the checks have not finished."""
        self._thread.join(max(0.0, deadline - monotonic()))
        results = list(self._results)
        if self._thread.is_alive():
            hint = "is the server, or the network, overloaded? --timeout allows more time"
            message = f"not finished within the time limit ({seconds:g} s)"
            results.append(Result(self._current, "fail", message, hint))
        return results


def run(
    config: ConnectorConfig,
    processes: int,
    seconds: float,
    progress: Callable[[str], None],
    wanted: Callable[[str], bool] = lambda _name: True,
) -> tuple[list[HostReport], list[Result]]:
    """Check every host of a connection, and then the connector, within `seconds` for all of it.

    Only the `wanted` checks are run, and those that they need. `progress` is called from any thread with what
    is being checked. There are no results for the connector if no host accepts a login.
    """
    deadline = monotonic() + seconds
    contexts = [HostContext(host, config, processes, deadline) for host in hosts(config.spec.parameters)]
    main, listening = list(contexts), config.listening
    if listening is not None and main[0].works_jobs:
        contexts += [
            HostContext(host, listening, processes, deadline, main=config)
            for host in hosts(listening.spec.parameters)
        ]
    needed = {name for name in NAMES if wanted(name)}
    needed |= {PREREQUISITES[name] for name in needed & PREREQUISITES.keys()}
    needed |= {"resolve", "connect", "login"}
    runs = [_Run(_steps(context, progress, needed)) for context in contexts]
    reports = []
    for context, host_run in zip(contexts, runs, strict=True):
        results, is_listening = host_run.results_at(deadline, seconds), context.main is not None
        reports.append(HostReport(context.host.shown, context.host.port, results, is_listening))
    if "connector" not in needed or all(context.connection is None for context in contexts):
        return reports, []
    progress("the connector")
    in_turn = sum(context.connect_timeout for context in contexts)  # it tries one host after the other
    time_limit = max(1.0, min(in_turn, deadline - monotonic() - 0.5))
    step = ("connector", lambda _context: connector.run(main, time_limit), main[0])
    return reports, _Run([step]).results_at(deadline, seconds)


def _steps(context: HostContext, progress: Callable[[str], None], needed: set[str]) -> Iterator[Step]:
    """Yield each check of a host after the one before it has run, and then close the session."""
    applicable = CHECKS if context.main is None else {name: CHECKS[name] for name in ON_LISTENING_HOSTS}
    for name, check in {**CHECKS_WITHOUT_SESSION, **applicable}.items():
        if name in CHECKS and (context.connection is None or context.connection.closed):
            break
        if name in needed:
            progress(f"{context.host.shown}: {name}")
            yield name, check, context
    if context.connection is not None:
        with suppress(psycopg.Error):
            context.connection.close()


def run_check(name: str, check: Check, context: HostContext) -> list[Result]:
    """Return the results of a check, with its name; an exception is a failure of this check."""
    found: Result | list[Result] | None
    try:
        found = check(context)
    except (psycopg.Error, PasswordUnavailable) as error:
        found = login.failure(error, context)
    except Exception as error:  # noqa: BLE001 - the other checks, and hosts, may do better
        # Its text may hold a secret.
        message = f"the check failed with {type(error).__name__} at {raised_at(error)}"
        found = failed(message, "this is a bug in procrastinate-conn: please report it with this line")
    results = [found] if isinstance(found, Result) else found or []
    return [replace(result, name=name) for result in results]
