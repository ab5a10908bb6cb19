"""Every option means something on every kind, and where it cannot, that is an error."""

from __future__ import annotations

import pytest

from procrastinate_conn.pool.option_names import OWN, vocabulary
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from tests.pool import callbacks
from tests.pool.entries import PSYCOPG_KINDS, read

PAIR = (callbacks.asynchronous, callbacks.plain)
STATED: dict[str, object] = {
    "connection_class": (callbacks.AsyncConnection, callbacks.Connection),
    "min_size": 3,
    "max_size": 5,
    "configure": PAIR,
    "check": PAIR,
    "reset": PAIR,
    "reconnect_failed": PAIR,
    "name": "jobs",
    "close_returns": True,
    "timeout": 5,
    "max_waiting": 5,
    "max_lifetime": 500,
    "max_idle": 50,
    "reconnect_timeout": 50,
    "num_workers": 2,
    "check_after": 5,
    "prepare_threshold": 0,
}
"""A value for each option that is not its default."""


@pytest.mark.parametrize("kind", ConnectorKind)
def test_a_stated_option_is_taken_or_refused_with_a_kind_that_takes_it(kind):
    known = vocabulary(kind, null=False).keys()
    assert known <= STATED.keys()
    impossible = [option for option in known if REGISTRY[kind].support(option).how == "not possible"]
    options, problems = read({option: STATED[option] for option in known}, kind)
    told = {problem.setting: problem for problem in problems if problem.code == "PC306"}
    assert told.keys() == {f"pool.{option}" for option in impossible}
    assert all("choose psycopg or sync-psycopg" in problem.hint for problem in told.values())
    assert {*options.explicit, *OWN} == known - set(impossible)


@pytest.mark.parametrize("kind", PSYCOPG_KINDS)
def test_everything_is_possible_on_psycopg(kind):
    assert {REGISTRY[kind].support(option).how for option in STATED} == {"exact", "emulated"}


@pytest.mark.parametrize("kind", ConnectorKind)
@pytest.mark.parametrize("option", STATED)
def test_each_meaning_is_a_sentence(option, kind):
    assert len(REGISTRY[kind].support(option).sentence.split()) > 1


@pytest.mark.parametrize(
    ("option", "kind", "term"),
    [
        ("min_size", ConnectorKind.PSYCOPG2, "minconn"),
        ("max_size", ConnectorKind.PSYCOPG2, "maxconn"),
        ("min_size", ConnectorKind.AIOPG, "minsize"),
        ("max_size", ConnectorKind.AIOPG, "maxsize"),
        ("min_size", ConnectorKind.SQLALCHEMY_PSYCOPG2, "pool_size"),
        ("max_size", ConnectorKind.SQLALCHEMY_PSYCOPG2, "max_overflow"),
        ("timeout", ConnectorKind.SQLALCHEMY_PSYCOPG2, "pool_timeout"),
        ("max_lifetime", ConnectorKind.SQLALCHEMY_PSYCOPG2, "pool_recycle"),
    ],
)
def test_a_meaning_is_told_in_the_terms_of_the_kinds_own_pool(option, kind, term):
    assert term in REGISTRY[kind].support(option).sentence
