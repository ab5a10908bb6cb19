"""What was probably meant by a name that is not known, and what to write for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from procrastinate_conn import libpq
from procrastinate_conn.registry import DEFAULT_KIND, REGISTRY
from procrastinate_conn.setting_names import PREFIX, SECTIONS, SETTINGS, keywords_if_any

ALIASES: Mapping[str, str] = {
    # what people and other libraries call settings of the connection
    "charset": "connection.client_encoding",
    "database": "connection.dbname",
    "db": "connection.dbname",
    "encoding": "connection.client_encoding",
    "host_name": "connection.host",
    "hostname": "connection.host",
    "pass": "connection.password",
    "passwd": "connection.password",
    "pwd": "connection.password",
    "server": "connection.host",
    "ssl": "connection.sslmode",
    "targetservertype": "connection.target_session_attrs",
    "timeout": "connection.connect_timeout",
    "user_name": "connection.user",
    "username": "connection.user",
    "usessl": "connection.sslmode",
    # ... and of the whole
    "connection_string": "dsn",
    "conninfo": "dsn",
    "database_url": "dsn",
    "kind": "connector",
    "uri": "dsn",
    "url": "dsn",
    # pools: aiopg, asyncpg, psycopg2
    "minsize": "pool.min_size",
    "minconn": "pool.min_size",
    "maxsize": "pool.max_size",
    "maxconn": "pool.max_size",
    "max_inactive_connection_lifetime": "pool.max_idle",
    "on_connect": "pool.configure",
    "init": "pool.configure",
    "statement_cache_size": "pool.prepare_threshold",
    "setup": "pool.check",
    # SQLAlchemy
    "pool_size": "pool.min_size",
    "max_overflow": "pool.max_size",
    "pool_timeout": "pool.timeout",
    "pool_recycle": "pool.max_lifetime",
    "pool_pre_ping": "pool.check_after",
    "pool_reset_on_return": "pool.reset",
    "pool_logging_name": "pool.name",
    # HikariCP
    "minimum_idle": "pool.min_size",
    "maximum_pool_size": "pool.max_size",
    "connection_timeout": "pool.timeout",
    "idle_timeout": "pool.max_idle",
    "pool_name": "pool.name",
    # PgBouncer
    "min_pool_size": "pool.min_size",
    "default_pool_size": "pool.max_size",
    "max_db_connections": "pool.max_size",
    "query_wait_timeout": "pool.timeout",
    "server_idle_timeout": "pool.max_idle",
    "server_lifetime": "pool.max_lifetime",
    "server_check_delay": "pool.check_after",
}
"""Other names of settings, by the path of the setting here."""

_NOTES = {
    "max_overflow": "; max_size counts all the connections, not those beyond min_size",
    "pool_pre_ping": "; 0 asks before every hand-out",
    "statement_cache_size": "; none prepares nothing",
}


def _server_setting(name: str) -> str:
    return f"write it as connection.options: -c {name}=... (in a DSN of keywords, in quotes)"


_NOT_KEYWORDS = {
    **{
        name: _server_setting(name)
        for name in (
            "idle_in_transaction_session_timeout",
            "lock_timeout",
            "search_path",
            "statement_timeout",
            "timezone",
        )
    },
    **{name: f"it is a setting of its own: write {name}" for name in ("password_file", "password_command")},
    **dict.fromkeys(("dsn", "uri", "url"), "write all of it as the DSN, which is a setting of its own"),
    # Prisma
    "connection_limit": "it is an option of the pool: write pool.max_size",
    "pgbouncer": "leave it out, and write pool.prepare_threshold=none if PgBouncer needs it",
    "schema": _server_setting("search_path"),
    # JDBC
    "currentschema": _server_setting("search_path"),
}
"""What stands in connection strings, other libraries' above all, and is no keyword of libpq."""

_UNNEEDED = {
    "autocommit": "leave it out: every connector commits each query by itself",
    "cursor_factory": "leave it out: procrastinate chooses its own",
    "enable_json": "leave it out: json_loads, a setting of its own, says how JSON is read",
    "row_factory": "leave it out: procrastinate chooses its own",
}
"""What connectors written by hand are given for their connections."""

_SETTINGS_BESIDE_THE_POOL = ("json_dumps", "json_loads", "password_file", "password_command")

