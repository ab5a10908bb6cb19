"""The demo's ``.env`` profiles, one for each kind of connector, and the environment they are read in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from procrastinate_conn.kinds import ConnectorKind

HERE = Path(__file__).parent


def profile(kind: ConnectorKind) -> Path:
    """Return the profile of a kind: the wheel carries a copy, a checkout has them in ``settings/``."""
    packaged = HERE / "settings"
    folder = packaged if packaged.is_dir() else HERE.parents[1] / "settings" / "demo"
    return folder / f"{kind}.env"


@contextmanager
def environment_of_the_demo(address: Mapping[str, str]) -> Iterator[None]:
    """Hide the user's own connection settings, so that the demo can reach no server but its own.

    Parameters
    ----------
    address
        What the profiles refer to as ``DEMO_HOST``, ``DEMO_PORT``, ...: libpq's keywords and their values.
    """
    before = dict(os.environ)
    try:
        for name in before:
            if name.startswith(("PG", "PROCRASTINATE_CONN_")) or name == "DATABASE_URL":
                del os.environ[name]
        os.environ.update({f"DEMO_{keyword.upper()}": value for keyword, value in address.items()})
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
