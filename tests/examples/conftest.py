"""Fixtures of the examples' tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from procrastinate_conn.demo.postgres import EmbeddedPostgres
from tests.examples.running import Example, copy


@pytest.fixture
def example(tmp_path: Path, server: EmbeddedPostgres) -> Callable[[str], Example]:
    """Return a function that copies an example and gives it an empty database."""
    return partial(copy, folder=tmp_path, server=server)