LEAVE_OUT_QUOTES = (
    "leave out the quotes: docker run --env-file and Kubernetes keep them as a part of the value"
)


def is_quoted(value: object) -> bool:
    """Tell whether a value is a text between two quotes of the same kind, which the file's reader kept."""
    return isinstance(value, str) and re.fullmatch(r"(['\"]).+\1", value.strip(), re.DOTALL) is not None


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is most similar, ignoring case; None if none is similar enough.

    Parameters
    ----------
    cutoff
        The least similarity, from 0 to 1.
    """
    from difflib import get_close_matches  # only mistakes need it, and a cold start should not pay for it

    by_lower_case = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), by_lower_case, n=1, cutoff=cutoff)
    return by_lower_case[near[0]] if near else None


def alias(name: str, section: str) -> str | None:
    """Return the keyword or pool option that another name stands for.

    Parameters
    ----------
    section
        ``connection`` or ``pool``.
    """
    prefix, _, part = ALIASES.get(name, "").partition(".")
    return part if part and prefix == section else None


def connector(name: str) -> str:
    """Return the hint about a name that is no kind's."""
    wanted = name.strip().lower().rpartition(".")[2]  # the class may be named with its module
    names = {
        alias: kind for kind, info in REGISTRY.items() for alias in (*info.aliases, info.class_name.lower())
    }
    near = names.get(wanted) or nearest(name, [kind.value for kind in REGISTRY])
    return f"did you mean {near}?" if near else f"the connectors are {', '.join(REGISTRY)}"


def keyword(name: str) -> str | None:
    """Return the keyword of libpq that was probably meant."""
    plain, known = name.lower(), libpq.keywords()
    return alias(plain, "connection") or (plain if plain in known else nearest(plain, known))


def is_keyword_name(name: str) -> bool:
    """Tell whether a text was certainly meant for a keyword, or is one of another library's."""
    return _is_certain(name) or bool(foreign_keyword(name))


def _is_certain(name: str) -> bool:
    """Tell a slip of the pen, and another library's name, from what is only similar."""
    near = keyword(name)
    is_alias = alias(name.lower(), "connection") is not None
    return near is not None and (is_alias or nearest(name, [near], cutoff=0.8) is not None)


def keyword_hint(name: str) -> tuple[str, bool]:
    """Return the hint about an unknown keyword, and whether the name can be no piece of a password."""
    near = keyword(name)
    is_certain = _is_certain(name)
    hint = "" if is_certain else foreign_keyword(name)
    otherwise = f"did you mean {near}?" if near else "see the list of libpq's connection keywords"
    return hint or otherwise, is_certain or bool(hint)


def foreign_keyword(name: str) -> str:
    """Return what to do about a keyword of another library; empty if the name is none."""
    plain = name.lower()
    if hint := _NOT_KEYWORDS.get(plain) or _UNNEEDED.get(plain):
        return hint
    option = alias(plain, "pool") or (plain if plain in REGISTRY[DEFAULT_KIND].pool_options else None)
    return f"it is an option of the pool: write pool.{option}" if option else ""


def pool_option(name: str, known: Iterable[str]) -> str | None:
    """Return the pool option that was probably meant by an unknown name."""
    plain = _snake_case(name)
    if option := alias(plain, "pool"):
        return option
    if plain in libpq.keywords() or plain in _SETTINGS_BESIDE_THE_POOL:
        return None
    names = [*known, *(name for name in ALIASES if alias(name, "pool"))]
    near = nearest(plain, names)
    return (alias(near, "pool") or near) if near else None


def pool_option_hint(name: str, known: Iterable[str]) -> str:
    """Return the hint about an unknown pool option; empty if nothing is similar."""
    plain, option = _snake_case(name), pool_option(name, known)
    if alias(plain, "pool"):
        return f"psycopg_pool calls it {option}{_NOTES.get(plain, '')}"
    if plain in libpq.keywords():
        return f"it is a keyword of libpq: write connection.{plain}"
    if plain in _SETTINGS_BESIDE_THE_POOL:
        return f"it is a setting of its own: write {plain}"
    return _UNNEEDED.get(plain) or (f"did you mean {option}?" if option else "")


