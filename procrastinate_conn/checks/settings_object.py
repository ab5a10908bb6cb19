"""Loads settings that are written in Python, named as ``package.module:object``."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from inspect import getattr_static
from types import ModuleType
from typing import TYPE_CHECKING, Any

from procrastinate_conn.checks.catalogue import run_checks
from procrastinate_conn.configuration import collected
from procrastinate_conn.origins import CALL, DOTENV, ENVIRONMENT, Origin
from procrastinate_conn.problems import ConfigurationError, Example, Problem, Rule
from procrastinate_conn.similarity import nearest
from procrastinate_conn.tracebacks import relative, user_frame

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from procrastinate_conn.settings import ConnectorSettings

SETTINGS_NOT_LOADED = Rule(
    "PC114",
    "settings in Python that cannot be loaded",
    "The application would fail in the same place when it starts; nothing else of these settings is checked.",
    "Correct the line that is named. The object is a subclass of ConnectorSettings, an instance, a function"
    " that returns one of these, or an attribute of those, written as package.module:object.",
    example=Example(
        files={"jobs.py": "import os\n\nDSN = os.environ['JOBS_DSN']\n"},
        arguments=("--settings", "jobs:settings"),
        given="there is no variable JOBS_DSN",
    ),
)

_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
"""A key that is certainly the name of a variable, and may be shown."""


def load_settings(path: str) -> ConnectorSettings:
    """Return the settings that an object in Python is, or makes.

    Raises
    ------
    ConfigurationError
        If it cannot be loaded, or if anything is wrong with the settings; problems without a file are located
        at the line in the user's own files that makes the settings.
    """
    with _prepared():
        return _Path(path).load()


def load_schema(path: str) -> dict[str, Any]:
    """Return the JSON Schema of settings in Python, with their variables; a subclass is not instantiated.

    Raises
    ------
    ConfigurationError
        If the object cannot be loaded.
    """
    with _prepared():
        found = _Path(path).find()
    if isinstance(found, type):
        return found.model_json_schema()
    cls = type(found)
    names = next((s.names for s in found.configuration.sources if s.kind in (ENVIRONMENT, DOTENV)), None)
    if names is None:
        return cls.model_json_schema()
    config = {"env_prefix": names.prefix, "env_nested_delimiter": names.delimiter}
    named: type[ConnectorSettings] = type(
        cls.__name__, (cls,), {"__module__": cls.__module__, "model_config": config}
    )
    return named.model_json_schema()


@contextmanager
def _prepared() -> Iterator[None]:
    """Collect what is resolved, log no warnings, which the report has, and hide the command's arguments.

    Settings with ``cli_parse_args`` would take the arguments for theirs.
    """
    logger, handler = logging.getLogger("procrastinate_conn"), logging.NullHandler()
    logger.addHandler(handler)
    token, arguments = collected.set([]), sys.argv
    sys.argv = arguments[:1]
    try:
        yield
    finally:
        sys.argv = arguments
        collected.reset(token)
        logger.removeHandler(handler)


def _all_problems(error: ConfigurationError) -> tuple[Problem, ...]:
    """Return the problems for which settings cannot be built, and what only `check` finds wrong with them."""
    configurations = collected.get()
    if not configurations or not set(configurations[-1].problems) <= set(error.problems):
        return error.problems
    return (*error.problems, *run_checks(configurations[-1]))


def located(path: str, problems: tuple[Problem, ...], named_at: Origin | None) -> tuple[Problem, ...]:
    """Locate problems that are in no file of their own.

    Parameters
    ----------
    path
        The object. Problems of arguments are located at its definition.
    problems
        The problems of the settings, or the one for which they cannot be loaded.
    named_at
        Where the path is written, for an object whose module does not exist; None for an argument.
    """
    problems = _located(problems, _Path(path).definition())
    nowhere = [p for p in problems if p.code == SETTINGS_NOT_LOADED.code and not (p.origin and p.origin.file)]
    return tuple(replace(p, origin=named_at) if named_at and p in nowhere else p for p in problems)


class _Path:
    """The path of an object: a module, and the names that lead from it to the object."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.module, _, attributes = path.partition(":")
        self.names = attributes.split(".")

    def load(self) -> ConnectorSettings:
        found = self.find()
        settings: ConnectorSettings = self._call(found) if isinstance(found, type) else found
        return settings

    def find(self) -> ConnectorSettings | type[ConnectorSettings]:
        """Return the instance or the subclass."""
        from procrastinate_conn.settings import ConnectorSettings

        found: Any = self._import()
        for name in self.names:
            found = self._attribute(found, name)
        if callable(found) and not isinstance(found, type):
            found = self._call(found)
        if inspect.iscoroutine(found):
            found.close()
        if isinstance(found, ConnectorSettings):
            return found
        if isinstance(found, type) and issubclass(found, ConnectorSettings):
            return found
        raise self._wrong_object(found)

    def definition(self) -> Origin:
        """Return the line of the module in which the first name is assigned or defined, if it can be told."""
        try:
            spec = importlib.util.find_spec(self.module)
        except (ImportError, ValueError):
            spec = None
        file = spec.origin if spec and spec.has_location else None
        if file is None:
            return Origin("python", self.path)
        return Origin("python", self.path, relative(file), _line(file, self.names[0]))

    def _import(self) -> ModuleType:
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            is_own = f"{self.module}.".startswith(f"{error.name}.")
            hint = "is its directory on the import path (PYTHONPATH), and is it installed?"
            if is_own and user_frame(error) is None:
                raise self._rejection(f"there is no module {error.name}", hint=hint) from None
            raise self._failure(f"importing {self.module}", error) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's module may do anything, even exit
            raise self._failure(f"importing {self.module}", error) from None

    def _attribute(self, found: Any, name: str) -> Any:
        """Return an attribute; a class or function without it is called, and has it then."""
        if isinstance(found, type) and isinstance(
            getattr_static(found, name, None), property | cached_property
        ):
            found = self._call(found)
        try:
            return getattr(found, name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a property may do anything
            if not _is_missing(error, found, name):
                raise self._failure(f"looking {name} up", error) from None
        if callable(found):
            return self._attribute(self._call(found), name)
        is_module = isinstance(found, ModuleType)
        owner = self.module if is_module else f"an object of type {type(found).__name__}"
        near = nearest(name, (known for known in dir(found) if not known.startswith("_")))
        hint = f"did you mean {near}?" if near else ""
        origin = replace(self.definition(), line=None)
        raise self._rejection(f"{owner} has no attribute {name}", hint=hint, origin=origin)

    def _call(self, function: Callable[[], Any]) -> Any:
        name = getattr(function, "__qualname__", type(function).__name__)
        if not isinstance(function, type) and not _takes_no_arguments(function):
            raise self._rejection(f"{name} takes arguments", hint="name a function that takes none")
        try:
            return function()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's function may do anything
            raise self._failure(name, error) from None

    def _wrong_object(self, found: object) -> ConfigurationError:
        from procrastinate_conn.settings import ConnectorSettings

        cls = found if isinstance(found, type) else type(found)
        types = {name: field.annotation for name, field in getattr(cls, "model_fields", {}).items()}
        inside = [n for n, t in types.items() if isinstance(t, type) and issubclass(t, ConnectorSettings)]
        hint = "it is a subclass of ConnectorSettings, an instance, or a function that returns one"
        if inside:
            hint = f"did you mean {self.path}.{inside[0]}?"
        kind = f"the class {cls.__qualname__}" if cls is found else f"of type {cls.__name__}"
        return self._rejection(f"it is {kind}, and no ConnectorSettings", hint=hint)

    def _failure(self, action: str, error: BaseException) -> ConfigurationError:
        """Report an exception at the user's own line; its text is not shown, as it may hold a secret."""
        origin = self.definition()
        if (frame := user_frame(error)) is not None:
            origin = replace(origin, file=relative(frame.filename), line=frame.lineno)
        if cause := _configuration_error(error):
            return ConfigurationError(_located(_all_problems(cause), origin))
        detail = _detail(error)
        ended = f"{action} ended with {type(error).__name__}"
        return self._rejection(f"{ended}: {detail}" if detail else ended, origin=origin)

    def _rejection(self, reason: str, *, hint: str = "", origin: Origin | None = None) -> ConfigurationError:
        message = f"{self.path} cannot be loaded: {reason}"
        problem = SETTINGS_NOT_LOADED("settings", message, hint=hint, origin=origin or self.definition())
        return ConfigurationError([problem])


def _located(problems: tuple[Problem, ...], origin: Origin) -> tuple[Problem, ...]:
    """Give the problems of arguments, which are in no file, the file and line that make the settings."""
    return tuple(
        replace(p, origin=replace(p.origin, file=origin.file, line=origin.line))
        if p.origin and p.origin.kind is CALL and p.origin.file is None
        else p
        for p in problems
    )


def _line(file: str, name: str) -> int | None:
    try:
        with open(file, "rb") as source:  # noqa: PTH123 - bytes, as Python reads their encoding
            module = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):
        return None
    return next((node.lineno for node in module.body if name in _defined(node)), None)


