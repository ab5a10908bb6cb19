"""A clock that a test has frozen makes no wait endless."""

from __future__ import annotations

import threading

import freezegun
import pytest
import time_machine
from procrastinate.exceptions import ConnectorException

from tests.servers import SYNC_KINDS, connector

FREEZERS = {
    "freezegun": lambda: freezegun.freeze_time("2030-01-01"),
    "time-machine": lambda: time_machine.travel("2030-01-01", tick=False),
}


@pytest.mark.parametrize("freezer", FREEZERS)
@pytest.mark.parametrize("kind", SYNC_KINDS)
def test_caller_times_out_while_the_clock_is_frozen(kind, freezer, address):
    ours = connector(kind, address, min_size=1, max_size=1, timeout=0.5)
    ours.open()
    taken = ours.own_pool.getconn()
    errors = []

    def call():
        try:
            ours.execute_query("SELECT 1")
        except ConnectorException as error:
            errors.append(str(error))

    caller = threading.Thread(target=call, daemon=True)
    with FREEZERS[freezer]():
        caller.start()
        caller.join(10)
    ours.own_pool.putconn(taken)
    ours.close()
    assert errors == ["couldn't get a connection after 0.50 sec"]
