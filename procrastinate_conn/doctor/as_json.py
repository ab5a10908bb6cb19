"""A diagnosis as a JSON document, for programs."""

from __future__ import annotations

import json
from dataclasses import asdict

from procrastinate_conn.doctor.report import Diagnosis


def render(diagnosis: Diagnosis) -> str:
    """Return a JSON document.

    Returns
    -------
    str
        ``{"ok": true, "connector": "psycopg", "checks": [...], "hosts": [{"host": "db1", "port": "5432",
        "checks": [{"name": "tls", "status": "pass", "message": "...", "hint": "", "value": {...}}]}]}``.
        `status` is ``pass``, ``warning`` or ``fail``; `value` is what the message says, for programs, or
        null. The `checks` outside of `hosts` are of the settings and of the connector.
    """
    document = {
        "ok": diagnosis.ok,
        "connector": diagnosis.connector,
        "checks": [asdict(check) for check in diagnosis.checks],
        "hosts": [
            {"host": host.host, "port": host.port, "checks": [asdict(check) for check in host.checks]}
            for host in diagnosis.hosts
        ],
    }
    return json.dumps(document, indent=1)
