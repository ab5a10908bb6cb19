"""A fork, as of `gunicorn --preload`: the child has no threads of the pool's, and sockets of its parent's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    # Not at run time: what the hook below can reach stays alive until the very end of the interpreter, and
    # through `typing` that is half of everything, which then takes another round of garbage collection.
    from typing import Any, Protocol

    class Forkable(Protocol):
        """What holds connections."""

        def after_fork(self) -> object:
            """In a child: let go of the connections, and return what must not be closed there."""


_HOLDERS: WeakSet[Any] = WeakSet()
_THE_PARENTS: list[object] = []


def watch(holder: Forkable) -> None:
    """Call `holder.forked` in every child of this process from now on."""
    _HOLDERS.add(holder)


def _in_child() -> None:
    _THE_PARENTS.extend([holder.after_fork() for holder in list(_HOLDERS)])


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_in_child)
