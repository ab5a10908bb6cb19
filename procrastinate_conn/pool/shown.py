"""How a value is shown: short, in the form in which it is written, and never one that could hold a secret."""

from __future__ import annotations

import re


def shown(value: object) -> str:
    """Return `value` for a message.

    Parameters
    ----------
    value
        Anything. Text that is long, or that could be part of a connection string, is described
        and not repeated; so is every object but numbers, truth values and None.
    """
    if isinstance(value, str):
        return (
            repr(value) if re.fullmatch(r"[\w.+:,% -]{0,40}", value) else f"a text of {len(value)} characters"
        )
    if isinstance(value, float):
        return repr(value)
    if value is None or (isinstance(value, int) and abs(value) < 10**20):
        return written(value)
    return f"a value of type {type(value).__name__}"


def written(value: object) -> str:
    """Return a converted value as it is written in a ``.env`` file.

    Examples
    --------
    >>> written(None), written(True), written(2.5)
    ('none', 'true', '2.5')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(written(member) for member in value)
    if callable(value):
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}:{named.__qualname__}"
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
