"""Values of single keywords that libpq accepts, and with which the connection cannot be what is meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from procrastinate_conn import libpq
from procrastinate_conn.artifacts import find_artifact
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule

REJECTED_SERVER_OPTIONS = Rule(
    "PC215",
    "options that the server rejects",
    "The server splits them at blanks and reads them as switches of its command line; it ends every"
    " connection whose options it cannot read.",
    "Write -c before each setting, as in -c search_path=jobs, and a backslash before a blank in a value.",
    example=Example("PROCRASTINATE_CONN_CONNECTION__OPTIONS=search_path=jobs"),
)

READ_ONLY_SESSION = Rule(
    "PC219",
    "read-only session",
    "libpq skips the primary; a standby rejects every job that is deferred, fetched or finished.",
    "Write read-write: of several hosts libpq then takes the primary, after a failover as well.",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs?target_session_attrs=standby"),
)

WRONG_TIME_UNIT = Rule(
    "PC220",
    "time in another unit",
    "libpq counts seconds, and milliseconds in tcp_user_timeout alone. A thousand times too long, and a"
    " silent host is waited for for hours; a thousand times too short, and every connection is cut off.",
    "Write the time in the unit that the message names.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_CONNECTION__CONNECT_TIMEOUT=5000"),
)

PROXY_SETTINGS = ("endpoint", "project", "reference")
"""Settings without a switch, for a proxy before the server: Neon's and Supabase's."""

_MAX_SECONDS = {"connect_timeout": 1_000, "keepalives_idle": 10_000, "keepalives_interval": 1_000}
"""Seconds from which on milliseconds are meant: systems wait two hours before they send keepalives."""

MIN_USER_TIMEOUT = 1_000
"""Milliseconds of tcp_user_timeout below which seconds are meant; 0 is the system's default."""


def check(configuration: Configuration) -> Iterator[Problem]:
    """Check the effective values of the keywords that have such a rule."""
    effective = configuration.connection.effective
    attrs = effective.get("target_session_attrs")
    if attrs and attrs.value in ("read-only", "standby"):
        message = f"with {attrs.value} libpq connects to no server that can store a job"
        hint = "write read-write; or any, if there is one server"
        yield READ_ONLY_SESSION("connection.target_session_attrs", message, hint=hint, origin=attrs.origin)
    if options := effective.get("options"):
        dsn = configuration.connection.dsn
        yield from _check_options(options, in_uri=dsn is not None and dsn.is_uri and options.from_dsn)
    for keyword in _MAX_SECONDS.keys() & effective.keys():
        seconds = libpq.integer(str(effective[keyword].value)) or 0
        if seconds >= _MAX_SECONDS[keyword]:
            duration = f"{seconds / 3600:.1f} hours" if seconds >= 7200 else f"{seconds // 60} minutes"
            message = f"{keyword} is {seconds} s, which is {duration}"
            hint = f"write {max(1, round(seconds / 1000))} if milliseconds were meant"
            origin = effective[keyword].origin
            yield WRONG_TIME_UNIT(f"connection.{keyword}", message, hint=hint, origin=origin)
    if timeout := effective.get("tcp_user_timeout"):
        milliseconds = libpq.integer(str(timeout.value)) or 0
        if 0 < milliseconds < MIN_USER_TIMEOUT:
            message = f"tcp_user_timeout is {milliseconds} ms"
            hint = f"write {milliseconds * 1000} if seconds were meant"
            yield WRONG_TIME_UNIT("connection.tcp_user_timeout", message, hint=hint, origin=timeout.origin)


def _check_options(options: SourcedValue, *, in_uri: bool) -> Iterator[Problem]:
    """Report the first fault in the form of the options; names and values of settings are not checked."""
    text = str(options.value)
    source = "dsn" if options.from_dsn else options.origin.source
    artifact = find_artifact(text.strip(), source)  # a line break is a blank to the server
    # Split as `pg_split_opts` of PostgreSQL's `postinit.c` does, without the backslashes.
    words = re.findall(r"(?:\\.|[^\\\s])+", text, re.ASCII | re.DOTALL)
    words = ["", *(re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL) for word in words), ""]
    faults = [
        artifact and (f"it has {artifact.description}", artifact.hint),
        _spelling_fault(text, in_uri=in_uri),
        *(_fault(word, previous) for previous, word in pairwise(words)),
    ]
    if fault := next(filter(None, faults), None):
        reason, hint = fault
        message = f"the server rejects options: {reason}"
        yield REJECTED_SERVER_OPTIONS("connection.options", message, hint=hint, origin=options.origin)


def _spelling_fault(options: str, *, in_uri: bool) -> tuple[str, str] | None:
    """Return what is wrong with the notation of all options."""
    if re.search(r"%[0-9A-Fa-f]{2}", options) and not re.search(r"[= ]", options):
        where = "they are encoded twice" if in_uri else "they are percent-encoded, which only a URI is"
        return where, "write %3D for = and %20 for a blank in a URI, and neither elsewhere"
    if re.search(r"(^|\s)(-c|--)?\+\w|\+-c|\+--", options):
        hint = "write a blank as %20: to libpq a + is a plus sign" if in_uri else "write a blank for the +"
        return "it has a + in the place of a blank", hint
    if re.fullmatch(r"ep-[\w.-]+", options):
        hint = "write options=endpoint%3Dep-..." if in_uri else "write endpoint=ep-..."
        return "it is an endpoint without its name", hint
    return None


def _fault(word: str, previous: str) -> tuple[str, str] | None:
    """Return what is wrong with a word, and what to do; an empty word stands for the end."""
    if word.startswith(tuple(f"{name}=" for name in PROXY_SETTINGS)):
        return None
    setting = word if previous == "-c" else re.sub("^(-c|--)", "", word)
    is_setting = previous == "-c" or setting not in ("", word)
    if (is_setting or not previous) and setting.startswith(("'", '"')):
        return "it keeps quotes", "leave the quotes out, and write a backslash before a blank in a value"
    if is_setting and "=" not in setting:
        return "a setting has no value", "write -c name=value, with no blanks around the equals sign"
    is_argument = previous.startswith("-") and "=" not in previous
    if is_setting or is_argument or not word or word.startswith("-"):
        return None
    if previous:
        hint = "write -c before each setting, and a backslash before a blank in a value"
        return "a word in it is neither a switch nor the argument of one", hint
    return "it does not begin with a switch", "write -c before each setting: -c search_path=jobs"
