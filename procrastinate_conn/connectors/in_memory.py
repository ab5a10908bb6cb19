"""procrastinate's connector for tests and trials: jobs are kept in the memory of the process."""

from __future__ import annotations

from procrastinate import testing

from procrastinate_conn.connectors.config import ConnectorConfig


class InMemoryConnector(testing.InMemoryConnector):
    """procrastinate's own, built as the other kinds are; it connects to no server."""

    def __init__(self, config: ConnectorConfig) -> None:  # noqa: ARG002 - the interface of all kinds
        super().__init__()
