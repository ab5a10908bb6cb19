"""Suggestions for unknown names: what was probably meant, and what to write for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from procrastinate_conn import libpq
from procrastinate_conn.aliases import ALIASES, VALUES, by_name, hint_of, note_of, plain, setting_of_alias
from procrastinate_conn.registry import DEFAULT_KIND, REGISTRY, installed_kinds
from procrastinate_conn.setting_names import DEFAULT_PREFIX, SECTIONS, SETTINGS, SettingNames, SettingPath
from procrastinate_conn.similarity import nearest


def value(keyword: str, text: str, choices: Iterable[str]) -> str | None:
    """Return the value of a keyword that was probably meant by one that is none of the choices."""
    return VALUES.get(keyword, {}).get(text.strip().lower()) or nearest(text, choices)


def _alias(name: str, section: str) -> str | None:
    """Return the keyword or pool option, depending on the section, for which a name is an alias."""
    prefix, _, part = setting_of_alias(name).partition(".")
    return part if part and prefix == section else None


def connector(name: str) -> str:
    """Return the hint about an unknown connector."""
    wanted = name.strip().lower().rpartition(".")[2]  # the class may be named with its module
    meant = (k for k, i in REGISTRY.items() if wanted in (*i.aliases, i.implementation_class.lower()))
    kinds = installed_kinds()
    near = next(meant, None) or nearest(name, kinds)
    return f"did you mean {near}?" if near else f"the connectors are {', '.join(kinds)}"


def _same_word(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is the same but for case and separators: ``max_size`` for ``maxSize``."""
    return {plain(one): one for one in known}.get(plain(name))


def keyword(name: str) -> str | None:
    """Return the keyword of libpq that was probably meant."""
    keywords = libpq.keywords()
    return _alias(name, "connection") or _same_word(name, keywords) or nearest(name, keywords)


def keyword_hint(name: str) -> tuple[str, bool]:
    """Return the hint about an unknown keyword, and whether the name is certainly meant as one.

    Any other name may be a piece of a password.
    """
    near = keyword(name)
    hint = f"did you mean {near}?" if near else "see the list of libpq's connection keywords"
    if near and (_alias(name, "connection") or plain(name) == plain(near)):
        note = note_of(name)
        return f"write {near}{note}" if note else hint, True
    if known := hint_of(name):
        return known, True
    if option := _alias(name, "pool") or _same_word(name, REGISTRY[DEFAULT_KIND].pool_options):
        return f"it is an option of the pool: write pool.{option}{note_of(name)}", True
    return hint, near is not None and nearest(name, [near], cutoff=0.8) is not None


def pool_option(name: str, known: Iterable[str]) -> str | None:
    """Return the pool option that was probably meant."""
    if option := _same_word(name, known) or _alias(name, "pool"):
        return option
    if _same_word(name, libpq.keywords()) or hint_of(name):
        return None
    near = nearest(name, [*known, *(alias for alias in ALIASES if _alias(alias, "pool"))])
    return near and (_alias(near, "pool") or near)


def pool_option_hint(name: str, known: Iterable[str]) -> str:
    """Return the hint about an unknown pool option; empty if nothing is similar."""
    option = pool_option(name, known)
    if _alias(name, "pool") and name not in known:
        return f"psycopg_pool calls it {option}{note_of(name)}"
    if keyword := _same_word(name, libpq.keywords()):
        return f"it is a keyword of libpq: write connection.{keyword}"
    other = _CONNECTOR_ARGUMENTS.get(name.lower()) or hint_of(name)
    return other or (f"did you mean {option}?" if option else "")


_WITH_PREFIX = rf"([A-Z]\w*?)_+({'|'.join(map(str.upper, SETTINGS))})(?:__(\w+))?"
_PREFIXES = (DEFAULT_PREFIX.strip("_"), DEFAULT_PREFIX.partition("_")[0])


def variable(name: str, names: SettingNames) -> str | None:
    """Return the variable that was meant by one whose prefix is misspelt or incomplete."""
    upper = name.upper()
    if names.is_default:
        word = name.removesuffix("_URL")
        if word != name and word.isalpha() and word.isupper() and nearest(word, ["DATABASE"], cutoff=0.85):
            return "DATABASE_URL"
        if not upper.startswith(("PRO", "PO")):  # as in most environments: then no pattern is compiled
            return None
    found = re.fullmatch(_WITH_PREFIX, upper)
    prefixes, cutoff = (_PREFIXES, 0.85) if names.is_default else ([names.prefix.strip("_").upper()], 0.75)
    is_other = names.is_default or names.case_sensitive or (found is not None and found[1] not in prefixes)
    if found is None or not is_other or not nearest(found[1], prefixes, cutoff=cutoff):
        return None
    path = [found[2], *(found[3] or "").split("__")]
    return names.variable([part.lower() for part in path if part])


