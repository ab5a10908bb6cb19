"""Defer a few jobs: python defer.py."""

from tasks import app, multiply

with app.open():
    for number in range(1, 6):
        job = multiply.defer(a=number, b=7)
        print(f"deferred job {job}")
