"""The task, in the module that procrastinate imports."""

from procrastinate.contrib.django import app


@app.task
def send_receipt(order: str) -> None:
    print(f"receipt for {order}", flush=True)
