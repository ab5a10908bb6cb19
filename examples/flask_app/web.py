"""Store an order and its job in one transaction, on the engine of the application: flask --app web run."""

import os

import tasks
from flask import Flask, abort, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]
    amount: Mapped[int]


web = Flask(__name__)
web.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]  # flask reads .env
db = SQLAlchemy(web, model_class=Base)
with web.app_context():
    db.create_all()
    tasks.app.open(db.engine)  # no second pool


@web.post("/orders")
def order() -> dict[str, int]:
    order = Order(item=request.form["item"], amount=int(request.form.get("amount", 1)))
    db.session.add(order)
    db.session.flush()  # the order gets its number
    receipt = tasks.send_receipt.configure(connection=db.session.connection())
    job = receipt.defer(order=order.id)
    if order.amount < 1:
        abort(400)  # neither is stored: the session is rolled back
    db.session.commit()  # both are
    return {"order": order.id, "job": job}
