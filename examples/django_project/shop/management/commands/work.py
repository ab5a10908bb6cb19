"""A worker with the connector of the settings: python manage.py work."""

from django.conf import settings
from django.core.management.base import BaseCommand
from procrastinate.contrib.django import app


class Command(BaseCommand):
    def handle(self, **_: object) -> None:
        with app.replace_connector(settings.PROCRASTINATE_CONN.make_connector()):
            app.run_worker()
