"""Rules of the settings room: names, files and places."""

from procrastinate_conn.rules.rule import Rule

UNKNOWN_SETTING = Rule(
    "PC101",
    "unknown setting",
    "A misspelt setting would be ignored, and the connection would be another one than was meant.",
    "Spell the setting as the documentation does; the hint names the nearest one.",
)
NOT_AN_OBJECT = Rule(
    "PC102",
    "section that is not an object",
    "`connection` and `pool` have parts; a bare value says nothing about any of them.",
    "Write a JSON object, or one variable for each part.",
)
UNREADABLE_FILE = Rule(
    "PC103",
    "file that cannot be read",
    "The settings in it would be missing, and defaults would take their place.",
    "Name a file that exists and that the process may read.",
)
MALFORMED_LINE = Rule(
    "PC104",
    "line that is not NAME=value",
    "python-dotenv skips such a line, so that what it was meant to state is missing.",
    "Write NAME=value; close every quote.",
    severity="warning",
)
MISSING_SECRETS_DIRECTORY = Rule(
    "PC105",
    "missing secrets directory",
    "Nothing is read from it; in a container this means that the secrets were not mounted.",
    "Mount the directory, or do not name it.",
    severity="warning",
)
LIKELY_MISSPELT_VARIABLE = Rule(
    "PC106",
    "variable that looks like one of libpq's",
    "libpq ignores a variable that it does not know, and connects with a default in its place.",
    "Spell the variable as libpq does; the hint names the nearest one.",
    severity="warning",
)
WRONG_VALUE = Rule(
    "PC107",
    "value that the setting cannot have",
    "The setting could not be understood.",
    "Use one of the values that the message names.",
)
NOT_IMPORTABLE = Rule(
    "PC108",
    "callable that cannot be imported",
    "The function would be missing when the first job is deferred.",
    "Name it package.module:function, and make sure that the module is installed here.",
)
COMPETING_PASSWORDS = Rule(
    "PC109",
    "more than one source of the password",
    "Only one of them can be the password that is sent.",
    "Keep one of password, password_file and password_command in one place.",
)
