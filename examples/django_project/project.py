"""Settings of the project: one description of the connection, for Django and procrastinate."""

from procrastinate_conn import ConnectorSettings
from procrastinate_conn.django import database

PROCRASTINATE_CONN = ConnectorSettings()
PROCRASTINATE_ON_APP_READY = "procrastinate_conn.django.use_connector"  # for manage.py procrastinate

DATABASES = {"default": database(PROCRASTINATE_CONN)}

SECRET_KEY = "of the example"  # noqa: S105
DEBUG = True
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["procrastinate.contrib.django", "shop"]
