"""Under an agent that wraps drivers, every kind does what it does without."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.agents.run_kinds import AGENTS


@pytest.mark.parametrize("agent", AGENTS)
def test_every_kind_defers_works_listens_and_notices_dead_connections(agent, server, database):
    address = json.dumps(server.parameters(database))
    command = [sys.executable, "-m", "tests.agents.run_kinds", agent]
    done = subprocess.run(command, input=address, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {}
