"""The cost of a start: a new process that builds a connector, and building one in a running process."""

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
"""The limit imports the libraries that ours is built on, and uses none of them."""


def cold_start(rounds: int) -> Outcome:
    """Measure whole processes, `rounds` of each contender, with warm caches of bytecode and files."""
    outcome = Outcome("cold start", ConnectorKind.PSYCOPG, None, "ms", {name: [] for name in COLD})
    with bytecode_cache() as environment:
        for number in range(-1, rounds):  # the first round fills the caches
            for name, code in COLD.items():
                started = perf_counter()
                subprocess.run([sys.executable, "-c", code], env=environment, check=True)
                if number >= 0:
                    outcome.samples[name].append(1000 * (perf_counter() - started))
    return outcome


@contextmanager
def bytecode_cache() -> Iterator[dict[str, str]]:
    """Yield an environment with a bytecode cache: an installed package has one, a checkout may have none."""
    with tempfile.TemporaryDirectory() as directory:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        yield {**environment, "PYTHONPYCACHEPREFIX": directory}


def warm_build(kind: ConnectorKind, rounds: int, times: int = 50) -> Outcome:
    """Measure building connectors in this process, in `rounds` samples of `times` connectors each."""
    contenders = {BY_HAND: by_hand, OURS: ours} if by_hand(kind, DSN) else {OURS: ours}
    outcome = Outcome("warm build", kind, None, "ms", {name: [] for name in contenders})
    for number in range(-1, rounds):
        for name, build in contenders.items():
            started = perf_counter()
            for _ in range(times):
                build(kind, DSN)
            if number >= 0:
                outcome.samples[name].append(1000 * (perf_counter() - started) / times)
    return outcome
