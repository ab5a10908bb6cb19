"""Connecting to one address after the other, for drivers that cannot do it as psycopg does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg

# The second of them is not documented; every test of opening with several hosts notices if it goes.
from psycopg.conninfo import conninfo_attempts_async, conninfo_to_dict, timeout_from_conninfo

from procrastinate_conn.connectors.runtime.connect_errors import name_every_host

C = TypeVar("C")

Attempt = dict[str, Any]
"""libpq's keywords for one address: `hostaddr` is numeric, or `host` is a socket."""


async def open_first(
    conninfo: str, open_one: Callable[[Attempt], Awaitable[C]], errors: tuple[type[Exception], ...]
) -> C:
    """Return a connection to the first address that accepts one.

    The hosts are resolved and tried in libpq's order, or at random with `load_balance_hosts`; each address
    has `connect_timeout` seconds.

    Raises
    ------
    psycopg.OperationalError
        There is none; the error names each host with its reason.
    """
    try:
        return await _open_first(conninfo, open_one, errors)
    except psycopg.OperationalError as error:
        error.args = (await asyncio.to_thread(name_every_host, str(error), conninfo),)
        raise


async def _open_first(
    conninfo: str, open_one: Callable[[Attempt], Awaitable[C]], errors: tuple[type[Exception], ...]
) -> C:
    parameters = conninfo_to_dict(conninfo)
    timeout = timeout_from_conninfo(parameters)
    failures = []
    for attempt in await conninfo_attempts_async(parameters):
        try:
            async with asyncio.timeout(timeout):
                return await open_one(attempt)
        except TimeoutError:
            failures.append(f"{_target(attempt)} failed: no answer within {timeout} s")
        except errors as error:
            failures.append(f"{_target(attempt)} failed: {str(error).strip()}")
    raise psycopg.OperationalError("\n".join(failures))


def _target(attempt: Attempt) -> str:
    """Return the address of an attempt, which the drivers do not name."""
    return f"connection to {attempt.get('host') or attempt.get('hostaddr')}, port {attempt.get('port')}"
