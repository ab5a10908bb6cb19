"""Store an order and its job in one transaction of an AsyncSession: uvicorn web:web."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dotenv
import tasks
from fastapi import FastAPI, HTTPException
from models import Base, Order
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

dotenv.load_dotenv()
engine = create_async_engine(os.environ["DATABASE_URL"])
sessions = async_sessionmaker(engine)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with tasks.app.open_async(engine):  # no second pool
        yield
    await engine.dispose()


web = FastAPI(lifespan=lifespan)


@web.post("/orders/{item}")
async def order(item: str) -> dict[str, int]:
    async with sessions.begin() as session:  # commits at the end, or rolls back after an error
        order = Order(item=item)
        session.add(order)
        await session.flush()  # the order gets its number
        receipt = tasks.send_receipt.configure(connection=await session.connection())
        job = await receipt.defer_async(order=order.id)
        if item == "nothing":
            raise HTTPException(400)  # neither the order nor the job is stored
        return {"order": order.id, "job": job}
