"""The demo's ``.env`` profiles, one for each kind of connector, and the environment they are read in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from procrastinate_conn.registry import DEFAULT_KIND, ConnectorKind

_PACKAGE = Path(__file__).parent


def profile(kind: ConnectorKind) -> Path:
    """Return the profile of a kind: the wheel carries a copy, a checkout has them in ``settings/``.

    A kind of another package has none; it takes that of ``psycopg``.
    """
    packaged = _PACKAGE / "settings"
    folder = packaged if packaged.is_dir() else _PACKAGE.parents[1] / "settings" / "demo"
    own = folder / f"{kind}.env"
    return own if own.exists() else folder / f"{DEFAULT_KIND}.env"


@contextmanager
def isolated_environment() -> Iterator[None]:
    """Unset the user's connection settings for the block, so that the demo reaches no server but its own."""
    original = dict(os.environ)
    try:
        for name in original:
            if name.startswith(("PG", "PROCRASTINATE_CONN_")) or name == "DATABASE_URL":
                del os.environ[name]
        yield
    finally:
        os.environ.clear()
        os.environ.update(original)
