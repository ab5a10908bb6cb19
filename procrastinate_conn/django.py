"""Django: its database from the settings of the connector, and our connector in its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured  # type: ignore[import-untyped]  # no type hints

from procrastinate_conn.factory import make_connector
from procrastinate_conn.origins import LIBPQ_DEFAULT
from procrastinate_conn.passwords import PasswordSource

if TYPE_CHECKING:
    import procrastinate
    from procrastinate.connector import BaseConnector

    from procrastinate_conn.settings import ConnectorSettings

_NAMES = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}


def database(settings: ConnectorSettings, *, password: str | None = None) -> dict[str, Any]:
    """Return an entry of Django's ``DATABASES`` for the connection of the settings.

    Parameters
    ----------
    settings
        Those of the connector.
    password
        Django's password, if that of the settings is read for each connection: Django has one for all.

    Returns
    -------
    dict
        ``ENGINE``, ``NAME``, ``USER``, ``PASSWORD``, ``HOST``, ``PORT``, and in ``OPTIONS`` libpq's other
        keywords, except those with libpq's defaults.

    Raises
    ------
    django.core.exceptions.ImproperlyConfigured
        Django's backend cannot have a setting.
    """
    spec, source = settings.spec(), settings.configuration.settings.password
    if source is not None and password is None:
        name = source.setting if isinstance(source, PasswordSource) else "the function `password`"
        raise ImproperlyConfigured(
            f"{name} is read for each connection, and Django has one password for all of them:"
            " pass that one as database(settings, password=...)"
        )
    encoding = spec.parameters.get("client_encoding", "")
    if encoding.upper().replace("-", "") not in ("", "UTF8"):
        origin = spec.origins["client_encoding"]
        raise ImproperlyConfigured(f"{origin}: Django always uses client_encoding=UTF8: remove {encoding}")
    parameters = spec.parameters if password is None else {**spec.parameters, "password": password}
    entry: dict[str, Any] = {"ENGINE": "django.db.backends.postgresql"}
    entry |= {name: parameters.get(keyword, "") for keyword, name in _NAMES.items()}
    entry["OPTIONS"] = {
        keyword: value
        for keyword, value in parameters.items()
        if keyword not in _NAMES
        and (kind := spec.origins[keyword].kind) is not LIBPQ_DEFAULT
        # Django's sessions are not named like a connector's.
        and not (keyword == "fallback_application_name" and kind.is_default)
    }
    return entry


def use_connector(app: procrastinate.App) -> None:
    """Let ``manage.py procrastinate`` use our connector; for Django's ``PROCRASTINATE_ON_APP_READY``.

    It is built from ``PROCRASTINATE_CONN`` in Django's settings, a `ConnectorSettings`, or as
    `make_connector()` does. Its database is Django's, which is another one in tests. Jobs are still deferred
    over Django's own connection, in its transaction.

    Parameters
    ----------
    app
        procrastinate's, whose connector is a `DjangoConnector`.
    """
    from django.conf import settings  # type: ignore[import-untyped]  # Django has no type hints
    from django.db import connections  # type: ignore[import-untyped]  # likewise

    django_connector: Any = app.connector

    def get_worker_connector() -> BaseConnector:
        configured = getattr(settings, "PROCRASTINATE_CONN", None)
        if configured is not None and not hasattr(configured, "configuration"):
            raise ImproperlyConfigured(
                f"PROCRASTINATE_CONN is of type {type(configured).__name__}, and has to be an "
                "instance of ConnectorSettings"
            )
        name = connections[django_connector.alias].settings_dict["NAME"]
        return make_connector(settings=configured, connection={"dbname": name} if name else None)

    # The command calls this method, and procrastinate has no setting for its result.
    django_connector.get_worker_connector = get_worker_connector
