"""The options are those of the installed psycopg_pool that the registry names, whichever version it is."""

from __future__ import annotations

import functools
import inspect

import psycopg
import psycopg_pool
import pytest

from procrastinate_conn.pool.metadata import describe
from procrastinate_conn.pool.parameters import INTRODUCED, OWN, RESERVED, known_options, parameters
from procrastinate_conn.registry import ConnectorKind
from tests.pool.sourced_options import errors, validate

POOLS = ("ConnectionPool", "AsyncConnectionPool", "NullConnectionPool", "AsyncNullConnectionPool")


@pytest.fixture
def other_psycopg_pool(monkeypatch):
    """Give psycopg_pool's classes another signature, as another version of it would have."""

    def patch(*, more: dict[str, tuple[object, object]] | None = None, less: tuple[str, ...] = ()) -> None:
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
def test_known_options_are_psycopg_pools_parameters_except_reserved_ones(kind, null):
    pool = psycopg_pool.NullConnectionPool if null else psycopg_pool.ConnectionPool
    expected = set(inspect.signature(pool).parameters) - RESERVED.keys() | OWN.keys()
    assert set(known_options(kind, null=null)) == expected


def test_reserved_options_are_parameters_of_psycopg_pool():
    assert RESERVED.keys() <= parameters().keys()


@pytest.mark.skipif("close_returns" not in parameters(), reason="came with psycopg_pool 3.3")
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
def test_boolean_is_converted_from_common_notations(text, value):
    options, problems = validate({"close_returns": text})
    assert problems == []
    assert options.explicit == {"close_returns": value}


@pytest.mark.parametrize("kind", ConnectorKind)
@pytest.mark.parametrize("value", ["7", 7, None])
def test_option_of_newer_psycopg_pool_is_rejected_until_the_registry_names_it(
    other_psycopg_pool, kind, value
):
    other_psycopg_pool(more={"novelty": (int | None, None)})
    options, [problem] = validate({"novelty": value}, kind)
    assert options.explicit == {}
    assert (problem.code, problem.setting) == ("PC306", "pool.novelty")
    assert problem.message == (
        f"the {kind} connector does not support novelty, which psycopg_pool {psycopg_pool.__version__} has"
    )
    assert problem.hint == "remove it"


def test_option_of_newer_psycopg_pool_is_not_documented_and_not_suggested(other_psycopg_pool):
    other_psycopg_pool(more={"novelty": (int | None, None)})
    assert "novelty" not in {option.name for option in describe()}
    _, [problem] = validate({"noveltY": 7})
    assert "novelty" not in problem.hint


@pytest.mark.parametrize(("option", "version"), INTRODUCED.items())
def test_option_missing_from_older_psycopg_pool_is_rejected_naming_the_version_that_has_it(
    other_psycopg_pool, option, version
):
    other_psycopg_pool(less=(option,))
    _, [problem] = validate({option: "true"}, ConnectorKind.SYNC_PSYCOPG)
    assert problem.code == "PC310"
    assert problem.message == (
        f"{option} came with psycopg_pool {version}, and {psycopg_pool.__version__} is installed"
    )
    assert f"psycopg-pool>={version}" in problem.hint


@pytest.mark.parametrize(("option", "version"), INTRODUCED.items())
def test_introduced_versions_are_right(option, version):
    installed = tuple(int(part) for part in psycopg_pool.__version__.split(".")[:2])
    came_with = tuple(int(part) for part in version.split("."))
    assert (option in parameters()) == (installed >= came_with)


def test_error_of_psycopg_pool_is_reported_in_its_words(monkeypatch):
    # psycopg_pool itself has a rule of that kind, for versions of psycopg before 3.3.
    @functools.wraps(psycopg_pool.ConnectionPool.__init__)
    def reject(self, *args, **kwargs):
        raise TypeError("close_returns needs another psycopg")

    sure = "close_returns" if "close_returns" in parameters() else "name"
    monkeypatch.setattr(psycopg_pool.ConnectionPool, "__init__", reject)
    _, [problem] = validate({sure: "true"})
    assert (problem.code, problem.setting) == (
        "PC311",
        "pool.close_returns" if sure == "close_returns" else "pool",
    )
    assert "psycopg_pool rejects the options: close_returns needs another psycopg" in problem.message


def test_validation_uses_up_no_default_pool_name():
    def number() -> int:
        return int(psycopg_pool.ConnectionPool(open=False).name.removeprefix("pool-"))

    before = number()
    assert errors(validate({"min_size": 1})[1]) == []
    assert number() == before + 1


def test_signature_is_read_once():
    assert parameters(asynchronous=True) is parameters(asynchronous=True)


@pytest.mark.parametrize("connect", [psycopg.Connection.connect, psycopg.AsyncConnection.connect])
def test_prepare_threshold_has_type_and_default_of_psycopg(connect):
    theirs = inspect.signature(connect, eval_str=True).parameters["prepare_threshold"]
    ours = OWN["prepare_threshold"]
    assert (ours.annotation, ours.default) == (theirs.annotation, theirs.default)
