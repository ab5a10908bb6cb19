"""Defer a job for each address, and work them: python newsletter.py ada@example.com grace@example.com."""

import sys

import procrastinate

from procrastinate_conn import make_connector

app = procrastinate.App(connector=make_connector())


@app.task
def send(to: str) -> None:
    print(f"sent to {to}")


with app.open():
    if not app.check_connection():
        app.schema_manager.apply_schema()
    for address in sys.argv[1:]:
        send.defer(to=address)

app.run_worker(wait=False)
