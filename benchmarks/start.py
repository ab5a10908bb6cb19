"""What it costs to start: a fresh process that builds a connector, and building one in a warm process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from benchmarks.comparison import Outcome
from benchmarks.contenders import BY_HAND, LIMIT, OURS, by_hand, ours
from procrastinate_conn import ConnectorKind

DSN = "postgresql://app@localhost/jobs"

COLD = {
    BY_HAND: f"import procrastinate; procrastinate.PsycopgConnector(conninfo={DSN!r})",
    OURS: f"from procrastinate_conn import make_connector; make_connector(dsn={DSN!r}, env_file=None)",
    LIMIT: "import procrastinate, pydantic_settings",
}
"""The limit is to import what ours is made of, and to do nothing with it."""


def cold_start(rounds: int) -> Outcome:
    """Measure whole processes, each from a warm cache of bytecode and files.

    Parameters
    ----------
    rounds
        How often each of the contenders is started, in turns.
    """
    outcome = Outcome("cold start", ConnectorKind.PSYCOPG, None, "ms", {name: [] for name in COLD})
    with bytecode_cache() as environment:
        for number in range(-1, rounds):  # the first one fills the caches
            for name, code in COLD.items():
                started = perf_counter()
                subprocess.run([sys.executable, "-c", code], env=environment, check=True)
                if number >= 0:
                    outcome.samples[name].append(1000 * (perf_counter() - started))
    return outcome


@contextmanager
def bytecode_cache() -> Iterator[dict[str, str]]:
    """Give an environment with a bytecode cache for everything: an installed package has one, a checkout
    need not."""
    with tempfile.TemporaryDirectory() as directory:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        yield {**environment, "PYTHONPYCACHEPREFIX": directory}


def warm_build(kind: ConnectorKind, rounds: int, times: int = 50) -> Outcome:
    """Measure building connectors in this process.

    Parameters
    ----------
    kind
        Of which kind.
    rounds
        How many samples.
    times
        How many connectors for a sample.
    """
    outcome = Outcome("warm build", kind, None, "ms", {BY_HAND: [], OURS: []})
    for number in range(-1, rounds):
        for name, build in {BY_HAND: by_hand, OURS: ours}.items():
            started = perf_counter()
            for _ in range(times):
                build(kind, DSN)
            if number >= 0:
                outcome.samples[name].append(1000 * (perf_counter() - started) / times)
    return outcome
