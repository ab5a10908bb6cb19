"""The settings as a model of pydantic-settings."""

from procrastinate_conn.settings.model import ConnectorSettings

__all__ = ["ConnectorSettings"]
