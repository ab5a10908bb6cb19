"""Defer jobs in requests, on the engine of the application: flask --app web run."""

import os

import sqlalchemy
import tasks
from flask import Flask, request

engine = sqlalchemy.create_engine(os.environ["DATABASE_URL"])  # flask reads .env
with engine.begin() as connection:
    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, item text)")

tasks.app.open(engine)  # no second pool
web = Flask(__name__)


@web.post("/orders")
def order() -> dict[str, int]:
    with engine.begin() as connection:
        insert = sqlalchemy.text("INSERT INTO orders (item) VALUES (:item) RETURNING id")
        number = connection.scalar(insert, {"item": request.form["item"]})
    return {"order": number, "job": tasks.send_receipt.defer(order=number)}
