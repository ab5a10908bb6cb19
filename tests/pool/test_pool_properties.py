"""Whatever is written: a pool that psycopg_pool makes, or problems; never an exception."""

from __future__ import annotations

import warnings

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from procrastinate_conn.aliases import ALIASES
from procrastinate_conn.origins import Origin
from procrastinate_conn.pool import PoolOptions, validate_pool_options
from procrastinate_conn.pool.conversion import MAX_CONNECTIONS
from procrastinate_conn.pool.parameters import RESERVED, known_options, pool_class
from procrastinate_conn.problems import ConfigurationError
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from tests.pool import callbacks
from tests.pool.sourced_options import NULL, errors, validate

SECRET = "hunter2"
KNOWN = sorted(known_options(ConnectorKind.PSYCOPG, null=False))
NUMBERS = st.integers() | st.integers(0, 9) | st.floats() | st.floats(0, 1e5)
DURATIONS = st.builds(
    "{}{}".format, st.integers(-1, 99) | st.floats(), st.sampled_from(["ms", "s", " min", "h", "D"])
)
CALLABLES = st.sampled_from(
    [
        *(callbacks.asynchronous, callbacks.plain, callbacks.no_argument, callbacks.an_async_object),
        *(callbacks.an_async_partial, callbacks.AsyncConnection, callbacks.Connection, int, print),
    ]
)
PATHS = st.sampled_from(
    ["asynchronous", "plain", "no_argument", "A_NUMBER", "AsyncConnection", "nothing"]
).map("tests.pool.callbacks:{}".format)
TEXT = (
    st.text(max_size=20)
    | NUMBERS.map(str)
    | DURATIONS
    | PATHS
    | st.tuples(PATHS, PATHS).map(",".join)
    | st.sampled_from(
        ["none", "null", "true", "off", "", f"postgresql://app:{SECRET}@db1/jobs", '{"a": 1}', "[" * 9999]
    )
)
ANYTHING = (
    TEXT
    | NUMBERS
    | CALLABLES
    | st.none()
    | st.booleans()
    | st.binary(max_size=5)
    | st.lists(CALLABLES | PATHS, max_size=3)
    | st.tuples(CALLABLES, CALLABLES)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
    | st.complex_numbers()
    | st.builds(object)
)
NAMES = (
    st.sampled_from(KNOWN)
    | st.sampled_from(
        [
            *RESERVED,
            *(n for n in ALIASES if ALIASES[n].startswith("pool.")),
            "min_szie",
            "MAX_SIZE",
            "maxSize",
            "host",
            "",
        ]
    )
    | st.text(max_size=10)
)
SMALL = st.dictionaries(
    st.sampled_from(["min_size", "max_size", "num_workers", "max_waiting"]), st.integers(-1, 9)
)


def assert_makes_pools(options: PoolOptions, kind: ConnectorKind) -> None:
    for asynchronous in {False, REGISTRY[kind].asynchronous}:
        arguments = options.arguments(asynchronous=asynchronous)
        pool_class(asynchronous=asynchronous, null=options.null)("", open=False, **arguments)


@given(st.dictionaries(NAMES, ANYTHING, max_size=6), st.sampled_from(ConnectorKind), st.booleans())
def test_any_options_make_a_pool_or_problems(written, kind, null):
    options, problems = validate(written, kind, null=null)
    assert all(problem.message and problem.origin for problem in problems)
    assert SECRET not in str(ConfigurationError(problems))
    if not errors(problems):
        assert options.explicit.keys() == written.keys()
        assert_makes_pools(options, kind)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(KNOWN), st.integers(1, 9) | CALLABLES | DURATIONS, max_size=4))
def test_invalid_option_is_reported_once_and_left_out(written):
    options, problems = validate(written)
    left_out = written.keys() - options.explicit.keys()
    reported = {problem.setting.removeprefix("pool.") for problem in errors(problems)}
    assert left_out <= reported
    assert len(problems) == len({(problem.code, problem.setting) for problem in problems})


@given(SMALL, st.booleans())
def test_sizes_are_rejected_exactly_if_psycopg_pool_rejects_them(written, null):
    assume(written.get("max_waiting", 0) >= 0)  # psycopg_pool does not look at it
    assume("min_size" in written or not written.get("max_size"))  # which lowers the default of min_size
    try:
        with warnings.catch_warnings():
            pool_class(asynchronous=False, null=null)(open=False, **written)
        rejected = False
    except ValueError:
        rejected = True
    assert bool(errors(validate(written, null=null)[1])) == rejected


@given(st.integers(0, MAX_CONNECTIONS), st.none() | st.integers(0, MAX_CONNECTIONS), st.booleans())
def test_effective_sizes_are_those_of_psycopg_pool(min_size, max_size, null):
    options, problems = validate({"min_size": min_size, "max_size": max_size}, null=null)
    assume(not errors(problems))
    pool = pool_class(asynchronous=True, null=null)(open=False, **options.arguments(asynchronous=True))
    assert (options.min_size, options.max_size, options.timeout) == (
        pool.min_size,
        pool.max_size,
        pool.timeout,
    )


@given(
    st.dictionaries(st.sampled_from(KNOWN), ANYTHING, max_size=3),
    st.sampled_from(ConnectorKind),
    st.booleans(),
)
def test_validation_of_validated_options_changes_nothing(written, kind, null):
    options, problems = validate(written, kind, null=null)
    assume(not errors(problems))
    again, problems_again = validate_pool_options(
        options.sourced(Origin("call", "pool")), kind, NULL if null else None
    )
    assert again == options
    assert [(p.code, p.setting) for p in problems_again] == [(p.code, p.setting) for p in problems]
