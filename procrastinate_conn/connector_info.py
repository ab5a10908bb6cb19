"""What is known of a kind of connector before its driver is imported, of this package's and of others'."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

INTERFACE_VERSION = 1
"""The version of the interface that a kind implements: this module and `connectors.interface`.

It changes if a kind that was written for the last version may not work any more.
"""


class OptionSupport(NamedTuple):
    """How a kind supports a pool option.

    Attributes
    ----------
    how : {"exact", "emulated", "not possible", "without effect"}
        ``exact``: psycopg_pool does it; ``emulated``: the connector does it another way; ``not possible``: it
        cannot be set; ``without effect``: it can be set, and there is no pool.
    sentence : str
        The option in the terms of the kind's own pool, or why it is not possible; messages and pages have it.
    """

    how: Literal["exact", "emulated", "not possible", "without effect"]
    sentence: str


AS_DOCUMENTED = OptionSupport("exact", "as psycopg_pool documents it")
NOT_SUPPORTED = OptionSupport("not possible", "the connector does not support it")

POOL_OPTIONS: Mapping[str, OptionSupport] = {
    **dict.fromkeys(
        (
            "min_size", "max_size", "timeout", "max_waiting", "max_lifetime", "max_idle",
            "configure", "check", "reset", "name", "reconnect_timeout", "reconnect_failed", "num_workers",
        ),
        AS_DOCUMENTED,
    ),
    "check_after": OptionSupport("emulated", "a connection is pinged only after this time"),
    "response_timeout": OptionSupport("emulated", "for a worker, which synchronous connectors do not run"),
}  # fmt: skip
"""The pool options that every kind with a server has from the pools of this package."""

OTHER_POOL_OPTIONS = ("connection_class", "close_returns", "prepare_threshold")
"""The other pool options that there are."""


class ConnectorInfo(NamedTuple):
    """One kind of connector: everything that differs between the kinds, outside its implementation.

    Attributes
    ----------
    implementation : str
        The connector's class, as ``package.module:class``. It is imported when the kind is chosen.
    drivers : tuple of str
        The modules that have to be installed; none if the kind connects to no server.
    asynchronous : bool
        Whether it defers asynchronously and runs a worker. Every kind defers synchronously.
    resolves_hosts : bool
        Whether the driver, or `open_first`, resolves the names of hosts, and not libpq.
    pool_options : mapping of str to OptionSupport
        The pool options that it supports, and how: `POOL_OPTIONS` and others. Any other option is an error.
    unsupported_keywords : mapping of str to tuple of str
        libpq's keywords that the driver cannot honour, with the values that ask for nothing. Any other value
        is an error (PC404).
    interface : int or None
        The `INTERFACE_VERSION` that a kind of another package was written for. None for those of this one.
    class_module, class_name : str
        procrastinate's class that the connector is an instance of.
    extra : str
        The extra of procrastinate-conn that installs the drivers, or several with commas, as pip takes them.
    aliases : tuple of str
        Other names for which this kind is suggested.
    size_by_hand : int
        The connections that procrastinate's class may have by default, if more than here.
    package : str
        The distribution that brings the kind, and its version; empty for this one. It is found, not set.
    """

    implementation: str
    drivers: tuple[str, ...]
    asynchronous: bool
    resolves_hosts: bool
    pool_options: Mapping[str, OptionSupport]
    unsupported_keywords: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    interface: int | None = None
    class_module: str = "procrastinate.connector"
    class_name: str = "BaseConnector"
    extra: str = ""
    aliases: tuple[str, ...] = ()
    size_by_hand: int = 0
    package: str = ""

    @property
    def implementation_class(self) -> str:
        """The name of the connector's class."""
        return self.implementation.rpartition(":")[2]

    @property
    def has_server(self) -> bool:
        """Whether it connects to a server."""
        return bool(self.drivers)

    @property
    def uses_psycopg2(self) -> bool:
        """Whether it connects through psycopg2, whose libpq may differ from psycopg's."""
        return "psycopg2" in self.drivers

    def support(self, option: str) -> OptionSupport:
        """Return how a pool option is supported."""
        return self.pool_options.get(option, NOT_SUPPORTED)

    def supports(self, option: str) -> bool:
        """Return whether a pool option can be set."""
        return self.support(option).how != "not possible"
