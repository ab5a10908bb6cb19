"""Outputs that are compared with files; UPDATE_SNAPSHOTS=1 writes the files."""

from __future__ import annotations

import os
from pathlib import Path

SNAPSHOTS = Path(__file__).parent / "snapshots"


def assert_equals_snapshot(name: str, text: str) -> None:
    """Compare a text with the file of that name."""
    file = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
