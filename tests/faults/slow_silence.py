"""Connections that acknowledge and pass nothing on, and a server that is frozen: workers go on, and stop."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager, suppress

import pytest

from tests.servers import ASYNC_KINDS, Observer, app, connector, soon

SIZES = {"min_size": 4, "max_size": 5}


class Middlebox:
    """Forwards connections to a server; after `forget`, those made until then lose every byte."""

    def __init__(self, server):
        self.upstream = (server.host, server.port)
        self.generation = 0

    def forget(self):
        self.generation += 1

    async def forward(self, reader, writer, generation):
        with suppress(OSError):
            while data := await reader.read(65536):
                if generation == self.generation:
                    writer.write(data)
        writer.close()

    async def accept(self, reader, writer):
        server_reader, server_writer = await asyncio.open_connection(*self.upstream)
        await asyncio.gather(
            self.forward(reader, server_writer, self.generation),
            self.forward(server_reader, writer, self.generation),
        )

    @asynccontextmanager
    async def listening(self):
        self.listener = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        try:
            yield str(self.listener.sockets[0].getsockname()[1])
        finally:
            self.listener.close()


@asynccontextmanager
async def worker_of(jobs):
    """Run a worker until the end of the context, and check that it stops in time."""
    async with jobs.open_async():
        worker = asyncio.create_task(
            jobs.run_worker_async(install_signal_handlers=False, fetch_job_polling_interval=1.0)
        )
        await asyncio.sleep(1.5)
        yield worker
        started = time.monotonic()
        worker.cancel()
        await asyncio.wait([worker], timeout=30)
        assert time.monotonic() - started < 20
        assert worker.done()


@pytest.mark.parametrize("timeout", [5.0, 30.0])
@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_worker_works_within_a_minute_after_its_connections_fell_silent(kind, timeout, server, database):
    observer = Observer(server, database)

    async def scenario():
        middlebox = Middlebox(server)
        async with middlebox.listening() as port:
            address = {**server.parameters(database), "port": port}
            jobs = app(connector(kind, address, timeout=timeout, **SIZES))
            async with worker_of(jobs) as worker:
                middlebox.forget()
                observer.connection.execute(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('q', 'work', '{}')"
                )
                await soon(lambda: jobs.worked or worker.done(), within=60)
                assert not worker.done()

    asyncio.run(scenario())


@pytest.mark.parametrize("timeout", [5.0, 30.0])
@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_worker_stops_while_its_connections_are_silent(kind, timeout, server, database):
    async def scenario():
        middlebox = Middlebox(server)
        async with middlebox.listening() as port:
            address = {**server.parameters(database), "port": port}
            jobs = app(connector(kind, address, timeout=timeout, **SIZES))
            async with worker_of(jobs):
                middlebox.forget()
                await asyncio.sleep(3)

    asyncio.run(scenario())


@pytest.mark.parametrize("timeout", [5.0, 30.0])
@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_worker_stops_while_the_server_is_frozen(kind, timeout, stoppable_server, stoppable_database):
    observer = Observer(stoppable_server, stoppable_database)
    postmaster = int((stoppable_server.data / "postmaster.pid").read_text().split()[0])

    def signal_all(number, backends):
        for pid in (postmaster, *backends):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    async def scenario():
        address = stoppable_server.parameters(stoppable_database)
        jobs = app(connector(kind, address, timeout=timeout, **SIZES))
        backends = []
        try:
            async with worker_of(jobs):
                query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                backends += [pid for (pid,) in observer.connection.execute(query).fetchall()]
                signal_all(signal.SIGSTOP, backends)
                await asyncio.sleep(3)
        finally:
            signal_all(signal.SIGCONT, backends)

    asyncio.run(scenario())
