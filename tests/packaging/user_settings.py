"""What an application writes, for the type checkers; `assert_type` is theirs as well."""

from pathlib import Path
from typing import assert_type

import procrastinate
from procrastinate.connector import BaseAsyncConnector, BaseConnector
from procrastinate.contrib.aiopg import AiopgConnector
from procrastinate.contrib.psycopg2 import Psycopg2Connector
from procrastinate.contrib.sqlalchemy import SQLAlchemyPsycopg2Connector
from procrastinate.testing import InMemoryConnector
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from procrastinate_conn import ConnectorKind, ConnectorSettings, make_connector


class Jobs(ConnectorSettings):
    model_config = SettingsConfigDict(env_prefix="JOBS_")
    colour: str = "red"


Jobs()
Jobs(dsn="host=db1")
Jobs(colour="blue", pool={"max_size": 3}, connector="aiopg", connection={"host": "db1"}, password="x")
Jobs(_env_prefix="MAILS_", _env_file=None)


class Application(BaseSettings):
    queue: ConnectorSettings = Field(default_factory=lambda: ConnectorSettings(_env_prefix="MYAPP_QUEUE__"))
    jobs: Jobs = Field(default_factory=Jobs)


def use(application: Application) -> None:
    assert_type(application.queue.pool.max_size, int)
    assert_type(application.jobs.password_file, Path | None)
    assert_type(application.jobs.colour, str)
    make_connector(settings=application.jobs)
    assert_type(make_connector("psycopg"), procrastinate.PsycopgConnector)
    assert_type(make_connector("aiopg", dsn="host=db1"), AiopgConnector)
    assert_type(make_connector("sync-psycopg"), procrastinate.SyncPsycopgConnector)
    assert_type(make_connector("psycopg2", env_file=None), Psycopg2Connector)
    assert_type(make_connector("sqlalchemy-psycopg2"), SQLAlchemyPsycopg2Connector)
    assert_type(make_connector("in-memory"), InMemoryConnector)
    assert_type(make_connector("sqlalchemy-psycopg"), BaseConnector)
    assert_type(make_connector("sqlalchemy-async", env_file=None), BaseAsyncConnector)
    assert_type(make_connector("asyncpg"), BaseAsyncConnector)
    assert_type(make_connector(ConnectorKind.ASYNCPG), BaseAsyncConnector)
    procrastinate.App(connector=make_connector())
