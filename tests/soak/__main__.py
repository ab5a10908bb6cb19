"""`make soak`: callers defer jobs while backends are terminated under them; every job is accounted for."""

from __future__ import annotations

import logging
from typing import Annotated

import typer
from rich.console import Console

from procrastinate_conn.demo.postgres import EmbeddedPostgres
from procrastinate_conn.demo.process import isolated_environment, treat_sigterm_as_sigint
from procrastinate_conn.registry import ConnectorKind
from tests.conftest import apply_schema
from tests.servers import KINDS
from tests.soak import report
from tests.soak.run import soak


def main(
    minutes: Annotated[float, typer.Option(help="For all kinds together.", min=0.01)] = 10.0,
    kind: Annotated[
        list[ConnectorKind] | None, typer.Option(help="A kind of connector; by default all.")
    ] = None,
) -> None:
    """Defer jobs, 20 at a time, while four backends a second are terminated, and account for every job.

    The exit status is 1 if a job is lost or stored twice, if a call hangs, or if a connection, a slot of the
    pool or memory leaks.
    """
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # each terminated connection is a warning
    treat_sigterm_as_sigint()
    kinds = kind or KINDS
    results = []
    with (
        isolated_environment(),
        Console(stderr=True).status("Starting") as status,
        EmbeddedPostgres(settings={"autovacuum": "off"}) as server,
    ):
        template = apply_schema(server, server.create_database("template"))
        for each in kinds:
            database = server.create_database(template=template)
            results.append(soak(each, server, database, 60 * minutes / len(kinds), status.update))
            server.drop_database(database)
    report.show(results, Console(width=report.WIDTH))
    raise typer.Exit(int(any(result.findings() for result in results)))


if __name__ == "__main__":
    typer.run(main)
