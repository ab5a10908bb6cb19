"""The registry agrees with pyproject.toml and with itself."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from procrastinate_conn.registry import REGISTRY, ConnectorKind

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_every_kind_has_an_entry():
    assert list(REGISTRY) == list(ConnectorKind)


@pytest.mark.parametrize("kind", ConnectorKind)
def test_extras_of_every_kind_are_declared_and_part_of_all(kind):
    [everything] = EXTRAS["all"]
    extras = everything.partition("[")[2].rstrip("]").split(",")
    for extra in REGISTRY[kind].extra.split(","):
        assert extra in EXTRAS
        assert extra in extras


def test_each_name_of_a_kind_is_unique():
    names = Counter(
        name.lower()
        for kind, info in REGISTRY.items()
        for name in (kind.value, info.implementation_class, *info.aliases)
    )
    assert names.most_common(1)[0][1] == 1


@pytest.mark.parametrize("kind", ConnectorKind)
def test_kind_is_found_by_its_name_and_its_class_name_in_any_case(kind):
    for name in (
        kind.value,
        kind.value.upper().replace("-", "_"),
        REGISTRY[kind].implementation_class.lower(),
    ):
        assert ConnectorKind(name) is kind
