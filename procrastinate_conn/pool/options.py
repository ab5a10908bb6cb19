"""The pool options, as the connectors read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.pool.callables import pick
from procrastinate_conn.pool.introspection import parameters
from procrastinate_conn.pool.option_names import CHECK_AFTER, OWN, PREPARE_THRESHOLD, RESERVED
from procrastinate_conn.redaction import MASK

_UNSTATED: Any = object()


@dataclass(frozen=True, slots=True, init=False, repr=False)
class PoolOptions:
    """Pool options in psycopg_pool's names.

    They are judged when a connector is built from them, together with everything else.

    Parameters
    ----------
    explicit
        The options that were explicit, by psycopg_pool's names.
    null
        Whether every call opens a connection of its own (psycopg_pool's null pools).
    check_after
        Seconds of idleness after which a connection is asked for real before it is handed out;
        0 asks every time. By default 60.
    prepare_threshold
        Executions of a query on a connection after which psycopg prepares it there; None for never.
        By default 5.
    **options
        More of `explicit`.

    Examples
    --------
    >>> PoolOptions(min_size=2, max_size=4).max_size
    4
    """

    explicit: dict[str, Any]
    null: bool
    check_after: float
    prepare_threshold: int | None
    _own: frozenset[str] = field(compare=False, init=False)
    """Which of the two options of our own were explicit: they come before what a farther place states."""

    def __init__(
        self,
        explicit: Mapping[str, Any] | None = None,
        *,
        null: bool = False,
        check_after: float = _UNSTATED,
        prepare_threshold: int | None = _UNSTATED,
        **options: Any,
    ) -> None:
        named = {CHECK_AFTER.name: check_after, PREPARE_THRESHOLD.name: prepare_threshold}
        own = {name: value for name, value in named.items() if value is not _UNSTATED}
        explicit = {**own, **(explicit or {}), **options}
        object.__setattr__(self, "_own", frozenset(OWN.keys() & explicit.keys()))
        for name, parameter in OWN.items():
            object.__setattr__(self, name, explicit.pop(name, parameter.default))
        object.__setattr__(self, "explicit", explicit)
        object.__setattr__(self, "null", null)

    def __repr__(self) -> str:
        """Show what was explicit, but nothing that is no option of a pool: it may be a password."""
        options = parameters(null=self.null).keys() - RESERVED
        shown = {name: value if name in options else MASK for name, value in self.explicit.items()}
        own = ", ".join(f"{name}={getattr(self, name)!r}" for name in OWN)
        return f"PoolOptions(explicit={shown!r}, null={self.null}, {own})"

    @property
    def min_size(self) -> int:
        """Connections kept."""
        return int(self._effective("min_size"))

    @property
    def max_size(self) -> int:
        """Connections at most; for null pools 0 means no limit."""
        explicit = self._effective("max_size")
        return self.min_size if explicit is None else int(explicit)

    @property
    def timeout(self) -> float:
        """Seconds that a caller waits for a connection."""
        return float(self._effective("timeout"))

    def _effective(self, name: str) -> Any:
        """Return what was explicit, or else the pool's own default."""
        return self.explicit.get(name, parameters(null=self.null)[name].default)

    def callback(self, name: str, *, asynchronous: bool) -> Callable[..., Any] | None:
        """Return the callback `name`, or the `connection_class`, of the colour that is asked for.

        Parameters
        ----------
        name
            The option.
        asynchronous
            Whether it is for an asynchronous pool.

        Returns
        -------
        callable or None
            Of what was explicit, alone or in a pair ``(async_function, plain_function)``, the one that
            fits a pool of that colour; None if none does. So an `async` function never gets to a
            pool that would not await it.
        """
        parameter = parameters(asynchronous=asynchronous, null=self.null)[name]
        found: Callable[..., Any] | None = pick(parameter, self.explicit.get(name))
        return found

    def arguments(self, *, asynchronous: bool) -> dict[str, Any]:
        """Return what to pass to a pool class of psycopg_pool of that colour.

        Everything that was explicit, save what the connector settles itself (`check`,
        `connection_class`), with each callback in the right colour.
        """
        known = parameters(asynchronous=asynchronous, null=self.null)
        arguments = {}
        for name, value in self.explicit.items():
            if name in ("check", "connection_class"):
                continue
            is_callback = name in known and known[name].is_callback
            fitting = self.callback(name, asynchronous=asynchronous) if is_callback else value
            if fitting is not None or not is_callback:
                arguments[name] = fitting
        return arguments

    def sourced(self, origin: Origin) -> dict[str, SourcedValue]:
        """Return the options as entries that all stand in one place, for judging them."""
        own = {name: getattr(self, name) for name in OWN if name in self._own}
        return {name: SourcedValue(value, origin) for name, value in {**self.explicit, **own}.items()}