_DSN = r"['\"]?(?:jdbc:)?postgres(?:ql)?(?:\+\w+)?://|(?:(?:host|port|dbname|user|password)=\S*\s*){2}"
_DSN_SIGNS = ("postgres", "host=", "dbname=", "user=", "password=")
_DATABASE_WORDS = ("POSTGRESQL", "POSTGRES", "PG", "DB", "DATABASE", "RDS", "SQL")
_DATABASE_NAME = rf"(?:[A-Z]+_)??(?:{'|'.join(_DATABASE_WORDS)})"
_PART_NAMES = {
    "host": rf"{_DATABASE_NAME}_(?:HOST|HOSTNAME|SERVER|ADDR|ADDRESS)",
    "port": rf"{_DATABASE_NAME}_PORT(?:_NUMBER)?",
    "dbname": rf"{_DATABASE_NAME}_(?:DB|NAME|DATABASE|DBNAME|DB_NAME)|POSTGRES_DATABASE",
    "user": rf"{_DATABASE_NAME}_(?:USER|USERNAME)",
    "password": rf"{_DATABASE_NAME}_(?:PASSWORD|PASS|PASSWD)",
    "password_file": rf"{_DATABASE_NAME}_PASSWORD_FILE",
}
"""How frameworks, hosting providers and the images of containers call the parts of a connection."""


def may_be_connection_part(name: str, value: str) -> bool:
    """Return whether `connection_part` may find something; no pattern is compiled."""
    return any(word in name for word in _DATABASE_WORDS) or any(sign in value for sign in _DSN_SIGNS)


def connection_part(name: str, value: str) -> str | None:
    """Return the keyword that a variable of another program's stands for; ``dsn`` whatever its name is.

    A replica stores no jobs, and the database of tests is for tests.
    """
    if re.search(r"REPLICA|READ|SLAVE|STANDBY|TEST", name):
        return None
    if re.match(_DSN, value):
        return "dsn"
    return next((part for part, pattern in _PART_NAMES.items() if re.fullmatch(pattern, name)), None)


def pg_variable(name: str, known: Iterable[str], names: SettingNames) -> str | None:
    """Return the variable of libpq, or of ours, that was meant by one that begins with ``PG``.

    The name of a second server, such as ``PGHOST_REPLICA``, is no mistake.
    """
    lower = name.removeprefix("PG").lower()
    if lower in SETTINGS:
        return names.variable((lower,))
    row = libpq.keywords().get(_alias(lower, "connection") or lower)
    if row and row.variable:
        return row.variable
    return None if name.rpartition("_")[0] in known else nearest(name, known, cutoff=0.8)


def _nearest_setting(path: SettingPath, fields: Iterable[str] = ()) -> str | None:
    """Return the dotted path of the setting, or of the application's own field, that was probably meant."""
    name, *parts = path
    own = [*sorted(fields), *SETTINGS]
    if parts:
        near = nearest(name, own)
        return near and ".".join([near, *parts])
    by_section = _options_by_section()
    for section, known in by_section.items():
        if name.startswith(f"{section}_") and (near := nearest(name.removeprefix(f"{section}_"), known)):
            return f"{section}.{near}"
    settings = {part: f"{section}.{part}" for section, known in by_section.items() for part in known}
    settings = {**ALIASES, **settings, **dict(zip(own, own, strict=True))}
    return settings.get(nearest(name, settings) or "")


def _options_by_section() -> dict[str, Iterable[str]]:
    return {"pool": REGISTRY[DEFAULT_KIND].pool_options, "connection": libpq.keywords()}


_APPLICATION_WORDS = (
    "application_name check configure db_name host host_addr keepalive name num_workers oauth_client_id"
    " oauth_client_secret oauth_issuer oauth_scope options password port replication require_auth reset"
    " response_timeout service ssl_cert ssl_key ssl_password timeout user"
)
"""The keywords and pool options, and names near to one, that an application may have for itself."""


def is_near_setting(path: SettingPath, names: SettingNames) -> bool:
    """Tell whether an unknown name is near enough to a setting to be one, under a prefix that is shared."""
    name, *parts = (part.lower() for part in path)
    if names.is_default or nearest(name, SETTINGS, cutoff=0.8):
        return True
    if sorted(name) in map(sorted, SETTINGS) or re.fullmatch("ds[bhjm]", name):  # keys beside the n of dsn
        return True
    words = set(_APPLICATION_WORDS.split())
    for section, known in () if parts else _options_by_section().items():
        part = name.removeprefix(f"{section}_")
        if part != name and nearest(part, known, cutoff=0.85):
            return True
        near = nearest(name, set(known) - words, cutoff=0.85) if names.prefix and name not in words else None
        if near and abs(len(plain(near)) - len(plain(name))) < 2:  # the slip of a letter
            return True
    return False


