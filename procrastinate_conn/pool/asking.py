"""psycopg_pool, asked: whether it takes a set of options."""

from __future__ import annotations

from procrastinate_conn.pool.introspection import parameters, pool_class
from procrastinate_conn.pool.options import PoolOptions


def refusal(options: PoolOptions, *, asynchronous: bool) -> str | None:
    """Return why psycopg_pool's pool of a colour would refuse the options; None if it would not.

    The pool is made and never opened, which needs no server and no event loop. The connectors
    always have a connection class of their own, and so it has one here.
    """
    default = parameters(asynchronous=asynchronous, null=options.null)["connection_class"].default
    arguments = options.arguments(asynchronous=asynchronous)
    if not arguments.get("name"):
        arguments["name"] = "asked"  # or it would use up a number of the names pool-1, pool-2, ...
    if isinstance(default, type):
        arguments["connection_class"] = type("Connection", (default,), {})
    try:
        pool_class(asynchronous=asynchronous, null=options.null)(open=False, **arguments)
    except (TypeError, ValueError) as error:
        return str(error)
    return None
