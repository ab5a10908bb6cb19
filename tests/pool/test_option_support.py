"""Every kind supports every option, or says why not and rejects it."""

from __future__ import annotations

import pytest

from procrastinate_conn.pool.parameters import known_options
from procrastinate_conn.registry import AS_DOCUMENTED, REGISTRY, ConnectorKind
from tests.pool import callbacks
from tests.pool.sourced_options import PSYCOPG_KINDS, validate

PAIR = (callbacks.asynchronous, callbacks.plain)
EXAMPLES: dict[str, object] = {
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
    "response_timeout": 5,
    "prepare_threshold": 0,
}
"""A value for each option that is not its default."""


@pytest.mark.parametrize("kind", ConnectorKind)
def test_option_is_accepted_or_rejected_naming_kinds_that_support_it(kind):
    known = known_options(kind, null=False).keys()
    assert known <= EXAMPLES.keys()
    impossible = [option for option in known if not REGISTRY[kind].supports(option)]
    options, problems = validate({option: EXAMPLES[option] for option in known}, kind)
    rejected = {problem.setting: problem for problem in problems if problem.code == "PC306"}
    assert rejected.keys() == {f"pool.{option}" for option in impossible}
    assert all("choose psycopg or sync-psycopg" in problem.hint for problem in rejected.values())
    assert options.explicit.keys() == known - set(impossible)


@pytest.mark.parametrize("kind", PSYCOPG_KINDS)
def test_psycopg_kinds_support_every_option(kind):
    assert {REGISTRY[kind].support(option).how for option in EXAMPLES} == {"exact", "emulated"}


@pytest.mark.parametrize("kind", ConnectorKind)
def test_registry_names_every_option_of_every_kind(kind):
    assert REGISTRY[kind].pool_options.keys() == EXAMPLES.keys()


@pytest.mark.parametrize("kind", ConnectorKind)
def test_emulated_or_unsupported_option_is_explained(kind):
    explained = [how for how in REGISTRY[kind].pool_options.values() if how.how != "exact"]
    assert explained
    assert AS_DOCUMENTED.sentence not in {how.sentence for how in explained}
    assert all(" " in how.sentence for how in explained)


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
        ("max_lifetime", ConnectorKind.SQLALCHEMY_PSYCOPG, "pool_recycle"),
        ("configure", ConnectorKind.SQLALCHEMY_PSYCOPG, "psycopg's connection"),
    ],
)
def test_support_is_described_in_terms_of_the_kinds_own_pool(option, kind, term):
    assert term in REGISTRY[kind].support(option).sentence
