"""psycopg_pool's errors, for drivers that do not know them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg_pool
from psycopg2.pool import PoolError


@contextmanager
def pool_errors() -> Iterator[None]:
    """Turn psycopg_pool's errors, which psycopg2 does not know, into psycopg2's error for pools.

    Raises
    ------
    psycopg2.pool.PoolError
        With the same message, and the original as its cause.
    """
    try:
        yield
    except (psycopg_pool.PoolClosed, psycopg_pool.PoolTimeout, psycopg_pool.TooManyRequests) as error:
        raise PoolError(str(error)) from error
