"""PoolOptions as users and connectors make and read them."""

from __future__ import annotations

import dataclasses

import pytest

from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.pool import PoolOptions


def test_options_can_be_given_by_keyword_mapping_or_both():
    assert PoolOptions(min_size=2, max_size=4) == PoolOptions({"min_size": 2, "max_size": 4})
    assert PoolOptions({"min_size": 2}, max_size=4) == PoolOptions(explicit={"min_size": 2, "max_size": 4})


def test_check_after_and_prepare_threshold_are_options_like_psycopg_pools():
    options = PoolOptions({"check_after": 5}, prepare_threshold=None)
    assert (options.check_after, options.prepare_threshold) == (5.0, None)
    assert options == PoolOptions(check_after=5, prepare_threshold=None)
    assert options.arguments(asynchronous=True) == {}


def test_unset_options_have_the_pools_defaults():
    options = PoolOptions()
    assert (options.min_size, options.max_size, options.timeout, options.check_after) == (4, 4, 30.0, 60.0)
    null = PoolOptions(null=True)
    assert (null.min_size, null.max_size) == (0, 0)


def test_given_mapping_is_copied():
    given = {"min_size": 2}
    options = PoolOptions(given)
    given["min_size"] = 9
    assert options.min_size == 2


def test_options_are_frozen_and_replaceable():
    options = PoolOptions(min_size=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.null = True
    assert dataclasses.replace(options, null=True) == PoolOptions(min_size=2, null=True)
    assert dataclasses.replace(options, explicit={}).check_after == 60.0


def test_sourced_returns_explicit_options_and_hides_values_from_repr():
    origin = Origin("call", "pool")
    entries = PoolOptions(min_size=2, check_after=5).sourced(origin)
    assert entries == {"min_size": SourcedValue(2, origin), "check_after": SourcedValue(5, origin)}
    assert repr(SourcedValue("hunter2", origin)) == f"SourcedValue(origin={origin!r})"


def test_option_set_to_its_default_is_explicit():
    assert set(PoolOptions(check_after=60.0, prepare_threshold=5).sourced(Origin("call"))) == {
        "check_after",
        "prepare_threshold",
    }
    assert PoolOptions().sourced(Origin("call")) == {}


def test_repr_masks_options_that_may_be_passwords():
    options = PoolOptions(kwargs={"password": "hush"}, conninfo="password=hush", pasword="hush", min_size=2)
    assert "hush" not in repr(options) + str(options)
    assert repr(options) == (
        "PoolOptions({'kwargs': '********', 'conninfo': '********', 'pasword': '********', 'min_size': 2},"
        " null=False)"
    )
