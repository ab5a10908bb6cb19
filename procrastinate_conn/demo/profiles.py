"""The demo's ``.env`` profiles, one for each kind of connector, and the environment they are read in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from procrastinate_conn.registry import ConnectorKind

HERE = Path(__file__).parent


def profile(kind: ConnectorKind) -> Path:
    """Return the profile of a kind: the wheel carries a copy, a checkout has them in ``settings/``."""
    packaged = HERE / "settings"
    folder = packaged if packaged.is_dir() else HERE.parents[1] / "settings" / "demo"
    return folder / f"{kind}.env"


@contextmanager
def environment_of_its_own() -> Iterator[None]:
    """Hide the user's connection settings for the block, so that the demo can reach no server but its own."""
    before = dict(os.environ)
    try:
        for name in before:
            if name.startswith(("PG", "PROCRASTINATE_CONN_")) or name == "DATABASE_URL":
                del os.environ[name]
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def tell_profiles(address: Mapping[str, str]) -> None:
    """Set what the profiles refer to: ``DEMO_HOST``, ``DEMO_PORT``, ...

    Parameters
    ----------
    address
        libpq's keywords and their values.
    """
    os.environ.update({f"DEMO_{keyword.upper()}": value for keyword, value in address.items()})
