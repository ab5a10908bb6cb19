"""A secrets directory: a file for each setting, named like its variable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from procrastinate_conn.files import expanded, is_connection_string, remedy, unreadable
from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import settings as rules
from procrastinate_conn.sources.base import Place
from procrastinate_conn.sources.setting_names import is_setting
from procrastinate_conn.sources.variables import read_variables


def read_secrets(directory: str | Path) -> Place:
    """Read the files of a directory, as pydantic-settings does: names in any case, values stripped.

    Parameters
    ----------
    directory
        Relative to the working directory; ``~`` is the home directory.
    """
    if is_connection_string(str(directory)):
        return Place("secrets", problems=(rules.not_a_file("secrets_dir"),))
    path = expanded(directory)
    problems: list[Problem] = []
    try:
        files = sorted(path.iterdir())
    except FileNotFoundError:
        problem = rules.MISSING_SECRETS_DIRECTORY(
            "secrets_dir",
            f"the secrets directory {directory} does not exist",
            hint="mount it, or leave secrets_dir out",
            origin=Origin("secrets", None, str(directory)),
        )
        return Place("secrets", problems=(problem,))
    except (OSError, ValueError) as error:
        return Place("secrets", problems=(_unreadable(path, error),))
    variables = list(_read_files(files, problems))
    place = read_variables("secrets", variables)
    return replace(place, problems=(*problems, *place.problems))


def _read_files(files: Iterable[Path], problems: list[Problem]) -> Iterator[tuple[str, str, Origin]]:
    for file in files:
        if not is_setting(file.name):
            continue
        try:
            value = file.read_text(encoding="utf-8-sig").strip()
        except (OSError, ValueError) as error:
            problems.append(_unreadable(file, error))
        else:
            yield file.name, value, Origin("secrets", file.name, str(file))


def _unreadable(file: Path, error: OSError | ValueError) -> Problem:
    return rules.UNREADABLE_FILE(
        "secrets_dir",
        f"{file} cannot be read: {unreadable(error)}",
        hint=remedy(error, "make it a readable directory of text files, each named like a variable"),
        origin=Origin("secrets", None, str(file)),
    )
