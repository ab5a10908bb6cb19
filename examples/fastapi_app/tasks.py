"""The procrastinate app and its task, for the web application and for separate workers."""

import asyncio

import procrastinate

from procrastinate_conn import make_connector

app = procrastinate.App(connector=make_connector())


@app.task
async def render(report: str) -> None:
    await asyncio.sleep(0.1)  # the work
    print(f"rendered {report}", flush=True)