def _defined(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement defines."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield statement.name
        case ast.Assign() | ast.AnnAssign():
            yield from (node.id for node in ast.walk(statement) if isinstance(node, ast.Name))
        case ast.Import() | ast.ImportFrom():
            yield from (alias.asname or alias.name for alias in statement.names)


def _is_missing(error: BaseException, found: object, name: str) -> bool:
    """Return whether an attribute does not exist, and is no property that failed with an AttributeError."""
    if not isinstance(error, AttributeError):
        return False
    return isinstance(found, ModuleType) or (error.name == name and error.obj is found)


def _takes_no_arguments(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:  # a built-in function without a signature
        return True
    return True


def _configuration_error(error: BaseException) -> ConfigurationError | None:
    """Return our error from which another one follows: pydantic's, or one that the user raised."""
    seen: set[int] = set()
    pending: list[object] = [error]
    while pending:
        current = pending.pop()
        if isinstance(current, ConfigurationError):
            return current
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        pending += [current.__cause__, current.__context__]
        pending += [line.get("ctx", {}).get("error") for line in _validation_errors(current)]
    return None


def _validation_errors(error: BaseException) -> list[ErrorDetails]:
    from pydantic import ValidationError

    return error.errors(include_url=False, include_input=False) if isinstance(error, ValidationError) else []


def _detail(error: BaseException) -> str:
    """Return what of an error's text is certainly no secret: names, and pydantic's types of errors."""
    if lines := _validation_errors(error):
        places = (f"{'.'.join(map(str, line['loc'])) or 'model'} ({line['type']})" for line in lines)
        return ", ".join(places)
    match error:
        case KeyError(args=[str(key)]) if _VARIABLE.fullmatch(key):
            return f"there is no {key}"
        case ModuleNotFoundError(name=str(name)):
            return f"no module {name}"
        case NameError(name=str(name)) | AttributeError(name=str(name)):
            return name
    return ""
