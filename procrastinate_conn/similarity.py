"""Which of several names is probably meant by one that is none of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NEGATION = "(?i)dis|no|un|without|skip"


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the most similar known name, ignoring case; None below a similarity of `cutoff`, from 0 to 1."""
    from difflib import get_close_matches  # imported late: only mistakes need it

    is_negated = re.match(_NEGATION, name) is not None
    by_lower_case = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), by_lower_case, n=1, cutoff=cutoff)
    if near and (re.match(_NEGATION, near[0]) is not None) != is_negated:  # perhaps the opposite
        near = get_close_matches(name.lower(), near, n=1, cutoff=max(cutoff, 0.85))
    return by_lower_case[near[0]] if near else None
