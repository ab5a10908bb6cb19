"""Whether an idle connection has something to say, told from its socket without a round trip."""

from __future__ import annotations

import select


def has_something_to_say(fileno: int) -> bool:
    """Tell whether a socket has something to read, has been shut down or is closed; returns at once.

    An idle PostgreSQL connection has nothing to read. If there is something, it may be the server's
    farewell, but also a notice, a changed parameter, or the TLS layer's business: only a round trip can tell.
    """
    if not hasattr(select, "poll"):  # Windows; and gevent takes it away
        return bool(select.select([fileno], [], [], 0)[0])
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(0))
