"""The picture of the package's rooms, which is drawn from their imports.

Each room stands above everything that it imports, so that every arrow points down. An import that a path of
others implies is left out: the picture is the transitive reduction of the imports.
"""

from __future__ import annotations

from functools import cache
from statistics import mean

import grimp

PACKAGE = "procrastinate_conn"
OMITTED = ("__main__",)
"""Modules that are no rooms: the interpreter's way into ``cli``."""

CHARACTER, LINE = 7.3, 13
"""The width and the size of a character, in pixels."""
HEIGHT, GAP, ROW = 26, 14, 62
"""The height of a box, the space between two, and from one row to the next, in pixels."""
STYLE = (
    "text{font:13px ui-monospace,monospace;text-anchor:middle;fill:#1f2937}"
    "rect{fill:#eff4fb;stroke:#8aa4c8}"
    "rect.folder{fill:#d6e4f7}"
    "rect.paper{fill:#fff;stroke:none}"
    "path{fill:none;stroke:#9aa5b1}"
)

Imports = dict[str, set[str]]


@cache
def graph() -> grimp.ImportGraph:
    """Return the package's imports, those inside functions included."""
    return grimp.build_graph(PACKAGE, cache_dir=None)


def imports() -> Imports:
    """Return for each room the rooms that it imports; a room is a folder or a module of the package."""
    rooms = sorted(graph().find_children(PACKAGE) - {f"{PACKAGE}.{name}" for name in OMITTED})
    return {
        _name(room): {
            _name(other)
            for other in rooms
            if other != room and graph().direct_import_exists(importer=room, imported=other, as_packages=True)
        }
        for room in rooms
    }


def rows(imported: Imports) -> list[list[str]]:
    """Return the rooms from top to bottom, each above all that it imports, near the rooms that import it.

    Raises
    ------
    ValueError
        The imports have a cycle, so that no order exists.
    """
    left, found = dict(imported), []
    while left:
        row = sorted(room for room, others in left.items() if not others & left.keys())
        if not row:
            raise ValueError(f"there is a cycle among these rooms: {', '.join(left)}")
        found.append(row)
        left = {room: others for room, others in left.items() if room not in row}
    reduced = reduction(imported)
    positions: dict[str, float] = {}
    ordered = []
    for row in reversed(found):
        wanted = {
            room: mean([positions[user] for user in positions if room in reduced[user]] or [0.5])
            for room in row
        }
        ordered.append(sorted(row, key=wanted.__getitem__))
        positions |= {room: (index + 0.5) / len(row) for index, room in enumerate(ordered[-1])}
    return ordered


def reduction(imported: Imports) -> Imports:
    """Return the imports that no path through other rooms implies."""

    @cache
    def reached(room: str) -> frozenset[str]:
        return frozenset(imported[room]).union(*map(reached, imported[room]))

    return {
        room: {other for other in others if not any(other in reached(between) for between in others)}
        for room, others in imported.items()
    }


def rooms_picture() -> str:
    """Return the picture as SVG."""
    imported = imports()
    ordered = rows(imported)
    width = max(sum(_width(room) for room in row) + GAP * (len(row) + 1) for row in ordered)
    centres = _centres(ordered, width)
    arrows = [
        _arrow(centres[room], centres[other])
        for room in centres
        for other in sorted(reduction(imported)[room])
    ]
    size = f'viewBox="0 0 {width:.0f} {ROW * len(ordered)}" width="{width:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            f"<title>The rooms of {PACKAGE}: each imports only rooms below it</title>",
            f"<style>{STYLE}</style>",
            '<rect class="paper" width="100%" height="100%"/>',
            *arrows,
            *(_box(room, *centre) for room, centre in centres.items()),
            "</svg>\n",
        ]
    )


def _centres(ordered: list[list[str]], width: float) -> dict[str, tuple[float, float]]:
    """Return where the middle of each box is; a row's spare width is spread between its boxes."""
    centres = {}
    for number, row in enumerate(ordered):
        space = (width - sum(map(_width, row))) / (len(row) + 1)
        left = space
        for room in row:
            centres[room] = (left + _width(room) / 2, ROW * (number + 0.5))
            left += _width(room) + space
    return centres


def _box(room: str, x: float, y: float) -> str:
    kind = ' class="folder"' if room.endswith("/") else ""
    size = f'width="{_width(room):.0f}" height="{HEIGHT}"'
    return (
        f'<rect{kind} x="{x - _width(room) / 2:.0f}" y="{y - HEIGHT / 2:.0f}" {size} rx="5"/>'
        f'<text x="{x:.0f}" y="{y + LINE / 3:.0f}">{room}</text>'
    )


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x, y), (to_x, to_y) = start, end
    y, to_y = y + HEIGHT / 2, to_y - HEIGHT / 2
    middle = (y + to_y) / 2
    return (
        f'<path d="M{x:.0f} {y:.0f}C{x:.0f} {middle:.0f} {to_x:.0f} {middle:.0f} {to_x:.0f} {to_y:.0f}"/>'
        f'<path d="M{to_x - 4:.0f} {to_y - 6:.0f}L{to_x:.0f} {to_y:.0f}L{to_x + 4:.0f} {to_y - 6:.0f}"/>'
    )


def _width(room: str) -> float:
    return CHARACTER * len(room) + 20


def _name(module: str) -> str:
    """Return the name of a room, with a slash if it is a folder."""
    name = module.removeprefix(f"{PACKAGE}.")
    return f"{name}/" if graph().find_children(module) else name
