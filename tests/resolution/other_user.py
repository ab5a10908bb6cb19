"""A user whom the system does not know, as in a container that is run with a number for its user."""

from __future__ import annotations

import difflib  # noqa: F401 - what is imported late may lie where that user cannot read
import json
import os
import traceback
from collections.abc import Callable
from typing import Any

import pytest

NUMBER = 54321


def as_unknown_user(ask: Callable[[], Any]) -> Any:
    """Return what a function returns, in JSON, where it is called by a user without a name or rights."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can become another user")
    reading, writing = os.pipe()
    if child := os.fork():
        os.close(writing)
        with os.fdopen(reading) as answer:
            text = answer.read()
        os.waitpid(child, 0)
        return json.loads(text)
    try:
        os.setgroups([])
        os.setgid(NUMBER)
        os.setuid(NUMBER)
        answer = json.dumps(ask())
    except BaseException:  # noqa: BLE001 - the child ends here, whatever happens
        answer = json.dumps(traceback.format_exc())
    os.write(writing, answer.encode())
    os._exit(0)
