"""From pool options as they are written to PoolOptions, with everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from procrastinate_conn import suggestions
from procrastinate_conn.origins import SourcedValue
from procrastinate_conn.pool.asking import refusal
from procrastinate_conn.pool.callbacks import fitted, lacks_synchronous
from procrastinate_conn.pool.constraints import Together, validate_together
from procrastinate_conn.pool.conversion import converted
from procrastinate_conn.pool.introspection import Parameter, parameters
from procrastinate_conn.pool.limits import require_in_range
from procrastinate_conn.pool.option_names import require_known, vocabulary
from procrastinate_conn.pool.options import PoolOptions
from procrastinate_conn.pool.refused import InvalidOption
from procrastinate_conn.problems import Problem
from procrastinate_conn.redaction import describe_value
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from procrastinate_conn.rules import Example, Rule
from procrastinate_conn.suggestions import nearest

UNSUPPORTED_OPTION = Rule(
    "PC306",
    "pool option that this kind of connector cannot honour",
    "It would be dropped in silence, or break the driver's own connections.",
    "Remove it, or choose a kind of connector that can.",
    example=Example("PROCRASTINATE_CONN_CONNECTOR=psycopg2\nPROCRASTINATE_CONN_POOL__CLOSE_RETURNS=true"),
    fault_in="name",
)

REJECTED_OPTIONS = Rule(
    "PC311",
    "pool options that psycopg_pool refuses",
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

NO_SYNC_CALLBACK = Rule(
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


def validate_pool_options(
    options: Mapping[str, SourcedValue], kind: ConnectorKind, null: SourcedValue | None = None
) -> tuple[PoolOptions, list[Problem]]:
    """Convert and judge the pool options.

    Parameters
    ----------
    options
        What was stated, by option: text from a source, anything from a call.
    kind
        The connector that they are for.
    null
        What was stated as a whole: ``null`` for a null pool, a mapping for any other; None if nothing was.

    Returns
    -------
    options : PoolOptions
        Those that are right by themselves.
    problems : list of Problem
        Every problem, each once. Where there is no error among them, psycopg_pool takes the options.
    """
    is_null, problems = _read_null(null)
    known = vocabulary(kind, null=is_null)
    values, refused = _read_each(options, known, kind, null=is_null)
    in_force = Together(
        values={name: parameter.default for name, parameter in known.items()} | values,
        origins={name: options[name].origin for name in values},
        null=is_null,
    )
    problems += refused
    problems += _one_colour_only(values, options, kind, null=is_null)
    problems += validate_together(in_force, _unsound(options, values, known))
    pool = PoolOptions(values, null=is_null)
    if not any(problem.severity == "error" for problem in problems):
        problems += _refused(pool, kind, options)
    return pool, problems


def _read_each(
    options: Mapping[str, SourcedValue], known: Mapping[str, Parameter], kind: ConnectorKind, *, null: bool
) -> tuple[dict[str, Any], list[Problem]]:
    """Return the options that are right by themselves, and what is wrong with the others."""
    values: dict[str, Any] = {}
    problems = []
    for name, sourced in options.items():
        try:
            require_known(name, known)
            values[name] = _read(known[name], sourced.value, kind, null=null)
        except InvalidOption as refused:
            problems.append(refused.problem(name, sourced.origin))
    return values, problems


def _unsound(options: Collection[str], values: Collection[str], known: Mapping[str, Parameter]) -> set[str]:
    """Return the options of which it is not known what was meant; a misspelt one is among them."""
    left_out = [name for name in options if name not in values]
    return {name if name in known else suggestions.pool_option(name, known) or name for name in left_out}


def _read_null(null: SourcedValue | None) -> tuple[bool, list[Problem]]:
    if null is None or isinstance(null.value, Mapping):
        return False, []
    text = null.value.strip().lower() if isinstance(null.value, str) else ""
    if text == "null":
        return True, []
    near = nearest(text, ["null", "nullpool"])
    return False, [
        INVALID_POOL(
            "pool",
            f"pool is {describe_value(null.value)}, and has to be null, or options",
            hint="did you mean null?" if near else "write the options one by one, such as pool.max_size",
            origin=null.origin,
        )
    ]


def _read(parameter: Parameter, value: object, kind: ConnectorKind, *, null: bool) -> object:
    """Judge one option by itself."""
    if parameter.is_callback or parameter.is_class:
        _require_possible(parameter, kind)
        return fitted(_sides(parameter.name, null=null), value, kind)
    result = converted(parameter, value)
    require_in_range(parameter.name, result)
    if result != parameter.default:
        _require_possible(parameter, kind)
    return result


def _sides(name: str, *, null: bool) -> dict[bool, Parameter]:
    return {
        asynchronous: parameters(asynchronous=asynchronous, null=null)[name] for asynchronous in (True, False)
    }


def _require_possible(parameter: Parameter, kind: ConnectorKind) -> None:
    found = REGISTRY[kind].support(parameter.name)
    if found.how == "not possible":
        able = [
            other for other in ConnectorKind if REGISTRY[other].support(parameter.name).how != "not possible"
        ]
        raise InvalidOption(
            UNSUPPORTED_OPTION,
            f"{parameter.name} is not possible on the {kind} connector: {found.sentence}",
            f"remove it, or choose {' or '.join(able)}",
        )


def _one_colour_only(
    values: Mapping[str, object], options: Mapping[str, SourcedValue], kind: ConnectorKind, *, null: bool
) -> Iterator[Problem]:
    """Say which callbacks the synchronous pool of an asynchronous kind goes without."""
    if not REGISTRY[kind].asynchronous:
        return
    for name, side in parameters(asynchronous=False, null=null).items():
        if (side.is_callback or side.is_class) and name in values and lacks_synchronous(side, values[name]):
            yield NO_SYNC_CALLBACK(
                f"pool.{name}",
                f"{name} is asynchronous alone: used synchronously before it is opened, the connector goes"
                " without it",
                hint=f"give a pair: {name}=(async_one, plain_one)",
                origin=options[name].origin,
            )


def _refused(
    pool: PoolOptions, kind: ConnectorKind, options: Mapping[str, SourcedValue]
) -> Iterator[Problem]:
    """Ask psycopg_pool, for the rules that it has and we do not know."""
    colours = (True, False) if REGISTRY[kind].asynchronous else (False,)
    refusals = {reason for colour in colours if (reason := refusal(pool, asynchronous=colour)) is not None}
    for reason in sorted(refusals):
        name = next((name for name in options if name in reason), None)
        yield REJECTED_OPTIONS(
            f"pool.{name}" if name else "pool",
            f"psycopg_pool refuses the options: {reason}",
            origin=options[name].origin if name else None,
        )
