"""A fork, as of `gunicorn --preload`: the child has none of the pool's threads, and its parent's sockets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    # Not at run time: what the hook below can reach stays alive until the very end of the interpreter, and
    # through `typing` that is half of everything, which then takes another round of garbage collection.
    from typing import Any

_FORKABLE: WeakSet[Any] = WeakSet()
_OF_THE_PARENT: list[object] = []


def register(forkable: Any) -> None:
    """Call `forkable.after_fork` in every child from now on; what it returns is never closed there."""
    _FORKABLE.add(forkable)


def _after_fork_in_child() -> None:
    _OF_THE_PARENT.extend([forkable.after_fork() for forkable in list(_FORKABLE)])


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
