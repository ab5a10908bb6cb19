"""The soak finds what it looks for, and a short one of a kind of each sort finds nothing."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from procrastinate_conn.registry import ConnectorKind
from tests.servers import app, connector
from tests.soak.accounting import Account, Call, Failure, account
from tests.soak.run import MEMORY_GROWTH, SLOTS, Result

LOST_ANSWER = Failure("OutcomeUnknown", "OperationalError")
REFUSED = Failure("ConnectorException", "PoolTimeout")


def test_every_call_is_accounted_for(server, database):
    jobs = app(connector(ConnectorKind.SYNC_PSYCOPG, server.parameters(database)))
    with jobs.open():
        for caller, number in [(0, 0), (0, 1), (0, 1), (1, 0), (1, 2)]:
            jobs.tasks["work"].defer(caller=caller, number=number)
    failed = {Call(0, 2): REFUSED, Call(1, 0): LOST_ANSWER, Call(1, 2): REFUSED, Call(1, 3): LOST_ANSWER}
    with server.connect(database) as connection:
        found = account(connection, [3, 4], failed)
    assert found == Account(
        calls=7,
        lost=[Call(1, 1)],
        doubled=[Call(0, 1)],
        misreported=[Call(1, 2)],
        failures=Counter(
            {(REFUSED, False): 1, (REFUSED, True): 1, (LOST_ANSWER, False): 1, (LOST_ANSWER, True): 1}
        ),
    )


GOOD = {
    "kind": ConnectorKind.PSYCOPG,
    "seconds": 10.0,
    "jobs": Account(3, [], [], [], Counter({(LOST_ANSWER, True): 1})),
    "terminated": 40,
    "longest": 1.0,
    "memory_mib": 60.0,
    "growth_mib": 1.0,
    "most_connections": SLOTS,
    "usable_slots": SLOTS,
    "left_open": 0,
    "hangs": False,
}


def test_unknown_outcome_is_no_finding():
    assert Result(**GOOD).findings() == []


@pytest.mark.parametrize(
    ("difference", "finding"),
    [
        ({"jobs": Account(3, [Call(0, 0)], [], [], Counter())}, "1 jobs lost"),
        ({"jobs": Account(3, [], [Call(0, 0)], [], Counter())}, "1 jobs stored more than once"),
        ({"jobs": Account(3, [], [], [Call(0, 0)], Counter())}, "1 jobs stored, and reported as failed"),
        ({"growth_mib": MEMORY_GROWTH + 1}, "17 MiB more memory"),
        ({"most_connections": SLOTS + 1}, "11 connections of 10"),
        ({"usable_slots": SLOTS - 1}, "9 of 10 slots usable"),
        ({"left_open": 2}, "2 connections left open"),
        ({"hangs": True}, "a call did not end within 90 s"),
    ],
)
def test_loss_double_hang_or_leak_is_a_finding(difference, finding):
    assert Result(**{**GOOD, **difference}).findings() == [finding]


@pytest.mark.subprocess
def test_short_soak_reports_each_kind():
    command = [
        sys.executable,
        "-m",
        "tests.soak",
        "--minutes",
        "0.08",
        "--kind",
        "psycopg",
        "--kind",
        "psycopg2",
    ]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("│")[1:-1] for line in done.stdout.splitlines() if "│" in line]
    assert [row[0].strip() for row in rows] == ["psycopg", "psycopg2"]
    for row in rows:
        jobs, terminated, lost, doubled = (int(row[column].replace(",", "")) for column in (2, 4, 6, 7))
        assert jobs > 100
        assert terminated > 0
        assert lost == doubled == 0
