"""A synchronous kind, over a driver of which procrastinate has no class; psycopg stands for the driver."""

from time import monotonic

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from procrastinate_conn import POOL_OPTIONS, ConnectorInfo
from procrastinate_conn.connectors.interface import (
    Liveness,
    RowLists,
    SyncConnectionFactory,
    SyncConnector,
    WithoutClass,
    connector_exception,
    raise_disconnect,
    wrap_json,
)


class Factory(SyncConnectionFactory):
    errors = (psycopg.Error,)

    def open_connection(self, parameters):
        connection = psycopg.connect("", **parameters, autocommit=True, row_factory=dict_row)
        connection.liveness = Liveness()
        return connection

    def ping(self, connection):
        connection.execute("")


class Connector(RowLists, SyncConnector, WithoutClass):
    connection_factory = Factory

    def send(self, query, arguments, fetch):
        pool = self.own_pool or self.require_pool()
        try:
            connection = pool.getconn()
            try:
                sent_at = monotonic()
                try:
                    cursor = connection.execute(query, wrap_json(arguments, Jsonb) or None)
                except Exception as error:
                    raise_disconnect(error, connection.info, query, sent_at)
                    raise
                return fetch(cursor.fetchall()) if fetch else None
            finally:
                pool.putconn(connection)
        except Factory.errors as error:
            raise connector_exception(error) from error


KIND = ConnectorInfo(
    interface=1,
    implementation=f"{__name__}:Connector",
    drivers=("psycopg",),
    asynchronous=False,
    resolves_hosts=True,
    pool_options=POOL_OPTIONS,
)
