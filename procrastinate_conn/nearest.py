"""What was probably meant by a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that comes nearest, None where none comes near.

    Parameters
    ----------
    name
        As it is written.
    known
        What it could have been.
    cutoff
        How alike they have to be, from 0 to 1.
    """
    from difflib import get_close_matches  # not above: only mistakes need it, and starting is to be quick

    return next(iter(get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)
