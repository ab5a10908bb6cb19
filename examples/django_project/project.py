"""Settings of the project: one description of the connection, for Django and procrastinate."""

from procrastinate_conn import ConnectorSettings

PROCRASTINATE_CONN = ConnectorSettings()

parameters = dict(PROCRASTINATE_CONN.spec().parameters)
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parameters.pop("dbname"),
        "OPTIONS": parameters,  # Django passes them to libpq
    }
}

SECRET_KEY = "of the example"  # noqa: S105
DEBUG = True
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["procrastinate.contrib.django", "shop"]
