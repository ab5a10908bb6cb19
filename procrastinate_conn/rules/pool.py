"""The rules of the pool options."""

from __future__ import annotations

from procrastinate_conn.rules_tmp import Example, Rule

UNKNOWN_OPTION = Rule(
    "PC301",
    "unknown pool option",
    "The pool's constructor refuses a name that it does not know, but only when the application opens.",
    "Write the option in psycopg_pool's name; `procrastinate-conn schema` lists them all.",
    example=Example("PROCRASTINATE_CONN_POOL__MIN_SZIE=4"),
    fault_in="name",
)
WRONG_TYPE = Rule(
    "PC302",
    "pool option of the wrong type",
    "The pool does not look at types: it fails later, on a comparison or an addition, far from the cause.",
    "Write a value of the option's type: a number, a duration such as 30s, true or false, none.",
    example=Example("PROCRASTINATE_CONN_POOL__MAX_SIZE=four"),
)
OUT_OF_RANGE = Rule(
    "PC303",
    "pool option out of range",
    "A time of zero or less makes every call fail or the pool work without rest; no server takes a negative"
    " or an enormous number of connections.",
    "Write a value within the range that the message gives.",
    example=Example("PROCRASTINATE_CONN_POOL__TIMEOUT=0"),
)
CONFLICT = Rule(
    "PC304",
    "pool options that exclude each other",
    "Each value is right by itself; together the pool refuses them when the application opens.",
    "Change one of the two.",
    example=Example("PROCRASTINATE_CONN_POOL__MIN_SIZE=8\nPROCRASTINATE_CONN_POOL__MAX_SIZE=4"),
)
RESERVED = Rule(
    "PC305",
    "pool option that the connector sets itself",
    "The connector passes it to the pool; passed twice, it is a TypeError when the application opens.",
    "Write what it stands for in the place that the message names.",
    example=Example("PROCRASTINATE_CONN_POOL__CONNINFO=host=localhost"),
    fault_in="name",
)
NOT_POSSIBLE = Rule(
    "PC306",
    "pool option that this kind of connector cannot honour",
    "It would be dropped in silence, or break the driver's own connections.",
    "Remove it, or choose a kind of connector that can.",
    example=Example("PROCRASTINATE_CONN_CONNECTOR=psycopg2\nPROCRASTINATE_CONN_POOL__CLOSE_RETURNS=true"),
    fault_in="name",
)
CALLBACK_NOT_FOUND = Rule(
    "PC307",
    "pool callback that cannot be imported",
    "Without it the connections are not set up as the settings say.",
    "Write package.module:function, importable where the application runs.",
    example=Example(
        "PROCRASTINATE_CONN_POOL__CONFIGURE=database:configure", given="there is no module database"
    ),
)
CALLBACK_COLOUR = Rule(
    "PC308",
    "pool callback of the wrong colour",
    "An asynchronous pool awaits its callbacks and a synchronous one calls them: with the wrong one the pool"
    " never fills, or the callback silently never runs.",
    "Write `async def` for an asynchronous kind, `def` for a synchronous one, or give both as a pair.",
    example=Example(
        "PROCRASTINATE_CONN_POOL__CONFIGURE=database:configure",
        files={"database.py": "def configure(connection): ...\n"},
    ),
)
CALLBACK_UNFIT = Rule(
    "PC309",
    "pool callback that cannot be called",
    "The call fails on every new connection, and the pool never fills.",
    "Give a function that takes the one argument that psycopg_pool passes; for connection_class a subclass"
    " of the driver's connection.",
    example=Example(
        "PROCRASTINATE_CONN_POOL__CONFIGURE=database:configure",
        files={"database.py": "async def configure(): ...\n"},
    ),
)
POOL_TOO_OLD = Rule(
    "PC310",
    "pool option that the installed psycopg_pool lacks",
    "The installed pool refuses the name when the application opens.",
    "Upgrade psycopg_pool, or remove the option.",
    example=Example("PROCRASTINATE_CONN_POOL__CLOSE_RETURNS=true", given="psycopg_pool is older than 3.3"),
    fault_in="name",
)
REFUSED = Rule(
    "PC311",
    "pool options that psycopg_pool refuses",
    "The pool would raise the same when the application opens.",
    "Follow psycopg_pool's own message.",
    example=Example(
        "PROCRASTINATE_CONN_POOL__CLOSE_RETURNS=true",
        given="psycopg_pool is 3.3, and psycopg older than that",
    ),
)
NEITHER_OPTIONS_NOR_NULL = Rule(
    "PC312",
    "pool that is neither options nor null",
    "There is no pool of that name.",
    "Write `null` for connections that are not kept, or the options one by one.",
    example=Example("PROCRASTINATE_CONN_POOL=nul"),
)
ONE_COLOUR_ONLY = Rule(
    "PC313",
    "pool callback without its synchronous twin",
    "Used synchronously before it is opened, an asynchronous connector makes a synchronous pool, which"
    " cannot await: that pool goes without the callback.",
    "Give a pair, the asynchronous one first.",
    severity="warning",
    example=Example(
        "PROCRASTINATE_CONN_POOL__CONFIGURE=database:configure",
        files={"database.py": "async def configure(connection): ...\n"},
    ),
)
NO_EFFECT = Rule(
    "PC314",
    "pool option without effect",
    "The option is accepted and changes nothing, which is rarely what was meant.",
    "Remove it, or change the option that it depends on.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_POOL__MAX_SIZE=4\nPROCRASTINATE_CONN_POOL__NUM_WORKERS=8"),
    fault_in="name",
)
TIMES_AT_ODDS = Rule(
    "PC315",
    "times that are at odds",
    "One of the two always comes first, so that the other never acts as it was meant to.",
    "Make the time that should act first the shorter one.",
    severity="warning",
    example=Example(
        "PROCRASTINATE_CONN_POOL__MAX_SIZE=8\nPROCRASTINATE_CONN_POOL__MAX_IDLE=2h\nPROCRASTINATE_CONN_POOL__MAX_LIFETIME=1h"
    ),
)
LARGE_POOL = Rule(
    "PC316",
    "pool larger than a server's default",
    "PostgreSQL accepts 100 connections where it is not told otherwise, for all its clients together; the"
    " rest is refused with `too many clients already`.",
    "Make the pool smaller, or make sure that the server's max_connections allows it.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_POOL__MAX_SIZE=200"),
)
