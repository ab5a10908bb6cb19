"""A secrets directory: a file for each setting, named like its variable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import settings as rules
from procrastinate_conn.sources.place import Place
from procrastinate_conn.sources.variables import PREFIX, read_variables


def read_secrets(directory: str | Path) -> Place:
    """Read the files of a directory, as pydantic-settings does: names in any case, values stripped.

    Parameters
    ----------
    directory
        Relative to the working directory; ``~`` is the home directory.
    """
    path = Path(directory).expanduser()
    if not path.exists():
        problem = rules.MISSING_SECRETS_DIRECTORY(
            "secrets_dir",
            f"the secrets directory {directory} does not exist",
            hint="mount it, or leave secrets_dir out",
            origin=Origin("secrets", None, str(directory)),
        )
        return Place("secrets", problems=(problem,))
    problems: list[Problem] = []
    variables = list(_read_files(path, problems))
    place = read_variables("secrets", variables)
    return replace(place, problems=(*problems, *place.problems))


def _read_files(directory: Path, problems: list[Problem]) -> Iterator[tuple[str, str, Origin]]:
    try:
        files = sorted(directory.iterdir())
    except OSError as error:
        problems.append(_unreadable(directory, error.strerror or "it cannot be listed"))
        return
    for file in files:
        if not file.name.upper().startswith((PREFIX, "DATABASE_URL")):
            continue
        try:
            value = file.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:
            problems.append(_unreadable(file, "it is not UTF-8"))
        except OSError as error:
            problems.append(_unreadable(file, error.strerror or "it cannot be read"))
        else:
            yield file.name, value, Origin("secrets", file.name, str(file))


def _unreadable(file: Path, reason: str) -> Problem:
    return rules.UNREADABLE_FILE(
        "secrets_dir",
        f"{file} cannot be read: {reason}",
        hint="make it a readable directory of text files, each named like a variable",
        origin=Origin("secrets", None, str(file)),
    )
