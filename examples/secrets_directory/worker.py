"""A worker in a container; the argument is the mounted secrets directory: python worker.py /run/secrets."""

import sys

import procrastinate

from procrastinate_conn import make_connector

app = procrastinate.App(connector=make_connector(env_file=None, secrets_dir=sys.argv[1]))


@app.task(name="greet")
def greet(name: str) -> None:
    print(f"Hello, {name}!", flush=True)


app.run_worker()
