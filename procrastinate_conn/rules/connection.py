"""Rules of the connection room: DSNs, keywords and their values."""

from __future__ import annotations

from procrastinate_conn import libpq
from procrastinate_conn.origins import Origin
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import foreign
from procrastinate_conn.rules_tmp import Example, Rule
from procrastinate_conn.suggestions import nearest

MALFORMED_DSN = Rule(
    "PC201",
    "DSN that libpq cannot read",
    "Every connection attempt would fail; a pool retries it silently until it times out.",
    "Write a URI with percent-encoded parts, or keyword=value pairs.",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs?sslmode"),
)
OTHER_DATABASE = Rule(
    "PC202",
    "DSN of another database",
    "Procrastinate stores its jobs in PostgreSQL.",
    "Write a postgresql:// URL.",
    example=Example("PROCRASTINATE_CONN_DSN=mysql://app@localhost/jobs"),
)
FOREIGN_DATABASE_URL = Rule(
    "PC203",
    "DATABASE_URL of another database",
    "It is ignored, and the connection comes from libpq's variables and defaults.",
    "Set PROCRASTINATE_CONN_DSN for procrastinate.",
    severity="warning",
    example=Example("DATABASE_URL=mysql://app@localhost/shop"),
)
UNKNOWN_KEYWORD = Rule(
    "PC204",
    "unknown connection keyword",
    "libpq refuses every connection that states a keyword it does not know.",
    "Use libpq's name for it; the hint names the nearest one.",
    example=Example("PROCRASTINATE_CONN_DSN=hots=localhost dbname=jobs"),
    fault_in="name",
)
REFUSED_VALUE = Rule(
    "PC205",
    "value that libpq refuses",
    "libpq refuses the value when it connects; a pool retries that silently until it times out.",
    "Use one of the values that libpq documents.",
    example=Example("PROCRASTINATE_CONN_CONNECTION__SSLMODE=requre"),
)
MISMATCHED_HOSTS = Rule(
    "PC206",
    "host, hostaddr and port that do not match in number",
    "libpq refuses lists of different lengths.",
    "Write as many of each as there are hosts, or one port for all of them.",
    example=Example(
        "PROCRASTINATE_CONN_CONNECTION__HOST=db1,db2\nPROCRASTINATE_CONN_CONNECTION__PORT=5432,5433,5434"
    ),
)
SERVICE = Rule(
    "PC207",
    "service that cannot be read",
    "libpq refuses to connect when the service is missing or its section is damaged.",
    "Define the service in the service file, or remove the service.",
    example=Example(
        "PGSERVICE=jobs\nPGSERVICEFILE=pg_service.conf", files={"pg_service.conf": "[job]\nhost=localhost\n"}
    ),
)
REFUSED_TOGETHER = Rule(
    "PC208",
    "values that libpq refuses together",
    "Each value is fine by itself, but libpq refuses the combination when it connects.",
    "Change one of the values that the message names.",
    example=Example(
        "PROCRASTINATE_CONN_CONNECTION__SSLMODE=require\nPROCRASTINATE_CONN_CONNECTION__SSLROOTCERT=system"
    ),
)
PASSWORD_FILE_IGNORED = Rule(
    "PC209",
    "password file that libpq ignores",
    "The server is then asked without a password, and refuses.",
    "Make it a plain file that only its owner can read: chmod 0600.",
    severity="warning",
    example=Example("PGPASSFILE=pgpass", files={"pgpass": "localhost:5432:jobs:app:...\n"}),
)
HOSTADDR_OVERRIDES_HOST = Rule(
    "PC210",
    "PGHOSTADDR that redirects the host",
    "libpq connects to that address, whatever host is named elsewhere: another server under the right name.",
    "Unset PGHOSTADDR, or state hostaddr beside host.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs\nPGHOSTADDR=127.0.0.2"),
)

UNENCODED_PASSWORD = Rule(
    "PC211",
    "DSN with an @ where none belongs",
    "A password with special characters that are not percent-encoded ends too early, and its rest is taken"
    " for the host or the database.",
    "Percent-encode the password: @ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app:5/cret@localhost/jobs"),
)
SESSION_VARIABLE = Rule(
    "PC212",
    "variable of the session in an env file",
    "libpq reads PGTZ, PGDATESTYLE and PGGEQO from the process environment alone.",
    "State it as options: -c timezone=UTC.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@db1/jobs\nPGTZ=UTC"),
    fault_in="name",
)
WHOLE_STRING = Rule(
    "PC213",
    "connection string where one value belongs",
    "libpq takes all of it for a host, a name or a path, and its password is looked up in DNS, logged and"
    " shown like any of them.",
    "Write it as the DSN: a URI, or keyword=value pairs with blanks between them.",
    example=Example("PROCRASTINATE_CONN_CONNECTION__HOST=postgresql://app@localhost/jobs"),
)

