"""The task; procrastinate finds it here."""

from procrastinate.contrib.django import app


@app.task
def send_receipt(order: str) -> None:
    print(f"receipt for {order}", flush=True)
