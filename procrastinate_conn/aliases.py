"""What other libraries, frameworks and tools call a setting: one table, and what each becomes here."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ALIASES_BY_SETTING = {
    "connector": "kind",
    "dsn": "connection_string conninfo database_url uri url",
    "connection.application_name": "app_name application jaas_application_name",
    "connection.client_encoding": "charset character_encoding encoding",
    "connection.connect_timeout": "login_timeout timeout",
    "connection.dbname": "database database_name db initial_catalog",
    "connection.host": "data_source host_name server socket unix_sock unix_socket",
    "connection.keepalives": "keep_alive tcp_keep_alive",
    "connection.options": "server_settings",
    "connection.password": "pass passwd pwd",
    "connection.sslcert": "ssl_certfile ssl_client_cert",
    "connection.sslkey": "ssl_client_key ssl_keyfile",
    "connection.sslmode": "encrypt require_ssl ssl ssl_accept ssl_require tls use_ssl use_tls",
    "connection.sslnegotiation": "direct_tls",
    "connection.sslrootcert": "root_certificate ssl_ca ssl_ca_file ssl_certificate_authority",
    "connection.target_session_attrs": "target_server_type target_session_attributes",
    "connection.user": "uid user_id user_name",
    # Of aiopg, asyncpg, psycopg2; SQLAlchemy; HikariCP; PgBouncer; pgx; Npgsql; Prisma; Rails, in this order.
    "pool.min_size": "minsize minconn pool_size minimum_idle min_pool_size pool_min_conns minimum_pool_size",
    "pool.max_size": (
        "maxsize maxconn max_overflow maximum_pool_size default_pool_size max_db_connections pool_max_conns"
        " max_pool_size connection_limit pool"
    ),
    "pool.timeout": "pool_timeout connection_timeout query_wait_timeout checkout_timeout",
    "pool.max_lifetime": (
        "pool_recycle server_lifetime pool_max_conn_lifetime connection_lifetime conn_max_age"
    ),
    "pool.max_idle": (
        "max_inactive_connection_lifetime idle_timeout server_idle_timeout pool_max_conn_idle_time"
        " connection_idle_lifetime idle_timeout_millis"
    ),
    "pool.configure": "on_connect init",
    "pool.check": "setup",
    "pool.reset": "pool_reset_on_return",
    "pool.check_after": "pool_pre_ping server_check_delay conn_health_checks",
    "pool.prepare_threshold": (
        "statement_cache_size prepared_statement_cache_size prepared_statements statement_cache_capacity"
    ),
    "pool.name": "pool_logging_name pool_name",
}


def by_name(names_by_text: Mapping[str, str]) -> dict[str, str]:
    """Return the text for each of the names, which blanks separate."""
    return {name: text for text, names in names_by_text.items() for name in names.split()}


ALIASES: Mapping[str, str] = by_name(_ALIASES_BY_SETTING)
"""What other libraries and people call a setting, and its dotted path here."""

NOTES: Mapping[str, str] = by_name(
    {
        "; 0 pings before every use": "conn_health_checks pool_pre_ping",
        "; it is in seconds": "idle_timeout_millis",
        "; master is read-write, and secondary is standby": "target_server_type",
        "; max_size is the sum of pool_size and max_overflow, which is 10 if it is not set": (
            "max_overflow pool_size"
        ),
        "; none prepares nothing": _ALIASES_BY_SETTING["pool.prepare_threshold"],
        "; of the path write the directory alone, as in ?host=/cloudsql/project:region:instance": (
            "socket unix_sock unix_socket"
        ),
        "; strict is verify-full, accept_invalid_certs is require": "ssl_accept",
        "; true is direct": "direct_tls",
        "; true is require, and false is disable": (
            "encrypt require_ssl ssl ssl_require tls use_ssl use_tls"
        ),
        "; write -c name=value": "server_settings",
    }
)
"""What differs in the meaning of an alias."""

_OWN_SETTINGS = ("json_dumps", "json_loads", "password_file", "password_command")
_SERVER_SETTINGS = {
    **{name: name for name in ("idle_in_transaction_session_timeout", "jit", "lock_timeout")},
    "search_path": "current_schema schema search_path",
    "statement_timeout": "command_timeout query_timeout socket_timeout statement_timeout",
    "timezone": "server_timezone timezone",
}
_LEFT_OUT = {
    "procrastinate chooses its own": "cursor_factory row_factory",
    "every connector commits each query by itself": "autocommit atomic_requests enlist",
    "it is for another library, and libpq has no such choice": (
        "adapter allow_exit_on_idle assume_min_server_version async_fallback autoconnect autosave"
        " auto_reconnect binary_parameters binary_transfer command_builder default_query_exec_mode"
        " default_row_fetch_size direct_url disable_server_side_cursors engine include_error_detail"
        " integrated_security load_table_composites logger_level max_cached_statement_lifetime"
        " max_cacheable_statement_size max_uses multiplexing multi_statements parse_time"
        " persist_security_info prefer_query_mode prepared_statement_name_func query_exec_mode"
        " reaping_frequency read_only rewrite_batched_inserts rewrite_batched_statements"
        " server_version ssl_factory ssl_response_timeout statement_cache_mode stringtype"
        " supa supavisor tcp_no_delay use_unicode workaround zero_date_time_behavior"
    ),
    "libpq reads sslmode as its documentation says": "use_libpq_compat",
    "with sslmode=require libpq trusts any certificate": (
        "allow_public_key_retrieval reject_unauthorized trust_server_certificate verify_server_certificate"
    ),
}
HINTS: Mapping[str, str] = by_name(
    {
        **{
            f"write it as connection.options: -c {setting}=... (in a DSN of keywords, in quotes)": names
            for setting, names in _SERVER_SETTINGS.items()
        },
        **{f"leave it out: {reason}": names for reason, names in _LEFT_OUT.items()},
        **{f"it is a setting of its own: write {name}": name for name in _OWN_SETTINGS},
        **{f"write options={name}%3D... in a URI": name for name in ("endpoint", "project", "reference")},
        "write all of it as the DSN, which is a setting of its own": "dsn uri url",
        "leave it out: json_loads, a setting of its own, says how JSON is read": "enable_json",
        "leave it out, and write pool.prepare_threshold=none if PgBouncer needs it": "pgbouncer",
        "libpq reads no PKCS#12: write the two files in it as sslcert and sslkey": "ssl_identity",
        "leave it out: pool=null turns pooling off": "pooling",
    }
)
"""What to do about a name for which there is neither a keyword nor a pool option."""

VALUES: Mapping[str, Mapping[str, str]] = {
    "load_balance_hosts": by_name({"disable": "false", "random": "1 enable on true"}),
    "sslmode": by_name(
        {
            "disable": "0 disabled false no none off skip",
            "prefer": "preferred",
            "require": (
                "1 accept_invalid_certs enable enabled insecure no-verify noverify on required true trust yes"
            ),
            "verify-ca": "verify_ca",
            "verify-full": "strict verify verify-identity verify_full verify_identity",
        }
    ),
    "target_session_attrs": {
        **by_name({"read-write": "master", "standby": "secondary slave"}),
        **by_name({"any": "preferprimary", "prefer-standby": "prefersecondary"}),
    },
}
"""What other libraries write for a value of a keyword, and what it is to libpq."""


def plain(name: str) -> str:
    """Return ``maxpoolsize`` for ``Max Pool Size``, ``max_pool_size`` and ``maxPoolSize``."""
    return re.sub(r"[\W_]", "", name).lower()


_SETTINGS = {plain(alias): setting for alias, setting in ALIASES.items()}
_NOTES = {plain(name): note for name, note in NOTES.items()}
_HINTS = {plain(name): hint for name, hint in HINTS.items()}


def setting_of_alias(name: str) -> str:
    """Return the dotted path of the setting that a name is an alias of; empty if it is none."""
    return _SETTINGS.get(plain(name), "")


def note_of(name: str) -> str:
    """Return what differs in the meaning of an alias, to follow a hint."""
    return _NOTES.get(plain(name), "")


def hint_of(name: str) -> str:
    """Return what to do about a name that stands for no setting; empty if it is not known."""
    return _HINTS.get(plain(name), "")
