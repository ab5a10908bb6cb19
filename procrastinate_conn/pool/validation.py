"""From pool options as they are set to `PoolOptions`, with everything that is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from procrastinate_conn import suggestions
from procrastinate_conn.artifacts import hint_for
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.pool.callbacks import NO_SYNC_CALLBACK, convert_callback
from procrastinate_conn.pool.constraints import validate_constraints
from procrastinate_conn.pool.conversion import InvalidOption, convert
from procrastinate_conn.pool.options import PoolOptions
from procrastinate_conn.pool.parameters import (
    INTRODUCED,
    RESERVED,
    Parameter,
    known_options,
    parameters,
    pool_class,
)
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction import describe_value
from procrastinate_conn.registry import REGISTRY, SERVER_KINDS, ConnectorKind
from procrastinate_conn.similarity import nearest

UNKNOWN_OPTION = Rule(
    "PC301",
    "unknown pool option",
    "The pool's constructor rejects a name that it does not know, but only when the application opens.",
    "Write the option in psycopg_pool's name; `procrastinate-conn schema` lists them all.",
    example=Example("PROCRASTINATE_CONN_POOL__MIN_SZIE=4"),
    fault_in="name",
)

RESERVED_OPTION = Rule(
    "PC305",
    "pool option that the connector sets itself",
    "The connector passes it to the pool; passed twice, it is a TypeError when the application opens.",
    "Set it in the way that the message names.",
    example=Example("PROCRASTINATE_CONN_POOL__CONNINFO=host=localhost"),
    fault_in="name",
)

UNSUPPORTED_OPTION = Rule(
    "PC306",
    "pool option that this kind of connector does not support",
    "It would be ignored silently, or break the driver's own connections.",
    "Remove it, or choose a kind of connector that supports it.",
    example=Example("PROCRASTINATE_CONN_CONNECTOR=psycopg2\nPROCRASTINATE_CONN_POOL__CLOSE_RETURNS=true"),
    fault_in="name",
    needs_kind=True,
)

POOL_TOO_OLD = Rule(
    "PC310",
    "pool option that the installed psycopg_pool lacks",
    "The installed pool rejects the name when the application opens.",
    "Upgrade psycopg_pool, or remove the option.",
    example=Example("PROCRASTINATE_CONN_POOL__CLOSE_RETURNS=true", given="psycopg_pool is older than 3.3"),
    fault_in="name",
)

REJECTED_OPTIONS = Rule(
    "PC311",
    "pool options that psycopg_pool rejects",
    "The pool would raise the same when the application opens.",
    "Follow psycopg_pool's own message.",
    example=Example(
        "PROCRASTINATE_CONN_POOL__CLOSE_RETURNS=true",
        given="psycopg_pool is 3.3, and psycopg older than that",
    ),
)

INVALID_POOL = Rule(
    "PC312",
    "pool that is neither options nor null",
    "There is no pool of that name.",
    "Write `null` for connections that are not kept, or the options one by one.",
    example=Example("PROCRASTINATE_CONN_POOL=nul"),
)


def validate_pool_options(
    options: Mapping[str, SourcedValue], kind: ConnectorKind, null: SourcedValue | None = None
) -> tuple[PoolOptions, list[Problem]]:
    """Return the options that are valid by themselves, and every problem, each once.

    If there is no error among the problems, psycopg_pool accepts the options. `null` is the setting ``pool``
    as a whole, if it is set: ``null``, or a mapping for any other pool.
    """
    is_null, problems = _read_null(null)
    known = known_options(kind, null=is_null)
    values: dict[str, Any] = {}
    for name, sourced in options.items():
        try:
            _require_known(name, kind, known)
            values[name] = _convert(known[name], sourced.value, kind, null=is_null)
        except InvalidOption as invalid:
            hint = hint_for(sourced.value, invalid.hint, sourced.origin.source)
            problems.append(invalid.rule(f"pool.{name}", invalid.message, hint=hint, origin=sourced.origin))
    pool = PoolOptions(values, null=is_null)
    problems += _missing_sync_callbacks(pool, options, kind)
    problems += validate_constraints(
        pool,
        origins={name: options[name].origin for name in values},
        invalid={suggestions.pool_option(name, known) or name for name in options.keys() - values.keys()},
    )
    if not any(problem.severity == "error" for problem in problems):
        problems += _rejected(pool, options, kind)
    return pool, problems


def _read_null(null: SourcedValue | None) -> tuple[bool, list[Problem]]:
    if null is None or isinstance(null.value, Mapping):
        return False, []
    text = null.value.strip().lower() if isinstance(null.value, str) else ""
    if text == "null":
        return True, []
    is_near = nearest(text, ["null", "nullpool"])
    hint = "did you mean null?" if is_near else "write the options one by one, such as pool.max_size"
    message = f"pool is {describe_value(null.value)}, and has to be null, or options"
    hint = hint_for(null.value, hint, null.origin.source)
    return False, [INVALID_POOL("pool", message, hint=hint, origin=null.origin)]


def _require_known(name: str, kind: ConnectorKind, known: Mapping[str, Parameter]) -> None:
    """Reject a name that is reserved, too new for the connector or psycopg_pool, or unknown."""
    if name in RESERVED:
        why, instead = RESERVED[name]
        raise InvalidOption(RESERVED_OPTION, f"{name} cannot be set: {why}", instead)
    if name in known:
        return
    from psycopg_pool import __version__ as installed

    if name in parameters():
        message = f"the {kind} connector does not support {name}, which psycopg_pool {installed} has"
        raise _unsupported(name, message)
    if name in INTRODUCED:
        raise InvalidOption(
            POOL_TOO_OLD,
            f"{name} came with psycopg_pool {INTRODUCED[name]}, and {installed} is installed",
            f'pip install --upgrade "psycopg-pool>={INTRODUCED[name]}"',
        )
    hint = suggestions.pool_option_hint(name, known) or "`procrastinate-conn schema` lists them all"
    raise InvalidOption(UNKNOWN_OPTION, f"there is no pool option {name[:40]}", hint)


def _convert(parameter: Parameter, value: object, kind: ConnectorKind, *, null: bool) -> object:
    """Convert the value of a known option, and reject it if the kind cannot have it."""
    name, support = parameter.name, REGISTRY[kind].support(parameter.name)
    converted = value if parameter.is_callable else convert(parameter, value)
    if support.how == "not possible" and (parameter.is_callable or converted != parameter.default):
        raise _unsupported(name, f"{name} is not possible on the {kind} connector: {support.sentence}")
    return convert_callback(name, value, kind, null=null) if parameter.is_callable else converted


def _unsupported(name: str, message: str) -> InvalidOption:
    """Return the error with the kinds that support the option in its hint."""
    kinds = [kind for kind in SERVER_KINDS if REGISTRY[kind].supports(name)]
    hint = f"remove it, or choose {' or '.join(kinds[:2])}" if kinds else "remove it"
    return InvalidOption(UNSUPPORTED_OPTION, message, hint)


def _missing_sync_callbacks(
    pool: PoolOptions, options: Mapping[str, SourcedValue], kind: ConnectorKind
) -> Iterator[Problem]:
    """Yield the callbacks that the synchronous pool of an asynchronous kind cannot use."""
    if not REGISTRY[kind].asynchronous:
        return
    for name, parameter in parameters(asynchronous=False, null=pool.null).items():
        value = pool.explicit.get(name)
        if parameter.is_callable and value is not None and parameter.choose(value) is None:
            pair = f"give a pair: {name}=(async_function, plain_function)"
            yield NO_SYNC_CALLBACK(
                f"pool.{name}",
                f"{name} is only asynchronous: the connector leaves it out when used synchronously before it"
                " is opened",
                hint=f"leave it out, as connections are checked anyway, or {pair}"
                if name == "check"
                else pair,
                origin=options[name].origin,
            )


def _rejected(
    pool: PoolOptions, options: Mapping[str, SourcedValue], kind: ConnectorKind
) -> Iterator[Problem]:
    """Yield the errors of psycopg_pool itself, for the constraints that only it knows."""
    reasons = {_rejection(pool, asynchronous=a) for a in (False, REGISTRY[kind].asynchronous)}
    for reason in sorted(filter(None, reasons)):
        name = next((name for name in options if re.search(rf"\b{name}\b", reason)), None)
        yield REJECTED_OPTIONS(
            f"pool.{name}" if name else "pool",
            f"psycopg_pool rejects the options: {reason}",
            origin=options[name].origin if name else None,
        )


def _rejection(options: PoolOptions, *, asynchronous: bool) -> str | None:
    """Let psycopg_pool make a pool, which needs no server until it is opened, and return its error."""
    default = parameters(asynchronous=asynchronous, null=options.null)["connection_class"].default
    arguments = {
        **options.arguments(asynchronous=asynchronous),
        "connection_class": type("Connection", (default,), {}),  # the connectors use a subclass too
        "name": "unopened",  # or it would use up a number of the names pool-1, pool-2, ...
    }
    try:
        pool_class(asynchronous=asynchronous, null=options.null)(open=False, **arguments)
    except (TypeError, ValueError) as error:
        return str(error)
    return None
