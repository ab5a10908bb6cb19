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
from procrastinate_conn.pool.conversion import convert
from procrastinate_conn.pool.errors import InvalidOption
from procrastinate_conn.pool.introspection import Parameter, parameters, pool_class
from procrastinate_conn.pool.option_names import known_options, require_known, require_possible
from procrastinate_conn.pool.options import PoolOptions
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction import describe_value
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from procrastinate_conn.similarity import nearest

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
            require_known(name, kind, known)
            values[name] = _convert(known[name], sourced.value, kind, null=is_null)
        except InvalidOption as invalid:
            problems.append(invalid.problem(name, sourced))
    pool = PoolOptions(values, null=is_null)
    problems += _missing_sync_callbacks(pool, options, kind)
    problems += validate_constraints(
        pool,
        origins={name: options[name].origin for name in values},
        invalid={
            name if name in known else suggestions.pool_option(name, known) or name
            for name in options.keys() - values.keys()
        },
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
    hint = "write the options one by one, such as pool.max_size"
    if nearest(text, ["null", "nullpool"]):
        hint = "did you mean null?"
    return False, [
        INVALID_POOL(
            "pool",
            f"pool is {describe_value(null.value)}, and has to be null, or options",
            hint=hint_for(null.value, hint, null.origin.source),
            origin=null.origin,
        )
    ]


def _convert(parameter: Parameter, value: object, kind: ConnectorKind, *, null: bool) -> object:
    if parameter.is_callable:
        require_possible(parameter.name, kind)
        return convert_callback(parameter.name, value, kind, null=null)
    converted = convert(parameter, value)
    if converted != parameter.default:
        require_possible(parameter.name, kind)
    return converted


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
    asynchronous = {False, REGISTRY[kind].asynchronous}
    for reason in sorted({reason for a in asynchronous if (reason := _rejection(pool, asynchronous=a))}):
        name = next((name for name in options if re.search(rf"\b{name}\b", reason)), None)
        yield REJECTED_OPTIONS(
            f"pool.{name}" if name else "pool",
            f"psycopg_pool rejects the options: {reason}",
            origin=options[name].origin if name else None,
        )


def _rejection(options: PoolOptions, *, asynchronous: bool) -> str | None:
    """Let psycopg_pool make a pool, which needs no server until it is opened, and return its error."""
    default = parameters(asynchronous=asynchronous, null=options.null)["connection_class"].default
    arguments = options.arguments(asynchronous=asynchronous)
    if not arguments.get("name"):
        arguments["name"] = "unopened"  # or it would use up a number of the names pool-1, pool-2, ...
    if isinstance(default, type):  # the connectors use a subclass too
        arguments["connection_class"] = type("Connection", (default,), {})
    try:
        pool_class(asynchronous=asynchronous, null=options.null)(open=False, **arguments)
    except (TypeError, ValueError) as error:
        return str(error)
    return None
