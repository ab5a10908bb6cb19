"""What the web server and the worker share: the app and its task."""

import procrastinate

from procrastinate_conn import make_connector

app = procrastinate.App(connector=make_connector())


@app.task
def subscribe(address: str) -> None:
    print(f"subscribed {address}", flush=True)
