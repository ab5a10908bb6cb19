"""Functions and classes given by name: importing ``package.module:attribute``."""

from __future__ import annotations

import importlib
import inspect
import operator
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
OBJECT_PATH = f"{_DOTTED}:{_DOTTED}"
"""The form ``package.module:attribute``, as a regular expression."""


class ObjectNotFound(Exception):
    """A path does not name an object that can be imported.

    Parameters
    ----------
    message
        What is wrong, as a predicate of the setting: ``is app:f, and there is no module app``.
    hint
        What to do about it.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def import_object(path: str) -> object:
    """Return the object that ``package.module:attribute`` names.

    Raises
    ------
    ObjectNotFound
        The text has another form, the module cannot be imported, or it has no such attribute.
    """
    if not re.fullmatch(OBJECT_PATH, path):
        raise ObjectNotFound(
            "is not written as package.module:function",
            "write a colon before the function, as in myapp.database:configure",
        )
    module, _, attribute = path.partition(":")
    found = _import_module(path, module)
    try:
        return operator.attrgetter(attribute)(found)
    except AttributeError:
        raise ObjectNotFound(f"is {path}, and {module} has no such attribute", "check the name") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a property or module-level __getattr__ may do anything
        raise ObjectNotFound(
            f"is {path}, and looking {attribute} up ended with {type(error).__name__}",
            f"look {path.replace(':', '.')} up in a Python shell to see where",
        ) from None


def _import_module(path: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ObjectNotFound(
            f"is {path}, and there is no module {error.name}",
            "is it installed, and is its directory on the import path (PYTHONPATH)?",
        ) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's module may do anything, even exit
        # Only the type is reported: the text may hold anything, the DSN of another service for example.
        raise ObjectNotFound(
            f"is {path}, and importing {module} ended with {type(error).__name__}",
            f"import {module} in a Python shell to see where",
        ) from None


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether calling `function` returns an awaitable; it may be a partial or a callable object."""
    call = getattr(function, "__call__", None)  # noqa: B004 - the question is how it is called
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
