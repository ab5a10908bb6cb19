"""The resilient defaults: what a long-lived worker needs and libpq leaves off."""

from __future__ import annotations

from typing import Literal

from procrastinate_conn.origins import Origin, SourcedValue

Defaults = Literal["resilient", "libpq"]

_RESILIENT = {
    "connect_timeout": "10",
    "fallback_application_name": "procrastinate",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
"""They detect a silent peer within 25 s: keepalives (10 + 3 * 5) while the connection is idle,
tcp_user_timeout (milliseconds) while data is unacknowledged. libpq leaves it to the kernel: two hours."""


def resilient_defaults(defaults: Defaults) -> dict[str, SourcedValue]:
    """Return the resilient defaults by keyword; none if libpq's own are wanted."""
    values = _RESILIENT if defaults == "resilient" else {}
    return {keyword: SourcedValue(value, Origin("resilient-default")) for keyword, value in values.items()}
