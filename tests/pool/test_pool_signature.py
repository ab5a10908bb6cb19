"""The vocabulary is that of the installed psycopg_pool, whichever version it is."""

from __future__ import annotations

import functools
import inspect

import psycopg
import psycopg_pool
import pytest

from procrastinate_conn.pool import introspection as signature
from procrastinate_conn.pool.introspection import INTRODUCED, parameters
from procrastinate_conn.pool.option_names import OWN, PREPARE_THRESHOLD, RESERVED, vocabulary
from procrastinate_conn.registry import ConnectorKind
from tests.pool.entries import errors, read

POOLS = ("ConnectionPool", "AsyncConnectionPool", "NullConnectionPool", "AsyncNullConnectionPool")


@pytest.fixture
def other_psycopg_pool(monkeypatch):
    """Give psycopg_pool's classes another signature, as another version of it would have."""

    def patch(*, more: dict[str, tuple[object, object]] | None = None, less: tuple[str, ...] = ()):
        for name in POOLS:
            real = getattr(psycopg_pool, name)
            old = inspect.signature(real, eval_str=True)
            new = [
                inspect.Parameter(
                    option, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
                )
                for option, (annotation, default) in (more or {}).items()
            ]
            kept = [parameter for option, parameter in old.parameters.items() if option not in less]

            def init(self, *args, _real=real, _more=more or {}, **kwargs):
                _real.__init__(self, *args, **{k: v for k, v in kwargs.items() if k not in _more})

            other = type(
                name, (real,), {"__init__": init, "__signature__": old.replace(parameters=kept + new)}
            )
            monkeypatch.setattr(psycopg_pool, name, other)
        parameters.cache_clear()

    yield patch
    parameters.cache_clear()


@pytest.mark.parametrize("kind", ConnectorKind)
@pytest.mark.parametrize("null", [False, True])
def test_the_vocabulary_is_the_signature_less_what_the_connector_passes(kind, null):
    pool = psycopg_pool.NullConnectionPool if null else psycopg_pool.ConnectionPool
    expected = set(inspect.signature(pool).parameters) - RESERVED.keys() | OWN.keys()
    assert set(vocabulary(kind, null=null)) == expected


def test_what_is_reserved_is_a_parameter_of_the_pool():
    assert RESERVED.keys() <= parameters().keys()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("on", True),
        ("YES", True),
        ("1", True),
        ("False", False),
        ("off", False),
        ("no", False),
        ("0", False),
    ],
)
def test_a_truth_value_is_read_as_people_write_it(other_psycopg_pool, text, value):
    other_psycopg_pool(more={"prefill": (bool, None)})
    options, problems = read({"prefill": text})
    assert problems == []
    assert options.explicit == {"prefill": value}


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int | None, "7", 7),
        (float, "5m", 300.0),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (dict[str, int] | None, "none", None),
    ],
)
def test_an_option_that_a_newer_psycopg_pool_adds_is_accepted_at_once(
    other_psycopg_pool, annotation, text, value
):
    other_psycopg_pool(more={"novelty": (annotation, None)})
    options, problems = read({"novelty": text})
    assert problems == []
    assert options.arguments(asynchronous=True) == {"novelty": value}


@pytest.mark.parametrize(
    ("annotation", "text", "code"),
    [
        (int, "x", "PC302"),
        (float, "inf", "PC303"),
        (dict[str, int], "{", "PC302"),
        (dict[str, int], "[1]", "PC302"),
    ],
)
def test_an_option_that_a_newer_psycopg_pool_adds_is_judged_by_its_type(
    other_psycopg_pool, annotation, text, code
):
    other_psycopg_pool(more={"novelty": (annotation, None)})
    _, [problem] = read({"novelty": text})
    assert problem.code == code


@pytest.mark.parametrize(("option", "version"), INTRODUCED.items())
def test_an_option_that_an_older_psycopg_pool_lacks_is_refused_with_the_version_that_has_it(
    other_psycopg_pool, option, version
):
    other_psycopg_pool(less=(option,))
    _, [problem] = read({option: "true"}, ConnectorKind.SYNC_PSYCOPG)
    assert problem.code == "PC310"
    assert problem.message == (
        f"{option} came with psycopg_pool {version}, and {psycopg_pool.__version__} is installed"
    )
    assert f"psycopg-pool>={version}" in problem.hint


@pytest.mark.parametrize(("option", "version"), INTRODUCED.items())
def test_the_versions_told_are_those_that_brought_the_options(option, version):
    installed = tuple(int(part) for part in psycopg_pool.__version__.split(".")[:2])
    came_with = tuple(int(part) for part in version.split("."))
    assert (option in parameters()) == (installed >= came_with)


def test_what_psycopg_pool_refuses_and_we_do_not_know_is_told_in_its_words(monkeypatch):
    # psycopg_pool itself has a rule of that kind, for versions of psycopg before 3.3.
    @functools.wraps(psycopg_pool.ConnectionPool.__init__)
    def refuse(self, *args, **kwargs):
        raise TypeError("close_returns needs another psycopg")

    sure = "close_returns" if "close_returns" in parameters() else "name"
    monkeypatch.setattr(psycopg_pool.ConnectionPool, "__init__", refuse)
    _, [problem] = read({sure: "true"})
    assert (problem.code, problem.setting) == (
        "PC311",
        "pool.close_returns" if sure == "close_returns" else "pool",
    )
    assert "psycopg_pool refuses the options: close_returns needs another psycopg" in problem.message


def test_asking_psycopg_pool_uses_up_no_pool_name():
    def number() -> int:
        return int(psycopg_pool.ConnectionPool(open=False).name.removeprefix("pool-"))

    before = number()
    assert errors(read({"min_size": 1})[1]) == []
    assert number() == before + 1


def test_an_option_with_a_default_that_cannot_be_hashed_is_an_option_like_any_other(other_psycopg_pool):
    other_psycopg_pool(more={"novelty": (dict[str, int], {})})
    options, problems = read({"novelty": '{"a": 1}'})
    assert problems == []
    assert options.explicit == {"novelty": {"a": 1}}


def test_the_signatures_are_read_once():
    assert parameters(asynchronous=True) is parameters(asynchronous=True)
    assert signature.installed_version() == psycopg_pool.__version__


@pytest.mark.parametrize("connect", [psycopg.Connection.connect, psycopg.AsyncConnection.connect])
def test_prepare_threshold_is_psycopgs(connect):
    theirs = inspect.signature(connect, eval_str=True).parameters["prepare_threshold"]
    assert (PREPARE_THRESHOLD.annotation, PREPARE_THRESHOLD.default) == (theirs.annotation, theirs.default)
