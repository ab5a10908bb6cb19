"""What libpq documents of its keywords beyond its own table: units and choices, for hints and schemas."""

from __future__ import annotations

from collections.abc import Mapping

INTEGERS: Mapping[str, str] = {
    "connect_timeout": "seconds",
    "keepalives": "0 or 1",
    "keepalives_count": "lost keepalives",
    "keepalives_idle": "seconds",
    "keepalives_interval": "seconds",
    "tcp_user_timeout": "milliseconds",
}
"""Keywords whose value libpq reads as an integer while it connects, and what they count."""

_TLS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")

CHOICES: Mapping[str, tuple[str, ...]] = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "max_protocol_version": ("3.0", "3.2", "latest"),
    "min_protocol_version": ("3.0", "3.2", "latest"),
    "ssl_max_protocol_version": _TLS,
    "ssl_min_protocol_version": _TLS,
    "sslcertmode": ("disable", "allow", "require"),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
"""Keywords with a closed set of values, as libpq's documentation lists them; libpq itself decides."""
