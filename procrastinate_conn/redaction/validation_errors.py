"""Errors of pydantic, and of validators, without the values that were validated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from procrastinate_conn import libpq
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.problems import ConfigurationError
from procrastinate_conn.redaction import MASK, is_safe_to_show, redact


def hide_inputs(cls: type[Any], values: Any, handler: Callable[[Any], Any]) -> Any:  # noqa: ARG001 - pydantic's
    """Validate a model; its `ValidationError` shows no input, which may be a secret.

    `hide_input_in_errors` counts for the outermost model alone, and for no list of errors. Nor does it keep a
    validator from quoting a value in the text of its error.
    """
    try:
        return handler(values)
    except ValidationError as error:
        title, secrets = error.title, set(_secrets((), values))
        lines = [
            InitErrorDetails(
                type=PydanticCustomError(line["type"], "{text}", _context(line, secrets)),
                loc=line["loc"],
                input=MASK,
            )
            for line in error.errors()
        ]
    del values, secrets  # Sentry sends the variables of every frame
    raise ValidationError.from_exception_data(title, lines)


def _context(line: ErrorDetails, secrets: set[str]) -> dict[str, Any]:
    """Return the message without secrets and without the input, and our own error, which has none either."""
    cause = line.get("ctx", {}).get("error")
    if isinstance(cause, ConfigurationError):
        return {"error": cause, "text": line["msg"]}
    message = redact(line["msg"])
    inputs = _secrets(line["loc"], line["input"])
    for text in sorted({*secrets, *inputs}, key=len, reverse=True):
        # A short text is also a part of many words.
        message = re.sub(rf"\b{re.escape(text)}\b" if len(text) < 4 else re.escape(text), MASK, message)
    return {"text": message}


def _secrets(path: tuple[int | str, ...], value: Any) -> Iterator[str]:
    """Yield the texts in a value that are not safe to show in their place."""
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
        with suppress(libpq.InvalidConninfo, TypeError, ImportError):  # it may be anything, also no DSN
            yield from (text for keyword, text in libpq.parse(value).items() if is_secret(keyword))
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _secrets((*path, str(key)), part)
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from _secrets(path, part)
    elif isinstance(value, str) and value and not is_safe_to_show(".".join(map(str, path)), value):
        yield value
