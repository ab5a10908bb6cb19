"""A secrets directory: a file for each setting, named like its variable."""

from __future__ import annotations

from pathlib import Path

from procrastinate_conn import libpq, suggestions
from procrastinate_conn.files import expanded
from procrastinate_conn.origins import SECRETS, Origin, SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction import is_connection_string
from procrastinate_conn.setting_names import DEFAULT_NAMES, SettingNames
from procrastinate_conn.sources.base import Source, not_a_file, unreadable_file
from procrastinate_conn.sources.variables import LIKELY_MISSPELT_VARIABLE, read_variables

MISSING_SECRETS_DIRECTORY = Rule(
    "PC105",
    "missing secrets directory",
    "No setting is read from it; in a container the secrets are not mounted.",
    "Mount the directory, or do not name it.",
    severity="warning",
    example=Example(arguments=(".env", "--secrets-dir", "secrets"), given="there is no directory secrets"),
)


def read_secrets(directory: str | Path, names: SettingNames = DEFAULT_NAMES) -> Source:
    """Read the files of a directory as pydantic-settings does: names in any case, values stripped."""
    path = expanded(directory)
    source = Source(SECRETS, names=names)
    if is_connection_string(str(directory)):
        source.problems.append(not_a_file("secrets_dir"))
        return source
    try:
        files = sorted(path.iterdir())
    except FileNotFoundError:
        message = f"the secrets directory {directory} does not exist"
        hint, origin = "mount it, or leave secrets_dir out", Origin("secrets", None, str(directory))
        source.problems.append(MISSING_SECRETS_DIRECTORY("secrets_dir", message, hint=hint, origin=origin))
        return source
    except (OSError, ValueError) as error:
        source.problems.append(_unreadable(path, error))
        return source
    source.place = str(path.absolute())
    variables: dict[str, SourcedValue] = {}
    for file in files:
        if names.is_setting(file.name) or (names.prefix and names.path(file.name)):
            try:
                value = file.read_text(encoding="utf-8-sig").strip()
            except (OSError, ValueError) as error:
                source.problems.append(_unreadable(file, error))
            else:
                variables[file.name] = SourcedValue(value, Origin("secrets", file.name, str(file)))
    read_variables(source, variables)
    source.misspelt += [unread for file in files if (unread := _unread(file, names))]
    return source


def _unread(file: Path, names: SettingNames) -> Problem | None:
    """Report a file with the name of a variable of libpq's, or a misspelt one of ours, as with dashes."""
    name, in_any_case = names.fold(file.name), names._replace(case_sensitive=False)
    if keyword := libpq.variables().get(name.upper()):
        setting, meant = f"connection.{keyword}", names.variable(("connection", keyword))
    elif "-" in name and in_any_case.is_setting(variable := name.upper().replace("-", "_")):
        setting, path = in_any_case.setting_of(variable), in_any_case.path(variable)
        meant = names.variable(path) if path else variable
    elif not names.is_setting(name) and (misspelt := suggestions.variable(name, names)):
        setting, meant = names.setting_of(misspelt), misspelt
    else:
        return None
    message = f"{file.name} is not read from a secrets directory"
    origin = Origin("secrets", file.name, str(file))
    return LIKELY_MISSPELT_VARIABLE(setting, message, hint=f"name the file {meant}", origin=origin)


def _unreadable(file: Path, error: OSError | ValueError) -> Problem:
    origin = Origin("secrets", None, str(file))
    hint = "make it a readable directory of text files, each named like a variable"
    return unreadable_file("secrets_dir", str(file), error, origin, hint)
