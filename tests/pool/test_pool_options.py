"""PoolOptions as users and connectors make and read them."""

from __future__ import annotations

import dataclasses

import pytest

from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.pool import PoolOptions


def test_options_are_given_by_keyword_by_mapping_or_both():
    assert PoolOptions(min_size=2, max_size=4) == PoolOptions({"min_size": 2, "max_size": 4})
    assert PoolOptions({"min_size": 2}, max_size=4) == PoolOptions(stated={"min_size": 2, "max_size": 4})


def test_check_after_is_ours_wherever_it_is_given():
    assert PoolOptions({"check_after": 5}) == PoolOptions(check_after=5)
    assert PoolOptions(check_after=5).explicit == {}


def test_what_is_not_stated_is_as_the_pool_has_it():
    options = PoolOptions()
    assert (options.min_size, options.max_size, options.timeout, options.check_after) == (4, 4, 30.0, 60.0)
    null = PoolOptions(null=True)
    assert (null.min_size, null.max_size) == (0, 0)


def test_the_mapping_given_is_not_kept():
    given = {"min_size": 2}
    options = PoolOptions(given)
    given["min_size"] = 9
    assert options.min_size == 2


def test_options_are_frozen_and_replaceable():
    options = PoolOptions(min_size=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.null = True
    assert dataclasses.replace(options, null=True) == PoolOptions(min_size=2, null=True)


def test_located_entries_hold_all_that_was_stated_and_show_no_value():
    origin = Origin("call", "pool")
    entries = PoolOptions(min_size=2, check_after=5).sourced(origin)
    assert entries == {"min_size": SourcedValue(2, origin), "check_after": SourcedValue(5, origin)}
    assert repr(SourcedValue("hunter2", origin)) == f"SourcedValue(origin={origin!r})"


def test_an_option_of_our_own_that_is_stated_counts_even_where_it_is_the_default():
    assert set(PoolOptions(check_after=60.0, prepare_threshold=5).sourced(Origin("call"))) == {
        "check_after",
        "prepare_threshold",
    }
    assert PoolOptions().sourced(Origin("call")) == {}


def test_what_may_hold_a_password_is_not_shown():
    options = PoolOptions(kwargs={"password": "hush"}, conninfo="password=hush", pasword="hush", min_size=2)
    assert "hush" not in repr(options) + str(options)
    assert "'min_size': 2" in repr(options)
    assert repr(options).endswith("null=False, check_after=60.0, prepare_threshold=5)")
