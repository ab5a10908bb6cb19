"""The command ``procrastinate-conn`` in a folder of its own, in a clean environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.checks.forking import run_forked

COMMAND = (sys.executable, "-m", "procrastinate_conn")
SECRET = "hunter2"
"""What every secret in the corpus contains, and no output may."""

HIDING = """
import sys
sys.modules.update(dict.fromkeys({hidden!r}))
from procrastinate_conn.cli import main
main()
"""


def run(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    hidden: Iterable[str] = (),
    script: str = "",
    import_first: Iterable[Path] = (),
    new_process: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, or a script in its place.

    The modules in `hidden` are as if they were not installed; what lies in `import_first` comes
    before what is installed. Where none of that changes what is imported, nothing is imported anew,
    unless it is to be a `new_process`, as a shell starts it.
    """
    variables = clean_environment(folder, import_first) | dict(environment or {})
    is_special = hidden or script or import_first or "PSYCOPG_IMPL" in variables
    if not (is_special or new_process) and hasattr(os, "fork"):
        return run_forked(folder, [arguments], variables)[0]
    if hidden:
        script = HIDING.format(hidden=list(hidden))
    command = [sys.executable, "-c", script] if script else [*COMMAND]
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def run_all(
    folder: Path,
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str] | None = None,
    hidden: Iterable[str] = (),
) -> list[subprocess.CompletedProcess[str]]:
    """Run commands in a folder as `run` does, in one process if nothing changes what is imported."""
    variables = dict(environment or {})
    if hidden or "PSYCOPG_IMPL" in variables or not hasattr(os, "fork"):
        return [run(folder, *command, environment=variables, hidden=hidden) for command in commands]
    return run_forked(folder, commands, clean_environment(folder) | variables)


def clean_environment(folder: Path, import_first: Iterable[Path] = ()) -> dict[str, str]:
    """Return an environment in which libpq finds nothing that does not lie in the folder."""
    kept = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT")
    inherited = {name: os.environ[name] for name in kept if name in os.environ}
    imported = os.pathsep.join([*map(str, import_first), *(path for path in sys.path if path)])
    return inherited | {
        "PYTHONPATH": imported,
        "HOME": str(folder / "home"),
        "PGSYSCONFDIR": str(folder / "home"),
    }


def lay_out(source: Path, folder: Path, modes: Mapping[str, str]) -> Path:
    """Copy a case's files into a folder; what is not in `modes` is for its owner alone."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(int(modes.get(file.relative_to(folder).as_posix(), "0600"), 8))
    return folder
