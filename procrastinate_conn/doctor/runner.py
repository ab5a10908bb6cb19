"""Examine all hosts at once, and be done in time whatever they do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from types import ModuleType

import psycopg

from procrastinate_conn.connection.hosts import hosts
from procrastinate_conn.connectors.config import ConnectorConfig
from procrastinate_conn.doctor import EXAMINATIONS, WITHOUT_SESSION, connector
from procrastinate_conn.doctor.host_context import Patient
from procrastinate_conn.doctor.login import cause, refused
from procrastinate_conn.doctor.report import HostDiagnosis
from procrastinate_conn.doctor.result import Result, failed
from procrastinate_conn.passwords import PasswordUnavailable
from procrastinate_conn.tracebacks import raised_at

Progress = Callable[[str], None]
"""Told what is being done, from any thread."""


@dataclass(slots=True)
class _Round:
    """One thread's work: what it has found so far, and what it is at.

    A daemon thread, and not one that is waited for: a system call that hangs cannot be ended.
    """

    results: list[Result] = field(default_factory=list)
    at: str = ""
    thread: threading.Thread | None = None

    def start(self, work: Iterable[Result]) -> None:
        """Begin the work, which is done as its results are asked for."""

        def run() -> None:
            try:
                for result in work:
                    self.results.append(result)
            except Exception as error:  # noqa: BLE001 - what was found until then is reported all the same
                self.results.append(_unexpected(self.at, error))

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def finish(self, deadline: float, seconds: float) -> list[Result]:
        """Return what was found until the deadline, and what was not found in time."""
        assert self.thread is not None
        self.thread.join(max(0.0, deadline - monotonic()))
        results = list(self.results)
        if self.thread.is_alive():
            hint = "is the server, or the network, overloaded? --timeout gives it longer"
            results.append(failed(self.at, f"not finished when the time was up ({seconds:g} s)", hint))
        return results


def examine(
    config: ConnectorConfig, *, processes: int, seconds: float, progress: Progress
) -> tuple[list[HostDiagnosis], list[Result]]:
    """Examine every host of a connection, and then the connector.

    Parameters
    ----------
    config
        What the application's connector is built from.
    processes
        Processes that the application has.
    seconds
        How long all of it may take.
    progress
        Told what is being done.

    Returns
    -------
    hosts : list of HostDiagnosis
        What was found on each.
    checks : list of Result
        What was found of the connector; nothing where no host lets us in.
    """
    deadline = monotonic() + seconds
    found = hosts(config.spec.parameters)
    patients = [Patient(host, config, len(found) == 1, processes, deadline) for host in found]
    rounds = [_Round() for _ in patients]
    for patient, each in zip(patients, rounds, strict=True):
        each.start(_examine_host(patient, each, progress))
    diagnoses = [
        HostDiagnosis(patient.host_name, patient.host.port, each.finish(deadline, seconds))
        for patient, each in zip(patients, rounds, strict=True)
    ]
    if all(patient.connection is None for patient in patients):
        return diagnoses, []
    progress("the connector")
    last = _Round(at="connector")
    patience = sum(patient.patience for patient in patients)  # it tries one host after the other
    last.start(connector.examine(config, max(1.0, min(patience, deadline - monotonic() - 0.5))))
    return diagnoses, last.finish(deadline, seconds)


def _examine_host(patient: Patient, each: _Round, progress: Progress) -> Iterator[Result]:
    for module in EXAMINATIONS:
        if module not in WITHOUT_SESSION and (patient.connection is None or patient.connection.closed):
            break
        each.at = module.__name__.rpartition(".")[2]
        progress(f"{patient.host_name}: {each.at}")
        yield from _examined(module, patient)
    if patient.connection is not None:
        with suppress(psycopg.Error):
            patient.connection.close()


def _examined(module: ModuleType, patient: Patient) -> Iterator[Result]:
    """Examine; what goes wrong meanwhile is a failure of this examination."""
    name = module.__name__.rpartition(".")[2]
    try:
        yield from module.examine(patient)
    except PasswordUnavailable as error:
        yield failed(name, str(error), "mend the source of the password")
    except psycopg.OperationalError as error:
        yield refused(name, error, patient)
    except psycopg.Error as error:
        yield failed(name, cause(error), "see the server's log")
    except Exception as error:  # noqa: BLE001 - the other examinations, and hosts, may do better
        yield _unexpected(name, error)


def _unexpected(name: str, error: Exception) -> Result:
    """Report what was not foreseen, by its place: its text may hold a secret."""
    message = f"the examination broke off with {type(error).__name__} at {raised_at(error)}"
    return failed(name, message, "it is a fault of procrastinate-conn: please report it with this line")
