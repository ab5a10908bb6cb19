"""Store a row and its job in one transaction of psycopg's: python orders.py ITEM ..."""

import sys

import procrastinate
import psycopg

from procrastinate_conn import ConnectorSettings

settings = ConnectorSettings()
app = procrastinate.App(connector=settings.make_connector())  # the same settings for both connections


@app.task(name="send_receipt")
def send_receipt(order: int) -> None:
    print(f"receipt for order {order}")


def store(connection: psycopg.Connection, item: str) -> None:
    with connection.transaction():
        insert = "INSERT INTO orders (item) VALUES (%s) RETURNING id"
        [(order,)] = connection.execute(insert, [item]).fetchall()
        send_receipt.configure(connection=connection).defer(order=order)
        if item == "nothing":
            raise psycopg.Rollback  # neither the order nor the job is stored


if __name__ == "__main__":
    with psycopg.connect(settings.spec().conninfo(), autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, item text)")
        for item in sys.argv[1:]:
            store(connection, item)
        [(orders,)] = connection.execute("SELECT count(*) FROM orders").fetchall()
        [(jobs,)] = connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchall()
        print(f"{orders} orders, {jobs} jobs")
