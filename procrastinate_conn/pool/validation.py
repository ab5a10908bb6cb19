"""From pool options as they are written to PoolOptions, with everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from procrastinate_conn.origins import Located
from procrastinate_conn.pool.asking import refusal
from procrastinate_conn.pool.callbacks import fitted, lacks_synchronous
from procrastinate_conn.pool.constraints import Together, judge_together
from procrastinate_conn.pool.conversion import converted
from procrastinate_conn.pool.introspection import Parameter, parameters
from procrastinate_conn.pool.limits import require_in_range
from procrastinate_conn.pool.option_names import meant, require_known, vocabulary
from procrastinate_conn.pool.options import PoolOptions
from procrastinate_conn.pool.refused import Refused
from procrastinate_conn.pool.shown import shown
from procrastinate_conn.pool.support import meaning
from procrastinate_conn.problems import Problem
from procrastinate_conn.registry import FACTS, ConnectorKind
from procrastinate_conn.rules import pool as rules
from procrastinate_conn.suggestions import nearest


def read_pool_options(
    options: Mapping[str, Located], kind: ConnectorKind, null: Located | None = None
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
    problems += judge_together(in_force, _unsound(options, values, known))
    pool = PoolOptions(values, null=is_null)
    if not any(problem.severity == "error" for problem in problems):
        problems += _refused(pool, kind, options)
    return pool, problems


def _read_each(
    options: Mapping[str, Located], known: Mapping[str, Parameter], kind: ConnectorKind, *, null: bool
) -> tuple[dict[str, Any], list[Problem]]:
    """Return the options that are right by themselves, and what is wrong with the others."""
    values: dict[str, Any] = {}
    problems = []
    for name, located in options.items():
        try:
            require_known(name, known)
            values[name] = _read(known[name], located.value, kind, null=null)
        except Refused as refused:
            problems.append(refused.problem(name, located.origin))
    return values, problems


def _unsound(options: Collection[str], values: Collection[str], known: Mapping[str, Parameter]) -> set[str]:
    """Return the options of which it is not known what was meant; a misspelt one is among them."""
    left_out = [name for name in options if name not in values]
    return {name if name in known else meant(name, known) or name for name in left_out}


def _read_null(null: Located | None) -> tuple[bool, list[Problem]]:
    if null is None or isinstance(null.value, Mapping):
        return False, []
    text = null.value.strip().lower() if isinstance(null.value, str) else ""
    if text == "null":
        return True, []
    near = nearest(text, ["null", "nullpool"])
    return False, [
        rules.NEITHER_OPTIONS_NOR_NULL(
            "pool",
            f"pool is {shown(null.value)}, and has to be null, or options",
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
    found = meaning(parameter.name, kind)
    if found.how == "not possible":
        able = [other for other in ConnectorKind if meaning(parameter.name, other).how != "not possible"]
        raise Refused(
            rules.NOT_POSSIBLE,
            f"{parameter.name} is not possible on the {kind} connector: {found.sentence}",
            f"remove it, or choose {' or '.join(able)}",
        )


def _one_colour_only(
    values: Mapping[str, object], options: Mapping[str, Located], kind: ConnectorKind, *, null: bool
) -> Iterator[Problem]:
    """Say which callbacks the synchronous pool of an asynchronous kind goes without."""
    if not FACTS[kind].asynchronous:
        return
    for name, side in parameters(asynchronous=False, null=null).items():
        if (side.is_callback or side.is_class) and name in values and lacks_synchronous(side, values[name]):
            yield rules.ONE_COLOUR_ONLY(
                f"pool.{name}",
                f"{name} is asynchronous alone: used synchronously before it is opened, the connector goes"
                " without it",
                hint=f"give a pair: {name}=(async_one, plain_one)",
                origin=options[name].origin,
            )


def _refused(pool: PoolOptions, kind: ConnectorKind, options: Mapping[str, Located]) -> Iterator[Problem]:
    """Ask psycopg_pool, for the rules that it has and we do not know."""
    colours = (True, False) if FACTS[kind].asynchronous else (False,)
    refusals = {reason for colour in colours if (reason := refusal(pool, asynchronous=colour)) is not None}
    for reason in sorted(refusals):
        name = next((name for name in options if name in reason), None)
        yield rules.REFUSED(
            f"pool.{name}" if name else "pool",
            f"psycopg_pool refuses the options: {reason}",
            origin=options[name].origin if name else None,
        )
