"""What was probably meant by a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that comes nearest in any case of its letters, None where none comes near.

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

    in_lower_case = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), in_lower_case, n=1, cutoff=cutoff)
    return in_lower_case[near[0]] if near else None
