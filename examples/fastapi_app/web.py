"""Defer jobs in requests, with a worker in the same process: uvicorn web:web."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from tasks import app, render


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with app.open_async():
        # uvicorn handles the signals; the worker stops with the application.
        worker = asyncio.create_task(app.run_worker_async(install_signal_handlers=False))
        yield
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


web = FastAPI(lifespan=lifespan)


@web.post("/reports/{name}", status_code=202)
async def order(name: str) -> dict[str, int]:
    return {"job": await render.defer_async(report=name)}


@web.get("/jobs/{job}")
async def status(job: int) -> dict[str, str]:
    found = await app.job_manager.get_job_status_async(job)
    return {"status": found.value}