def _snake_case(name: str) -> str:
    """Return ``max_size`` for ``maxSize`` and ``MAX-SIZE``."""
    if not name.isupper():
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", name)
    return name.lower().replace("-", "_")


_OTHER_PREFIX = re.compile(rf"(PR?O\w+?)_+({'|'.join(map(str.upper, SETTINGS))})(__\w+)?")
_PREFIXES = (PREFIX.strip("_"), PREFIX.partition("_")[0])


def variable(name: str) -> str | None:
    """Return the variable that was meant by one whose prefix is misspelt or incomplete.

    Parameters
    ----------
    name
        A variable that is neither ours nor libpq's.
    """
    url = re.fullmatch(r"([A-Z]+)_URL", name)
    if url is not None and nearest(url[1], ["DATABASE"], cutoff=0.85):
        return "DATABASE_URL"
    found = _OTHER_PREFIX.fullmatch(name.upper())
    if found is None or not nearest(found[1], _PREFIXES, cutoff=0.85):
        return None
    return f"{PREFIX}{found[2]}{found[3] or ''}"


def pg_variable(name: str, known: Iterable[str]) -> str | None:
    """Return the variable of libpq, or of ours, that was meant by one that only looks like libpq's.

    The name of a second server, such as ``PGHOST_REPLICA``, is no mistake.
    """
    plain = name.removeprefix("PG").lower()
    if plain in SETTINGS:
        return PREFIX + plain.upper()
    row = libpq.keywords().get(alias(plain, "connection") or plain)
    if row is not None and row.variable is not None:
        return row.variable
    is_another = name.rpartition("_")[0] in known
    return None if is_another else nearest(name, known, cutoff=0.8)


def setting(path: tuple[str, ...]) -> str | None:
    """Return the setting that was probably meant, as ``section__part``."""
    if len(path) > 1:
        near = nearest(path[0], SETTINGS)
        return near and "__".join([near, *path[1:]])
    parts = _parts()
    for section in SECTIONS:
        own = {part: whole for part, whole in parts.items() if whole.startswith(f"{section}__")}
        if path[0].startswith(f"{section}_") and (near := nearest(path[0].removeprefix(f"{section}_"), own)):
            return own[near]
    aliases = {name: whole.replace(".", "__") for name, whole in ALIASES.items()}
    known = {**aliases, **parts, **{setting: setting for setting in SETTINGS}}
    near = nearest(path[0], known)
    return near and known[near]


def setting_hint(path: tuple[str, ...]) -> str:
    """Return the hint about a variable with our prefix that is no setting."""
    own = next((setting for setting in ("_".join(path), path[-1]) if setting in SETTINGS), None)
    if own is not None and len(path) > 1:
        return f"did you mean {PREFIX}{own.upper()}?"
    if path[0] == "password":
        return f"write {PREFIX}CONNECTION__PASSWORD, or a DSN with the password in it"
    if path[0] in SECTIONS and not any(path[1:]):
        example = {"connection": "HOST", "pool": "MAX_SIZE"}[path[0]]
        return f"name a part of it, as in {PREFIX}{path[0].upper()}__{example}"
    if path[0] in SETTINGS:
        whole = path[:2] if path[0] in SECTIONS else path[:1]
        return f"it has no parts: write {PREFIX}{'__'.join(whole).upper()}"
    if near := setting(path):
        return f"did you mean {PREFIX}{near.upper()}?"
    return f"the settings are {', '.join(PREFIX + setting.upper() for setting in SETTINGS)}"


def argument_hint(name: str, known: Iterable[str]) -> str:
    """Return the hint about an unknown argument of the call."""
    if f"_{name}" in ("_env_file", "_secrets_dir"):
        return f"did you mean _{name}?"
    near = nearest(name, known) or setting((name,))
    if near is None:
        return f"the arguments are {', '.join(known)}"
    section, _, part = near.partition("__")
    return f'write {section}={{"{part}": ...}}' if part else f"did you mean {near}?"


def _parts() -> dict[str, str]:
    """Return the pool options and libpq's keywords, each with its path; none if there is no libpq."""
    if not (keywords := {keyword: f"connection__{keyword}" for keyword in keywords_if_any()}):
        return {}
    return {option: f"pool__{option}" for option in REGISTRY[DEFAULT_KIND].pool_options} | keywords