def address_part(path: SettingPath, names: SettingNames) -> str | None:
    """Return the part of a connection that a word under an application's prefix stands for."""
    if not names.prefix or len(path) != 1:
        return None
    address = ("dsn", *(f"connection.{keyword}" for keyword in _PART_NAMES if keyword != "password_file"))
    return next((s for s in (f"connection.{path[0]}", setting_of_alias(path[0])) if s in address), None)


def setting_hint(path: SettingPath, write: Callable[[SettingPath], str], fields: Iterable[str] = ()) -> str:
    """Return the hint about an unknown setting; `write` returns a setting as its source writes it.

    The `fields` are the application's own.
    """
    written, path = path, tuple(part.lower() for part in path)
    is_known = path[0] in (SECTIONS if path[1:] else SETTINGS) and all(path)
    meant = [path] if is_known and path != written else []
    if path[1:]:
        meant += [(setting,) for setting in ("_".join(path), path[-1]) if setting in SETTINGS]
    if meant:
        return f"did you mean {write(meant[0])}?"
    if path[0] == "password":
        return f"write {write(('connection', 'password'))}, or a DSN with the password in it"
    if path[0] in SECTIONS and not any(path[1:]):
        example = {"connection": "host", "pool": "max_size", "listen": "host"}[path[0]]
        return f"name a part of it, as in {write((path[0], example))}"
    if path[0] in SETTINGS:
        return f"it has no parts: write {write(path[:2] if path[0] in SECTIONS else path[:1])}"
    if near := _nearest_setting(path, fields):
        return f"did you mean {write(tuple(near.split('.')))}?"
    return f"the settings are {', '.join(write((setting,)) for setting in (*SETTINGS, *sorted(fields)))}"


_CONNECTOR_ARGUMENTS = by_name(
    {
        'it is the first argument: make_connector("aiopg")': "connector kind",
        "write the keywords of a connection in connection={...}": "connect_args kwargs",
        "leave it out: connections are checked before use anyway; pool.check replaces the ping": "check",
        "leave it out: each query commits by itself; another level is connection.options:"
        " -c default_transaction_isolation=...": "isolation_level",
        "write json_dumps": "json_serializer",
        "write json_loads": "json_deserializer",
        'write pool={"timeout": ...}; aiopg\'s own, which bounds statements, is connection.options:'
        " -c statement_timeout=...": "timeout",
        "leave it out: the connector is opened by app.open() or app.open_async()": "open",
        'leave it out, and write pool="null" for no pooling': "pool_factory poolclass",
        "leave it out: the connection is made from the settings": "connection_factory creator",
        "leave it out; set the level of the logger sqlalchemy.engine, or log_statement of the server": "echo",
        "leave it out, or retire connections by their age: pool.max_lifetime": "max_queries",
        "leave it out: the connection that came back last is handed out first anyway": "pool_use_lifo",
        "leave it out: procrastinate's queries are text, and none is compiled": "query_cache_size",
        "leave it out: SQLAlchemy 2 has one behaviour": "future",
        "leave it out: procrastinate's queries have no such values": "enable_hstore enable_uuid",
        "leave it out: the engine is made from the settings": "engine",
    }
)
"""The arguments of connectors written by hand that are no setting."""


def hand_written_argument_hint(name: str, known: Iterable[str]) -> str:
    """Return the hint about an argument that a connector written by hand has."""
    if name.startswith("_") and name[1:] in known:
        return f"did you mean {name[1:]}?"
    setting = setting_of_alias(name) or _nearest_setting((name,))
    hint = _CONNECTOR_ARGUMENTS.get(name) or ("" if setting == "dsn" else hint_of(name))
    return hint or argument_hint(name, known)


def argument_hint(name: str, known: Iterable[str]) -> str:
    """Return the hint about an unknown argument of the call."""
    if name in ("env_file", "secrets_dir"):
        return f"did you mean _{name}?"
    near = (None if setting_of_alias(name) else nearest(name, known)) or _nearest_setting((name,))
    if near is None:
        return f"the arguments are {', '.join(known)}"
    section, _, part = near.partition(".")
    return f'write {section}={{"{part}": ...}}{note_of(name)}' if part else f"did you mean {near}?"
