"""Every kind under one agent that wraps drivers, in a process of its own: ``python -m ... AGENT < address``.

Each defers, works, is woken, notices dead connections, keeps its statistics, and shows the agent what was
queried, and where. What fails is printed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from contextlib import suppress
from functools import partial
from types import SimpleNamespace

import psycopg

from procrastinate_conn.registry import ConnectorKind
from tests.agents.spans import (
    Recorder,
    record_ddtrace,
    record_elastic_apm,
    record_new_relic,
    record_opentelemetry,
    record_sentry,
)

TRACED = "SELECT id FROM procrastinate_jobs WHERE queue_name = "

NO_SPANS = {
    "elastic-apm": {"aiopg", "asyncpg"},  # its spans are without an address
    "sentry": {"psycopg", "sync-psycopg", "aiopg", "psycopg2"},
    "wrapt": set(ConnectorKind),
    "replacing": set(ConnectorKind),
    "xray": set(ConnectorKind),
}
"""Kinds of whose servers an agent reports no address, also when the driver is used by hand."""


def start_ddtrace():
    os.environ.update(
        DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
        DD_REMOTE_CONFIGURATION_ENABLED="false",
        DD_TRACE_AGENT_URL="http://127.0.0.1:9",
        DD_DBM_PROPAGATION_MODE="full",
    )
    import ddtrace

    ddtrace.patch(psycopg=True, aiopg=True, asyncpg=True, sqlalchemy=True)
    return record_ddtrace()


def start_elastic_apm():
    import elasticapm

    client = elasticapm.Client(
        service_name="tests",
        transport_class="elasticapm.transport.base.Transport",
        cloud_provider=False,
        central_config=False,
        exit_span_min_duration="0ms",
    )
    elasticapm.instrument()
    return record_elastic_apm(client)


def start_new_relic():
    os.environ.update(NEW_RELIC_DEVELOPER_MODE="true", NEW_RELIC_LICENSE_KEY="0" * 40)
    import newrelic.agent

    newrelic.agent.initialize()
    newrelic.agent.register_application(timeout=5)
    return record_new_relic()


def start_sentry():
    import sentry_sdk
    from sentry_sdk.integrations.asyncpg import AsyncPGIntegration
    from sentry_sdk.integrations.sqlalchemy import SqlalchemyIntegration

    integrations = [SqlalchemyIntegration(), AsyncPGIntegration()]
    recorder, transport = record_sentry()
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=transport,
        traces_sample_rate=1.0,
        integrations=integrations,
    )
    return recorder


def start_opentelemetry(*, comments=False):
    from opentelemetry import trace
    from opentelemetry.instrumentation.aiopg import AiopgInstrumentor
    from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
    from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
    from opentelemetry.instrumentation.psycopg2 import Psycopg2Instrumentor
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
    from opentelemetry.sdk.trace import TracerProvider

    trace.set_tracer_provider(TracerProvider())
    for instrumentor in (
        PsycopgInstrumentor,
        Psycopg2Instrumentor,
        AiopgInstrumentor,
        AsyncPGInstrumentor,
        SQLAlchemyInstrumentor,
    ):
        instrumentor().instrument(skip_dep_check=True, enable_commenter=comments)
    return record_opentelemetry(trace.get_tracer_provider())


def start_xray():
    from aws_xray_sdk.core import patch, xray_recorder

    xray_recorder.configure(service="tests", sampling=False, daemon_address="127.0.0.1:9")
    patch(["psycopg", "psycopg2", "sqlalchemy_core"])
    xray_recorder.begin_segment("tests")
    return Recorder()


def start_wrapt():
    """Wrap connect, connections and cursors; and what needs psycopg2's own objects, as agents do."""
    import wrapt

    class Connection(wrapt.ObjectProxy):
        def cursor(self, *arguments, **options):
            return wrapt.ObjectProxy(self.__wrapped__.cursor(*arguments, **options))

    def connect(wrapped, _, arguments, options):
        return Connection(wrapped(*arguments, **options))

    async def connect_async(wrapped, _, arguments, options):
        return Connection(await wrapped(*arguments, **options))

    async def connect_aiopg(wrapped, _, arguments, options):  # its cursors are awaited, which no proxy is
        return wrapt.ObjectProxy(await wrapped(*arguments, **options))

    def register_type(wrapped, _, arguments, options):
        return wrapped(*(getattr(argument, "__wrapped__", argument) for argument in arguments), **options)

    wrapt.wrap_function_wrapper("psycopg2", "connect", connect)
    wrapt.wrap_function_wrapper("psycopg2.extensions", "register_type", register_type)
    wrapt.wrap_function_wrapper("psycopg2._psycopg", "register_type", register_type)
    wrapt.wrap_function_wrapper("psycopg", "Connection.connect", connect)
    wrapt.wrap_function_wrapper("psycopg", "AsyncConnection.connect", connect_async)
    wrapt.wrap_function_wrapper("aiopg", "connect", connect_aiopg)
    return Recorder()


