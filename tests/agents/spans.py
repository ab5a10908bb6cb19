"""What an agent reports of queries: a record of its spans, and a transaction for those that need one."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import NamedTuple


class Span(NamedTuple):
    """A query, and the server that the agent takes it to have been sent to."""

    statement: str
    database: str | None
    host: str | None
    port: str | None


class Recorder:
    """The spans of one agent. A transaction has to be open for `transaction` of them to be recorded."""

    def __init__(self, transaction=nullcontext):
        self.spans = []
        self.transaction = transaction

    def add(self, statement, database, host, port):
        port = None if port is None else str(port).removesuffix(".0")
        self.spans.append(Span(str(statement), database, host, port))


def record_opentelemetry(provider):
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

    recorder = Recorder()

    class Exporter(SpanExporter):
        def export(self, spans):
            for span in spans:
                names = ("db.statement", "db.name", "net.peer.name", "net.peer.port")
                recorder.add(*map(span.attributes.get, names))

    provider.add_span_processor(SimpleSpanProcessor(Exporter()))
    return recorder


def record_ddtrace():
    from ddtrace.trace import TraceFilter, tracer

    recorder = Recorder()

    class Filter(TraceFilter):
        def process_trace(self, trace):
            for span in trace:
                port = span.get_metric("network.destination.port") or span.get_tag("network.destination.port")
                database = span.get_tag("db.name") or span.get_tag("sql.db")
                recorder.add(span.resource, database, span.get_tag("out.host"), port)

    tracer.configure(trace_processors=[Filter()])
    return recorder


def record_elastic_apm(client):
    @contextmanager
    def transaction():
        client.begin_transaction("test")
        yield
        client.end_transaction("test")

    recorder = Recorder(transaction)

    def queue(kind, data, **_):
        context = data.get("context", {})
        if kind == "span" and "db" in context:
            address = context.get("destination", {})
            query = context["db"]
            recorder.add(
                query.get("statement"), query.get("instance"), address.get("address"), address.get("port")
            )

    client.tracer.queue_func = queue
    return recorder


def record_new_relic():
    import newrelic.agent
    from newrelic.api.database_trace import DatabaseTrace

    recorder = Recorder(lambda: newrelic.agent.BackgroundTask(newrelic.agent.application(), "test"))
    finish = DatabaseTrace.__exit__

    def record(trace, *arguments):
        try:
            return finish(trace, *arguments)
        finally:
            recorder.add(trace.sql, trace.database_name, trace.host, trace.port_path_or_id)

    DatabaseTrace.__exit__ = record
    return recorder


def record_sentry():
    """Return a recorder and a transport for it."""
    import sentry_sdk
    from sentry_sdk.transport import Transport

    recorder = Recorder(lambda: sentry_sdk.start_transaction(name="test"))

    class Recording(Transport):
        def capture_envelope(self, envelope):
            for item in envelope.items:
                for span in item.payload.json["spans"] if item.type == "transaction" else ():
                    data = span["data"]
                    address = map(data.get, ("db.name", "server.address", "server.port"))
                    recorder.add(span.get("description"), *address)

    return recorder, Recording
