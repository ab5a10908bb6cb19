"""Texts that are compared with a file, letter by letter; UPDATE_SNAPSHOTS=1 writes the files anew."""

from __future__ import annotations

import os
from pathlib import Path

SNAPSHOTS = Path(__file__).parent / "snapshots"


def assert_as_before(name: str, text: str) -> None:
    """Compare a text with the file of that name."""
    file = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
