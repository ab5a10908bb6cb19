"""The pool options, as the connectors read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.pool.parameters import OWN, RESERVED, parameters
from procrastinate_conn.redaction import MASK


@dataclass(frozen=True, init=False, repr=False)
class PoolOptions:
    """Pool options in psycopg_pool's names.

    They are validated when a connector is built from them, together with everything else.

    Parameters
    ----------
    explicit
        The options that are set, by name: psycopg_pool's, and ``check_after``, ``response_timeout`` and
        ``prepare_threshold``.
    null
        Whether every call opens a connection of its own (psycopg_pool's null pools).
    **options
        More of `explicit`.

    Examples
    --------
    >>> PoolOptions(min_size=2, max_size=4).max_size
    4
    """

    explicit: dict[str, Any]
    null: bool

    def __init__(
        self, explicit: Mapping[str, Any] | None = None, *, null: bool = False, **options: Any
    ) -> None:
        object.__setattr__(self, "explicit", {**(explicit or {}), **options})
        object.__setattr__(self, "null", null)

    def __repr__(self) -> str:
        """Mask the values of options that no pool has: one of them may be a password."""
        known = (parameters(null=self.null).keys() | OWN) - RESERVED.keys()
        shown = {name: value if name in known else MASK for name, value in self.explicit.items()}
        return f"PoolOptions({shown!r}, null={self.null})"

    def effective(self, name: str) -> Any:
        """Return the value of an option: the explicit one, or else the pool's own default.

        A smaller `max_size` alone lowers the default of `min_size` as well; psycopg_pool would reject it.
        """
        if name in self.explicit:
            return self.explicit[name]
        default = (OWN.get(name) or parameters(null=self.null)[name]).default
        max_size = self.explicit.get("max_size")
        is_smaller = name == "min_size" and isinstance(max_size, int) and 0 < max_size < default
        return max_size if is_smaller else default

    @property
    def min_size(self) -> int:
        """Connections kept."""
        return int(self.effective("min_size"))

    @property
    def max_size(self) -> int:
        """Connections at most; for null pools 0 means no limit."""
        max_size = self.effective("max_size")
        return self.min_size if max_size is None else int(max_size)

    @property
    def timeout(self) -> float:
        """Seconds that a caller waits for a connection."""
        return float(self.effective("timeout"))

    @cached_property  # read on every hand-out
    def check_after(self) -> float:
        """Seconds of idleness after which a connection is pinged before it is handed out."""
        return float(self.effective("check_after"))

    @cached_property  # read for every query of a worker's
    def response_timeout(self) -> float:
        """Seconds that a worker waits for the response to a query of its own; 0 for no limit."""
        return float(self.effective("response_timeout"))

    @property
    def prepare_threshold(self) -> int | None:
        """Executions after which psycopg prepares a query; None for never, if a pooler shares sessions."""
        threshold: int | None = self.effective("prepare_threshold")
        return threshold

    def callback(self, name: str, *, asynchronous: bool) -> Callable[..., Any] | None:
        """Return a callback, or the `connection_class`, for an asynchronous or a synchronous pool.

        Of one callable or a pair ``(async_function, plain_function)`` it is the one that such a pool can use;
        None if neither is. So an `async` function never gets to a pool that would not await it.
        """
        parameter = parameters(asynchronous=asynchronous, null=self.null)[name]
        return parameter.choose(self.explicit.get(name))

    def arguments(self, *, asynchronous: bool) -> dict[str, Any]:
        """Return the arguments for psycopg_pool's asynchronous or synchronous pool.

        All explicit options except our own and those that the connector implements itself (`check`,
        `connection_class`); of a pair of callbacks the one that fits.
        """
        known = parameters(asynchronous=asynchronous, null=self.null)
        arguments = {}
        for name, value in self.explicit.items():
            if name in OWN or name in ("check", "connection_class"):
                continue
            is_callable = name in known and known[name].is_callable
            chosen = known[name].choose(value) if is_callable else value
            if chosen is not None or not is_callable:
                arguments[name] = chosen
        if "max_size" in arguments and self.min_size < PoolOptions(null=self.null).min_size:
            arguments["min_size"] = self.min_size
        return arguments

    def sourced(self, origin: Origin) -> dict[str, SourcedValue]:
        """Return the explicit options, each with the same origin."""
        return {name: SourcedValue(value, origin) for name, value in self.explicit.items()}
