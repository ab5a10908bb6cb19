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
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import replace
from functools import cached_property
from inspect import getattr_static
from pathlib import Path
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

    `ConfigurationError` is raised if it cannot be loaded, or if anything is wrong with the settings; problems
    without a file are located at the line in the user's own files that makes the settings.
    """
    with _prepared():
        target = _ObjectPath(path)
        found = target.find()
        settings: ConnectorSettings = target.call(found) if isinstance(found, type) else found
        return settings


def load_schema(path: str) -> dict[str, Any]:
    """Return the JSON Schema of settings in Python, with their variables; a subclass is not instantiated."""
    with _prepared():
        found = _ObjectPath(path).find()
    cls = found if isinstance(found, type) else type(found)
    sources = () if isinstance(found, type) else found.configuration.sources
    if names := next((s.names for s in sources if s.kind in (ENVIRONMENT, DOTENV)), None):
        config = {"env_prefix": names.prefix, "env_nested_delimiter": names.delimiter}
        cls = type(cls.__name__, (cls,), {"__module__": cls.__module__, "model_config": config})
    return cls.model_json_schema()


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


def located(path: str, problems: tuple[Problem, ...], named_at: Origin | None) -> tuple[Problem, ...]:
    """Locate problems that are in no file of their own: those of arguments at the object's definition.

    That of an object whose module does not exist is located where the path is written, at `named_at`.
    """
    return tuple(
        replace(p, origin=named_at)
        if named_at and p.code == SETTINGS_NOT_LOADED.code and not (p.origin and p.origin.file)
        else p
        for p in _located(problems, _ObjectPath(path).definition())
    )


class _ObjectPath:
    """The path of an object: a module, and the names that lead from it to the object."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.module, _, attributes = path.partition(":")
        self.names = attributes.split(".")

    def find(self) -> ConnectorSettings | type[ConnectorSettings]:
        """Return the instance or the subclass."""
        from procrastinate_conn.settings import ConnectorSettings

        found: Any = self._import()
        for name in self.names:
            found = self._attribute(found, name)
        if callable(found) and not isinstance(found, type):
            found = self.call(found)
        if inspect.iscoroutine(found):
            found.close()
        cls = found if isinstance(found, type) else type(found)
        if issubclass(cls, ConnectorSettings):
            settings: ConnectorSettings | type[ConnectorSettings] = found
            return settings
        hint = "it is a subclass of ConnectorSettings, an instance, or a function that returns one"
        for name, field in getattr(cls, "model_fields", {}).items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, ConnectorSettings):
                hint = f"did you mean {self.path}.{name}?"
                break
        kind = f"the class {cls.__qualname__}" if cls is found else f"of type {cls.__name__}"
        raise self._rejection(f"it is {kind}, and no ConnectorSettings", hint=hint)

    def definition(self) -> Origin:
        """Return the line of the module in which the first name is assigned or defined, if it can be told."""
        origin = Origin("python", self.path)
        # `find_spec` imports the packages that the module is in, which may print, or do anything else.
        with suppress(Exception, SystemExit), redirect_stdout(sys.stderr):
            spec = importlib.util.find_spec(self.module)
            if spec and spec.has_location and spec.origin:
                origin = replace(origin, file=relative(spec.origin))
                statements = ast.parse(Path(spec.origin).read_bytes()).body
                lines = (each.lineno for each in statements if self.names[0] in _defined(each))
                origin = replace(origin, line=next(lines, None))
        return origin

    def _import(self) -> ModuleType:
        try:
            return importlib.import_module(self.module)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's module may do anything, even exit
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            if missing and f"{self.module}.".startswith(f"{missing}.") and user_frame(error) is None:
                hint = "is its directory on the import path (PYTHONPATH), and is it installed?"
                raise self._rejection(f"there is no module {missing}", hint=hint) from None
            raise self._failure(f"importing {self.module}", error) from None

    def _attribute(self, found: Any, name: str) -> Any:
        """Return an attribute; a class or function without it is called, and has it then."""
        is_property = isinstance(getattr_static(found, name, None), property | cached_property)
        if isinstance(found, type) and is_property:
            found = self.call(found)
        is_module = isinstance(found, ModuleType)
        try:
            return getattr(found, name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a property may do anything
            is_own = isinstance(error, AttributeError) and error.name == name and error.obj is found
            if not (is_own or (is_module and isinstance(error, AttributeError))):
                raise self._failure(f"looking {name} up", error) from None
        if callable(found):
            return self._attribute(self.call(found), name)
        owner = self.module if is_module else f"an object of type {type(found).__name__}"
        near = nearest(name, (known for known in dir(found) if not known.startswith("_")))
        hint, origin = f"did you mean {near}?" if near else "", replace(self.definition(), line=None)
        raise self._rejection(f"{owner} has no attribute {name}", hint=hint, origin=origin)

    def call(self, function: Callable[[], Any]) -> Any:
        """Return what a function or a class makes."""
        name = getattr(function, "__qualname__", type(function).__name__)
        if not isinstance(function, type):
            try:
                with suppress(ValueError):  # a built-in function without a signature
                    inspect.signature(function).bind()
            except TypeError:
                hint = "name a function that takes none"
                raise self._rejection(f"{name} takes arguments", hint=hint) from None
        try:
            return function()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's function may do anything
            raise self._failure(name, error) from None

    def _failure(self, action: str, error: BaseException) -> ConfigurationError:
        """Report an exception at the user's own line; its text is not shown, as it may hold a secret."""
        origin = self.definition()
        if (frame := user_frame(error)) is not None:
            origin = replace(origin, file=relative(frame.filename), line=frame.lineno)
        if cause := _configuration_error(error):
            problems, configurations = cause.problems, collected.get()
            if configurations and set(configurations[-1].problems) <= set(problems):
                problems += tuple(run_checks(configurations[-1]))  # what only `check` finds
            return ConfigurationError(_located(problems, origin))
        detail = f": {detail}" if (detail := _detail(error)) else ""
        return self._rejection(f"{action} ended with {type(error).__name__}{detail}", origin=origin)

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


def _defined(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement defines."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield statement.name
        case ast.Assign() | ast.AnnAssign():
            yield from (node.id for node in ast.walk(statement) if isinstance(node, ast.Name))
        case ast.Import() | ast.ImportFrom():
            yield from (alias.asname or alias.name for alias in statement.names)


def _configuration_error(error: BaseException) -> ConfigurationError | None:
    """Return our error from which another one follows: pydantic's, or one that the user raised."""
    pending: list[object] = [error]
    for current in pending:  # which grows
        if isinstance(current, ConfigurationError):
            return current
        if isinstance(current, BaseException):
            causes = [line.get("ctx", {}).get("error") for line in _validation_errors(current)]
            causes += [current.__context__, current.__cause__]
            pending += [cause for cause in causes if cause not in pending]
    return None


def _validation_errors(error: BaseException) -> list[ErrorDetails]:
    from pydantic import ValidationError

    return error.errors(include_url=False, include_input=False) if isinstance(error, ValidationError) else []


def _detail(error: BaseException) -> str:
    """Return what of an error's text is certainly no secret: names, and pydantic's types of errors."""
    if lines := _validation_errors(error):
        return ", ".join(f"{'.'.join(map(str, line['loc'])) or 'model'} ({line['type']})" for line in lines)
    match error:
        case KeyError(args=[str(key)]) if _VARIABLE.fullmatch(key):
            return f"there is no {key}"
        case ModuleNotFoundError(name=str(name)):
            return f"no module {name}"
        case NameError(name=str(name)) | AttributeError(name=str(name)):
            return name
    return ""
