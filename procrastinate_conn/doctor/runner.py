"""Run the checks of all hosts at once, within a time limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
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
    prepared_statements,
    privileges,
    schema,
    server,
    timeouts,
    tls,
)
from procrastinate_conn.doctor.host_context import HostContext
from procrastinate_conn.doctor.report import HostReport, Result, failed
from procrastinate_conn.passwords import PasswordUnavailable
from procrastinate_conn.tracebacks import raised_at

Check = Callable[[HostContext], Iterator[Result]]
Progress = Callable[[str], None]
"""Called from any thread with what is being checked."""

CHECKS_WITHOUT_SESSION: Mapping[str, Check] = {
    "reach": connectivity.run,
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
    "pooler": pooler.run,
    "listen": listen.run,
    "prepared": prepared_statements.run,
    "budget": budget.run,
    "timeouts": timeouts.run,
}
"""Checks that need the session that `login` opens, in the order of the report."""


ON_LISTENING_HOSTS = ("identity", "role", "pooler", "listen", "budget", "timeouts")
"""The checks of a host on which workers only listen."""

PREREQUISITES = {"rights": "schema", "listen": "pooler", "prepared": "pooler", "budget": "pooler"}
"""Checks that need what another one has found."""

NAMES = ("settings", "resolve", "connect", "login", "tls", *CHECKS, "connector")
"""The names of all results."""


class _Run:
    """Checks in a daemon thread, which is not waited for, since a system call that hangs cannot be ended."""

    def __init__(self, checks: Callable[[_Run], Iterable[Result]], name: str = "") -> None:
        self.current = name
        self._results: list[Result] = []
        self._thread = threading.Thread(target=self._collect, args=(checks,), daemon=True)
        self._thread.start()

    def _collect(self, checks: Callable[[_Run], Iterable[Result]]) -> None:
        try:
            for result in checks(self):
                self._results.append(result)
        except Exception as error:  # noqa: BLE001 - the results until then are reported all the same
            self._results.append(_internal_error(self.current, error))

    def results_at(self, deadline: float, seconds: float) -> list[Result]:
        """Return the results at the deadline, with a failure if the checks have not finished."""
        self._thread.join(max(0.0, deadline - monotonic()))
        results = list(self._results)
        if self._thread.is_alive():
            hint = "is the server, or the network, overloaded? --timeout allows more time"
            results.append(failed(self.current, f"not finished within the time limit ({seconds:g} s)", hint))
        return results


def run(
    config: ConnectorConfig,
    *,
    processes: int,
    seconds: float,
    progress: Progress,
    wanted: Callable[[str], bool] = lambda _name: True,
) -> tuple[list[HostReport], list[Result]]:
    """Check every host of a connection, and then the connector, within `seconds` for all of it.

    Only the `wanted` checks are run, and those that they need. There are no results for the connector if no
    host accepts a login.
    """
    deadline = monotonic() + seconds
    contexts = main = _contexts(config, None, processes, deadline)
    if config.listening is not None and contexts[0].works_jobs:
        contexts = main + _contexts(config.listening, config, processes, deadline)
    needed = {name for name in NAMES if wanted(name)}
    needed |= {needs for name, needs in PREREQUISITES.items() if name in needed}
    runs = [_Run(partial(_check_host, context, progress, needed)) for context in contexts]
    reports = []
    for context, host_run in zip(contexts, runs, strict=True):
        results, is_listening = host_run.results_at(deadline, seconds), context.main is not None
        reports.append(HostReport(context.host_name, context.host.port, results, is_listening))
    if "connector" not in needed or all(context.connection is None for context in contexts):
        return reports, []
    progress("the connector")
    in_turn = sum(context.connect_timeout for context in contexts)  # it tries one host after the other
    time_limit = max(1.0, min(in_turn, deadline - monotonic() - 0.5))
    connector_run = _Run(lambda _run: connector.run(config, time_limit, main), "connector")
    return reports, connector_run.results_at(deadline, seconds)


def _contexts(
    config: ConnectorConfig, main: ConnectorConfig | None, processes: int, deadline: float
) -> list[HostContext]:
    all_hosts = hosts(config.spec.parameters)
    is_only_host = len(all_hosts) == 1
    return [HostContext(host, config, is_only_host, processes, deadline, main=main) for host in all_hosts]


def _check_host(context: HostContext, progress: Progress, needed: set[str], run: _Run) -> Iterator[Result]:
    applicable = CHECKS if context.main is None else {name: CHECKS[name] for name in ON_LISTENING_HOSTS}
    for name, check in {**CHECKS_WITHOUT_SESSION, **applicable}.items():
        if name in CHECKS and not context.has_session:
            break
        if name in NAMES and name not in needed and name != "login":
            continue
        run.current = name
        progress(f"{context.host_name}: {name}")
        yield from run_check(name, check, context)
    if context.connection is not None:
        with suppress(psycopg.Error):
            context.connection.close()


def run_check(name: str, check: Check, context: HostContext) -> Iterator[Result]:
    """Yield the results of a check; an exception is a failure of this check."""
    try:
        yield from check(context)
    except PasswordUnavailable as error:
        yield login.password_failure(name, error)
    except psycopg.OperationalError as error:
        yield login.failure(name, error, context)
    except psycopg.Error as error:
        yield failed(name, login.error_message(error), "see the server's log")
    except Exception as error:  # noqa: BLE001 - the other checks, and hosts, may do better
        yield _internal_error(name, error)


def _internal_error(name: str, error: Exception) -> Result:
    """Report where an unexpected exception was raised, and not its text, which may hold a secret."""
    message = f"the check failed with {type(error).__name__} at {raised_at(error)}"
    return failed(name, message, "this is a bug in procrastinate-conn: please report it with this line")
