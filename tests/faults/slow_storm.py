"""A hundred connectors lose their server: they come back soon after it, and do not storm it."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from procrastinate.exceptions import ConnectorException

from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.conftest import apply_schema
from tests.servers import ASYNC_KINDS, KINDS, connector

PROCESSES, CONNECTORS = 4, 25
OUTAGE = 15.0
SIZES = {"min_size": 1, "max_size": 2}


def test_a_hundred_connectors_come_back_without_a_storm():
    limit = PROCESSES * CONNECTORS * SIZES["max_size"] + 3  # those of the superuser, who tests
    with EmbeddedPostgres(settings={"max_connections": str(limit)}) as server:
        apply_schema(server, server.create_database("jobs"))
        address = json.dumps(server.parameters("jobs"))
        children = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.faults.slow_storm", kind, address],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for kind in KINDS[:PROCESSES]
        ]
        for child in children:
            assert child.stdout.readline() == "open\n"
        server.stop("immediate")
        time.sleep(OUTAGE)
        server.start()
        returned = time.time()
        time.sleep(6)
        for child in children:
            output, _ = child.communicate("\n", timeout=60)
            found = json.loads(output)
            assert max(found["back"]) - returned < 5
            assert len(found["back"]) == CONNECTORS
            assert found["shortest pause"] > 0.9
        assert "too many clients" not in server.log.read_text()


class Attempts(logging.Handler):
    """Notes when each pool failed to connect, of which psycopg_pool logs each time."""

    def __init__(self):
        super().__init__()
        self.times = defaultdict(list)

    def emit(self, record):
        if record.msg.startswith("error connecting"):
            self.times[record.args[0]].append(time.monotonic())


async def run(kind, address):
    """Open connectors, use each all the time, and print when each was back and how often it tried."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(4 * CONNECTORS))
    connectors = [connector(kind, address, timeout=60, **SIZES) for _ in range(CONNECTORS)]
    attempts, back = Attempts(), {}
    logging.getLogger("psycopg.pool").addHandler(attempts)

    async def call(ours):
        if kind in ASYNC_KINDS:
            await ours.execute_query_async("SELECT 1")
        else:
            await asyncio.to_thread(ours.execute_query, "SELECT 1")

    async def use(ours):
        while True:
            started = time.time()
            try:
                await call(ours)
            except ConnectorException:
                continue  # lost while it was sent
            if time.time() - started > OUTAGE / 2:
                back[id(ours)] = time.time()
            await asyncio.sleep(0.05)

    for ours in connectors:
        await (ours.open_async() if kind in ASYNC_KINDS else asyncio.to_thread(ours.open))
    users = [asyncio.create_task(use(ours)) for ours in connectors]
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for user in users:
        user.cancel()
    pauses = [later - earlier for times in attempts.times.values() for earlier, later in pairwise(times)]
    print(json.dumps({"back": list(back.values()), "shortest pause": min(pauses)}), flush=True)
    for ours in connectors:
        await (ours.close_async() if kind in ASYNC_KINDS else asyncio.to_thread(ours.close))


if __name__ == "__main__":
    logging.getLogger().addHandler(logging.NullHandler())
    asyncio.run(run(sys.argv[1], json.loads(sys.argv[2])))