def start_replacing():
    """Put classes in place of those asked for.

    SkyWalking makes connections of psycopg's own class. For psycopg2's, Pinpoint has a class of cursors, and
    AppDynamics a subclass of any class of connections.
    """
    import psycopg2
    import wrapt

    class Cursor(psycopg2.extensions.cursor):
        pass

    def connect(wrapped, _, arguments, options):
        asked_for = options.get("connection_factory", psycopg2.extensions.connection)
        classes = {"connection_factory": type("Connection", (asked_for,), {}), "cursor_factory": Cursor}
        return wrapped(*arguments, **{**options, **classes})

    wrapt.wrap_function_wrapper("psycopg2", "connect", connect)
    for connection_class in (psycopg.Connection, psycopg.AsyncConnection):
        connection_class.connect = partial(connection_class.connect)
    return Recorder()


AGENTS = {
    "ddtrace": start_ddtrace,
    "elastic-apm": start_elastic_apm,
    "newrelic": start_new_relic,
    "sentry": start_sentry,
    "opentelemetry": start_opentelemetry,
    "opentelemetry-comments": lambda: start_opentelemetry(comments=True),
    "xray": start_xray,
    "wrapt": start_wrapt,
    "replacing": start_replacing,
}


def traced(recorder):
    return [span for span in recorder.spans if span.statement.startswith(TRACED)]


async def work(jobs, observer, recorder):
    listening = "SELECT count(*) FROM pg_stat_activity WHERE query ~* 'LISTEN \"' AND state = 'idle'"
    async with jobs.open_async():
        worker = asyncio.create_task(
            jobs.run_worker_async(install_signal_handlers=False, fetch_job_polling_interval=600)
        )
        for number in range(2):
            await soon(lambda: observer.one(listening))
            # procrastinate's worker misses a notification that comes while it fetches.
            while number not in jobs.worked:
                await jobs.tasks["work"].defer_async(argument=number)
                with suppress(TimeoutError):
                    await soon(lambda number=number: number in jobs.worked, 2)
            observer.terminate()
        for _ in range(5):
            with recorder.transaction():
                await jobs.connector.execute_query_all_async(f"{TRACED}%(queue)s", queue="none")
            if traced(recorder):
                break
            await asyncio.sleep(0.2)  # Sentry loses a span while another task connects
        stats = pool_stats(jobs.connector)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    return stats


def defer(jobs, observer, recorder):
    with jobs.open():
        for number in range(2):
            jobs.tasks["work"].defer(argument=number)
            observer.terminate()
        with recorder.transaction():
            jobs.connector.execute_query_all(f"{TRACED}%(queue)s", queue="none")
        return pool_stats(jobs.connector)


def run(kind, address, observer, recorder):
    """Return why a kind does not do what it should; an empty text if it does."""
    jobs = app(connector(kind, address, min_size=2, max_size=4, timeout=10))
    try:
        stats = (
            asyncio.run(asyncio.wait_for(work(jobs, observer, recorder), 20))
            if kind in ASYNC_KINDS
            else defer(jobs, observer, recorder)
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
        return f"{type(error).__name__}: {error}"
    if stats.connections_lost < 1 or stats.requests < 3 or stats.requests_failed or stats.waiting:
        return str(stats)
    spans = traced(recorder)
    recorder.spans.clear()
    if kind in NO_SPANS.get(sys.argv[1], ()):
        return ""
    where = tuple(map(address.get, ("dbname", "host", "port")))
    return "" if spans and all(span[1:] == where for span in spans) else f"{spans}, not at {where}"


if __name__ == "__main__":
    recorder = AGENTS[sys.argv[1]]()
    # Only now: an agent wraps what is imported later, or what the modules look up later.
    from procrastinate_conn import pool_stats
    from tests.servers import ASYNC_KINDS, KINDS, Observer, app, connector, soon

    logging.disable(logging.CRITICAL)
    address = json.load(sys.stdin)
    server = SimpleNamespace(connect=lambda _: psycopg.connect(**address, autocommit=True))
    observer = Observer(server, "")
    kinds = sorted(KINDS, key=lambda kind: kind not in ASYNC_KINDS)  # a worker would work what others defer
    failures = {kind: reason for kind in kinds if (reason := run(kind, address, observer, recorder))}
    print(json.dumps(failures), flush=True)
    os._exit(0)  # without what agents do at the end
