"""Django: its database from the settings of the connector, and our connector in its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from procrastinate_conn.factory import make_connector

if TYPE_CHECKING:
    import procrastinate
    from procrastinate.connector import BaseConnector

    from procrastinate_conn.settings import ConnectorSettings

_NAMES = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}


def database(settings: ConnectorSettings) -> dict[str, Any]:
    """Return an entry of Django's ``DATABASES`` for the connection of the settings.

    A password that is read for each connection is not in it: Django has one for all of them.

    Parameters
    ----------
    settings
        Those of the connector.

    Returns
    -------
    dict
        ``ENGINE``, ``NAME``, ``USER``, ``PASSWORD``, ``HOST``, ``PORT``, and in ``OPTIONS`` libpq's other
        keywords.
    """
    parameters = settings.spec().parameters
    entry: dict[str, Any] = {"ENGINE": "django.db.backends.postgresql"}
    entry |= {name: parameters.get(keyword, "") for keyword, name in _NAMES.items()}
    entry["OPTIONS"] = {keyword: value for keyword, value in parameters.items() if keyword not in _NAMES}
    return entry


def use_connector(app: procrastinate.App) -> None:
    """Let ``manage.py procrastinate`` use our connector; for Django's ``PROCRASTINATE_ON_APP_READY``.

    It is built from ``PROCRASTINATE_CONN`` in Django's settings, if that is a `ConnectorSettings`, or as
    `make_connector()` does. Jobs are still deferred over Django's own connection, in its transaction.

    Parameters
    ----------
    app
        procrastinate's, whose connector is a `DjangoConnector`.
    """
    from django.conf import settings  # type: ignore[import-untyped]  # Django has no type hints

    def get_worker_connector() -> BaseConnector:
        configured = getattr(settings, "PROCRASTINATE_CONN", None)
        return make_connector() if configured is None else configured.make_connector()

    # The command calls this method, and procrastinate has no setting for its result.
    app.connector.get_worker_connector = get_worker_connector  # type: ignore[attr-defined]
