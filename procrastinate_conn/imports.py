"""Functions and classes given by name: importing ``package.module:attribute``."""

from __future__ import annotations

import importlib
import inspect
import operator
import re
from collections.abc import Callable
from typing import Any

from procrastinate_conn.tracebacks import raised_in

DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
"""The form of a module's name, as a regular expression."""

OBJECT_PATH = f"{DOTTED}:{DOTTED}"
"""The form ``package.module:attribute``, as a regular expression."""


class ObjectNotFound(Exception):
    """A path names no object; the message is a predicate: ``is app:f, and there is no module app``."""

    def __init__(self, message: str, hint: str, missing: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint
        self.missing = missing  # a module, not of the package that is imported


def import_object(path: str) -> object:
    """Return the object that ``package.module:attribute`` names, or raise `ObjectNotFound`."""
    if not re.fullmatch(OBJECT_PATH, path):
        raise ObjectNotFound(
            "is not written as package.module:function",
            "write a colon before the function, as in myapp.database:configure",
        )
    module, _, attribute = path.partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        raise ObjectNotFound(
            f"is {path}, and there is no module {missing}",
            "is it installed, and is its directory on the import path (PYTHONPATH)?",
            "" if missing.partition(".")[0] == module.partition(".")[0] else missing,
        ) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's module may do anything, even exit
        raise _ended(error, path, f"importing {module}", f"import {module}") from None
    try:
        return operator.attrgetter(attribute)(found)
    except AttributeError:
        raise ObjectNotFound(f"is {path}, and {module} has no such attribute", "check the name") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a property or module-level __getattr__ may do anything
        raise _ended(error, path, f"looking {attribute} up", f"look {path.replace(':', '.')} up") from None


def _ended(error: BaseException, path: str, step: str, retry: str) -> ObjectNotFound:
    """Report only the type and the place: the text may hold anything, such as the DSN of another service."""
    place = raised_in(error, re.split("[.:]", path)[0])
    ending = f"{type(error).__name__} at {place}" if place else type(error).__name__
    hint = f"{retry} in a Python shell to see the message"
    return ObjectNotFound(f"is {path}, and {step} ended with {ending}", hint)


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether calling `function` returns an awaitable; it may be a partial or a callable object."""
    call = getattr(function, "__call__", None)  # noqa: B004 - the question is how it is called
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
