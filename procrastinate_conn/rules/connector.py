"""Rules of the connector room: drivers."""

from procrastinate_conn.rules.rule import Rule

MISSING_DRIVER = Rule(
    "PC401",
    "driver that is not installed",
    "The connector cannot be imported.",
    "Install the extra that the message names.",
)
OLD_LIBPQ = Rule(
    "PC402",
    "keyword that the driver's libpq does not know",
    "psycopg and psycopg2 carry libpqs of different versions; the older one refuses the connection.",
    "Choose a connector on the newer libpq, or leave the keyword out.",
)
NO_LIBPQ = Rule(
    "PC403",
    "libpq that cannot be loaded",
    "Without libpq nothing can be resolved or connected.",
    "Install the binary extra, or the system's libpq.",
)
