"""The precedence among pool options, in any form that they are given in."""

from __future__ import annotations

import pytest

from procrastinate_conn import ConnectorSettings, PoolOptions

NEARER = {
    "a mapping": {"check_after": 60.0, "prepare_threshold": 5},
    "pool options": PoolOptions(check_after=60.0, prepare_threshold=5),
    "pool options by mapping": PoolOptions({"check_after": 60.0, "prepare_threshold": 5}),
}


@pytest.mark.parametrize("pool", NEARER.values(), ids=NEARER)
def test_option_that_is_set_to_its_default_overrides_a_lower_source(pool, monkeypatch):
    monkeypatch.setenv("PROCRASTINATE_CONN_POOL__CHECK_AFTER", "5")
    monkeypatch.setenv("PROCRASTINATE_CONN_POOL__PREPARE_THRESHOLD", "none")
    monkeypatch.setenv("PROCRASTINATE_CONN_POOL__MAX_SIZE", "7")
    found = ConnectorSettings(_env_file=None, pool=pool).pool
    assert (found.check_after, found.prepare_threshold, found.max_size) == (60.0, 5, 7)


OPTIONS = {"a mapping": {"min_size": 2}, "pool options": PoolOptions(min_size=2)}


@pytest.mark.parametrize("pool", OPTIONS.values(), ids=OPTIONS)
def test_options_override_a_null_pool_of_a_lower_source(pool, monkeypatch):
    monkeypatch.setenv("PROCRASTINATE_CONN_POOL", "null")
    found = ConnectorSettings(_env_file=None, pool=pool).pool
    assert (found.null, found.min_size) == (False, 2)


def test_options_in_json_override_a_null_pool_of_a_lower_source(monkeypatch, tmp_path):
    (tmp_path / "jobs.env").write_text("PROCRASTINATE_CONN_POOL=null\n")
    monkeypatch.setenv("PROCRASTINATE_CONN_POOL", '{"min_size": 2}')
    assert not ConnectorSettings(_env_file=tmp_path / "jobs.env").pool.null


def test_single_options_keep_a_null_pool(monkeypatch):
    monkeypatch.setenv("PROCRASTINATE_CONN_POOL", "null")
    monkeypatch.setenv("PROCRASTINATE_CONN_POOL__TIMEOUT", "5")
    found = ConnectorSettings(_env_file=None).pool
    assert (found.null, found.timeout) == (True, 5.0)


def test_null_pool_of_a_higher_source_overrides_options(monkeypatch):
    monkeypatch.setenv("PROCRASTINATE_CONN_POOL", '{"max_size": 2}')
    for pool in ("null", PoolOptions(null=True)):
        assert ConnectorSettings(_env_file=None, pool=pool).pool.null
