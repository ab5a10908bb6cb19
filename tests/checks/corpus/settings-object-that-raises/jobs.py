import os

from procrastinate_conn import ConnectorSettings


def settings():
    return ConnectorSettings(dsn=os.environ["JOBS_DSN"])
