"""Tasks are cancelled, loops end, processes are interrupted: no connection leaks, nothing hangs."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading

import pytest

from procrastinate_conn.connectors.runtime.stats import pool_stats
from procrastinate_conn.registry import REGISTRY
from tests.faults.unresponsive import silent_port
from tests.servers import ASYNC_KINDS, KINDS, SYNC_KINDS, Observer, app, connector, soon, wait_until

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)

BEGUN = (
    "SELECT query_start FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_cancelled_calls_leave_their_connections(kind, server, database, observer):
    """Half of them are cancelled while the server works, half while they wait for a connection."""
    jobs = app(connector(kind, server.parameters(database), min_size=2, max_size=2))

    async def scenario():
        async with jobs.open_async():
            for round_ in range(3):
                with server.connect(database) as blocker, blocker.transaction():
                    blocker.execute("LOCK TABLE procrastinate_jobs")
                    calls = [asyncio.create_task(jobs.tasks["work"].defer_async()) for _ in range(4)]
                    await soon(lambda: observer.one(WAITING) == 2)
                    for call in calls:
                        call.cancel()
                    done = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 20)
                    assert {type(result) for result in done} == {asyncio.CancelledError}
                await jobs.tasks["work"].defer_async(argument=round_)
            stats = pool_stats(jobs.connector)
            assert (stats.in_use, stats.waiting) == (stats.size - stats.idle, 0)
            await soon(lambda: observer.backends() == 2)

    asyncio.run(scenario())
    stored = [argument for argument in observer.jobs() if argument is not None]
    assert stored == [0, 1, 2]
    wait_until(lambda: observer.backends() == 0)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_an_opening_that_is_cancelled_leaves_nothing(kind):
    async def scenario():
        with silent_port() as port:
            ours = connector(kind, {"host": "127.0.0.1", "port": str(port)}, min_size=2)
            opening = asyncio.create_task(ours.open_async())
            await asyncio.sleep(0.1)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(opening, 5)
            assert ours.own_pool is None
            assert ours.get_sync_connector() is not ours

    asyncio.run(asyncio.wait_for(scenario(), 20))


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_an_event_loop_that_ends_without_closing_leaves_nothing(kind, server, database, observer):
    jobs = app(connector(kind, server.parameters(database), min_size=2))

    async def forgets_to_close(argument):
        await jobs.connector.open_async()
        await jobs.tasks["work"].defer_async(argument=argument)

    for number in range(3):
        asyncio.run(forgets_to_close(number))
    with jobs.open():
        jobs.tasks["work"].defer(argument="synchronously")
    assert observer.jobs() == [0, 1, 2, "synchronously"]
    gc.collect()  # aiopg's connections know themselves
    wait_until(lambda: observer.backends() == 0)


@pytest.mark.parametrize("kind", SYNC_KINDS)
def test_threads_that_end_leave_no_connection(kind, server, database, observer):
    jobs = app(connector(kind, server.parameters(database), min_size=1, max_size=4))
    with jobs.open():
        for round_ in range(3):
            threads = [
                threading.Thread(target=jobs.tasks["work"].defer, kwargs={"argument": 16 * round_ + number})
                for number in range(16)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
        assert observer.backends() <= 4
        # It may still be growing; and before 3.3 psycopg_pool takes connections back in a thread of its own.
        wait_until(lambda: pool_stats(jobs.connector).in_use == 0)
    assert sorted(observer.jobs()) == list(range(48))
    wait_until(lambda: observer.backends() == 0)


UNCLOSED = """
import sys
import procrastinate
from procrastinate_conn import make_connector

apps = []
for kind in sys.argv[2:]:
    app = procrastinate.App(connector=make_connector(kind, dsn=sys.argv[1], env_file=None))
    work = app.task(name="work")(lambda argument: None)
    app.open()
    work.defer(argument=kind)
    apps.append(app)
"""


def test_an_interpreter_that_exits_without_closing_is_quick_and_quiet(server, database, observer, tmp_path):
    (tmp_path / "unclosed.py").write_text(UNCLOSED)
    command = [sys.executable, "-c", "import unclosed", server.dsn(database), *KINDS]
    ended = subprocess.run(command, capture_output=True, check=False, text=True, timeout=30, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert observer.jobs() == [*KINDS]
    wait_until(lambda: observer.backends() == 0)


WORKER = """
import asyncio, sys
import procrastinate
from procrastinate_conn import make_connector

connector = make_connector(sys.argv[1], dsn=sys.argv[2], env_file=None, pool={"min_size": 1, "timeout": 1})
app = procrastinate.App(connector=connector)

async def main():
    async with app.open_async():
        print("open", flush=True)
        await app.run_worker_async()

asyncio.run(main())
print("ended", flush=True)
"""


@pytest.mark.parametrize("kind", ASYNC_KINDS)
@pytest.mark.parametrize("server_is", ["up", "away"])
def test_a_worker_ends_at_ctrl_c(kind, server_is, stoppable_server, stoppable_database):
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, kind, stoppable_server.dsn(stoppable_database)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    observer = Observer(stoppable_server, stoppable_database)
    try:
        wait_until(observer.listens)
        if server_is == "away":
            stoppable_server.stop()
        worker.send_signal(signal.SIGINT)
        out, _ = worker.communicate(timeout=30)
    finally:
        worker.kill()
        worker.wait()
    if server_is == "up":
        assert (worker.returncode, out) == (0, "open\nended\n")
        wait_until(lambda: observer.backends() == 0)


INTERRUPTED = """
import sys
import procrastinate
from procrastinate_conn import make_connector

connector = make_connector(sys.argv[1], dsn=sys.argv[2], env_file=None, pool={"min_size": 1})
app = procrastinate.App(connector=connector)

@app.task(name="work")
def work(argument): ...

with app.open():
    try:
        work.defer(argument="lost")
    except KeyboardInterrupt:
        pass
    work.defer(argument="stored")
"""


@pytest.mark.parametrize("kind", [kind for kind in SYNC_KINDS if "psycopg2" not in REGISTRY[kind].drivers])
def test_a_query_ends_at_ctrl_c(kind, server, database, observer):
    """Not so with psycopg2, which is deaf while libpq waits; its TCP timeouts end a query that hangs."""
    command = [sys.executable, "-c", INTERRUPTED, kind, server.dsn(database)]
    with subprocess.Popen(command) as deferrer:
        try:
            with server.connect(database) as blocker, blocker.transaction():
                blocker.execute("LOCK TABLE procrastinate_jobs")
                wait_until(lambda: observer.one(BEGUN))
                first = observer.one(BEGUN)
                deferrer.send_signal(signal.SIGINT)
                wait_until(lambda: observer.one(BEGUN) not in {first, None})
            assert deferrer.wait(20) == 0
        finally:
            deferrer.kill()
    assert observer.jobs() == ["stored"]
