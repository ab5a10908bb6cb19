"""The picture of the rooms has every import, and no arrow that another path implies."""

from __future__ import annotations

import pytest

from docs.generate.rooms import imports, reduction, rows

SHORTCUT = {"cli": {"checks", "rules"}, "checks": {"rules"}, "rules": set()}


def test_room_stands_above_the_rooms_that_it_imports() -> None:
    imported = imports()
    row_of = {room: number for number, row in enumerate(rows(imported)) for room in row}
    assert row_of.keys() == imported.keys()
    assert all(row_of[room] < row_of[other] for room, others in imported.items() for other in others)


def test_import_that_a_path_implies_is_left_out() -> None:
    assert reduction(SHORTCUT) == {"cli": {"checks"}, "checks": {"rules"}, "rules": set()}


def test_rooms_that_import_each_other_are_an_error() -> None:
    with pytest.raises(ValueError, match="cycle among these rooms: cli, checks, rules"):
        rows({"cli": {"checks"}, "checks": {"rules"}, "rules": {"checks"}})