IMPOSSIBLE_HOST = Rule(
    "PC214",
    "host that cannot be one",
    "libpq looks it up all the same, and never finds it; a pool retries that until it times out.",
    "Write the name of the host or its address alone; the port, the user and the database have keywords of"
    " their own, and a password in a URI is percent-encoded: @ is %40.",
    example=Example("PROCRASTINATE_CONN_CONNECTION__HOST=localhost:5432"),
)
REFUSED_OPTIONS = Rule(
    "PC215",
    "options that the server refuses",
    "The server splits them at blanks and reads them as switches of its command line; it ends every"
    " connection whose options it cannot read.",
    "Write -c before each setting, as in -c search_path=jobs, and a backslash before a blank in a value.",
    example=Example("PROCRASTINATE_CONN_CONNECTION__OPTIONS=search_path=jobs"),
)
SEPARATORS = Rule(
    "PC216",
    "commas or semicolons between the keywords of a DSN",
    "libpq separates the pairs by blanks alone. It takes another sign for a part of the value: of the name"
    " of a database or user, which the server does not know, or of a list of hosts, which goes on with the"
    " default one.",
    "Write blanks between the pairs; quote a value that ends with such a sign.",
    example=Example("PROCRASTINATE_CONN_DSN=host=localhost, dbname=jobs, user=app"),
)
EMPTY_DSN = Rule(
    "PC217",
    "empty DSN",
    "To libpq it is a DSN that states nothing: the connection goes to this machine, as the user of the"
    " process. Most often a variable was not set where the configuration is made.",
    "Set the variable that the DSN comes from, or remove the DSN.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN="),
)

LEFTOVER = Rule(
    "PC218",
    "name or password with something around it, or that was not filled in",
    "To libpq a line break, a quote, a reference or a placeholder that should have been taken away or filled"
    " in is a part of the value: the server knows no such user or database, and refuses the password.",
    "Write the value alone. In a Kubernetes Secret end no value with a line break, and in a file for"
    " docker run --env-file write no quotes.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@localhost//jobs"),
)
READ_ONLY_SESSION = Rule(
    "PC219",
    "session that nothing can be written in",
    "libpq passes over the primary; a standby refuses every job that is deferred, fetched or finished.",
    "Write read-write: of several hosts libpq then takes the primary, after a failover as well.",
    example=Example(
        "PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs?target_session_attrs=standby",
    ),
)
TIME_IN_ANOTHER_UNIT = Rule(
    "PC220",
    "time that is in another unit",
    "libpq counts seconds, and milliseconds in tcp_user_timeout alone. A thousand times too long, a host that"
    " is silent is waited for for hours; a thousand times too short, every connection is cut off.",
    "Write the time in the unit that the message names.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_CONNECTION__CONNECT_TIMEOUT=5000"),
)

_OTHER_NAMES = {
    "charset": "client_encoding",
    "database": "dbname",
    "db": "dbname",
    "encoding": "client_encoding",
    "hostname": "host",
    "pass": "password",
    "passwd": "password",
    "ssl": "sslmode",
    "targetservertype": "target_session_attrs",
    "timeout": "connect_timeout",
    "username": "user",
    "usessl": "sslmode",
}
"""What other libraries call libpq's keywords."""


def nearest_keyword(keyword: str) -> str | None:
    """Return the keyword of libpq that was probably meant, if there is one."""
    known = libpq.keywords()
    plain = keyword.lower()
    if plain in _OTHER_NAMES or plain in known:
        return _OTHER_NAMES.get(plain, plain)
    return nearest(plain, known)


def unknown_keyword(keyword: str, subject: str, origin: Origin | None, *, safe: bool = True) -> Problem:
    """Report a keyword that libpq does not know, with the one that was probably meant.

    Parameters
    ----------
    keyword
        The keyword as it is written.
    subject
        What states it.
    origin
        Where the keyword is written.
    safe
        Whether it cannot be a piece of a password; if it may be, only a slip of the pen is shown, and
        what other libraries call a keyword.
    """
    near = nearest_keyword(keyword)
    is_near = near is not None and _is_certain(keyword, near)
    hint = "" if is_near else foreign.hint(keyword)
    named = safe or is_near or bool(hint)
    return UNKNOWN_KEYWORD(
        f"connection.{keyword}" if named else "connection",
        f"{subject} states {keyword if named else 'something'}, which libpq does not know as a keyword",
        hint=hint or (f"did you mean {near}?" if near else "see the list of libpq's connection keywords"),
        origin=origin,
    )


def is_name(keyword: str) -> bool:
    """Tell whether a text was certainly meant for a keyword, or is one of another library's."""
    near = nearest_keyword(keyword)
    return (near is not None and _is_certain(keyword, near)) or bool(foreign.hint(keyword))


def _is_certain(keyword: str, near: str) -> bool:
    """Tell a slip of the pen, and another library's name, from what merely comes near."""
    return keyword.lower() in _OTHER_NAMES or nearest(keyword, [near], cutoff=0.8) is not None
