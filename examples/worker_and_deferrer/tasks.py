"""The app and its tasks, for the worker and the deferrer."""

import procrastinate

from procrastinate_conn import make_connector

app = procrastinate.App(connector=make_connector())


@app.task
def multiply(a: int, b: int) -> None:
    print(f"{a} x {b} = {a * b}", flush=True)
