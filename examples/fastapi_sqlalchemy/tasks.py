"""The procrastinate app and its task, for the web application and the worker."""

import procrastinate

from procrastinate_conn import make_connector

app = procrastinate.App(connector=make_connector("sqlalchemy-async"))


@app.task
async def send_receipt(order: int) -> None:
    print(f"receipt for order {order}", flush=True)
