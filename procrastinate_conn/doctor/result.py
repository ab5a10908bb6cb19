"""What an examination finds: a line that is a pass, a warning or a failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["pass", "warning", "fail"]


@dataclass(frozen=True, slots=True)
class Result:
    """One line of a diagnosis.

    Parameters
    ----------
    name
        What was examined: ``tls``, ``schema``.
    status
        How it is.
    message
        What was found, in one sentence, without any secret.
    hint
        What to do about it; empty where nothing has to be done.
    value
        The same for programs, of JSON's types; None where the message says it all.
    """

    name: str
    status: Status
    message: str
    hint: str = ""
    value: Any = None


def passed(name: str, message: str, *, value: Any = None) -> Result:
    """Report that something is in order."""
    return Result(name, "pass", message, value=value)


def warned(name: str, message: str, hint: str, *, value: Any = None) -> Result:
    """Report what works, and should not stay as it is."""
    return Result(name, "warning", message, hint, value)


def failed(name: str, message: str, hint: str, *, value: Any = None) -> Result:
    """Report what does not work."""
    return Result(name, "fail", message, hint, value)


def milliseconds(seconds: float) -> float:
    """Return a time as it is reported: in milliseconds, to a tenth."""
    return round(1000 * seconds, 1)
