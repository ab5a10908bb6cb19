"""The app and its task, for the web server and the worker."""

import procrastinate

from procrastinate_conn import make_connector

app = procrastinate.App(connector=make_connector())


@app.task
def subscribe(address: str) -> None:
    print(f"subscribed {address}", flush=True)
