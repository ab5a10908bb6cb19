"""An app for procrastinate's own command: procrastinate --app jobs.app ..."""

import procrastinate

from procrastinate_conn import make_connector

app = procrastinate.App(connector=make_connector())


@app.task(name="greet")
def greet(name: str) -> None:
    print(f"Hello, {name}!")
