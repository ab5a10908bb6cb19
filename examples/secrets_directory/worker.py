"""A worker in a container; the argument is the mounted secrets directory: python worker.py /etc/jobs."""

import asyncio
import os
import sys
from pathlib import Path

import procrastinate

from procrastinate_conn import make_connector

ALIVE = Path(sys.argv[2] if len(sys.argv) > 2 else "/tmp/alive")  # noqa: S108 - the container's own
app = procrastinate.App(connector=make_connector(env_file=None, secrets_dir=sys.argv[1]))


@app.task(name="greet")
def greet(name: str) -> None:
    print(f"Hello, {name}!", flush=True)


async def report_alive() -> None:
    """Touch the file of the liveness probe for as long as the event loop runs."""
    while True:
        os.utime(ALIVE)
        await asyncio.sleep(5)


async def main() -> None:
    async with app.open_async():
        ALIVE.touch()  # noqa: ASYNC240 - a moment, once
        reporting = asyncio.create_task(report_alive())
        await app.run_worker_async()
        reporting.cancel()


asyncio.run(main())
