"""Rules of the connector room: drivers."""

from procrastinate_conn.problems import Problem
from procrastinate_conn.rules_tmp import Example, Rule

MISSING_DRIVER = Rule(
    "PC401",
    "driver that is not installed",
    "The connector cannot be imported.",
    "Install the extra that the message names.",
    example=Example("PROCRASTINATE_CONN_CONNECTOR=aiopg", given="aiopg is not installed"),
)
OLD_LIBPQ = Rule(
    "PC402",
    "keyword that the driver's libpq does not know",
    "psycopg and psycopg2 carry libpqs of different versions; the older one refuses the connection.",
    "Choose a connector on the newer libpq, or leave the keyword out.",
    example=Example(
        "PROCRASTINATE_CONN_CONNECTOR=psycopg2\nPROCRASTINATE_CONN_CONNECTION__MIN_PROTOCOL_VERSION=3.0",
        given="psycopg2 has a libpq older than 18, and psycopg has not",
    ),
    fault_in="name",
)
NO_LIBPQ = Rule(
    "PC403",
    "libpq that cannot be loaded",
    "Without libpq nothing can be resolved or connected.",
    "Install the binary extra, or the system's libpq.",
    example=Example(given="psycopg finds no libpq"),
)
REFUSED_BY_DRIVER = Rule(
    "PC404",
    "value that the driver cannot connect with",
    "psycopg's libpq accepts the value, but the driver of the connector refuses it at every connection.",
    "Choose another connector, or change the value.",
    example=Example(
        "PROCRASTINATE_CONN_DSN=host=@postgres dbname=jobs", given="PostgreSQL listens on an abstract socket"
    ),
)


def no_libpq() -> Problem:
    """Report that psycopg can load no libpq, which is all that can be said then."""
    hint = "pip install 'procrastinate-conn[binary]', or install the system's libpq"
    return NO_LIBPQ("connector", "psycopg cannot load libpq", hint=hint)
