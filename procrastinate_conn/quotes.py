"""Quotes that belong to a value, since what read the file kept them."""

from __future__ import annotations

import re

LEAVE_OUT = "leave out the quotes: docker run --env-file and Kubernetes keep them as a part of the value"
"""What to do about them."""


def in_quotes(value: object) -> bool:
    """Tell whether a value is a text between two quotes of the same kind."""
    return isinstance(value, str) and re.fullmatch(r"(['\"]).+\1", value.strip(), re.DOTALL) is not None
