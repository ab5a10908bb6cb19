"""Rules of the settings room: names, files and places."""

from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules_tmp import Example, Rule

UNKNOWN_SETTING = Rule(
    "PC101",
    "unknown setting",
    "A misspelt setting would be ignored, and the connection would be another one than was meant.",
    "Spell the setting as the documentation does; the hint names the nearest one.",
    example=Example("PROCRASTINATE_CONN_DNS=postgresql://app@localhost/jobs"),
    fault_in="name",
)
NOT_AN_OBJECT = Rule(
    "PC102",
    "section that is not an object",
    "`connection` and `pool` have parts; a bare value says nothing about any of them.",
    "Write a JSON object, or one variable for each part.",
    example=Example("PROCRASTINATE_CONN_CONNECTION=localhost"),
)
UNREADABLE_FILE = Rule(
    "PC103",
    "file that cannot be read",
    "The settings in it would be missing, and defaults would take their place.",
    "Name a file that exists and that the process may read.",
    example=Example(arguments=("prod.env",), given="there is no file prod.env"),
)
MALFORMED_LINE = Rule(
    "PC104",
    "line that is not NAME=value",
    "python-dotenv skips such a line, so that what it was meant to state is missing.",
    "Write NAME=value; close every quote.",
    severity="warning",
    example=Example('PGHOST="localhost'),
)
MISSING_SECRETS_DIRECTORY = Rule(
    "PC105",
    "missing secrets directory",
    "Nothing is read from it; in a container this means that the secrets were not mounted.",
    "Mount the directory, or do not name it.",
    severity="warning",
    example=Example(arguments=(".env", "--secrets-dir", "secrets"), given="there is no directory secrets"),
)
LIKELY_MISSPELT_VARIABLE = Rule(
    "PC106",
    "variable that looks like one of libpq's, or of procrastinate-conn's",
    "Nobody reads a variable by that name, and a default takes its place.",
    "Spell the variable as the hint does.",
    severity="warning",
    example=Example("PGHSOT=localhost"),
    fault_in="name",
)
WRONG_VALUE = Rule(
    "PC107",
    "value that the setting cannot have",
    "The setting could not be understood.",
    "Use one of the values that the message names.",
    example=Example("PROCRASTINATE_CONN_CONNECTOR=psycopg3"),
)
NOT_IMPORTABLE = Rule(
    "PC108",
    "callable that cannot be imported or called",
    "The function would be missing when the first job is deferred.",
    "Name it package.module:function, and make sure that the module is installed here.",
    example=Example("PROCRASTINATE_CONN_JSON_DUMPS=json:dump_it"),
)
COMPETING_PASSWORDS = Rule(
    "PC109",
    "more than one source of the password",
    "Only one of them can be the password that is sent.",
    "Keep one of password, password_file and password_command in one place.",
    example=Example(
        "PROCRASTINATE_CONN_PASSWORD_FILE=db-password\nPROCRASTINATE_CONN_PASSWORD_COMMAND=cat db-password",
        files={"db-password": "..."},
    ),
    fault_in="name",
)
OVERRIDDEN = Rule(
    "PC110",
    "setting without effect",
    "Another place states the same and comes first: whoever changes this one changes nothing.",
    "Remove it, or the one that the message names.",
    severity="warning",
    example=Example(
        "PROCRASTINATE_CONN_DSN=postgresql://app@db1/jobs?sslmode=verify-full&sslrootcert=system\n"
        "PROCRASTINATE_CONN_CONNECTION__HOST=localhost\n"
        "PGUSER=jobs"
    ),
    fault_in="name",
)
UNDEFINED_VARIABLE = Rule(
    "PC111",
    "reference to a variable that is not defined",
    "python-dotenv puts nothing in its place: a host becomes empty, which is this machine.",
    "Define the variable, or write ${NAME:-default} where it may be absent.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@${DB_HOST}/jobs"),
)
MALFORMED_SETTING = Rule(
    "PC112",
    "setting whose line is not NAME=value",
    "python-dotenv skips such a line, and the connection would be another one than was meant.",
    "Write NAME=value; close every quote.",
    example=Example('PROCRASTINATE_CONN_DSN="postgresql://app@localhost/jobs'),
    fault_in="name",
)


def not_a_file(setting: str) -> Problem:
    """Report a connection string in the place of a file's name, without repeating it."""
    message = f"{setting} is a connection string, and not the name of a file"
    return UNREADABLE_FILE(setting, message, hint="give it as dsn", origin=Origin("call", setting))
